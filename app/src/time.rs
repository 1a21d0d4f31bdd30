//! Says moments and spans of time in words. The server writes absolute times only, because its
//! pages are cached; the browser then says how long is left.

const MINUTE: i32 = 60;
const HOUR: i32 = 60 * MINUTE;
const DAY: i32 = 24 * HOUR;
const TWO_DAYS: i32 = 2 * DAY;

/// Says how long is left, such as `6 days left`; `None` once the time is up. Two days and more are
/// rounded to the nearest day; shorter times are rounded down to whole hours, minutes or seconds.
pub(crate) fn time_left(seconds: i32) -> Option<String> {
    let (count, unit) = match seconds {
        ..=0 => return None,
        TWO_DAYS.. => ((seconds + DAY / 2) / DAY, " day"),
        HOUR.. => (seconds / HOUR, " hour"),
        MINUTE.. => (seconds / MINUTE, " minute"),
        _ => (seconds, " second"),
    };
    let mut words = count.to_string();
    words.push_str(unit);
    words.push_str(if count == 1 { " left" } else { "s left" });
    Some(words)
}

/// Writes a timestamp such as `2026-11-29T10:15:02Z` as `29 Nov, 10:15 UTC`. It leaves out the
/// year, because a picture lives a year at most. A text of any other form is given back as it is.
pub(crate) fn readable_time(timestamp: &str) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let month = timestamp
        .get(5..7)
        .and_then(|month| month.parse::<usize>().ok())
        .and_then(|month| MONTHS.get(month.wrapping_sub(1)));
    let (Some(month), Some(day), Some(clock)) =
        (month, timestamp.get(8..10), timestamp.get(11..16))
    else {
        return timestamp.to_owned();
    };
    [day.trim_start_matches('0'), " ", month, ", ", clock, " UTC"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_names_the_unit_that_fits() {
        let cases = [
            (7 * DAY, "7 days left"),
            (7 * DAY - 1, "7 days left"),
            (6 * DAY + 11 * HOUR, "6 days left"),
            (2 * DAY, "2 days left"),
            (2 * DAY - 1, "47 hours left"),
            (HOUR, "1 hour left"),
            (HOUR - 1, "59 minutes left"),
            (MINUTE, "1 minute left"),
            (MINUTE - 1, "59 seconds left"),
            (1, "1 second left"),
        ];
        for (seconds, words) in cases {
            assert_eq!(time_left(seconds).as_deref(), Some(words), "{seconds}");
        }
    }

    #[test]
    fn no_time_is_left_at_the_very_second() {
        assert_eq!(time_left(0), None);
        assert_eq!(time_left(-5), None);
    }

    #[test]
    fn timestamps_become_readable() {
        assert_eq!(readable_time("2026-11-29T10:15:02Z"), "29 Nov, 10:15 UTC");
        assert_eq!(readable_time("2026-01-05T00:00:00Z"), "5 Jan, 00:00 UTC");
    }

    #[test]
    fn what_is_no_timestamp_stays_as_it_is() {
        for text in ["", "soon", "2026-13-01T00:00:00Z", "ünïcödé-…-text"] {
            assert_eq!(readable_time(text), text);
        }
    }
}
