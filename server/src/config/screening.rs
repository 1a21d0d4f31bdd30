//! How pictures are judged, by whom, and what happens when that cannot be paid for.

use std::num::NonZeroU32;
use std::time::Duration;

use super::parse::{parse_choice, parse_share};
use crate::config::env::Env;
use crate::domain::detection::DetectionMinimums;
use crate::domain::moderation::ModerationMinimums;
use crate::domain::policy::{Certainty, Mode, Policy};
use crate::domain::verdict::Thresholds;

/// How pictures are judged.
#[derive(Debug, Clone)]
pub struct ScreeningConfig {
    /// `CATTO_SCREENING` and the thresholds that decide.
    pub policy: Policy,
    /// `CATTO_BUDGET_SPENT`: what happens to pictures that cannot be paid for.
    pub budget_spent: BudgetSpent,
    /// `CATTO_REKOGNITION_CALLS_PER_SECOND`: the most calls within a second.
    pub calls_per_second: NonZeroU32,
    /// How often and when a failed call is made again.
    pub retries: RetryConfig,
}

/// `CATTO_BUDGET_SPENT`: what happens to pictures that need a call when the month has none left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetSpent {
    /// Uploads are refused until the next month begins.
    Refuse,
    /// The local models decide, with the thresholds that hold where they decide alone.
    Local,
    /// The pictures wait until the next month begins, or until their retention is over.
    Wait,
}

/// When a failed call is made again (fixed; tests set shorter times).
#[derive(Debug, Clone)]
pub struct RetryConfig {
    /// How often one call is made for a picture before the picture goes back to wait.
    pub attempts: u32,
    /// The pause before the second attempt; each further pause is twice as long.
    pub first_pause: Duration,
    /// No attempt begins later than this after the first, so that a worker is not held up for long.
    pub time_limit: Duration,
    /// How long a call may take.
    pub call_timeout: Duration,
    /// How long no calls are made after a failure; each further rest is twice as long.
    pub first_rest: Duration,
    /// The longest rest. A failed call may be billed, and at this rate there are only 96 of them a
    /// day.
    pub longest_rest: Duration,
    /// How long no calls are made after our configuration was refused. A refused call costs
    /// nothing.
    pub refused_rest: Duration,
    /// How long a picture that waits for the next month rests before it checks the budget again,
    /// because the operator may have raised the limit.
    pub spent_rest: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            attempts: 3,
            first_pause: Duration::from_millis(500),
            time_limit: Duration::from_secs(40),
            call_timeout: Duration::from_secs(10),
            first_rest: Duration::from_secs(5),
            longest_rest: Duration::from_secs(900),
            refused_rest: Duration::from_secs(60),
            spent_rest: Duration::from_secs(600),
        }
    }
}

impl Default for ScreeningConfig {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            budget_spent: BudgetSpent::Refuse,
            calls_per_second: NonZeroU32::new(5).expect("5 is not 0"),
            retries: RetryConfig::default(),
        }
    }
}

impl ScreeningConfig {
    pub(super) fn from_env(env: &mut Env) -> Self {
        let default = Self::default();
        let Policy {
            mode,
            thresholds,
            certainty,
            moderation,
            detection,
        } = default.policy;
        let policy = Policy {
            mode: env.parsed_with("CATTO_SCREENING", mode, |text| {
                parse_choice(text, &Mode::ALL.map(|mode| (mode.as_str(), mode)))
            }),
            thresholds: Thresholds {
                cat: env.parsed_with("CATTO_CAT_THRESHOLD", thresholds.cat, parse_share),
                indecent: env.parsed_with(
                    "CATTO_UNSAFE_THRESHOLD",
                    thresholds.indecent,
                    parse_share,
                ),
            },
            certainty: Certainty {
                no_cat: env.parsed_with("CATTO_CERTAIN_NO_CAT", certainty.no_cat, parse_share),
                indecent: env.parsed_with("CATTO_CERTAIN_UNSAFE", certainty.indecent, parse_share),
            },
            moderation: ModerationMinimums {
                grave: env.parsed_with(
                    "CATTO_REKOGNITION_GRAVE_THRESHOLD",
                    moderation.grave,
                    parse_share,
                ),
                mild: env.parsed_with(
                    "CATTO_REKOGNITION_MILD_THRESHOLD",
                    moderation.mild,
                    parse_share,
                ),
            },
            detection: DetectionMinimums {
                cat: env.parsed_with(
                    "CATTO_REKOGNITION_CAT_THRESHOLD",
                    detection.cat,
                    parse_share,
                ),
                tag: env.parsed_with(
                    "CATTO_REKOGNITION_TAG_THRESHOLD",
                    detection.tag,
                    parse_share,
                ),
            },
        };
        if policy.certainty.no_cat > policy.thresholds.cat {
            env.problem(
                "CATTO_CERTAIN_NO_CAT",
                "is above CATTO_CAT_THRESHOLD, so that a picture could be a cat and certainly no cat",
            );
        }
        if policy.certainty.indecent < policy.thresholds.indecent {
            env.problem(
                "CATTO_CERTAIN_UNSAFE",
                "is below CATTO_UNSAFE_THRESHOLD, so that a picture could be decent and certainly indecent",
            );
        }
        Self {
            policy,
            budget_spent: env.parsed_with("CATTO_BUDGET_SPENT", default.budget_spent, |text| {
                parse_choice(
                    text,
                    &[
                        ("refuse", BudgetSpent::Refuse),
                        ("local", BudgetSpent::Local),
                        ("wait", BudgetSpent::Wait),
                    ],
                )
            }),
            calls_per_second: env.parsed(
                "CATTO_REKOGNITION_CALLS_PER_SECOND",
                default.calls_per_second,
            ),
            ..default
        }
    }

    /// True where the local models are needed, to judge or to stand in for calls that cannot be
    /// paid for.
    #[must_use]
    pub fn needs_local_models(&self) -> bool {
        self.policy.looks_locally() || self.budget_spent == BudgetSpent::Local
    }
}
