//! One upload as a row in the list: its preview, its progress, and what became of it.

use std::cell::RefCell;
use std::rc::Rc;

use leptos::ev::ErrorEvent;
use leptos::prelude::*;
use leptos::wasm_bindgen::JsCast;
use web_sys::{
    Blob, File, HtmlElement, HtmlImageElement, HtmlProgressElement, Url, XmlHttpRequest,
};

use super::Queue;
use super::crop::{Choice, Crop, Frame, cut, is_still};
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

/// The stages of an upload. `style/_upload_queue.scss` knows these words, and shows in a row what
/// belongs to its stage.
mod stage {
    /// It waits for others to be sent.
    pub(super) const WAITING: &str = "waiting";
    /// It is on its way to the server and can be cancelled.
    pub(super) const SENDING: &str = "sending";
    /// The server has all of it and is screening it; it can no longer be cancelled.
    pub(super) const LOOKING: &str = "looking";
    /// It is published.
    pub(super) const PUBLISHED: &str = "published";
    /// It was refused, and trying again would not help.
    pub(super) const REFUSED: &str = "refused";
    /// No cat was found in it, and cropping it may help.
    pub(super) const MISSED: &str = "missed";
    /// It was cancelled, or refused for a reason that may pass, and can be tried again.
    pub(super) const PAUSED: &str = "paused";
}

/// One file and its row on the page.
pub(super) struct Row {
    /// The file that was chosen.
    file: File,
    /// A URL by which the browser shows the file from the visitor's own computer.
    source: String,
    /// The part of the picture that is uploaded instead of the file, once one is cut out, and a URL
    /// by which the browser shows it.
    part: RefCell<Option<(Blob, String)>>,
    /// The editor that crops the picture, while it is open.
    editor: RefCell<Option<Crop>>,
    /// One of the constants in [`stage`].
    stage: RwSignal<&'static str>,
    /// What the row says: a headline, and the words after it.
    words: RwSignal<[String; 2]>,
    /// The element of the row, once it is drawn.
    element: RefCell<Option<HtmlElement>>,
    /// The request, while the file is being sent.
    request: RefCell<Option<XmlHttpRequest>>,
    /// Where to write what screen readers should say.
    announce: WriteSignal<String>,
}

impl Row {
    /// A row for this file, which is not drawn yet.
    pub(super) fn new(file: File, announce: WriteSignal<String>) -> Self {
        Self {
            source: Url::create_object_url_with_blob(&file).unwrap_or_default(),
            file,
            part: RefCell::default(),
            editor: RefCell::default(),
            stage: RwSignal::new(stage::WAITING),
            words: RwSignal::default(),
            element: RefCell::default(),
            request: RefCell::default(),
            announce,
        }
    }

    /// Draws the row at the end of this list.
    pub(super) fn mount(self: &Rc<Self>, list: HtmlElement, queue: Rc<Queue>) {
        let (row, cancel, retry, crop, dismiss) = (
            Rc::clone(self),
            Rc::clone(self),
            Rc::clone(self),
            Rc::clone(self),
            Rc::clone(self),
        );
        let parent = list.clone();
        mount_to(parent, move || {
            let (stage, words) = (row.stage, row.words);
            let crop_queue = Rc::clone(&queue);
            view! {
                <li class="upload-row" tabindex="-1" data-stage=move || stage.get()>
                    <img
                        class="upload-preview"
                        src=row.source.clone()
                        alt=""
                        on:error=forget_source
                    />
                    <div class="upload-body">
                        <p class="upload-name">{row.file.name()}</p>
                        <progress max="1" value="0" aria-label="Sent"></progress>
                        <p class="upload-words">
                            <strong>{move || words.read()[0].clone()}</strong>
                            " "
                            {move || words.read()[1].clone()}
                        </p>
                        <button
                            type="button"
                            class="button is-quiet upload-cancel"
                            on:click=move |_| cancel.cancel()
                        >
                            "Cancel"
                        </button>
                        <button
                            type="button"
                            class="button is-quiet upload-retry"
                            on:click=move |_| {
                                retry.focus();
                                queue.push(&retry);
                            }
                        >
                            "Try again"
                        </button>
                        <button
                            type="button"
                            class="button upload-crop"
                            on:click=move |_| crop.toggle_editor(&crop_queue)
                        >
                            "Crop closer…"
                        </button>
                        <button
                            type="button"
                            class="button is-quiet upload-dismiss"
                            on:click=move |_| dismiss.dismiss()
                        >
                            "Dismiss"
                        </button>
                    </div>
                </li>
            }
        })
        .forget();
        let element = list.last_element_child();
        self.element.replace(element.map(JsCast::unchecked_into));
        for class in ["cancel", "retry", "crop", "dismiss"] {
            self.name_button(&[".upload-", class].concat());
        }
    }

