//! Crops a picture in which no cat was found, so that it can be tried again with the part that
//! shows the cat.

use js_sys::{Promise, Uint8Array};
use leptos::prelude::document;
use leptos::wasm_bindgen::JsCast;
use leptos::wasm_bindgen::prelude::Closure;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Blob, CanvasRenderingContext2d, Element, Event, HtmlCanvasElement, HtmlElement,
    HtmlImageElement, HtmlInputElement, KeyboardEvent, PointerEvent,
};

/// The most pixels along a side of what is cut out. More would take more memory than a phone lets a
/// page have.
const MOST_PIXELS: f64 = 4096.0;
/// The least pixels along a side of what is cut out, unless the picture itself has fewer.
const LEAST_PIXELS: f64 = 64.0;
/// The smallest frame is this many times smaller than the largest.
const CLOSEST: f64 = 10.0;
/// How close the frame is at first.
const CLOSE_AT_FIRST: f64 = 2.0;
/// By how much a key changes the size of the frame.
const KEY_ZOOM: f64 = 1.15;
/// How far a key moves the frame, in parts of its side.
const KEY_STEP: f64 = 0.1;
/// The quality of the JPEG that is made, from 0 to 1.
const QUALITY: f64 = 0.95;
/// How many bytes at the beginning of a file tell whether it is an animation.
const HEAD_BYTES: i32 = 64 * 1024;

/// What the editor holds. The numbers of its slider are those of [`Frame::closeness`].
const EDITOR: &str = "<p>Put the frame around the cat: drag it or tap, or use the arrow keys.</p>\
    <div class=crop-picture><img alt='' draggable=false>\
    <div class=crop-frame tabindex=0 role=slider aria-label=Frame></div></div>\
    <label>How close<input type=range min=1 max=10 step=0.1></label>\
    <button type=button class=button>Try again with this part</button>\
    <button type=button class='button is-quiet'>Close</button>";

/// A square part of a picture. All lengths are in pixels of the picture as it is shown, upright.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Frame {
    /// The size of the picture.
    picture: (f64, f64),
    /// The middle of the frame.
    middle: (f64, f64),
    /// How many times the largest frame is larger than this one, from 1 to [`CLOSEST`].
    closeness: f64,
}

impl Frame {
    /// A frame in the middle of a picture of this size.
    fn new(width: f64, height: f64) -> Self {
        Self {
            picture: (width, height),
            middle: (width / 2.0, height / 2.0),
            closeness: CLOSE_AT_FIRST,
        }
    }

    /// The length of a side.
    fn side(&self) -> f64 {
        let largest = self.picture.0.min(self.picture.1);
        (largest / self.closeness).max(LEAST_PIXELS.min(largest))
    }

    /// The left and the top edge.
    fn corner(&self) -> (f64, f64) {
        let side = self.side();
        (self.middle.0 - side / 2.0, self.middle.1 - side / 2.0)
    }

    /// How far the middle of the frame is from the point at which a pointer takes it. A pointer
    /// beside the frame takes its middle.
    fn grip(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let (right, down) = (self.middle.0 - x, self.middle.1 - y);
        let half = self.side() / 2.0;
        if right.abs() <= half && down.abs() <= half {
            (right, down)
        } else {
            (0.0, 0.0)
        }
    }

    /// Moves the middle of the frame to this point, or as near to it as the picture allows.
    fn move_to(&mut self, (x, y): (f64, f64)) {
        let half = self.side() / 2.0;
        let (width, height) = self.picture;
        self.middle = (
            x.max(half).min(width - half),
            y.max(half).min(height - half),
        );
    }

    /// Sets how close the frame is, and keeps its middle as far as the picture allows.
    fn zoom_to(&mut self, closeness: f64) {
        self.closeness = closeness.clamp(1.0, CLOSEST);
        self.move_to(self.middle);
    }

    /// Does what a key asks for. Tells whether it asks for anything.
    fn press(&mut self, key: &str) -> bool {
        let step = self.side() * KEY_STEP;
        let (x, y) = self.middle;
        match key {
            "ArrowLeft" => self.move_to((x - step, y)),
            "ArrowRight" => self.move_to((x + step, y)),
            "ArrowUp" => self.move_to((x, y - step)),
            "ArrowDown" => self.move_to((x, y + step)),
            "+" | "=" => self.zoom_to(self.closeness * KEY_ZOOM),
            "-" => self.zoom_to(self.closeness / KEY_ZOOM),
            _ => return false,
        }
        true
    }
}

