//! Checks whether strangers can read the bucket directly, by three settings that not every server
//! has. How a stranger's request is really answered is checked in `objects`.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{Grant, PublicAccessBlockConfiguration};

use super::asked::Asked;
use super::report::{Check, Outcome};

const NAME: &str = "bucket private";
const REMEDY: &str =
    "Block all public access to the bucket (all four switches), as deploy/template.yaml does";

pub(super) async fn look_at(client: &Client, bucket: &str) -> Check {
    let block = client.get_public_access_block().bucket(bucket).send().await;
    let block = Asked::of(block, Some("NoSuchPublicAccessBlockConfiguration"));
    let block = match block.or_check(NAME, "s3:GetBucketPublicAccessBlock") {
        Ok(set) => set.and_then(|answer| answer.public_access_block_configuration),
        // Only where the server lacks this setting are the other two asked for. Where these
        // credentials may not see it, the others would not settle the question.
        Err(check) if check.outcome == Outcome::Skipped => None,
        Err(check) => return check,
    };
    if block.as_ref().is_some_and(is_complete) {
        return Check::ok(NAME, "all public access is blocked");
    }
    let (policy, acl) = (policy(client, bucket).await, acl(client, bucket).await);
    judge(policy, acl)
}

/// What one setting says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Setting {
    Private,
    /// The bucket is open; the text says by what.
    Open(&'static str),
    /// The server does not know the setting.
    Unsupported,
    /// The setting could not be read; the check says why.
    Unseen(Check),
}

impl From<Check> for Setting {
    fn from(check: Check) -> Self {
        if check.outcome == Outcome::Skipped {
            Self::Unsupported
        } else {
            Self::Unseen(check)
        }
    }
}

async fn policy(client: &Client, bucket: &str) -> Setting {
    let status = client
        .get_bucket_policy_status()
        .bucket(bucket)
        .send()
        .await;
    match Asked::of(status, Some("NoSuchBucketPolicy")).or_check(NAME, "s3:GetBucketPolicyStatus") {
        Ok(Some(answer)) => match answer.policy_status.and_then(|status| status.is_public) {
            Some(true) => Setting::Open("its policy lets everybody read it"),
            Some(false) => Setting::Private,
            None => Setting::Unsupported,
        },
        Ok(None) => Setting::Private,
        Err(check) => check.into(),
    }
}

async fn acl(client: &Client, bucket: &str) -> Setting {
    let acl = client.get_bucket_acl().bucket(bucket).send().await;
    // Every bucket has an access control list, so there is no code for its absence.
    match Asked::of(acl, None).or_check(NAME, "s3:GetBucketAcl") {
        Ok(Some(answer)) if answer.grants().iter().any(is_to_everybody) => {
            Setting::Open("its access control list lets everybody read it")
        }
        Ok(_) => Setting::Private,
        Err(check) => check.into(),
    }
}

/// True for grants to everybody, and to everybody who has an AWS account.
fn is_to_everybody(grant: &Grant) -> bool {
    grant
        .grantee()
        .and_then(|grantee| grantee.uri())
        .is_some_and(|group| group.ends_with("/AllUsers") || group.ends_with("/AuthenticatedUsers"))
}

fn is_complete(block: &PublicAccessBlockConfiguration) -> bool {
    [
        block.block_public_acls(),
        block.ignore_public_acls(),
        block.block_public_policy(),
        block.restrict_public_buckets(),
    ]
    .iter()
    .all(|switch| *switch == Some(true))
}

fn judge(policy: Setting, acl: Setting) -> Check {
    match (policy, acl) {
        (Setting::Open(how), _) | (_, Setting::Open(how)) => {
            Check::failed(NAME, format!("the bucket is public: {how}"), REMEDY)
        }
        (Setting::Unseen(check), _) | (_, Setting::Unseen(check)) => check,
        (Setting::Unsupported, Setting::Unsupported) => Check::skipped(
            NAME,
            "this server does not support such settings; see \"strangers\"",
        ),
        (Setting::Private | Setting::Unsupported, Setting::Private | Setting::Unsupported) => {
            Check::warning(
                NAME,
                "the bucket is private, but nothing prevents it from being made public",
                REMEDY,
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_is_told_apart_from_unknown() {
        use Setting::{Open, Private, Unseen, Unsupported};
        let denied = Unseen(Check::warning(
            NAME,
            "these credentials may not look",
            "Allow",
        ));
        for (policy, acl, outcome) in [
            (Private, Private, Outcome::Warning),
            (Private, Unsupported, Outcome::Warning),
            (Unsupported, Unsupported, Outcome::Skipped),
            (Open("so"), Unsupported, Outcome::Failed),
            (Unsupported, Open("so"), Outcome::Failed),
            (denied.clone(), Open("so"), Outcome::Failed),
            (Private, denied, Outcome::Warning),
        ] {
            let check = judge(policy.clone(), acl.clone());
            assert_eq!(check.outcome, outcome, "{policy:?} {acl:?}: {check:?}");
        }
    }
}
