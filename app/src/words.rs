//! What pages, feeds and embeds say of a picture.

use crate::time::readable_time;

/// The title of a picture: its description with a capital letter, or until when it is here where
/// nothing is known of it. `expires_at` is its end as in
/// [`PictureView`](crate::types::PictureView).
#[must_use]
pub fn picture_title(alt: &str, expires_at: &str) -> String {
    let mut letters = alt.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => format!("A cat, here until {}", readable_time(expires_at)),
    }
}

/// What stands below the title: until when the picture is here.
#[must_use]
pub fn picture_summary(expires_at: &str) -> String {
    format!(
        "A cat picture that is here until {}, and then gone.",
        readable_time(expires_at)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_description_or_says_until_when_the_picture_is_here() {
        let end = "2026-12-05T10:15:02Z";
        assert_eq!(
            picture_title("tabby cat with a box", end),
            "Tabby cat with a box"
        );
        assert_eq!(picture_title("", end), "A cat, here until 5 Dec, 10:15 UTC");
    }
}
