//! One upload as a row: the preview, how far it is, and what became of it.

use std::cell::RefCell;
use std::rc::Rc;

use leptos::ev::ErrorEvent;
use leptos::prelude::*;
use leptos::wasm_bindgen::JsCast;
use web_sys::{File, HtmlElement, HtmlProgressElement, Url, XmlHttpRequest};

use super::Queue;
use super::send::send;
use crate::components::copy_field::CopyField;
use crate::components::countdown::TimeLeft;
use crate::components::fetch::Json;
use crate::components::picture_card::CardView;
use crate::components::tag_links::TagLinks;
use crate::components::verdict::verdict;
use crate::error::{ApiError, ErrorCode};
use crate::images::{self, Format};
use crate::units::readable_bytes;

/// Where an upload stands. `style/_upload_queue.scss` knows them and shows what belongs to each.
mod stage {
    pub(super) const WAITING: &str = "waiting";
    pub(super) const SENDING: &str = "sending";
    /// The server has it; nothing can be cancelled any more.
    pub(super) const LOOKING: &str = "looking";
    pub(super) const PUBLISHED: &str = "published";
    pub(super) const REFUSED: &str = "refused";
    /// Cancelled, or refused for a reason that may pass.
    pub(super) const PAUSED: &str = "paused";
}

pub(super) struct Row {
    pub(super) file: File,
    preview: String,
    stage: RwSignal<&'static str>,
    /// What the row says, the first as a headline.
    words: RwSignal<[String; 2]>,
    element: RefCell<Option<HtmlElement>>,
    request: RefCell<Option<XmlHttpRequest>>,
    announce: WriteSignal<String>,
}

impl Row {
    pub(super) fn new(file: File, announce: WriteSignal<String>) -> Self {
        Self {
            preview: Url::create_object_url_with_blob(&file).unwrap_or_default(),
            file,
            stage: RwSignal::new(stage::WAITING),
            words: RwSignal::default(),
            element: RefCell::default(),
            request: RefCell::default(),
            announce,
        }
    }

    /// Draws the row at the end of this list.
    pub(super) fn mount(self: &Rc<Self>, list: HtmlElement, queue: Rc<Queue>) {
        let (row, cancel, retry, dismiss) = (
            Rc::clone(self),
            Rc::clone(self),
            Rc::clone(self),
            Rc::clone(self),
        );
        let parent = list.clone();
        mount_to(parent, move || {
            let (stage, words) = (row.stage, row.words);
            view! {
                <li class="upload-row" tabindex="-1" data-stage=move || stage.get()>
                    <img class="upload-preview" src=row.preview.clone() alt="" on:error=forget_source/>
                    <div class="upload-body">
                        <p class="upload-name">{row.file.name()}</p>
                        <progress max="1" value="0" aria-label="Sent"></progress>
                        <p class="upload-words">
                            <strong>{move || words.read()[0].clone()}</strong>
                            " "
                            {move || words.read()[1].clone()}
                        </p>
                        <button type="button" class="button is-quiet upload-cancel" on:click=move |_| cancel.cancel()>
                            "Cancel"
                        </button>
                        <button type="button" class="button is-quiet upload-retry" on:click=move |_| {
                            retry.focus();
                            queue.push(&retry);
                        }>
                            "Try again"
                        </button>
                        <button type="button" class="button is-quiet upload-dismiss" on:click=move |_| dismiss.dismiss()>
                            "Dismiss"
                        </button>
                    </div>
                </li>
            }
        })
        .forget();
        let element = list.last_element_child();
        self.element.replace(element.map(JsCast::unchecked_into));
    }

    pub(super) fn wait(&self) {
        self.set(stage::WAITING, "", "Waiting in line…");
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.stage.get_untracked() == stage::WAITING
    }

    pub(super) fn refuse_size(&self, max_bytes: u64) {
        let size = readable_bytes(max_bytes);
        let message = [
            "Pictures may have up to ",
            &size,
            ". A smaller copy will do nicely.",
        ];
        self.refuse(&ApiError::new(ErrorCode::TooLarge, message.concat()));
    }

    /// Sends the file and waits for the verdict.
    pub(super) async fn upload(self: &Rc<Self>) {
        self.set(stage::SENDING, "", "Sending…");
        let on_progress = {
            let row = Rc::clone(self);
            move |fraction| row.show_progress(fraction)
        };
        let answer = send(&self.file, on_progress, |request| {
            self.request.replace(Some(request));
        });
        let answer = answer.await;
        self.request.replace(None);
        if self.stage.get_untracked() == stage::PAUSED {
            return;
        }
        self.set(stage::LOOKING, "Looking for the cat…", "");
        match self.judge(answer).await {
            Ok((picture, answer)) => self.publish(picture, &answer),
            Err(error) => self.refuse(&error),
        }
    }

