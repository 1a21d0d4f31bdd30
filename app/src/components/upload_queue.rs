//! The island that uploads. It takes over from the plain form and accepts pictures that are
//! dropped, pasted or chosen.

mod crop;
mod hold;
mod row;
mod send;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use js_sys::Date;
use leptos::prelude::*;
use leptos::wasm_bindgen::JsCast;
use web_sys::{
    BeforeUnloadEvent, ClipboardEvent, DragEvent, Element, Event, File, HtmlElement,
    HtmlInputElement,
};

use self::hold::{Cause, pause_ms, wait_words};
use self::row::{Row, Tally, bytes_of};
use super::copy_field::{FEEDBACK_MS, copy_text};
use super::dom::{self, by_id, find, pressed, show, write};
use super::fetch::{refresh, sleep};
use super::handover;
use super::mine;
use super::transfer::{self, Found, is_in_text_field, takes};

/// The id of the plain form. Its attribute `data-max-bytes` tells the most bytes that a file may
/// have.
pub(crate) const FORM_ID: &str = "upload";
/// The id of what screen readers read out.
const LOG_ID: &str = "upload-log";
/// How many lines of it are kept. More of them are never read out at once.
const LOG_LINES: u32 = 20;
/// How many files are uploaded at the same time.
const AT_ONCE: u32 = 2;

/// What the island draws: what screen readers read out, and the list of uploads with its head.
const TRAY: &str = "<div class=visually-hidden role=log id=upload-log></div><div class=tray>\
    <p class=tray-note></p><div class=tray-head><p class=tray-line></p>\
    <button type=button class='button is-quiet' data-act=links hidden>Copy all links</button>\
    <button type=button class='button is-quiet' data-act=all hidden>Try all again</button></div>\
    <div class=tray-wait hidden><p></p>\
    <button type=button class='button is-quiet' data-act=now>Try now</button></div>\
    <ol class=uploads id=uploads aria-label='Your uploads'></ol></div>";

/// Takes files that are dropped or pasted anywhere on the page, or chosen in the form, and shows
/// what becomes of each, in this place.
pub(crate) fn start(place: HtmlElement) {
    place.set_inner_html(TRAY);
    listen(&Queue::new(place));
}

/// The rows, the uploads that wait for their turn, and how many are under way.
struct Queue {
    /// The rows on the page, and those that were dismissed since a file was added last.
    rows: RefCell<Vec<Rc<Row>>>,
    /// The uploads that wait, in the order in which they came.
    waiting: RefCell<VecDeque<Rc<Row>>>,
    /// How many uploads are under way.
    under_way: Cell<u32>,
    /// When uploads go on, in milliseconds since 1970; `None` while nothing holds them up.
    held_until: Cell<Option<f64>>,
    /// How many uploads failed one after the other because of the network or the server.
    failures: Cell<u32>,
    /// Whether a picture has been published since the gallery was fetched last.
    has_news: Cell<bool>,
    /// The most bytes that a file may have.
    max_bytes: u64,
    /// Where the island is drawn.
    place: HtmlElement,
}

/// The place of one upload among those that are under way. It is free again when this is dropped.
struct Slot(Weak<Queue>);

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(queue) = self.0.upgrade() {
            queue.under_way.set(queue.under_way.get() - 1);
            queue.start();
        }
    }
}

impl Queue {
    /// An empty queue, with the limit that the form tells.
    fn new(place: HtmlElement) -> Rc<Self> {
        let max_bytes = form().and_then(|form| form.get_attribute("data-max-bytes"));
        Rc::new(Self {
            rows: RefCell::default(),
            waiting: RefCell::default(),
            under_way: Cell::default(),
            held_until: Cell::default(),
            failures: Cell::default(),
            has_news: Cell::default(),
            max_bytes: max_bytes
                .and_then(|bytes| bytes.parse().ok())
                .unwrap_or(u64::MAX),
            place,
        })
    }

    /// Shows each file as a row and puts it in line. If the same file was refused before, the new
    /// row takes the place of the old one, so that one file is not refused twice in the list.
    fn add(self: &Rc<Self>, files: Vec<File>) {
        self.note("");
        let known = mine::list();
        for file in files {
            // Rows that go are counted, so the list must not be borrowed meanwhile.
            for row in self.all(|row| row.gives_way_to(&file)) {
                row.remove();
            }
            self.rows.borrow_mut().retain(|row| !row.is_away());
            let row = Rc::new(Row::new(file, self));
            self.rows.borrow_mut().push(Rc::clone(&row));
            let list = find(&self.place, ".uploads");
            row.mount(&list.expect("the island drew its list"));
            match known.iter().find(|cat| row.is_of(cat)) {
                Some(cat) => row.know(cat),
                None => self.push(&row),
            }
        }
    }

