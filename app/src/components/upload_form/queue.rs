//! The uploads of this page: at most two at a time, each with a state of its own.

use leptos::prelude::*;
use web_sys::{File, XmlHttpRequest};

use super::send::{Upload, send};
use crate::components::picture_card::CardView;
use crate::components::verdict::verdict;
use crate::error::{ApiError, ErrorCode};

/// So many uploads are under way at once.
const AT_ONCE: usize = 2;

/// Where one upload stands.
#[derive(Clone)]
pub(super) enum Stage {
    Waiting,
    Sending,
    /// The server has it; nothing can be cancelled any more.
    Looking,
    Published(Box<Published>),
    Refused(ApiError),
    Cancelled,
}

/// What an uploader gets to see, and sees only once.
#[derive(Clone)]
pub(super) struct Published {
    pub(super) picture: CardView,
    pub(super) upload: Upload,
}

/// One upload. All its parts live as long as the island.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) key: u32,
    pub(super) stage: RwSignal<Stage>,
    /// 0 to 1, while sending.
    pub(super) progress: RwSignal<f64>,
    pub(super) file: StoredValue<File, LocalStorage>,
    request: StoredValue<Option<XmlHttpRequest>, LocalStorage>,
}

/// All uploads of this page.
#[derive(Clone, Copy)]
pub(super) struct Queue {
    pub(super) rows: RwSignal<Vec<Row>>,
    /// What a screen reader should say next.
    pub(super) announcement: RwSignal<String>,
    max_bytes: u64,
    next_key: StoredValue<u32>,
}

impl Queue {
    pub(super) fn new(max_bytes: u64) -> Self {
        Self {
            rows: RwSignal::default(),
            announcement: RwSignal::default(),
            max_bytes,
            next_key: StoredValue::new(0),
        }
    }

    /// Takes new files, newest first, and starts what may start.
    pub(super) fn add(self, files: Vec<File>) {
        if files.is_empty() {
            return;
        }
        for file in files {
            let key = self.next_key.get_value();
            self.next_key.set_value(key + 1);
            let row = Row {
                key,
                stage: RwSignal::new(self.first_stage(&file)),
                progress: RwSignal::new(0.0),
                file: StoredValue::new_local(file),
                request: StoredValue::new_local(None),
            };
            self.rows.update(|rows| rows.push(row));
        }
        self.start();
    }

    /// Stops an upload that is not yet with the server.
    pub(super) fn cancel(self, row: Row) {
        row.stage.set(Stage::Cancelled);
        if let Some(request) = row.request.get_value() {
            // A request that is over cannot be stopped, and need not be.
            let _ = request.abort();
        }
        self.announce(&row, "cancelled");
        self.start();
    }

    pub(super) fn retry(self, row: Row) {
        row.progress.set(0.0);
        row.stage
            .set(row.file.with_value(|file| self.first_stage(file)));
        self.start();
    }

    pub(super) fn dismiss(self, row: Row) {
        self.rows
            .update(|rows| rows.retain(|other| other.key != row.key));
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a file's size is a whole number of bytes"
    )]
    fn first_stage(self, file: &File) -> Stage {
        if file.size() as u64 <= self.max_bytes {
            return Stage::Waiting;
        }
        let limit = (self.max_bytes / 1_048_576).to_string();
        let message = [
            "Pictures may have up to ",
            &limit,
            " MB. A smaller copy will do nicely.",
        ];
        Stage::Refused(ApiError::new(ErrorCode::TooLarge, message.concat()))
    }

    fn start(self) {
        loop {
            let rows = self.rows.read_untracked();
            let is_busy =
                |row: &&Row| matches!(*row.stage.read_untracked(), Stage::Sending | Stage::Looking);
            let is_waiting = |row: &&Row| matches!(*row.stage.read_untracked(), Stage::Waiting);
            if rows.iter().filter(is_busy).count() >= AT_ONCE {
                return;
            }
            let Some(row) = rows.iter().find(is_waiting).copied() else {
                return;
            };
            drop(rows);
            row.stage.set(Stage::Sending);
            leptos::task::spawn_local(async move {
                self.upload(row).await;
                self.start();
            });
        }
    }

    async fn upload(self, row: Row) {
        let on_progress = move |fraction: f64| {
            row.progress.set(fraction);
            if fraction >= 1.0 {
                row.stage.set(Stage::Looking);
            }
        };
        let file = row.file.get_value();
        let result = send(&file, on_progress, |request| {
            row.request.set_value(Some(request));
        });
        let result = result.await;
        row.request.set_value(None);
        if matches!(*row.stage.read_untracked(), Stage::Cancelled) {
            return;
        }
        row.stage.set(Stage::Looking);
        let result = match result {
            Ok(upload) => match upload.published() {
                Some(picture) => Ok((picture, upload)),
                None => verdict(&upload.id).await.map(|picture| (picture, upload)),
            },
            Err(error) => Err(error),
        };
        match result {
            Ok((picture, upload)) => {
                self.announce(&row, "is published");
                row.stage
                    .set(Stage::Published(Box::new(Published { picture, upload })));
            }
            Err(error) => {
                self.announce(&row, error.code.title());
                row.stage.set(Stage::Refused(error));
            }
        }
    }

    fn announce(self, row: &Row, what: &str) {
        let name = row.file.with_value(File::name);
        self.announcement.set([&name, ": ", what].concat());
    }
}
