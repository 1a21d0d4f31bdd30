//! Why uploads are held up, for how long, and how that is said.

use js_sys::Date;
use leptos::wasm_bindgen::JsValue;
use web_sys::Navigator;

use crate::components::fetch::Failure;
use crate::error::{ApiError, ErrorCode};

/// The pauses after the first, second and further failures in a row, in seconds.
const PAUSES_S: [u32; 6] = [2, 5, 10, 20, 40, 60];
/// The longest time that the server may ask to wait for which the page waits by itself, in seconds.
/// Uploads are counted by the hour.
const LONGEST_WAIT_S: u32 = 3700;

/// Why an upload is tried again later.
pub(super) enum Cause {
    /// The connection was lost.
    Lost,
    /// Nothing moved any more.
    Stalled,
    /// The server asked to try again later.
    Busy(ApiError),
}

impl Cause {
    /// Why an upload is tried again later.
    ///
    /// # Errors
    /// The server's refusal, if trying again by itself would not help.
    pub(super) fn of(failure: Failure) -> Result<Self, ApiError> {
        match failure {
            Failure::Lost => Ok(Self::Lost),
            Failure::Stalled => Ok(Self::Stalled),
            Failure::Refused(error) if is_worth_waiting(&error) => Ok(Self::Busy(error)),
            Failure::Refused(error) => Err(error),
        }
    }

    /// Whether it is the network, so that its return is a reason to try again.
    pub(super) const fn is_network(&self) -> bool {
        matches!(self, Self::Lost | Self::Stalled)
    }

    /// A headline, and the words after it.
    pub(super) fn words(&self, navigator: &Navigator) -> [String; 2] {
        let (headline, text) = match self {
            Self::Busy(error) => return [error.code.title().to_owned(), error.message.clone()],
            _ if !navigator.on_line() => (
                "You are offline",
                "It is sent as soon as the network is back.",
            ),
            Self::Lost => ("The connection was lost", "It is sent again by itself."),
            Self::Stalled => (
                "Nothing moved any more",
                "The connection seems to be dead, so it is sent again by itself.",
            ),
        };
        [headline.to_owned(), text.to_owned()]
    }
}

/// Whether the server's refusal is over so soon that the page waits for that.
fn is_worth_waiting(error: &ApiError) -> bool {
    let is_ours = error.code == ErrorCode::Internal;
    error.code.is_passing()
        && !is_ours
        && error
            .retry_after()
            .is_none_or(|wait| wait <= LONGEST_WAIT_S)
}

/// For how long uploads are held up after so many failures in a row, in milliseconds.
pub(super) fn pause_ms(cause: &Cause, failures: u32) -> f64 {
    let step = PAUSES_S.get(failures as usize).or(PAUSES_S.last());
    let own = step.copied().unwrap_or_default();
    let asked = match cause {
        Cause::Busy(error) => error.retry_after().unwrap_or_default(),
        Cause::Lost | Cause::Stalled => 0,
    };
    f64::from(own.max(asked)) * 1000.0
}

/// Says when uploads go on, which is `left_ms` from now: `Next try in 0:12.`, and from a minute on
/// also the time of day.
pub(super) fn wait_words(until_ms: f64, left_ms: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an hour of seconds fits"
    )]
    let seconds = (left_ms / 1000.0).ceil() as u32;
    let count = count_down(seconds);
    if seconds < 60 {
        return ["Next try in ", &count, "."].concat();
    }
    let time = Date::new(&JsValue::from_f64(until_ms)).to_locale_time_string("default");
    let time = String::from(time);
    ["Next try at ", &time, ", in ", &count, "."].concat()
}

/// Minutes and seconds: `0:05`.
fn count_down(seconds: u32) -> String {
    let (minutes, seconds) = ((seconds / 60).to_string(), seconds % 60);
    let zero = if seconds < 10 { "0" } else { "" };
    [&minutes, ":", zero, &seconds.to_string()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_down_has_two_digits_of_seconds() {
        assert_eq!(count_down(5), "0:05");
        assert_eq!(count_down(60), "1:00");
        assert_eq!(count_down(1199), "19:59");
    }

    #[test]
    fn pauses_grow_and_are_never_shorter_than_the_server_asks() {
        assert_eq!(pause_ms(&Cause::Lost, 0), 2_000.0);
        assert_eq!(pause_ms(&Cause::Stalled, 1), 5_000.0);
        assert_eq!(pause_ms(&Cause::Lost, 99), 60_000.0);
        let mut busy = ApiError::new(ErrorCode::TooManyRequests, "");
        busy.retry_after = Some(1200);
        assert_eq!(pause_ms(&Cause::Busy(busy), 0), 1_200_000.0);
    }

    #[test]
    fn the_page_waits_by_itself_for_an_hour_at_most() {
        let refused = |code, wait| {
            let mut error = ApiError::new(code, "");
            error.retry_after = wait;
            Cause::of(Failure::Refused(error)).is_ok()
        };
        assert!(refused(ErrorCode::TooManyRequests, Some(3600)));
        assert!(refused(ErrorCode::Timeout, None));
        assert!(!refused(ErrorCode::TooManyRequests, Some(24 * 3600)));
        assert!(!refused(ErrorCode::Internal, None));
        assert!(!refused(ErrorCode::NotACat, None));
    }
}
