//! Reads environment variables. Only `telemetry` does so as well, for `RUST_LOG`. Every problem
//! names its variable, and problems are collected, so that an operator can mend all of them in one
//! go.

use std::fmt::Display;
use std::str::FromStr;

use secrecy::SecretString;

/// True where the variable is set, even to an empty value.
#[must_use]
pub fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some()
}

/// Reads variables and collects the problems with them.
#[derive(Default)]
pub(crate) struct Env {
    problems: Vec<String>,
}

impl Env {
    /// The variable's value without surrounding whitespace. An empty one counts as not set.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match std::env::var(name) {
            Ok(value) if value.trim().is_empty() => None,
            Ok(value) => Some(value.trim().to_owned()),
            Err(std::env::VarError::NotPresent) => None,
            Err(std::env::VarError::NotUnicode(_)) => {
                self.problem(name, "is not valid UTF-8");
                None
            }
        }
    }

    /// The variable parsed by `parse`, or `default` where it is not set.
    pub(crate) fn parsed_with<T, E: Display>(
        &mut self,
        name: &str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> T {
        match self
            .text(name)
            .map(|text| parse(&text).map_err(|error| (text, error)))
        {
            None => default,
            Some(Ok(value)) => value,
            Some(Err((text, error))) => {
                // What stands before an @ may be a password.
                let value = text.rsplit_once('@').map_or_else(
                    || format!("is `{text}`"),
                    |(_, rest)| format!("is `…@{rest}`"),
                );
                self.problem(name, &format!("{value}: {error}"));
                default
            }
        }
    }

    /// The variable parsed with `FromStr`, or `default` where it is not set.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(&mut self, name: &str, default: T) -> T {
        self.parsed_with(name, default, str::parse)
    }

    /// A secret, which is kept out of every log and of `Debug` output.
    pub(crate) fn secret(&mut self, name: &str) -> Option<SecretString> {
        self.text(name).map(SecretString::from)
    }

    /// Notes a problem with a variable.
    pub(crate) fn problem(&mut self, name: &str, problem: &str) {
        self.problems.push(format!("{name} {problem}"));
    }

    /// All problems found so far.
    pub(crate) fn into_problems(self) -> Vec<String> {
        self.problems
    }
}