    /// Has screen readers say of a button which file it is for.
    fn name_button(&self, selector: &str) {
        if let Some(button) = self.find(selector) {
            let action = button.text_content().unwrap_or_default();
            let name = [&action, " ", &self.file.name()].concat();
            // This fails only if the attribute has no valid name.
            let _ = button.set_attribute("aria-label", &name);
        }
    }

    /// What is uploaded: the part that was cut out, or else the file.
    pub(super) fn content(&self) -> Blob {
        match self.part.borrow().as_ref() {
            Some((part, _)) => part.clone(),
            None => self.file.clone().into(),
        }
    }

    /// Takes the row away if its upload came to nothing and this is the same file once more. Also
    /// tells whether the row is away.
    pub(super) fn gives_way_to(&self, file: &File) -> bool {
        let stage = self.stage.get_untracked();
        let has_ended = [stage::REFUSED, stage::MISSED, stage::PAUSED].contains(&stage);
        if has_ended && self.file.name() == file.name() && self.file.size() == file.size() {
            self.remove();
        }
        self.element.borrow().is_none()
    }

    /// Says that the upload waits for its turn.
    pub(super) fn wait(&self) {
        self.set(stage::WAITING, "", "Waiting for its turn…");
    }

    /// Tells whether the upload still waits, and has not been cancelled.
    pub(super) fn is_waiting(&self) -> bool {
        self.stage.get_untracked() == stage::WAITING
    }

