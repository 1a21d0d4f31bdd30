//! Cropping the picture of a row, and what is uploaded instead of its file then.

use std::rc::Rc;

use leptos::wasm_bindgen::JsCast;
use web_sys::{HtmlImageElement, Url};

use super::super::Queue;
use super::super::crop::{Choice, Crop, Frame, cut};
use super::super::send::new_key;
use super::{Row, stage};

impl Row {
    /// Opens the editor in which the picture is cropped, or closes it.
    pub(super) fn toggle_editor(self: &Rc<Self>, queue: &Rc<Queue>) {
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
                        if let Some(button) = row.find("[data-act=crop]") {
                            let _ = button.focus();
                        }
                        row.close_editor();
                    }
                },
            );
        self.editor.replace(editor);
    }

    /// Closes the editor. Tells whether it was open.
    pub(super) fn close_editor(&self) -> bool {
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
            row.key.replace(new_key());
            // It may have been cancelled meanwhile.
            if row.is_waiting() {
                queue.push(&row);
            }
        });
    }

    /// Has the browser forget the part that was cut out before.
    pub(super) fn forget_part(&self) {
        if let Some((_, url)) = self.part.take() {
            // This fails only if the URL has been revoked already.
            let _ = Url::revoke_object_url(&url);
        }
    }
}