/// A part of a whole in hundredths of a percent. Code that writes only whole numbers is small.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "parts are from 0 to 1"
)]
fn hundredths_of_percent(part: f64) -> u32 {
    (10_000.0 * part) as u32
}

/// A part of a whole as a percentage for CSS.
fn percentage(part: f64) -> String {
    [&hundredths_of_percent(part).to_string(), "e-2%"].concat()
}

/// A part of a whole in whole percent.
fn percent(part: f64) -> String {
    (hundredths_of_percent(part) / 100).to_string()
}

/// The editor of one picture: the picture with a frame that a pointer or the keyboard moves. It is
/// on the page until it is dropped. It is plain HTML with one listener, because that adds half of
/// what a component adds to the code that every visitor loads.
pub(super) struct Crop {
    element: Element,
    /// Hears all events in the editor.
    _listener: Closure<dyn FnMut(Event)>,
}

/// What the visitor decides in the editor.
pub(super) enum Choice {
    /// This part of the picture is to be tried.
    Cut(HtmlImageElement, Frame),
    /// The editor is to be closed.
    Close,
}

impl Crop {
    /// Shows the picture at the URL `source` at the end of `row`. Calls `on_choice` with what the
    /// visitor decides.
    pub(super) fn open(
        row: &Element,
        source: &str,
        name: &str,
        on_choice: impl Fn(Choice) + 'static,
    ) -> Option<Self> {
        let element = document().create_element("div").ok()?;
        element.set_class_name("crop");
        element.set_inner_html(EDITOR);
        let find = |selector| element.query_selector(selector).ok().flatten();
        let picture = find(".crop-picture")?;
        let image: HtmlImageElement = find("img")?.unchecked_into();
        let handle: HtmlElement = find(".crop-frame")?.unchecked_into();
        let zoom: HtmlInputElement = find("input")?.unchecked_into();
        let (try_again, close) = (find("button")?, find("button.is-quiet")?);
        element.set_attribute("role", "group").ok()?;
        let label = ["Crop ", name].concat();
        element.set_attribute("aria-label", &label).ok()?;
        image.set_src(source);

        // The size of the picture is not known yet.
        let mut frame = Frame::new(0.0, 0.0);
        // From the pointer to the middle of the frame that it holds.
        let mut grip = (0.0, 0.0);
        let hear = move |event: Event| {
            let target: Option<Element> = event.target().and_then(|target| target.dyn_into().ok());
            let kind = event.type_();
            match kind.as_str() {
                "load" => {
                    frame = Frame::new(image.natural_width().into(), image.natural_height().into());
                    let _ = handle.focus();
                }
                "pointerdown" | "pointermove" => {
                    let event: &PointerEvent = event.unchecked_ref();
                    let is_inside = target.is_some_and(|target| picture.contains(Some(&target)));
                    if !is_inside || !event.is_primary() || event.buttons() != 1 {
                        return;
                    }
                    let (x, y) = place_of(event, &picture, &frame);
                    if kind == "pointerdown" {
                        // The pointer is followed outside too. This fails only if it is gone.
                        let _ = picture.set_pointer_capture(event.pointer_id());
                        grip = frame.grip((x, y));
                    }
                    frame.move_to((x + grip.0, y + grip.1));
                }
                "input" => frame.zoom_to(zoom.value_as_number()),
                "keydown" => {
                    let keys: &KeyboardEvent = event.unchecked_ref();
                    let key = keys.key();
                    if key == "Escape" {
                        return on_choice(Choice::Close);
                    }
                    // The slider, the buttons and the browser have keys of their own.
                    let is_ours = target.as_ref() == Some(&handle);
                    if !is_ours || keys.ctrl_key() || keys.meta_key() || !frame.press(&key) {
                        return;
                    }
                    event.prevent_default();
                }
                // Only clicks are left.
                _ => {
                    if target.as_ref() == Some(&try_again) && frame.side() > 0.0 {
                        on_choice(Choice::Cut(image.clone(), frame));
                    } else if target.as_ref() == Some(&close) {
                        on_choice(Choice::Close);
                    }
                    return;
                }
            }
            zoom.set_value_as_number(frame.closeness);
            draw(&frame, &handle);
        };
        let listener = Closure::<dyn FnMut(Event)>::new(hear);
        for kind in [
            "load",
            "pointerdown",
            "pointermove",
            "input",
            "keydown",
            "click",
        ] {
            let hear = listener.as_ref().unchecked_ref();
            // `load` does not bubble, but is heard on its way down.
            element
                .add_event_listener_with_callback_and_bool(kind, hear, true)
                .ok()?;
        }
        row.append_child(&element).ok()?;
        Some(Self {
            element,
            _listener: listener,
        })
    }
}