    async fn judge(&self, answer: Result<Json, ApiError>) -> Result<(CardView, Json), ApiError> {
        let answer = answer?;
        let picture = match CardView::from_json(&answer) {
            Some(picture) => picture,
            None => verdict(&answer.text("id").unwrap_or_default()).await?,
        };
        Ok((picture, answer))
    }

    fn show_progress(&self, fraction: f64) {
        if let Some(Ok(Some(bar))) = self
            .element
            .borrow()
            .as_ref()
            .map(|row| row.query_selector("progress"))
        {
            bar.unchecked_into::<HtmlProgressElement>()
                .set_value(fraction);
        }
        if fraction >= 1.0 {
            self.set(stage::LOOKING, "Looking for the cat…", "");
        }
    }

    fn publish(&self, picture: CardView, answer: &Json) {
        self.set(stage::PUBLISHED, "That is a cat!", "It is online.");
        self.tell("is published");
        let text = |name| answer.text(name).unwrap_or_default();
        let (url, token, deletion) = (text("url"), text("delete_token"), text("delete_url"));
        if let Some(Ok(Some(body))) = self
            .element
            .borrow()
            .as_ref()
            .map(|row| row.query_selector(".upload-body"))
        {
            mount_to(body.unchecked_into(), || {
                view! { <Published picture url token deletion/> }
            })
            .forget();
        }
    }

    fn refuse(&self, error: &ApiError) {
        let stage = if error.code.is_passing() {
            stage::PAUSED
        } else {
            stage::REFUSED
        };
        self.set(stage, error.code.title(), &error.message);
        self.tell(error.code.title());
    }

    fn cancel(&self) {
        self.focus();
        self.set(stage::PAUSED, "Cancelled", "");
        self.tell("is cancelled");
        if let Some(request) = self.request.borrow().as_ref() {
            // A request that is over cannot be stopped, and need not be.
            let _ = request.abort();
        }
    }

    /// Takes the row away. The focus goes to the box, as where it was is gone.
    fn dismiss(&self) {
        if let Some(element) = self.element.take() {
            element.remove();
        }
        // A URL that is gone already needs no revoking.
        let _ = Url::revoke_object_url(&self.preview);
        if let Ok(Some(input)) = document().query_selector(".box input") {
            let _ = input.unchecked_into::<HtmlElement>().focus();
        }
    }

    /// Keeps the focus on the row when the button under it goes away.
    fn focus(&self) {
        if let Some(element) = self.element.borrow().as_ref() {
            let _ = element.focus();
        }
    }

    fn set(&self, stage: &'static str, headline: &str, text: &str) {
        self.words.set([headline.to_owned(), text.to_owned()]);
        self.stage.set(stage);
    }

    fn tell(&self, what: &str) {
        self.announce.set([&self.file.name(), ": ", what].concat());
    }
}

/// What the browser cannot draw leaves an empty frame instead of a broken one.
fn forget_source(event: ErrorEvent) {
    if let Some(image) = event.target() {
        // Removing what is not there is no mistake.
        let _ = image
            .unchecked_into::<HtmlElement>()
            .remove_attribute("src");
    }
}

/// What the uploader gets: the links, the tags, the time left and the only copy of the delete link.
#[component]
fn Published(picture: CardView, url: String, token: String, deletion: String) -> impl IntoView {
    let page = ["/c/", &picture.id].concat();
    let deletion_path = ["/delete/", &picture.id, "/", &token].concat();
    let image = images::url(&picture.images, Format::Webp, 1280);
    let thumbnail = images::url(&picture.images, Format::Webp, 320);
    view! {
        <div class="upload-published life">
            <a class="upload-result" href=page>
                <img src=thumbnail alt=""/>
                <span>"See its page"</span>
                <TimeLeft until=picture.expires_at/>
            </a>
            <TagLinks tags=picture.tags/>
            <CopyField label="Page" text=url/>
            <CopyField label="Image" text=image/>
            <div class="delete-link">
                <CopyField label="Delete link" text=deletion/>
                <p>
                    "Keep it if you may change your mind: it is shown only here and only now. "
                    <a href=deletion_path>"Delete the picture"</a>
                </p>
            </div>
        </div>
    }
}
