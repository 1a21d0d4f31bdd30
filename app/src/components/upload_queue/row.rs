//! One upload as a row in the list: its preview, its progress, and what became of it.

mod attempt;
mod editing;
mod published;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use leptos::mount::mount_to;
use leptos::prelude::*;
use leptos::wasm_bindgen::JsCast;
use leptos::wasm_bindgen::prelude::Closure;
use web_sys::{Blob, File, HtmlElement, HtmlImageElement, Url, XmlHttpRequest};

use self::published::Published;
use super::crop::Crop;
use super::send::{chosen_life, new_key};
use super::{Queue, Slot, tell};
use crate::components::copy_field::{FEEDBACK_MS, copy_text};
use crate::components::countdown::TimeLeft;
use crate::components::dom::{append, find, name_buttons, set, show, write};
use crate::components::fetch::sleep;
use crate::components::mine::Mine;
use crate::components::picture_card::CardView;
use crate::error::{ApiError, ErrorCode};
use crate::images::{self, Format};
use crate::units::readable_bytes;

/// The stages of an upload. `style/_upload_queue.scss` knows these words, and shows in a row what
/// belongs to its stage.
mod stage {
    /// It waits for others to be sent.
    pub(super) const WAITING: &str = "waiting";
    /// It is on its way to the server.
    pub(super) const SENDING: &str = "sending";
    /// All of it was sent, and the server is screening it.
    pub(super) const LOOKING: &str = "looking";
    /// It failed for a reason that passes, and will be tried again by itself.
    pub(super) const HELD: &str = "held";
    /// It is published.
    pub(super) const PUBLISHED: &str = "published";
    /// The same file is online already, and was not sent again.
    pub(super) const KNOWN: &str = "known";
    /// It was refused, and trying again would not help.
    pub(super) const REFUSED: &str = "refused";
    /// No cat was found in it, and cropping it may help.
    pub(super) const MISSED: &str = "missed";
    /// It was cancelled, or refused for a reason that may pass, and can be tried again.
    pub(super) const STOPPED: &str = "stopped";
}

/// What a row holds. `data-act` is what [`Row::act`] does.
const ROW: &str = "<li class='upload-row life' tabindex=-1 data-stage=waiting>\
    <a class=upload-thumb><img class=upload-preview alt=''></a>\
    <div class=upload-body>\
    <p class=upload-words><strong></strong> <span></span></p>\
    <progress max=1 value=0 aria-label=Sent></progress>\
    <p class=upload-name><span class=upload-time></span><span class=upload-file></span></p>\
    </div><div class=upload-actions>\
    <button type=button class='button is-quiet' data-act=cancel>Cancel</button>\
    <button type=button class='button is-quiet for-stopped' data-act=retry>Try again</button>\
    <button type=button class='button is-quiet for-known' data-act=retry>Upload again</button>\
    <button type=button class=button data-act=crop>Crop closer…</button>\
    <button type=button class='button is-quiet' data-act=copy>Copy link</button>\
    <button type=button class='button is-quiet' data-act=open aria-expanded=false>More</button>\
    <button type=button class='button is-quiet' data-act=dismiss>Dismiss</button>\
    </div><div class=upload-more hidden></div></li>";

/// How many files are where.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) online: u32,
    refused: u32,
    pub(super) stopped: u32,
    waiting: u32,
}

impl Tally {
    /// The numbers in words: `17 online · 2 refused · 1 waiting`. What there is none of is left
    /// out.
    pub(super) fn line(&self) -> String {
        let parts = [
            (self.online, " online"),
            (self.refused, " refused"),
            (self.stopped, " stopped"),
            (self.waiting, " waiting"),
        ];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, words)| [&number.to_string(), *words].concat())
            .collect();
        parts.join(" · ")
    }
}

/// One file and its row on the page.
pub(super) struct Row {
    /// The file that was chosen.
    file: File,
    /// How long its picture shall live, as was chosen with it.
    life: String,
    /// A URL by which the browser shows the file from the visitor's own computer.
    source: String,
    /// The part of the picture that is uploaded instead of the file, once one is cut out, and a URL
    /// by which the browser shows it.
    part: RefCell<Option<(Blob, String)>>,
    /// The editor that crops the picture, while it is open.
    editor: RefCell<Option<Crop>>,
    /// One of the constants in [`stage`].
    stage: Cell<&'static str>,
    /// The page of the picture, once it is online.
    page: RefCell<Option<String>>,
    /// The element of the row, once it is drawn.
    element: RefCell<Option<HtmlElement>>,
    /// The request, while the file is being sent.
    request: RefCell<Option<XmlHttpRequest>>,
    /// The key by which the server knows this upload again. It changes with what is uploaded, and
    /// with each answer, so that only what was not answered is repeated.
    key: RefCell<String>,
    /// How many times the upload was cancelled. An attempt that finds another number than it began
    /// with is over.
    cancelled: Cell<u32>,
    /// How many times in a row it was tried again by itself.
    tries: Cell<u32>,
    /// Whether it was stopped by the network.
    has_lost_network: Cell<bool>,
    /// What the server accepted and has not judged yet.
    accepted: RefCell<Option<Mine>>,
    /// Its place among the uploads that are under way.
    slot: RefCell<Option<Slot>>,
    queue: Weak<Queue>,
}