    /// Refuses the file because it has more than `max_bytes`.
    pub(super) fn refuse_size(&self, max_bytes: u64) {
        let size = readable_bytes(max_bytes);
        let message = [
            "Files may be up to ",
            &size,
            " in size. Please try a smaller copy.",
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
        let content = self.content();
        let answer = send(&content, on_progress, |request| {
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
            Err(error) => {
                self.refuse(&error);
                // One frame of an animation would be another picture.
                if error.code == ErrorCode::NotACat && is_still(&self.file).await {
                    self.stage.set(stage::MISSED);
                }
            }
        }
    }

    /// Opens the editor in which the picture is cropped, or closes it.
    fn toggle_editor(self: &Rc<Self>, queue: &Rc<Queue>) {
        if self.close_editor() {
            return;
        }
        let Some(element) = self.element.borrow().clone() else {
            return;
        };
        let (row, queue) = (Rc::clone(self), Rc::clone(queue));
        let editor =
            Crop::open(
                &element,
                &self.source,
                &self.file.name(),
                move |choice| match choice {
                    Choice::Cut(image, frame) => row.retry_with(image, frame, Rc::clone(&queue)),
                    Choice::Close => {
                        if let Some(button) = row.find(".upload-crop") {
                            let _ = button.focus();
                        }
                        row.close_editor();
                    }
                },
            );
        self.editor.replace(editor);
    }

    /// Closes the editor. Tells whether it was open.
    fn close_editor(&self) -> bool {
        let editor = self.editor.take();
        editor.is_some()
    }

    /// Cuts this part out of the picture and puts it in line in place of what was refused.
    fn retry_with(self: &Rc<Self>, image: HtmlImageElement, frame: Frame, queue: Rc<Queue>) {
        self.focus();
        self.set(stage::WAITING, "", "Cutting the picture…");
        self.close_editor();
        let row = Rc::clone(self);
        leptos::task::spawn_local(async move {
            let part = cut(&image, frame, &row.file.type_(), queue.max_bytes).await;
            let Some(part) = part else {
                row.set(
                    stage::REFUSED,
                    "The picture could not be cut",
                    "Your browser may have too little memory for it. Please crop the picture with \
                    another program and choose that copy.",
                );
                return;
            };
            row.forget_part();
            let url = Url::create_object_url_with_blob(&part).unwrap_or_default();
            if let Some(preview) = row.find(".upload-preview") {
                preview.unchecked_into::<HtmlImageElement>().set_src(&url);
            }
            row.part.replace(Some((part, url)));
            // It may have been cancelled meanwhile.
            if row.is_waiting() {
                queue.push(&row);
            }
        });
    }

    /// Has the browser forget the part that was cut out before.
    fn forget_part(&self) {
        if let Some((_, url)) = self.part.take() {
            // This fails only if the URL has been revoked already.
            let _ = Url::revoke_object_url(&url);
        }
    }

    /// Waits for the verdict on an upload that the server has answered. Returns the picture, and
    /// the answer with its links.
    async fn judge(&self, answer: Result<Json, ApiError>) -> Result<(CardView, Json), ApiError> {
        let answer = answer?;
        let picture = match CardView::from_json(&answer) {
            Some(picture) => picture,
            None => verdict(&answer.text("id").unwrap_or_default()).await?,
        };
        Ok((picture, answer))
    }

    /// Shows how much has been sent, from 0 to 1.
    fn show_progress(&self, fraction: f64) {
        if let Some(bar) = self.find("progress") {
            bar.unchecked_into::<HtmlProgressElement>()
                .set_value(fraction);
        }
        if fraction >= 1.0 {
            self.set(stage::LOOKING, "Looking for the cat…", "");
        }
    }

    /// Shows the links of the published picture.
    fn publish(&self, picture: CardView, answer: &Json) {
        self.set(
            stage::PUBLISHED,
            "That is a cat!",
            "Your picture is online.",
        );
        self.tell("published");
        let text = |name| answer.text(name).unwrap_or_default();
        let (url, token, deletion) = (text("url"), text("delete_token"), text("delete_url"));
        if let Some(body) = self.find(".upload-body") {
            mount_to(body, || {
                view! { <Published picture url token deletion/> }
            })
            .forget();
        }
    }

    /// Says why the upload failed.
    fn refuse(&self, error: &ApiError) {
        let stage = if error.code.is_passing() {
            stage::PAUSED
        } else {
            stage::REFUSED
        };
        self.set(stage, error.code.title(), &error.message);
        self.tell(error.code.title());
    }

    /// Stops the upload.
    fn cancel(&self) {
        self.focus();
        self.set(stage::PAUSED, "Cancelled", "");
        self.tell("cancelled");
        if let Some(request) = self.request.borrow().as_ref() {
            // This fails only if the request is over already.
            let _ = request.abort();
        }
    }

    /// Takes the row away at the visitor's wish. The focus moves to the upload box, because the
    /// button that had it is gone.
    fn dismiss(&self) {
        self.remove();
        if let Ok(Some(input)) = document().query_selector(".box input") {
            let _ = input.unchecked_into::<HtmlElement>().focus();
        }
    }

    /// Takes the row away.
    fn remove(&self) {
        self.close_editor();
        if let Some(element) = self.element.take() {
            element.remove();
        }
        self.forget_part();
        // This fails only if the URL has been revoked already.
        let _ = Url::revoke_object_url(&self.source);
    }

    /// Moves the focus to the row before the button that has it disappears.
    fn focus(&self) {
        if let Some(element) = self.element.borrow().as_ref() {
            let _ = element.focus();
        }
    }

    /// The first element in the row that this selector fits.
    fn find(&self, selector: &str) -> Option<HtmlElement> {
        let row = self.element.borrow();
        let found = row.as_ref()?.query_selector(selector).ok()??;
        Some(found.unchecked_into())
    }

    /// Changes the stage of the row and what it says.
    fn set(&self, stage: &'static str, headline: &str, text: &str) {
        self.words.set([headline.to_owned(), text.to_owned()]);
        self.stage.set(stage);
    }

    /// Has screen readers say what became of the file.
    fn tell(&self, what: &str) {
        self.announce.set([&self.file.name(), ": ", what].concat());
    }
}

/// Empties the frame of a preview that the browser cannot draw, so that it shows no broken image.
fn forget_source(event: ErrorEvent) {
    if let Some(image) = event.target() {
        // This can only fail if the attribute is gone already.
        let _ = image
            .unchecked_into::<HtmlElement>()
            .remove_attribute("src");
    }
}

/// What the uploader gets: the links, the tags, the time left, and the delete link, which is shown
/// nowhere else.
#[component]
fn Published(picture: CardView, url: String, token: String, deletion: String) -> impl IntoView {
    let page = ["/c/", &picture.id].concat();
    let deletion_path = ["/delete/", &picture.id, "/", &token].concat();
    let image = images::url(&picture.images, Format::Jpeg, 1280);
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
                    "Keep this link in case you change your mind. We show it only once, here and \
                    now. "
                    <a href=deletion_path>"Delete the picture"</a>
                </p>
            </div>
        </div>
    }
}
