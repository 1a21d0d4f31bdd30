//! Hands files that were dropped on any page over to the upload page, through the browser's own
//! database: nothing else that outlives a page can hold files.

use js_sys::{Array, Promise};
use leptos::prelude::window;
use leptos::wasm_bindgen::prelude::Closure;
use leptos::wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    File, IdbDatabase, IdbObjectStore, IdbOpenDbRequest, IdbRequest, IdbTransactionMode,
};

/// The name of the database, and of its only store, which has one entry under the key of the same
/// name.
const NAME: &str = "catto-handover";

/// Leaves files for the upload page.
///
/// # Errors
/// When the browser keeps no data for this site.
pub(super) async fn leave(files: &[File]) -> Result<(), JsValue> {
    let store = open().await?;
    let files: Array = files.iter().collect();
    let put = store.put_with_key(&files, &NAME.into())?;
    found(&put).await.map(drop)
}

/// Takes the files that were left, so that they are not there any more. There are none where the
/// browser keeps no data for this site.
pub(super) async fn take() -> Vec<File> {
    let files = take_all().await;
    let files = files.ok().and_then(|files| files.dyn_into::<Array>().ok());
    let files = files.iter().flat_map(Array::iter);
    files.filter_map(|file| file.dyn_into().ok()).collect()
}

async fn take_all() -> Result<JsValue, JsValue> {
    let store = open().await?;
    let files = found(&store.get(&NAME.into())?).await?;
    store.delete(&NAME.into())?;
    Ok(files)
}

/// The store, within a new transaction. What is put into it is there once the request says so, also
/// if the page is left then.
async fn open() -> Result<IdbObjectStore, JsValue> {
    let factory = window().indexed_db()?.ok_or(JsValue::NULL)?;
    let request = factory.open_with_u32(NAME, 1)?;
    let create = {
        let request = request.clone();
        Closure::once_into_js(move || create_store(&request).is_ok())
    };
    request.set_onupgradeneeded(Some(create.unchecked_ref()));
    let database: IdbDatabase = found(&request).await?.unchecked_into();
    let transaction =
        database.transaction_with_str_and_mode(NAME, IdbTransactionMode::Readwrite)?;
    transaction.object_store(NAME)
}

fn create_store(request: &IdbOpenDbRequest) -> Result<(), JsValue> {
    let database: IdbDatabase = request.result()?.unchecked_into();
    database.create_object_store(NAME).map(drop)
}

/// What a request finds.
async fn found(request: &IdbRequest) -> Result<JsValue, JsValue> {
    let ended = Promise::new(&mut |resolve, reject| {
        request.set_onsuccess(Some(&resolve));
        request.set_onerror(Some(&reject));
    });
    JsFuture::from(ended).await?;
    request.result()
}