impl Drop for Crop {
    fn drop(&mut self) {
        self.element.remove();
    }
}

/// Where in the picture a pointer is.
fn place_of(event: &PointerEvent, picture: &Element, frame: &Frame) -> (f64, f64) {
    let shown = picture.get_bounding_client_rect();
    let (width, height) = frame.picture;
    (
        (f64::from(event.client_x()) - shown.left()) / shown.width() * width,
        (f64::from(event.client_y()) - shown.top()) / shown.height() * height,
    )
}

/// Shows the frame where it is, and has screen readers say so.
fn draw(frame: &Frame, handle: &HtmlElement) {
    let (width, height) = frame.picture;
    let (side, (left, top)) = (frame.side(), frame.corner());
    let style = handle.style();
    for (property, length) in [
        ("left", left / width),
        ("top", top / height),
        ("width", side / width),
        ("height", side / height),
    ] {
        // Setting a property or an attribute fails only if its name is invalid.
        let _ = style.set_property(property, &percentage(length));
    }
    let across = percent(frame.middle.0 / width);
    let words = [
        &across,
        "% from the left, ",
        &percent(frame.middle.1 / height),
        "% from the top",
    ];
    let _ = handle.set_attribute("aria-valuenow", &across);
    let _ = handle.set_attribute("aria-valuetext", &words.concat());
}

/// Cuts the frame out of a picture. A picture of the type `image/png` stays one, unless it would
/// have more than `max_bytes`; all others become JPEG. `None` where the browser cannot do that.
pub(super) async fn cut(
    image: &HtmlImageElement,
    frame: Frame,
    kind: &str,
    max_bytes: u64,
) -> Option<Blob> {
    let (side, (left, top)) = (frame.side(), frame.corner());
    let size = side.min(MOST_PIXELS).floor();
    let canvas: HtmlCanvasElement = document().create_element("canvas").ok()?.unchecked_into();
    set_size(&canvas, size);
    let context = canvas.get_context("2d").ok()??;
    let context: CanvasRenderingContext2d = context.unchecked_into();
    // The server too puts transparent pictures on white.
    context.set_fill_style_str("#fff");
    context.fill_rect(0.0, 0.0, size, size);
    context
        .draw_image_with_html_image_element_and_sw_and_sh_and_dx_and_dy_and_dw_and_dh(
            image, left, top, side, side, 0.0, 0.0, size, size,
        )
        .ok()?;
    let mut part = None;
    if kind == "image/png" {
        part = encoded(&canvas, kind).await;
    }
    if part
        .as_ref()
        .is_none_or(|part| part.size() > max_bytes as f64)
    {
        part = encoded(&canvas, "image/jpeg").await;
    }
    // Safari keeps the memory of a canvas for long.
    set_size(&canvas, 0.0);
    part
}

/// Makes a canvas a square of this size.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sides are at most MOST_PIXELS"
)]
fn set_size(canvas: &HtmlCanvasElement, size: f64) {
    canvas.set_width(size as u32);
    canvas.set_height(size as u32);
}

/// The content of a canvas as a file of this type.
async fn encoded(canvas: &HtmlCanvasElement, kind: &str) -> Option<Blob> {
    let made = Promise::new(&mut |resolve, _| {
        // Where this fails, the promise must resolve all the same.
        if canvas
            .to_blob_with_type_and_encoder_options(&resolve, kind, &QUALITY.into())
            .is_err()
        {
            let _ = resolve.call0(&resolve);
        }
    });
    JsFuture::from(made).await.ok()?.dyn_into().ok()
}

