//! The visitor's own cats: what this browser remembers of its uploads, so that they can be deleted
//! after the tab was closed. It is kept in the browser's storage and never sent anywhere.

use js_sys::Date;
use leptos::prelude::window;
use leptos::wasm_bindgen::JsValue;
use web_sys::Storage;

/// Where the storage keeps the cats, as [`to_text`] writes them.
const CATS: &str = "catto-cats";
/// Where the storage keeps that the visitor wants nothing to be remembered.
const OFF: &str = "catto-remember-nothing";

/// One upload that this browser remembers.
#[derive(Clone, Default)]
pub(crate) struct Mine {
    pub(crate) id: String,
    /// The delete token.
    pub(crate) token: String,
    /// The name of the file.
    pub(crate) name: String,
    /// The size of the file in bytes. Together with the name it tells the file again.
    pub(crate) size: String,
    /// When the picture ends, in the form of RFC 3339; empty until it is published.
    pub(crate) until: String,
    /// The address of a small image; empty until it is published.
    pub(crate) image: String,
}

impl Mine {
    /// Reads a line that [`Self::to_line`] made; `None` if it is something else.
    fn from_line(line: &str) -> Option<Self> {
        let mut fields = line.split('\t');
        let mut next = || fields.next().unwrap_or_default().to_owned();
        let cat = Self {
            id: next(),
            token: next(),
            until: next(),
            size: next(),
            image: next(),
            name: next(),
        };
        (is_word(&cat.id) && is_word(&cat.token)).then_some(cat)
    }

    /// All fields in a line, with a tab between each and the next.
    fn to_line(&self) -> String {
        // A name may hold anything.
        let name = self.name.replace(char::is_control, " ");
        let fields = [
            &self.id,
            &self.token,
            &self.until,
            &self.size,
            &self.image,
            &name,
        ];
        fields.map(String::as_str).join("\t")
    }

    /// Whether the picture's time is up.
    fn is_over(&self) -> bool {
        Date::parse(&self.until) <= Date::now()
    }

    /// The path of the page that deletes the picture.
    pub(crate) fn deletion(&self) -> String {
        ["/delete/", &self.id, "/", &self.token].concat()
    }
}

/// Whether this text, which may come from a file of the visitor's, can be part of a path.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The browser's storage; `None` where the visitor has forbidden it.
fn storage() -> Option<Storage> {
    window().local_storage().ok().flatten()
}

/// Whether uploads are to be remembered in this browser.
pub(crate) fn is_on() -> bool {
    storage().is_some_and(|storage| storage.get_item(OFF).ok().flatten().is_none())
}

/// Sets whether uploads are to be remembered. What was remembered is forgotten where they are not.
pub(crate) fn set_on(is_on: bool) {
    if let Some(storage) = storage() {
        // The storage may be full; then nothing changes, and the page shows what holds.
        let _ = if is_on {
            storage.remove_item(OFF)
        } else {
            storage
                .remove_item(CATS)
                .and_then(|()| storage.set_item(OFF, "1"))
        };
    }
}

/// The cats that are remembered and not over, oldest first.
pub(crate) fn list() -> Vec<Mine> {
    let text = storage().and_then(|storage| storage.get_item(CATS).ok().flatten());
    let mut cats = parse(&text.unwrap_or_default());
    let all = cats.len();
    cats.retain(|cat| !cat.is_over());
    if cats.len() < all {
        keep(&cats);
    }
    cats
}

/// Remembers a cat, in place of what was known of it before. Does nothing where nothing is to be
/// remembered.
pub(crate) fn remember(cat: Mine) {
    if is_on() {
        let mut cats = list();
        cats.retain(|known| known.id != cat.id);
        cats.push(cat);
        keep(&cats);
    }
}

/// Forgets the cat with this id.
pub(crate) fn forget(id: &str) {
    let mut cats = list();
    cats.retain(|cat| cat.id != id);
    keep(&cats);
}

/// The cat with this id, if it is remembered.
pub(crate) fn find(id: &str) -> Option<Mine> {
    list().into_iter().find(|cat| cat.id == id)
}

/// All cats as a text, one in each line, which [`parse`] reads.
pub(crate) fn to_text(cats: &[Mine]) -> String {
    let lines: Vec<String> = cats.iter().map(Mine::to_line).collect();
    lines.join("\n")
}

/// The cats in a text that [`to_text`] made. What is no cat is left out.
pub(crate) fn parse(text: &str) -> Vec<Mine> {
    text.lines().filter_map(Mine::from_line).collect()
}

fn keep(cats: &[Mine]) {
    if let Some(storage) = storage() {
        // If the storage is full, what was remembered before stays.
        let _: Result<(), JsValue> = if cats.is_empty() {
            storage.remove_item(CATS)
        } else {
            storage.set_item(CATS, &to_text(cats))
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_back_and_what_is_no_cat_is_left_out() {
        let cat = Mine {
            id: "abc".to_owned(),
            token: "def".to_owned(),
            name: "my\tcat\n.jpg".to_owned(),
            size: "17".to_owned(),
            until: "2026-11-29T10:15:02Z".to_owned(),
            image: String::new(),
        };
        let text = to_text(&[cat.clone(), cat]);
        let read = parse(&text);
        assert_eq!(read.len(), 2);
        assert_eq!(read[1].name, "my cat .jpg");
        assert_eq!((read[1].size.as_str(), read[1].image.as_str()), ("17", ""));
        assert_eq!(to_text(&read), text);
        for other in ["", "{\"id\":1}", "../..\tdef", "abc", "abc\t<b>"] {
            assert!(parse(other).is_empty(), "{other}");
        }
    }
}
