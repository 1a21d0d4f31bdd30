//! How pictures are judged, by whom, and what happens when that cannot be paid for.

use std::time::Duration;

use super::parse::{parse_choice, parse_share};
use crate::config::env::Env;
use crate::domain::backoff::Backoff;
use crate::domain::policy::{Certainty, Mode, Policy};
use crate::domain::verdict::Thresholds;
use crate::screening::Vendor;
use crate::screening::rekognition::detection::DetectionMinimums;
use crate::screening::rekognition::moderation::ModerationMinimums;
use crate::screening::rekognition::{self, RekognitionOptions};

/// How pictures are judged.
#[derive(Debug, Clone)]
pub struct ScreeningConfig {
    /// `CATTO_SCREENING` and the thresholds by which the local models decide.
    pub policy: Policy,
    /// `CATTO_SCREENING`: who is asked where the policy asks somebody.
    pub asked: Asked,
    /// What decides in Rekognition's answers, and how it is asked.
    pub rekognition: RekognitionOptions,
    /// `CATTO_BUDGET_SPENT`: what happens to pictures that cannot be paid for.
    pub budget_spent: BudgetSpent,
    /// How often and when a failed call is made again.
    pub retries: RetryConfig,
}

/// Who can be asked for a second opinion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Rekognition,
}

impl Asked {
    all_variants! {
        /// Everybody, in the order in which they are listed.
        pub const ALL = [Rekognition];
    }

    /// What is known of this one.
    #[must_use]
    pub const fn vendor(self) -> &'static Vendor {
        match self {
            Self::Rekognition => &rekognition::VENDOR,
        }
    }
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
    /// How long no calls are made after failures. A failed call may be billed, and at the longest
    /// rest there are only 96 of them a day.
    pub backoff: Backoff,
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
            backoff: Backoff::of_seconds(5, 900),
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
            asked: Asked::Rekognition,
            rekognition: RekognitionOptions::default(),
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
        } = default.policy;
        let (mode, asked) =
            env.parsed_with("CATTO_SCREENING", (mode, default.asked), parse_screening);
        let policy = Policy {
            mode,
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
            asked,
            rekognition: rekognition_from_env(env),
            retries: default.retries,
        }
    }

    /// True where the local models are needed, to judge or to stand in for calls that cannot be
    /// paid for.
    #[must_use]
    pub fn needs_local_models(&self) -> bool {
        self.policy.looks_locally() || self.budget_spent == BudgetSpent::Local
    }
}

/// Reads `local`, a vendor's name, or `local+` and a vendor's name.
fn parse_screening(text: &str) -> Result<(Mode, Asked), String> {
    let mut choices = vec![("local".to_owned(), (Mode::Local, Asked::Rekognition))];
    for asked in Asked::ALL {
        let id = asked.vendor().id;
        choices.push((id.to_owned(), (Mode::Other, asked)));
        choices.push((format!("local+{id}"), (Mode::LocalThenOther, asked)));
    }
    let choices: Vec<(&str, (Mode, Asked))> = choices
        .iter()
        .map(|(word, meaning)| (word.as_str(), *meaning))
        .collect();
    parse_choice(text, &choices)
}

fn rekognition_from_env(env: &mut Env) -> RekognitionOptions {
    let default = RekognitionOptions::default();
    let ModerationMinimums { grave, mild } = default.moderation;
    let DetectionMinimums { cat, tag } = default.detection;
    let mut share = |name, default| env.parsed_with(name, default, parse_share);
    RekognitionOptions {
        moderation: ModerationMinimums {
            grave: share("CATTO_REKOGNITION_GRAVE_THRESHOLD", grave),
            mild: share("CATTO_REKOGNITION_MILD_THRESHOLD", mild),
        },
        detection: DetectionMinimums {
            cat: share("CATTO_REKOGNITION_CAT_THRESHOLD", cat),
            tag: share("CATTO_REKOGNITION_TAG_THRESHOLD", tag),
        },
        calls_per_second: env.parsed(
            "CATTO_REKOGNITION_CALLS_PER_SECOND",
            default.calls_per_second,
        ),
        ..default
    }
}
