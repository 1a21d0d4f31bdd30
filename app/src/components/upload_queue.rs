//! The island that uploads. It takes over from the plain form and accepts pictures that are
//! dropped, pasted or chosen.

mod crop;
mod row;
mod send;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use leptos::ev;
use leptos::prelude::*;
use leptos::wasm_bindgen::JsCast;
use web_sys::{DataTransfer, Element, FileList, HtmlElement, HtmlInputElement};

use row::Row;

/// The id of the plain form. Its attribute `data-max-bytes` tells the most bytes that a file may
/// have.
pub(crate) const FORM_ID: &str = "upload";
/// The id of the list of uploads.
const LIST_ID: &str = "uploads";
/// How many files are uploaded at the same time.
const AT_ONCE: u32 = 2;

/// Takes files that are dropped or pasted anywhere on the page, or chosen in the form, and shows
/// what becomes of each.
#[component]
pub(crate) fn UploadQueue() -> impl IntoView {
    let (announcement, announce) = signal(String::new());
    listen(Rc::new(Queue::new(announce)));
    view! {
        <p class="visually-hidden" role="status">{announcement}</p>
        <ol class="uploads" id=LIST_ID aria-label="Your uploads"></ol>
    }
}

/// The rows, the uploads that wait for their turn, and how many are under way.
struct Queue {
    /// The rows on the page, and those that were dismissed since a file was added last.
    rows: RefCell<Vec<Rc<Row>>>,
    /// The uploads that wait, in the order in which they came.
    waiting: RefCell<VecDeque<Rc<Row>>>,
    /// How many uploads are under way.
    under_way: RefCell<u32>,
    /// The most bytes that a file may have.
    max_bytes: u64,
    /// Where to write what screen readers should say.
    announce: WriteSignal<String>,
}

impl Queue {
    /// An empty queue, with the limit that the form tells.
    fn new(announce: WriteSignal<String>) -> Self {
        let max_bytes = form().and_then(|form| form.get_attribute("data-max-bytes"));
        Self {
            rows: RefCell::default(),
            waiting: RefCell::default(),
            under_way: RefCell::default(),
            max_bytes: max_bytes
                .and_then(|bytes| bytes.parse().ok())
                .unwrap_or(u64::MAX),
            announce,
        }
    }

    /// Shows each file as a row and puts it in line. If the same file was refused before, the new
    /// row takes the place of the old one, so that one file is not refused twice in the list.
    fn add(self: &Rc<Self>, files: Option<FileList>) {
        let files = files.into_iter();
        for file in files.flat_map(|list| (0..list.length()).filter_map(move |at| list.item(at))) {
            let mut rows = self.rows.borrow_mut();
            rows.retain(|row| !row.gives_way_to(&file));
            let row = Rc::new(Row::new(file, self.announce));
            rows.push(Rc::clone(&row));
            drop(rows);
            let list = document().get_element_by_id(LIST_ID);
            let list: HtmlElement = list.expect("the island drew its list").unchecked_into();
            row.mount(list, Rc::clone(self));
            self.push(&row);
        }
    }

    /// Puts a new or retried upload in line. A file that is too large is refused at once, because
    /// the server would refuse it after it was sent.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a file's size is a whole number of bytes"
    )]
    fn push(self: &Rc<Self>, row: &Rc<Row>) {
        if row.content().size() as u64 > self.max_bytes {
            row.refuse_size(self.max_bytes);
            return;
        }
        row.wait();
        self.waiting.borrow_mut().push_back(Rc::clone(row));
        self.start();
    }

    /// Starts uploads that wait, until [`AT_ONCE`] are under way.
    fn start(self: &Rc<Self>) {
        while *self.under_way.borrow() < AT_ONCE {
            let Some(row) = self.waiting.borrow_mut().pop_front() else {
                return;
            };
            if !row.is_waiting() {
                continue;
            }
            *self.under_way.borrow_mut() += 1;
            let queue = Rc::clone(self);
            leptos::task::spawn_local(async move {
                row.upload().await;
                *queue.under_way.borrow_mut() -= 1;
                queue.start();
            });
        }
    }
}

/// Listens for files on the whole window. If only the box took them, the browser would leave the
/// page and show a file that is dropped next to it.
fn listen(queue: Rc<Queue>) {
    set_form_class("is-ready", true);
    // Files may have been chosen before the scripts were ready.
    if let Some(Ok(Some(input))) = form().map(|form| form.query_selector("input")) {
        let input: &HtmlInputElement = input.unchecked_ref();
        // The plain form takes one file only; from now on the queue sends several, one by one.
        input.set_multiple(true);
        take_chosen(&queue, input);
    }

    window_event_listener(ev::dragover, |event| {
        event.prevent_default();
        set_form_class("is-over", true);
    });
    window_event_listener(ev::dragleave, |event| {
        // The event has a related target unless the pointer leaves the window.
        if event.related_target().is_none() {
            set_form_class("is-over", false);
        }
    });
    let on_drop = Rc::clone(&queue);
    window_event_listener(ev::drop, move |event| {
        event.prevent_default();
        set_form_class("is-over", false);
        on_drop.add(files_of(event.data_transfer()));
    });
    let on_paste = Rc::clone(&queue);
    window_event_listener(ev::paste, move |event| {
        on_paste.add(files_of(event.clipboard_data()));
    });
    window_event_listener(ev::change, move |event| {
        let input = event.target().and_then(|target| target.dyn_into().ok());
        if let Some(input) = input {
            take_chosen(&queue, &input);
        }
    });
}

/// Takes the files that were chosen in the form.
fn take_chosen(queue: &Rc<Queue>, input: &HtmlInputElement) {
    if let Some(files) = input.files() {
        queue.add(Some(files));
        // Emptied, the field also reports it when the same file is chosen again.
        input.set_value("");
    }
}

/// The files that were dropped or pasted.
fn files_of(data: Option<DataTransfer>) -> Option<FileList> {
    data.and_then(|data| data.files())
}

/// The plain form.
fn form() -> Option<Element> {
    document().get_element_by_id(FORM_ID)
}

/// Gives the form a class or takes it away.
fn set_form_class(class: &str, is_on: bool) {
    if let Some(form) = form() {
        // This fails only if the text is no valid name of a class.
        let _ = form.class_list().toggle_with_force(class, is_on);
    }
}