    /// Takes what was dropped or pasted.
    fn take(self: &Rc<Self>, found: Found) {
        match found {
            Found::Files(files) => self.add(files),
            Found::Nothing(note) => self.note(note),
        }
    }

    /// Puts a new or retried upload in line. A file that is too large is refused at once, because
    /// the server would refuse it after it was sent.
    fn push(self: &Rc<Self>, row: &Rc<Row>) {
        if bytes_of(&row.content()) > self.max_bytes {
            row.refuse_size(self.max_bytes);
            return;
        }
        row.wait();
        self.waiting.borrow_mut().push_back(Rc::clone(row));
        self.start();
    }

    /// Starts uploads that wait, until [`AT_ONCE`] are under way.
    fn start(self: &Rc<Self>) {
        while self.held_until.get().is_none() && self.under_way.get() < AT_ONCE {
            let Some(row) = self.waiting.borrow_mut().pop_front() else {
                return;
            };
            if !row.is_waiting() {
                continue;
            }
            self.under_way.set(self.under_way.get() + 1);
            let (queue, slot) = (Rc::clone(self), Slot(Rc::downgrade(self)));
            leptos::task::spawn_local(async move { row.upload(&queue, slot).await });
        }
    }

    /// Notes that the server answered.
    fn note_answer(&self) {
        self.failures.set(0);
    }

    /// Puts an upload in line again, at its head, and holds all uploads up for a while: what
    /// stopped this one would stop the others as well.
    fn again(self: &Rc<Self>, row: &Rc<Row>, cause: &Cause) {
        let own = Date::now() + pause_ms(cause, self.failures.get());
        let until = self.held_until.get().map_or(own, |until| until.max(own));
        self.failures.set(self.failures.get() + 1);
        self.waiting.borrow_mut().push_front(Rc::clone(row));
        let is_held = self.held_until.replace(Some(until)).is_some();
        if !is_held {
            let queue = Rc::clone(self);
            leptos::task::spawn_local(async move { queue.count_down().await });
        }
    }

    /// Says how long uploads are held up, until they go on.
    async fn count_down(self: &Rc<Self>) {
        while let Some(until) = self.held_until.get() {
            let left = until - Date::now();
            if left <= 0.0 || !self.waiting.borrow().iter().any(|row| row.is_waiting()) {
                self.release();
                return;
            }
            self.say_wait(&wait_words(until, left));
            sleep(1_000).await;
        }
    }

    /// Lets uploads go on.
    fn release(self: &Rc<Self>) {
        self.held_until.set(None);
        self.say_wait("");
        self.start();
    }

    /// Says when uploads go on; nothing where the text is empty.
    fn say_wait(&self, words: &str) {
        write(&self.place, ".tray-wait p", words);
        show(&self.place, ".tray-wait", !words.is_empty());
    }

    /// Does what one of the island's buttons says.
    fn act(self: &Rc<Self>, act: &str, button: &HtmlElement) {
        match act {
            "now" => self.release(),
            "all" => self.retry_all(),
            "links" => {
                let (links, button) = (self.links(), button.clone());
                leptos::task::spawn_local(async move {
                    if copy_text(&links).await {
                        tell("All links copied");
                        button.set_text_content(Some("All links copied"));
                        sleep(FEEDBACK_MS).await;
                        button.set_text_content(Some("Copy all links"));
                    }
                });
            }
            act => {
                let row = button.closest(".upload-row").ok().flatten();
                let row = row.map(JsCast::unchecked_into);
                if let Some(row) = row.and_then(|row| self.row_of(&row)) {
                    row.act(act, button, self);
                }
            }
        }
    }

    /// The row that is drawn as this element.
    fn row_of(&self, element: &HtmlElement) -> Option<Rc<Row>> {
        let rows = self.rows.borrow();
        rows.iter().find(|row| row.is_drawn_as(element)).cloned()
    }

    /// Tries every upload again that was stopped.
    fn retry_all(self: &Rc<Self>) {
        for row in self.all(Row::is_stopped) {
            self.push(&row);
        }
        self.release();
    }

    /// The rows for which this holds.
    fn all(&self, holds: impl Fn(&Row) -> bool) -> Vec<Rc<Row>> {
        let rows = self.rows.borrow();
        rows.iter().filter(|row| holds(row)).cloned().collect()
    }

    /// The links of all pictures that are online, each in a line.
    fn links(&self) -> String {
        let rows = self.rows.borrow();
        let links: Vec<String> = rows.iter().filter_map(|row| row.link()).collect();
        links.join("\n")
    }

