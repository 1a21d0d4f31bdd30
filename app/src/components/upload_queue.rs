//! The island that uploads: takes over from the plain form, and accepts what is dropped, pasted or chosen.

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

/// The plain form. It tells the largest size allowed as `data-max-bytes`.
pub(crate) const FORM_ID: &str = "upload";
const LIST_ID: &str = "uploads";
/// So many uploads are under way at once.
const AT_ONCE: u32 = 2;

/// Takes files from anywhere on the page and shows what becomes of each.
#[island]
pub(crate) fn UploadQueue() -> impl IntoView {
    let (announcement, announce) = signal(String::new());
    if is_browser() {
        listen(Rc::new(Queue::new(announce)));
    }
    view! {
        <p class="visually-hidden" role="status">{announcement}</p>
        <ol class="uploads" id=LIST_ID aria-label="Your uploads"></ol>
    }
}

/// The uploads that wait for their turn.
struct Queue {
    waiting: RefCell<VecDeque<Rc<Row>>>,
    under_way: RefCell<u32>,
    max_bytes: u64,
    announce: WriteSignal<String>,
}

impl Queue {
    fn new(announce: WriteSignal<String>) -> Self {
        let max_bytes = form().and_then(|form| form.get_attribute("data-max-bytes"));
        Self {
            waiting: RefCell::default(),
            under_way: RefCell::default(),
            max_bytes: max_bytes
                .and_then(|bytes| bytes.parse().ok())
                .unwrap_or(u64::MAX),
            announce,
        }
    }

    /// Shows each file as a row and starts what may start.
    fn add(self: &Rc<Self>, files: Option<FileList>) {
        let files = files.into_iter();
        for file in files.flat_map(|list| (0..list.length()).filter_map(move |at| list.item(at))) {
            let row = Rc::new(Row::new(file, self.announce));
            let list = document().get_element_by_id(LIST_ID);
            let list: HtmlElement = list.expect("the island drew its list").unchecked_into();
            row.mount(list, Rc::clone(self));
            self.push(&row);
        }
    }

    /// Puts a new or retried upload in line, unless it is too large to be worth the way.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a file's size is a whole number of bytes"
    )]
    fn push(self: &Rc<Self>, row: &Rc<Row>) {
        if row.file.size() as u64 > self.max_bytes {
            row.refuse_size(self.max_bytes);
            return;
        }
        row.wait();
        self.waiting.borrow_mut().push_back(Rc::clone(row));
        self.start();
    }

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

/// Listens on the window, so that a near miss of the box does not leave the page.
fn listen(queue: Rc<Queue>) {
    set_form_class("is-ready", true);
    // What was chosen before the browser was ready.
    if let Some(Ok(Some(input))) = form().map(|form| form.query_selector("input")) {
        let input: &HtmlInputElement = input.unchecked_ref();
        // The form itself takes one file; this takes them one by one.
        input.set_multiple(true);
        take_chosen(&queue, input);
    }

    window_event_listener(ev::dragover, |event| {
        event.prevent_default();
        set_form_class("is-over", true);
    });
    window_event_listener(ev::dragleave, |event| {
        // Only leaving the window has no element to go to.
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

fn take_chosen(queue: &Rc<Queue>, input: &HtmlInputElement) {
    if let Some(files) = input.files() {
        queue.add(Some(files));
        // The same file can then be chosen again.
        input.set_value("");
    }
}

fn files_of(data: Option<DataTransfer>) -> Option<FileList> {
    data.and_then(|data| data.files())
}

fn form() -> Option<Element> {
    document().get_element_by_id(FORM_ID)
}

fn set_form_class(class: &str, is_on: bool) {
    if let Some(form) = form() {
        // Only a class that is none can fail.
        let _ = form.class_list().toggle_with_force(class, is_on);
    }
}
