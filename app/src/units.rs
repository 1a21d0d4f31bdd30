//! Says numbers of bytes in words.

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Says a size as people read it, such as `20 MB`: in the largest unit that it reaches, rounded
/// down. The units are binary, as those of the upload limit are: 1 MB here is 1,048,576 bytes.
pub(crate) fn readable_bytes(bytes: u64) -> String {
    let (count, unit) = match bytes {
        MIB.. => (bytes / MIB, " MB"),
        KIB.. => (bytes / KIB, " kB"),
        _ => (bytes, " bytes"),
    };
    [&count.to_string(), unit].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_the_largest_unit_that_fits() {
        let cases = [
            (20 * MIB, "20 MB"),
            (20 * MIB - 1, "19 MB"),
            (MIB, "1 MB"),
            (MIB - 1, "1023 kB"),
            (500, "500 bytes"),
        ];
        for (bytes, words) in cases {
            assert_eq!(readable_bytes(bytes), words);
        }
    }
}
