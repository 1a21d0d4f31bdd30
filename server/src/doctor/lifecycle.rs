//! Checks the bucket's lifecycle rules. A rule that expires pictures is a backstop should the
//! sweeper fail; a rule that expires anything else is a danger.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{ExpirationStatus, LifecycleRule};

use super::asked::Asked;
use super::report::Check;
use crate::domain::expiry::Retention;
use crate::storage::Folder;

const NAME: &str = "lifecycle";

/// What an enabled rule deletes, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    name: String,
    /// The prefix of the keys that it deletes.
    prefix: String,
    /// True where the rule is further limited by tag or size.
    only_some: bool,
    /// The days after which it deletes; `None` where the rule names a date instead.
    days: Option<u32>,
}

pub(super) async fn look_at(client: &Client, bucket: &str, retention: Retention) -> Check {
    let answer = client
        .get_bucket_lifecycle_configuration()
        .bucket(bucket)
        .send()
        .await;
    let asked = Asked::of(answer, Some("NoSuchLifecycleConfiguration"));
    match asked.or_check(NAME, "s3:GetLifecycleConfiguration") {
        Ok(set) => {
            let rules = set
                .map(|answer| rules_of(answer.rules()))
                .unwrap_or_default();
            judge(&rules, retention)
        }
        Err(check) => check,
    }
}

/// The enabled rules that delete objects.
fn rules_of(rules: &[LifecycleRule]) -> Vec<Rule> {
    rules
        .iter()
        .filter(|rule| *rule.status() == ExpirationStatus::Enabled)
        .filter_map(|rule| {
            let expiration = rule.expiration()?;
            // Without days or a date, the rule only removes delete markers of old versions.
            if expiration.days().is_none() && expiration.date().is_none() {
                return None;
            }
            let filter = rule.filter();
            let both = filter.and_then(|filter| filter.and());
            #[expect(deprecated, reason = "older rules have their prefix here")]
            let old_prefix = rule.prefix();
            let prefix = filter
                .and_then(|filter| filter.prefix())
                .or_else(|| both.and_then(|both| both.prefix()))
                .or(old_prefix)
                .unwrap_or_default();
            let by_size_or_tag = filter.is_some_and(|filter| {
                filter.tag().is_some()
                    || filter.object_size_greater_than().is_some()
                    || filter.object_size_less_than().is_some()
            });
            let also = both.is_some_and(|both| {
                !both.tags().is_empty()
                    || both.object_size_greater_than().is_some()
                    || both.object_size_less_than().is_some()
            });
            Some(Rule {
                name: rule.id().unwrap_or("without a name").to_owned(),
                prefix: prefix.to_owned(),
                only_some: by_size_or_tag || also,
                days: expiration.days().and_then(|days| u32::try_from(days).ok()),
            })
        })
        .collect()
}

/// Judges what these rules do to the site. Amazon rounds the end up to the next midnight (UTC), so
/// a rule of as many days as the retention never deletes a picture that is still live.
fn judge(rules: &[Rule], retention: Retention) -> Check {
    let images = Folder::Images.prefix();
    let days_needed = retention.seconds().div_ceil(24 * 3600);
    let wanted = format!(
        "Give the bucket one rule: expire objects whose keys begin with `{images}` after {days_needed} days (RetentionDays of deploy/template.yaml)"
    );
    for rule in rules {
        let touches =
            |prefix: &str| rule.prefix.starts_with(prefix) || prefix.starts_with(&rule.prefix);
        let name = &rule.name;
        if touches(&Folder::Manifests.prefix()) {
            return Check::failed(
                NAME,
                format!("the rule `{name}` deletes manifests and bans, which must be kept"),
                wanted,
            );
        }
        if !touches(&images) {
            continue;
        }
        match rule.days {
            None => {
                return Check::failed(
                    NAME,
                    format!(
                        "the rule `{name}` deletes all pictures from a date on, however new they are"
                    ),
                    wanted,
                );
            }
            Some(days) if days < days_needed => {
                return Check::failed(
                    NAME,
                    format!(
                        "the rule `{name}` deletes pictures after {days} days, but they live {}",
                        retention.in_words()
                    ),
                    wanted,
                );
            }
            Some(_) => {}
        }
    }
    let backstop = rules
        .iter()
        .filter(|rule| images.starts_with(&rule.prefix) && !rule.only_some)
        .filter_map(|rule| rule.days)
        .min();
    match backstop {
        None => Check::failed(
            NAME,
            "no rule deletes pictures that the server could not delete",
            wanted,
        ),
        Some(days) if days > days_needed => Check::warning(
            NAME,
            format!(
                "pictures live {}, but what the server could not delete stays {days} days",
                retention.in_words()
            ),
            wanted,
        ),
        Some(days) => Check::ok(
            NAME,
            format!("objects whose keys begin with `{images}` are deleted after {days} days"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::report::Outcome;
    use super::*;

    fn rule(prefix: &str, days: Option<u32>) -> Rule {
        Rule {
            name: "a rule".into(),
            prefix: prefix.into(),
            only_some: false,
            days,
        }
    }

    #[test]
    fn a_rule_must_cover_the_pictures_in_time_and_nothing_else() {
        let some = Rule {
            only_some: true,
            ..rule("i/", Some(7))
        };
        for (rules, outcome, word) in [
            (vec![], Outcome::Failed, "no rule"),
            (vec![rule("i/", Some(7))], Outcome::Ok, "after 7 days"),
            (vec![rule("i", Some(7))], Outcome::Ok, "after 7 days"),
            (vec![rule("i/", Some(6))], Outcome::Failed, "after 6 days"),
            (
                vec![rule("i/", Some(30))],
                Outcome::Warning,
                "stays 30 days",
            ),
            (vec![rule("i/", None)], Outcome::Failed, "a date"),
            (vec![rule("", Some(7))], Outcome::Failed, "manifests"),
            (vec![rule("meta/bans/", Some(7))], Outcome::Failed, "bans"),
            (vec![rule("logs/", Some(1))], Outcome::Failed, "no rule"),
            (vec![rule("i/2026", Some(7))], Outcome::Failed, "no rule"),
            (
                vec![rule("i/2026", Some(1)), rule("i/", Some(7))],
                Outcome::Failed,
                "after 1 days",
            ),
            (vec![some], Outcome::Failed, "no rule"),
            (
                vec![rule("i/", Some(30)), rule("i/", Some(7))],
                Outcome::Ok,
                "after 7 days",
            ),
        ] {
            let check = judge(&rules, Retention::default());
            assert_eq!(check.outcome, outcome, "{rules:?}: {check:?}");
            assert!(check.detail.contains(word), "{check:?}");
        }
    }

    #[test]
    fn a_part_of_a_day_needs_the_whole_day() {
        let retention = Retention::new(Duration::from_secs(36 * 3600)).unwrap();
        let outcome = |days| judge(&[rule("i/", Some(days))], retention).outcome;
        assert_eq!(outcome(1), Outcome::Failed);
        assert_eq!(outcome(2), Outcome::Ok);
    }
}
