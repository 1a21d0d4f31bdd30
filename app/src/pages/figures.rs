//! Writes numbers for people: counts, sizes, amounts of anything that is billed, and money.

/// Writes a count with its thousands apart: `1,234,567`.
pub(super) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut words = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            words.push(',');
        }
        words.push(digit);
    }
    words
}

/// Writes a number of bytes in decimal units, as storage and traffic are billed: `5 GB`, `1.2 MB`.
/// It is rounded down.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    let Some((scale, unit)) = UNITS.into_iter().find(|(scale, _)| bytes >= *scale) else {
        return format!("{bytes} bytes");
    };
    let tenths = bytes / (scale / 10);
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{whole} {unit}"),
        (whole, tenth) => format!("{whole}.{tenth} {unit}"),
    }
}

/// Writes an amount of US dollars, such as `$3.30`. An amount that is more than nothing and would
/// round to no cent is `under $0.01`.
pub(super) fn dollars(amount: f64) -> String {
    if amount > 0.0 && amount < 0.005 {
        "under $0.01".to_owned()
    } else {
        format!("${amount:.2}")
    }
}

/// Writes an amount with its unit: `1,000 calls`, `0.02 GB`. A number that is not whole gets two
/// decimal places, or four if it is small.
pub(super) fn amount(amount: f64, unit: &str) -> String {
    let number = if amount.fract() == 0.0 && (0.0..1e15).contains(&amount) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole, not negative and far below the largest integer"
        )]
        count(amount as u64)
    } else if amount >= 0.1 {
        format!("{amount:.2}")
    } else if amount >= 0.0001 {
        format!("{amount:.4}")
    } else {
        "under 0.0001".to_owned()
    };
    format!("{number} {unit}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_thousands() {
        for (number, words) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(number), words);
        }
    }

    #[test]
    fn sizes_are_told_in_decimal_units() {
        for (bytes, words) in [
            (999, "999 bytes"),
            (1000, "1 kB"),
            (1_250_000, "1.2 MB"),
            (5_000_000_000, "5 GB"),
            (999_999_999, "999.9 MB"),
        ] {
            assert_eq!(size(bytes), words);
        }
    }

    #[test]
    fn money_is_told_in_cents_and_little_is_not_nothing() {
        for (number, words) in [
            (0.0, "$0.00"),
            (0.0004, "under $0.01"),
            (0.006, "$0.01"),
            (3.3, "$3.30"),
        ] {
            assert_eq!(dollars(number), words);
        }
    }

    #[test]
    fn amounts_are_whole_where_they_can_be() {
        for (number, unit, words) in [
            (1000.0, "calls", "1,000 calls"),
            (0.0, "requests", "0 requests"),
            (0.5, "months", "0.50 months"),
            (0.0012, "GB", "0.0012 GB"),
            (0.000_001, "GB", "under 0.0001 GB"),
            (1000.0, "", "1,000"),
        ] {
            assert_eq!(amount(number, unit), words);
        }
    }
}
