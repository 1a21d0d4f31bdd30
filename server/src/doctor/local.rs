//! Checks that need no network: the data folder, the models, and the address that visitors are
//! given.

use std::path::Path;

use super::report::Check;
use crate::config::{Config, HttpConfig, OriginConfig, is_here};
use crate::runtime::causes::chain;
use crate::runtime::compute;
use crate::screening::{LocalScreener, Screener};

/// Checks whether files can be created in the data folder, or the folder itself where it does not
/// exist yet.
pub(super) fn data_dir(data_dir: &Path) -> Check {
    let name = "data folder";
    let there = data_dir.is_dir();
    // A folder that does not exist yet will be created within its nearest existing ancestor, so
    // that one is tried.
    let tried = data_dir
        .ancestors()
        .map(|folder| {
            if folder.as_os_str().is_empty() {
                Path::new(".")
            } else {
                folder
            }
        })
        .find(|folder| folder.exists())
        .unwrap_or(Path::new("/"));
    let written = tempfile::Builder::new()
        .prefix(".doctor-probe-")
        .tempfile_in(tried)
        .and_then(|file| {
            file.as_file().sync_all()?;
            file.close()
        });
    match written {
        Ok(()) if there => Check::ok(name, format!("files can be made in {}", data_dir.display())),
        Ok(()) => Check::ok(
            name,
            format!("{} does not exist yet, but can be made", data_dir.display()),
        ),
        Err(error) => Check::failed(
            name,
            format!("no file can be made in {}: {error}", tried.display()),
            "Allow the user that the server runs as to write there, or set CATTO_DATA_DIR to another folder",
        ),
    }
}

/// Checks whether the models exist and are undamaged, by loading them.
pub(super) async fn models(config: &Config) -> Check {
    let name = "models";
    let models_dir = &config.files.models_dir;
    if !config.screening.needs_local_models() {
        let id = config.screening.asked.vendor().id;
        return Check::skipped(name, format!("not used (CATTO_SCREENING is `{id}`)"));
    }
    let screener = LocalScreener::new(models_dir);
    let checked = compute::run(move || screener.check()).await;
    let problem = match checked {
        Ok(Ok(())) => {
            return Check::ok(
                name,
                format!("both can be loaded from {}", models_dir.display()),
            );
        }
        Ok(Err(error)) => chain(&error),
        Err(error) => error.to_string(),
    };
    Check::failed(
        name,
        problem,
        "Run `make models`, or set CATTO_MODELS_DIR to the folder that holds them",
    )
}

/// Checks whether links lead somewhere that visitors can reach.
pub(super) fn public_url(http: &HttpConfig, origin: &OriginConfig) -> Check {
    let name = "public URL";
    let url = http.public_url.as_str().trim_end_matches('/');
    let is_private = is_here(&http.public_url);
    let others_come = !http.listen.ip().is_loopback() || !origin.keys.is_empty();
    let remedy = "Set CATTO_PUBLIC_URL to the address that visitors type";
    if is_private && others_come {
        return Check::failed(
            name,
            format!("{url} leads visitors to their own machine"),
            remedy,
        );
    }
    if !is_private && http.public_url.scheme() == "http" {
        return Check::warning(
            name,
            format!("{url} is not encrypted"),
            "Put a proxy or a CDN with a certificate in front, and set CATTO_PUBLIC_URL to its https address",
        );
    }
    Check::ok(name, url)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::report::Outcome;
    use super::*;
    use crate::config::ClientAddress;

    #[test]
    fn links_must_lead_where_visitors_are() {
        for (url, listen, key, outcome) in [
            ("http://127.0.0.1:3000", "127.0.0.1:3000", None, Outcome::Ok),
            ("http://localhost:3000", "[::1]:3000", None, Outcome::Ok),
            (
                "http://127.0.0.1:3000",
                "0.0.0.0:3000",
                None,
                Outcome::Failed,
            ),
            (
                "http://127.0.0.1:3000",
                "127.0.0.1:3000",
                Some("an-origin-key-of-a-cdn"),
                Outcome::Failed,
            ),
            ("http://cats.example", "0.0.0.0:80", None, Outcome::Warning),
            ("https://cats.example", "0.0.0.0:3000", None, Outcome::Ok),
        ] {
            let http = HttpConfig {
                listen: listen.parse().unwrap(),
                public_url: url.parse().unwrap(),
                abuse_contact: None,
                admin_token: None,
                site_dir: PathBuf::new(),
            };
            let origin = OriginConfig {
                keys: key.into_iter().map(Into::into).collect(),
                client_address: ClientAddress::Socket,
            };
            let check = public_url(&http, &origin);
            assert_eq!(check.outcome, outcome, "{url} {listen}: {check:?}");
        }
    }

    #[test]
    fn a_data_folder_is_tried_and_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(data_dir(dir.path()).outcome, Outcome::Ok);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let coming = dir.path().join("a/b");
        assert_eq!(data_dir(&coming).outcome, Outcome::Ok);
        assert!(!dir.path().join("a").exists());
        let file = dir.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let check = data_dir(&file.join("data"));
        assert_eq!(check.outcome, Outcome::Failed, "{check:?}");
    }
}
