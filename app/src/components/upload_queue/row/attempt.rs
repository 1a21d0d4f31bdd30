//! One attempt to upload the file of a row: sending it, waiting for the verdict, and trying again
//! or giving up.

use std::rc::Rc;

use leptos::prelude::*;
use leptos::wasm_bindgen::JsCast;
use web_sys::HtmlProgressElement;

use super::super::crop::is_still;
use super::super::hold::Cause;
use super::super::send::{new_key, send};
use super::super::{Queue, Slot};
use super::{Row, stage};
use crate::components::fetch::{Json, delete};
use crate::components::mine::{self, Mine};
use crate::components::picture_card::CardView;
use crate::components::verdict::verdict;
use crate::error::{ApiError, ErrorCode};
use crate::images::{self, Format};

/// How many times an upload is sent again by itself while the browser has a network.
const MOST_TRIES: u32 = 5;

impl Row {
    /// Sends the file and waits for the verdict. `slot` is free again once the server has the file.
    pub(in super::super) async fn upload(self: &Rc<Self>, queue: &Rc<Queue>, slot: Slot) {
        self.slot.replace(Some(slot));
        self.show_progress(0.0);
        self.set(stage::SENDING, "", "Sending…");
        let (attempt, key) = (self.cancelled.get(), self.key.borrow().clone());
        let on_progress = {
            let row = Rc::clone(self);
            move |fraction| {
                if row.cancelled.get() == attempt {
                    row.show_progress(fraction);
                }
            }
        };
        let content = self.content();
        let answer = send(&content, &key, &self.life, on_progress, |request| {
            self.request.replace(Some(request));
        });
        let answer = answer.await;
        if self.cancelled.get() != attempt {
            if let Ok(answer) = answer {
                take_back(&answer).await;
            }
            return;
        }
        self.request.replace(None);
        match answer.map_err(Cause::of) {
            Ok(answer) => {
                queue.note_answer();
                self.tries.set(0);
                self.slot.take();
                self.await_verdict(answer, attempt).await;
            }
            Err(Ok(cause)) => self.again(&cause, queue),
            Err(Err(error)) => {
                queue.note_answer();
                self.refuse_for_good(&error).await;
            }
        }
        self.slot.take();
        queue.spread_news();
    }

    /// Tries the upload again later, unless it was tried often enough.
    fn again(self: &Rc<Self>, cause: &Cause, queue: &Rc<Queue>) {
        self.tries.set(self.tries.get() + 1);
        let navigator = window().navigator();
        let [headline, text] = cause.words(&navigator);
        let is_lost = cause.is_network();
        if self.tries.get() > MOST_TRIES && navigator.on_line() {
            let text = if is_lost {
                "It was sent several times, and no answer came. Please look after your network \
                and try again."
                    .to_owned()
            } else {
                text
            };
            self.has_lost_network.set(is_lost);
            self.set(stage::STOPPED, &headline, &text);
            self.tell(&[&headline, ". ", &text].concat());
            return;
        }
        self.set(stage::HELD, &headline, &text);
        if self.tries.get() == 1 {
            self.tell(&[&headline, ". ", &text].concat());
        }
        queue.again(self, cause);
    }

    /// Waits for the verdict on an upload that the server has accepted with this answer.
    async fn await_verdict(self: &Rc<Self>, answer: Json, attempt: u32) {
        self.set(stage::LOOKING, "Looking for the cat…", "");
        let text = |name| answer.text(name).unwrap_or_default();
        let mut mine = Mine {
            id: text("id"),
            token: text("delete_token"),
            name: self.file.name(),
            size: self.size(),
            ..Mine::default()
        };
        mine::remember(mine.clone());
        self.accepted.replace(Some(mine.clone()));
        let picture = match CardView::from_json(&answer) {
            Some(picture) => Ok(picture),
            None => {
                let row = Rc::clone(self);
                let on_contact = move |is_reached| {
                    let words = if is_reached {
                        ""
                    } else {
                        "The server cannot be reached just now. We keep asking."
                    };
                    if row.cancelled.get() == attempt {
                        row.set(stage::LOOKING, "Looking for the cat…", words);
                    }
                };
                verdict(&mine.id, on_contact).await
            }
        };
        if self.cancelled.get() != attempt {
            return;
        }
        self.accepted.take();
        match picture {
            Ok(picture) => {
                mine.until.clone_from(&picture.expires_at);
                mine.image = images::url(&picture.images, Format::Webp, 320);
                mine::remember(mine);
                self.publish(
                    picture,
                    text("url"),
                    text("delete_token"),
                    text("delete_url"),
                );
            }
            Err(error) => {
                mine::forget(&mine.id);
                self.refuse_for_good(&error).await;
            }
        }
    }

    /// Says why the upload was refused, and offers to crop a picture in which no cat was found.
    async fn refuse_for_good(&self, error: &ApiError) {
        self.key.replace(new_key());
        self.refuse(error);
        // One frame of an animation would be another picture.
        if error.code == ErrorCode::NotACat && is_still(&self.file).await {
            self.set_stage(stage::MISSED);
        }
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

    /// Stops the upload. What the server has, or may have by the time it answers, is deleted.
    pub(super) fn cancel(&self) {
        self.focus();
        self.cancelled.set(self.cancelled.get() + 1);
        self.key.replace(new_key());
        let is_sending = self.stage.get() == stage::SENDING;
        let words = if self.tries.get() > 0 {
            "If it arrived before the connection was lost, it is online until its time is up."
        } else {
            ""
        };
        self.set(stage::STOPPED, "Cancelled", words);
        self.tell("cancelled");
        if let Some(request) = self.request.take().filter(|_| is_sending) {
            // This fails only if the request is over already.
            let _ = request.abort();
        }
        if let Some(mine) = self.accepted.take() {
            leptos::task::spawn_local(async move {
                // If it cannot be deleted, it stays among the visitor's cats.
                delete(&mine.id, &mine.token).await;
            });
        }
        self.slot.take();
    }
}

/// Deletes what an upload became that was cancelled before its answer came.
async fn take_back(answer: &Json) {
    if let (Some(id), Some(token)) = (answer.text("id"), answer.text("delete_token")) {
        delete(&id, &token).await;
    }
}
