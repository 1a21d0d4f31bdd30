//! A QR code, drawn by the server, so that one screen's link can be opened on another.

use leptos::prelude::*;
use qrcode::{Color, EcLevel};

/// The light margin that the standard asks for, in modules.
const MARGIN: usize = 4;

/// The code of an address; nothing if it is too long for any code. Screens are clean, so the code
/// corrects as little as the standard allows, and its modules are large.
#[component]
pub(super) fn QrCode(url: String) -> impl IntoView {
    let code = qrcode::QrCode::with_error_correction_level(&url, EcLevel::L).ok()?;
    let side = code.width() + 2 * MARGIN;
    let path = path(&code.to_colors(), code.width());
    let view_box = format!("0 0 {side} {side}");
    Some(view! {
        <svg class="qr-code" viewBox=view_box role="img" aria-label="QR code of this page's link">
            <path d=path/>
        </svg>
    })
}

/// The dark modules as lines that are one module wide.
fn path(modules: &[Color], width: usize) -> String {
    let mut path = String::new();
    for (row, modules) in modules.chunks(width).enumerate() {
        path.push_str(&format!("M{MARGIN} {}.5", row + MARGIN));
        for run in modules.chunk_by(PartialEq::eq) {
            match run.first() {
                Some(Color::Dark) => path.push_str(&format!("h{}", run.len())),
                Some(Color::Light) | None => path.push_str(&format!("m{} 0", run.len())),
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_a_line_of_dark_and_light_pieces() {
        let [dark, light] = [Color::Dark, Color::Light];
        let modules = [dark, dark, light, light, light, dark, dark, light, dark];
        assert_eq!(path(&modules, 3), "M4 4.5h2m1 0M4 5.5m2 0h1M4 6.5h1m1 0h1");
    }

    #[test]
    fn an_address_fits_and_what_is_far_too_long_has_no_code() {
        let of = |url: &str| qrcode::QrCode::with_error_correction_level(url, EcLevel::L);
        let code = of("https://cats.example.org/c/fBpzWme53ydR8SE7").expect("fits");
        assert_eq!(code.width(), 29);
        assert!(of(&"x".repeat(3000)).is_err());
    }
}
