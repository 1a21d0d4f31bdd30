//! The answer of a server that is asked for a setting. Servers other than Amazon's know only some
//! settings, and "I do not know this" must not be mistaken for "this is not set".

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::report::Check;

/// The answer about a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked<T> {
    /// The setting has this value.
    Set(T),
    /// The server knows the setting, and it is not set.
    Absent,
    /// The server does not know the setting.
    Unsupported,
    /// These credentials may not ask.
    Denied,
    /// There was no usable answer.
    Failed(String),
}

impl<T> Asked<T> {
    /// Classifies an answer. `absent` is the error code that says that the setting is not set,
    /// where there is one.
    pub(super) fn of<E: ProvideErrorMetadata>(
        answer: Result<T, SdkError<E, HttpResponse>>,
        absent: Option<&str>,
    ) -> Self {
        let error = match answer {
            Ok(set) => return Self::Set(set),
            Err(error) => error,
        };
        let status = error
            .raw_response()
            .map(|response| response.status().as_u16());
        match class_of(error.code(), status, absent) {
            Class::Absent => Self::Absent,
            Class::Unsupported => Self::Unsupported,
            Class::Denied => Self::Denied,
            Class::Failed => Self::Failed(told(&error)),
        }
    }

    /// Returns the value of `Set`, and `None` for `Absent`. Any other answer becomes the line of
    /// the report.
    pub(super) fn or_check(self, name: &'static str, permission: &str) -> Result<Option<T>, Check> {
        match self {
            Self::Set(set) => Ok(Some(set)),
            Self::Absent => Ok(None),
            Self::Unsupported => Err(Check::skipped(
                name,
                "this server does not support such a setting",
            )),
            Self::Denied => Err(Check::warning(
                name,
                "these credentials are not allowed to see this",
                format!("Allow them {permission}, as deploy/template.yaml does"),
            )),
            Self::Failed(problem) => Err(Check::failed(
                name,
                format!("no answer: {problem}"),
                "Try again; if that does not help, ask whoever runs the server",
            )),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Class {
    Absent,
    Unsupported,
    Denied,
    Failed,
}

fn class_of(code: Option<&str>, status: Option<u16>, absent: Option<&str>) -> Class {
    if code.is_some() && code == absent {
        return Class::Absent;
    }
    match (code.unwrap_or_default(), status) {
        ("NotImplemented" | "MethodNotAllowed", _)
        // A server that ignores this part of the query answers something else with success, such as
        // a list.
        | (_, Some(200..=299 | 405 | 501)) => Class::Unsupported,
        (_, Some(401 | 403)) => Class::Denied,
        _ => Class::Failed,
    }
}

/// The SDK's error in one line, without anything that was sent.
pub(super) fn told<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> String {
    match (error, error.raw_response()) {
        (SdkError::TimeoutError(_), _) => "it did not answer in time".into(),
        (_, None) => "it cannot be reached".into(),
        (_, Some(response)) => format!(
            "status {}, {}",
            response.status().as_u16(),
            error.code().unwrap_or("no code"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_set_and_not_known_and_not_allowed_are_told_apart() {
        for (code, status, class) in [
            (Some("NoSuchThing"), Some(404), Class::Absent),
            (Some("NotImplemented"), Some(501), Class::Unsupported),
            (Some("MethodNotAllowed"), Some(400), Class::Unsupported),
            (None, Some(405), Class::Unsupported),
            (None, Some(200), Class::Unsupported),
            (Some("AccessDenied"), Some(403), Class::Denied),
            (None, Some(401), Class::Denied),
            (Some("InternalError"), Some(500), Class::Failed),
            (Some("NoSuchBucket"), Some(404), Class::Failed),
            (None, None, Class::Failed),
        ] {
            let found = class_of(code, status, Some("NoSuchThing"));
            assert_eq!(found, class, "{code:?} {status:?}");
        }
        assert_eq!(class_of(None, Some(200), None), Class::Unsupported);
    }
}
