//! The results of all checks, as a table for people and as JSON for programs.

use std::fmt;

use serde::Serialize;

/// The outcome of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is as it should be.
    Ok,
    /// The site works, but the operator should know of this.
    Warning,
    /// The site will not work, or will not keep its promises.
    Failed,
    /// It was not checked, or cannot be checked here.
    Skipped,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "FAILED",
            Self::Skipped => "skipped",
        }
    }
}

/// One check, which is one line of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    pub outcome: Outcome,
    /// What was found.
    pub detail: String,
    /// What to do about it. Every failed check has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Check {
    pub(super) fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, Outcome::Ok, detail.into(), None)
    }

    pub(super) fn warning(
        name: &'static str,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(name, Outcome::Warning, detail.into(), Some(remedy.into()))
    }

    pub(super) fn failed(
        name: &'static str,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(name, Outcome::Failed, detail.into(), Some(remedy.into()))
    }

    pub(super) fn skipped(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, Outcome::Skipped, detail.into(), None)
    }

    fn new(name: &'static str, outcome: Outcome, detail: String, remedy: Option<String>) -> Self {
        Self {
            name,
            outcome,
            detail,
            remedy,
        }
    }
}

/// All checks, in the order in which they were made.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// True when no check failed.
    pub well: bool,
    pub checks: Vec<Check>,
}

impl Report {
    pub(super) fn new(checks: Vec<Check>) -> Self {
        Self {
            well: !checks.iter().any(|check| check.outcome == Outcome::Failed),
            checks,
        }
    }

    /// 0 when no check failed, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.well)
    }

    /// The report as JSON.
    ///
    /// # Errors
    /// None in practice, though `serde_json` may fail in general.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.checks
            .iter()
            .filter(|check| check.outcome == outcome)
            .count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = || self.checks.iter();
        let name_width = rows().map(|check| check.name.len()).max().unwrap_or(0);
        let outcome_width = Outcome::Warning.as_str().len();
        writeln!(
            out,
            "{:name_width$}  {:outcome_width$}  WHAT WAS FOUND",
            "CHECK", "RESULT"
        )?;
        for check in rows() {
            let outcome = check.outcome.as_str();
            // A server's answer must not break the line.
            let detail = check.detail.replace(['\n', '\r'], " ");
            writeln!(
                out,
                "{:name_width$}  {outcome:outcome_width$}  {detail}",
                check.name
            )?;
            if let Some(remedy) = &check.remedy {
                let indent = name_width + outcome_width + 4;
                writeln!(out, "{:indent$}-> {remedy}", "")?;
            }
        }
        let (failed, warnings) = (self.count(Outcome::Failed), self.count(Outcome::Warning));
        match (failed, warnings) {
            (0, 0) => writeln!(out, "\nAll is well."),
            (0, _) => writeln!(out, "\nNothing failed; warnings: {warnings}."),
            _ => writeln!(out, "\nFailed: {failed}; warnings: {warnings}."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_change_the_exit_code() {
        for (checks, code) in [
            (vec![], 0),
            (vec![Check::ok("a", "b")], 0),
            (
                vec![Check::warning("a", "b", "c"), Check::skipped("a", "b")],
                0,
            ),
            (vec![Check::ok("a", "b"), Check::failed("a", "b", "c")], 1),
        ] {
            assert_eq!(Report::new(checks).exit_code(), code);
        }
    }

    #[test]
    fn the_table_puts_each_remedy_below_its_line() {
        let report = Report::new(vec![
            Check::ok("models", "both load"),
            Check::failed("bucket", "not\nthere", "Make it"),
        ]);
        assert_eq!(
            report.to_string(),
            "CHECK   RESULT   WHAT WAS FOUND\n\
             models  ok       both load\n\
             bucket  FAILED   not there\n\
             \x20                -> Make it\n\
             \n\
             Failed: 1; warnings: 0.\n"
        );
    }
}