    /// Says in the head of the list how many files are where.
    fn count(&self) {
        let mut tally = Tally::default();
        for row in self.rows.borrow().iter() {
            row.count(&mut tally);
        }
        write(&self.place, ".tray-line", &tally.line());
        show(&self.place, "[data-act=links]", tally.online > 1);
        show(&self.place, "[data-act=all]", tally.stopped > 1);
    }

    /// Says why what was dropped or pasted was not taken; nothing where the text is empty.
    fn note(&self, note: &'static str) {
        write(&self.place, ".tray-note", note);
        if !note.is_empty() {
            tell(note);
        }
    }

    /// Once all uploads are over, has the browser fetch the gallery anew, so that the visitor finds
    /// their own pictures there and not what its cache holds.
    fn spread_news(&self) {
        if !self.is_busy() && self.has_news.replace(false) {
            leptos::task::spawn_local(refresh("/"));
        }
    }

    /// Whether an upload would be lost if the page were left now.
    fn is_busy(&self) -> bool {
        self.rows.borrow().iter().any(|row| row.is_under_way())
    }
}

/// Has screen readers say this, after what they are saying.
fn tell(text: &str) {
    let Some(log) = by_id(LOG_ID) else {
        return;
    };
    // A line of its own is read out even if the one before said the same.
    if let Ok(line) = document().create_element("p") {
        line.set_text_content(Some(text));
        // This fails only if the line were an ancestor of the log.
        let _ = log.append_child(&line);
    }
    if log.child_element_count() > LOG_LINES
        && let Some(oldest) = log.first_element_child()
    {
        oldest.remove();
    }
}

/// Listens for files on the whole window. If only the box took them, the browser would leave the
/// page and show a file that is dropped next to it.
fn listen(queue: &Rc<Queue>) {
    set_form_class("is-ready", true);
    // Files may have been chosen before the scripts were ready.
    if let Some(Ok(Some(input))) = form().map(|form| form.query_selector("input")) {
        let input: &HtmlInputElement = input.unchecked_ref();
        // The plain form takes one file only; from now on the queue sends several, one by one.
        input.set_multiple(true);
        take_chosen(queue, input);
    }

    leptos::task::spawn_local(take_handed_over(Rc::clone(queue)));
    let queue = Rc::clone(queue);
    dom::listen(&EVENTS, move |event| heed(&event, &queue));
}

/// The events that the queue heeds.
const EVENTS: [&str; 8] = [
    "click",
    "change",
    "dragover",
    "dragleave",
    "drop",
    "paste",
    "online",
    "beforeunload",
];

/// Does what an event on the page asks for.
fn heed(event: &Event, queue: &Rc<Queue>) {
    let drag = event.dyn_ref::<DragEvent>();
    match event.type_().as_str() {
        "click" => {
            if let Some((act, button, _)) = pressed(event, ".tray") {
                queue.act(&act, &button);
            }
        }
        "change" => {
            let input = event.target().and_then(|target| target.dyn_into().ok());
            if let Some(input) = input {
                take_chosen(queue, &input);
            }
        }
        "dragover" if drag.is_some_and(takes) => {
            event.prevent_default();
            set_form_class("is-over", true);
        }
        // The event has a related target unless the pointer leaves the window.
        "dragleave" if drag.is_some_and(|drag| drag.related_target().is_none()) => {
            set_form_class("is-over", false);
        }
        "drop" if drag.is_some_and(takes) => {
            event.prevent_default();
            set_form_class("is-over", false);
            queue.take(Found::dropped(drag.and_then(DragEvent::data_transfer)));
        }
        "paste" if !is_in_text_field(event) => {
            let paste = event.dyn_ref::<ClipboardEvent>();
            queue.take(Found::pasted(
                paste.and_then(ClipboardEvent::clipboard_data),
            ));
        }
        "online" => {
            for row in queue.all(Row::has_lost_network) {
                queue.push(&row);
            }
            queue.release();
        }
        "beforeunload" if queue.is_busy() => {
            // The browser asks in its own words whether to leave.
            event.prevent_default();
            if let Some(event) = event.dyn_ref::<BeforeUnloadEvent>() {
                event.set_return_value("leave");
            }
        }
        _ => {}
    }
}

/// Takes the files that were dropped on the page before this one.
async fn take_handed_over(queue: Rc<Queue>) {
    let files = handover::take().await;
    if !files.is_empty() {
        queue.add(files);
    }
}

/// Takes the files that were chosen in the form.
fn take_chosen(queue: &Rc<Queue>, input: &HtmlInputElement) {
    if let Some(files) = input.files().filter(|files| files.length() > 0) {
        queue.add(transfer::list(&files));
        // Emptied, the field also reports it when the same file is chosen again.
        input.set_value("");
    }
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