impl Row {
    /// A row for this file, which is not drawn yet.
    pub(super) fn new(file: File, queue: &Rc<Queue>) -> Self {
        Self {
            source: Url::create_object_url_with_blob(&file).unwrap_or_default(),
            file,
            life: chosen_life(),
            part: RefCell::default(),
            editor: RefCell::default(),
            stage: Cell::new(stage::WAITING),
            page: RefCell::default(),
            element: RefCell::default(),
            request: RefCell::default(),
            key: RefCell::new(new_key()),
            cancelled: Cell::default(),
            tries: Cell::default(),
            has_lost_network: Cell::default(),
            accepted: RefCell::default(),
            slot: RefCell::default(),
            queue: Rc::downgrade(queue),
        }
    }

    /// Draws the row at the end of this list.
    pub(super) fn mount(self: &Rc<Self>, list: &HtmlElement) {
        let element = append(list, ROW);
        let name = self.file.name();
        write(&element, ".upload-file", &name);
        name_buttons(&element, &name);
        if let Some(preview) = find(&element, ".upload-preview") {
            let preview: HtmlImageElement = preview.unchecked_into();
            preview.set_src(&self.source);
            // What the browser cannot draw leaves its frame empty instead of broken.
            let broken = preview.clone();
            let empty = Closure::once_into_js(move || broken.remove_attribute("src").is_ok());
            preview.set_onerror(Some(empty.unchecked_ref()));
        }
        self.element.replace(Some(element));
    }

    /// Whether this is the row's element.
    pub(super) fn is_drawn_as(&self, element: &HtmlElement) -> bool {
        self.element.borrow().as_ref() == Some(element)
    }

    /// Does what one of the row's buttons says.
    pub(super) fn act(self: &Rc<Self>, act: &str, button: &HtmlElement, queue: &Rc<Queue>) {
        match act {
            "cancel" => self.cancel(),
            "retry" => {
                self.focus();
                self.page.replace(None);
                queue.push(self);
                queue.release();
            }
            "crop" => self.toggle_editor(queue),
            "copy" => self.copy_link(button.clone()),
            "open" => {
                let is_open = button.get_attribute("aria-expanded").as_deref() == Some("true");
                set(
                    button,
                    "aria-expanded",
                    if is_open { "false" } else { "true" },
                );
                if let Some(row) = self.element.borrow().as_ref() {
                    show(row, ".upload-more", !is_open);
                }
            }
            _ => self.dismiss(),
        }
    }

    /// What is uploaded: the part that was cut out, or else the file.
    pub(super) fn content(&self) -> Blob {
        match self.part.borrow().as_ref() {
            Some((part, _)) => part.clone(),
            None => self.file.clone().into(),
        }
    }

    /// Whether the upload came to nothing and this is the same file once more, so that the row
    /// gives way to another.
    pub(super) fn gives_way_to(&self, file: &File) -> bool {
        let has_ended = [stage::REFUSED, stage::MISSED, stage::STOPPED, stage::KNOWN];
        self.file.name() == file.name()
            && self.file.size() == file.size()
            && has_ended.contains(&self.stage.get())
    }

    /// Whether the row was taken away.
    pub(super) fn is_away(&self) -> bool {
        self.element.borrow().is_none()
    }

    /// Whether this is the file of a cat that is online.
    pub(super) fn is_of(&self, cat: &Mine) -> bool {
        !cat.until.is_empty() && cat.name == self.file.name() && cat.size == self.size()
    }

    /// The size of the file in bytes, as a text.
    fn size(&self) -> String {
        bytes_of(&self.file).to_string()
    }

    /// Says that the same file is online already.
    pub(super) fn know(&self, cat: &Mine) {
        self.show_page(["/c/", &cat.id].concat());
        self.set(
            stage::KNOWN,
            "This one is online already",
            "You uploaded the same file before. The small picture leads to its page.",
        );
        self.tell("online already");
    }

    /// Says that the upload waits for its turn.
    pub(super) fn wait(&self) {
        self.tries.set(0);
        self.has_lost_network.set(false);
        self.set(stage::WAITING, "", "Waiting for its turn…");
    }

    /// Tells whether the upload still waits, and has not been cancelled.
    pub(super) fn is_waiting(&self) -> bool {
        [stage::WAITING, stage::HELD].contains(&self.stage.get())
    }