/// Tells whether a file is a still picture. Of a GIF that is not known without reading all of it,
/// so none counts as a still.
pub(super) async fn is_still(file: &Blob) -> bool {
    let Ok(head) = file.slice_with_i32_and_i32(0, HEAD_BYTES) else {
        return false;
    };
    match JsFuture::from(head.array_buffer()).await {
        Ok(head) => begins_still(&Uint8Array::new(&head).to_vec()),
        Err(_) => false,
    }
}

/// Tells by its first bytes whether a file is a still picture.
fn begins_still(head: &[u8]) -> bool {
    match head {
        [0xff, 0xd8, ..] => true,
        // An animated PNG says so before its pixels.
        [0x89, b'P', b'N', b'G', ..] => !head.windows(4).any(|word| word == b"acTL"),
        // An extended WebP has a flag for animations.
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            b'V',
            b'P',
            b'8',
            kind,
            ..,
        ] => *kind != b'X' || head.get(20).is_some_and(|flags| flags & 2 == 0),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_never_leaves_the_picture_whatever_is_asked_of_it() {
        for (width, height) in [
            (4000.0, 3000.0),
            (3000.0, 4000.0),
            (100.0, 9000.0),
            (20.0, 40.0),
        ] {
            let mut frame = Frame::new(width, height);
            for closeness in [0.0, 1.0, 3.3, 10.0, 99.0] {
                frame.zoom_to(closeness);
                for at in [(-9.0, 1e9), (1e9, -9.0), (width / 2.0, height / 2.0)] {
                    frame.move_to(at);
                    let ((left, top), side) = (frame.corner(), frame.side());
                    assert!(left >= 0.0 && left + side <= width, "{frame:?}");
                    assert!(top >= 0.0 && top + side <= height, "{frame:?}");
                }
            }
        }
    }

    #[test]
    fn a_pointer_holds_the_frame_where_it_takes_it_and_beside_it_in_the_middle() {
        let frame = Frame::new(1000.0, 1000.0);
        assert_eq!(frame.grip((300.0, 600.0)), (200.0, -100.0));
        assert_eq!(frame.grip((100.0, 500.0)), (0.0, 0.0));
    }

    #[test]
    fn keys_move_the_frame_and_change_its_size() {
        let mut frame = Frame::new(1000.0, 1000.0);
        assert_eq!((frame.side(), frame.corner()), (500.0, (250.0, 250.0)));
        for key in ["ArrowLeft", "ArrowUp"] {
            assert!(frame.press(key));
        }
        assert_eq!(frame.corner(), (200.0, 200.0));
        for key in ["ArrowRight", "ArrowDown"] {
            assert!(frame.press(key));
        }
        assert_eq!(frame.middle, (500.0, 500.0));
        assert!(frame.press("+"));
        assert!(frame.side() < 500.0);
        assert!(frame.press("-"));
        assert!((frame.side() - 500.0).abs() < 1e-9);
        assert!(!frame.press("Tab"));
    }

    #[test]
    fn a_part_of_a_whole_is_a_percentage_that_css_reads() {
        assert_eq!(percentage(0.125), "1250e-2%");
        assert_eq!(percentage(0.0), "0e-2%");
        assert_eq!(percent(0.999), "99");
    }

    #[test]
    fn stills_are_told_from_animations_by_their_first_bytes() {
        let webp = |kind: u8, flags: u8| {
            let head = [
                b"RIFF\0\0\0\0WEBPVP8".as_slice(),
                &[kind, 10, 0, 0, 0, flags],
            ];
            begins_still(&head.concat())
        };
        assert!(webp(b' ', 2) && webp(b'L', 2) && webp(b'X', 0x10));
        assert!(!webp(b'X', 0x12));
        assert!(begins_still(b"\xff\xd8\xff\xe0"));
        assert!(begins_still(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR and IDAT"));
        assert!(!begins_still(
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR and acTL and IDAT"
        ));
        for other in ["GIF89a", "RIFF", "", "Buy cat food."] {
            assert!(!begins_still(other.as_bytes()));
        }
    }
}
