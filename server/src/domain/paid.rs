//! What costs money, and how much of its monthly limit is used.

/// A thing that costs money and is counted by calendar month (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Paid {
    /// Calls of Amazon Rekognition, each for one picture.
    RekognitionCalls,
    /// Paths in CloudFront invalidations.
    CloudFrontPaths,
}

impl Paid {
    all_variants! {
        /// Every kind.
        pub const ALL = [RekognitionCalls, CloudFrontPaths];
    }

    /// Its name in the index and in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RekognitionCalls => "rekognition-calls",
            Self::CloudFrontPaths => "cloudfront-paths",
        }
    }
}

/// How much of a monthly limit is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub used: u32,
    pub limit: u32,
}

impl Usage {
    /// The percentages of the limit at which the operator is warned.
    const WARNINGS: [u8; 2] = [95, 80];

    /// How many are left.
    #[must_use]
    pub const fn left(self) -> u32 {
        self.limit.saturating_sub(self.used)
    }

    /// The used share of the limit, from 0 to 1, or more where the limit was lowered. A limit of 0
    /// counts as used up.
    #[must_use]
    pub fn share(self) -> f64 {
        if self.limit == 0 {
            return 1.0;
        }
        f64::from(self.used) / f64::from(self.limit)
    }

    /// The highest warning percentage that is reached: 95, 80, or 0 for none.
    #[must_use]
    pub fn warned_percent(self) -> u8 {
        let reached = |percent: &u8| {
            u64::from(self.used) * 100 >= u64::from(self.limit) * u64::from(*percent)
        };
        Self::WARNINGS.into_iter().find(reached).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_come_at_80_and_at_95_percent() {
        for (used, limit, percent) in [
            (0, 1000, 0),
            (799, 1000, 0),
            (800, 1000, 80),
            (949, 1000, 80),
            (950, 1000, 95),
            (2000, 1000, 95),
            (3, 4, 0),
            (4, 4, 95),
            (u32::MAX, u32::MAX, 95),
        ] {
            let usage = Usage { used, limit };
            assert_eq!(usage.warned_percent(), percent, "{usage:?}");
        }
    }

    #[test]
    fn a_share_is_used_of_the_limit() {
        let usage = |used, limit| Usage { used, limit };
        assert!((usage(1, 4).share() - 0.25).abs() < f64::EPSILON);
        assert!((usage(0, 0).share() - 1.0).abs() < f64::EPSILON);
        assert_eq!((usage(1, 4).left(), usage(5, 4).left()), (3, 0));
    }
}