    /// Tells whether the upload has not come to an end.
    pub(super) fn is_under_way(&self) -> bool {
        let under_way = [stage::WAITING, stage::SENDING, stage::LOOKING, stage::HELD];
        under_way.contains(&self.stage.get()) && self.element.borrow().is_some()
    }

    /// Tells whether the upload was stopped and can be tried again.
    pub(super) fn is_stopped(&self) -> bool {
        self.stage.get() == stage::STOPPED && self.element.borrow().is_some()
    }

    /// Tells whether the upload was stopped by the network, and was not cancelled since.
    pub(super) fn has_lost_network(&self) -> bool {
        self.is_stopped() && self.has_lost_network.get()
    }

    /// The address of the picture's page, once it is published.
    pub(super) fn link(&self) -> Option<String> {
        let is_online = self.stage.get() == stage::PUBLISHED;
        self.page.borrow().clone().filter(|_| is_online)
    }

    /// Adds the row to the numbers in the head of the list.
    pub(super) fn count(&self, tally: &mut Tally) {
        if self.element.borrow().is_none() {
            return;
        }
        let stage = self.stage.get();
        let number = match stage {
            stage::PUBLISHED | stage::KNOWN => &mut tally.online,
            stage::REFUSED | stage::MISSED => &mut tally.refused,
            stage::STOPPED => &mut tally.stopped,
            _ => &mut tally.waiting,
        };
        *number += 1;
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

    /// Shows the links of the published picture.
    fn publish(&self, picture: CardView, url: String, token: String, deletion: String) {
        self.show_page(url.clone());
        self.set(stage::PUBLISHED, "That is a cat!", "");
        if let Some(queue) = self.queue.upgrade() {
            queue.has_news.set(true);
        }
        self.tell("online");
        if let Some(preview) = self.find(".upload-preview") {
            let preview: HtmlImageElement = preview.unchecked_into();
            preview.set_src(&images::url(&picture.images, Format::Webp, 320));
        }
        self.forget_part();
        // This fails only if the URL has been revoked already.
        let _ = Url::revoke_object_url(&self.source);
        if let Some(time) = self.find(".upload-time") {
            let until = picture.expires_at.clone();
            mount_to(time, || view! { <TimeLeft until/> " · " }).forget();
        }
        if let Some(more) = self.find(".upload-more") {
            mount_to(more, || {
                view! { <Published picture url token deletion/> }
            })
            .forget();
        }
    }

    /// Says why the upload failed.
    fn refuse(&self, error: &ApiError) {
        let stage = if error.code.is_passing() {
            stage::STOPPED
        } else {
            stage::REFUSED
        };
        self.set(stage, error.code.title(), &error.message);
        self.tell(&[error.code.title(), ". ", &error.message].concat());
    }

    /// Has the small picture lead to the picture's page.
    fn show_page(&self, url: String) {
        if let Some(thumb) = self.find(".upload-thumb") {
            set(&thumb, "href", &url);
            set(
                &thumb,
                "aria-label",
                &["Page of ", &self.file.name()].concat(),
            );
        }
        self.page.replace(Some(url));
    }

    /// Puts the link to the picture's page on the clipboard.
    fn copy_link(self: &Rc<Self>, button: HtmlElement) {
        let (Some(link), row) = (self.link(), Rc::clone(self)) else {
            return;
        };
        leptos::task::spawn_local(async move {
            if copy_text(&link).await {
                button.set_text_content(Some("Copied"));
                row.tell("link copied");
            } else {
                button.set_text_content(Some("See More"));
                row.tell("the link cannot be copied here. You find it under More");
            }
            sleep(FEEDBACK_MS).await;
            button.set_text_content(Some("Copy link"));
        });
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
    pub(super) fn remove(&self) {
        self.close_editor();
        if let Some(element) = self.element.take() {
            element.remove();
        }
        if let Some(queue) = self.queue.upgrade() {
            queue.count();
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
        find(self.element.borrow().as_ref()?, selector)
    }

    /// Changes the stage of the row and what it says.
    fn set(&self, stage: &'static str, headline: &str, text: &str) {
        if let Some(element) = self.element.borrow().as_ref() {
            write(element, ".upload-words strong", headline);
            write(element, ".upload-words span", text);
        }
        self.set_stage(stage);
    }

    /// Changes the stage of the row.
    fn set_stage(&self, stage: &'static str) {
        self.stage.set(stage);
        if let Some(element) = self.element.borrow().as_ref() {
            set(element, "data-stage", stage);
        }
        if let Some(queue) = self.queue.upgrade() {
            queue.count();
        }
    }

    /// Has screen readers say what became of the file.
    fn tell(&self, what: &str) {
        tell(&[&self.file.name(), ": ", what].concat());
    }
}

/// The size of a file in bytes.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a file's size is a whole number of bytes"
)]
pub(super) fn bytes_of(file: &Blob) -> u64 {
    file.size() as u64
}
