//! Where the files of a picture lie: `i/{expires}/{id}/{name}`. The same path follows the URL of
//! the site and the bucket or folder of objects. Nothing else builds such a path or takes one
//! apart.

use super::expiry::ExpiresAt;
use super::picture::PictureId;
use super::variant::FileName;

/// The path of the folder, which ends with a slash.
#[must_use]
pub(crate) fn folder_path(expires_at: ExpiresAt, id: &PictureId) -> String {
    format!("i/{}/{id}/", expires_at.compact())
}

/// The path of one file.
#[must_use]
pub(crate) fn file_path(expires_at: ExpiresAt, id: &PictureId, name: &FileName) -> String {
    format!("{}{name}", folder_path(expires_at, id))
}

/// Reads what [`folder_path`] wrote; `None` for anything else.
#[must_use]
pub(crate) fn parse_folder(path: &str) -> Option<(ExpiresAt, PictureId)> {
    let (expires_at, id) = path
        .strip_prefix("i/")?
        .strip_suffix('/')?
        .split_once('/')?;
    Some((ExpiresAt::parse_compact(expires_at)?, PictureId::parse(id)?))
}

/// Reads what [`file_path`] wrote; `None` for anything else.
#[must_use]
pub(crate) fn parse_file(path: &str) -> Option<(ExpiresAt, PictureId, FileName)> {
    let slash = path.rfind('/')?;
    let (folder, name) = path.split_at(slash + 1);
    let (expires_at, id) = parse_folder(folder)?;
    Some((expires_at, id, FileName::parse(name)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_back_and_nothing_else_is_read() {
        let id = PictureId::parse("7Hq2vKxW9sNfRb3T").expect("an id");
        let expires_at = ExpiresAt::from_second(1_795_000_000);
        let folder = folder_path(expires_at, &id);
        assert_eq!(folder, "i/20261118T110640Z/7Hq2vKxW9sNfRb3T/");
        assert_eq!(parse_folder(&folder), Some((expires_at, id.clone())));
        for name in ["512.webp", "1280.jpg", "960.avif"] {
            let name = FileName::parse(name).expect("a name");
            let path = file_path(expires_at, &id, &name);
            assert_eq!(path, format!("{folder}{name}"));
            assert_eq!(parse_file(&path), Some((expires_at, id.clone(), name)));
        }
        for path in [
            "",
            "/",
            "i/",
            "i/20261118T110640Z/7Hq2vKxW9sNfRb3T",
            "i/20261118T110640Z/7Hq2vKxW9sNfRb3T/",
            "/i/20261118T110640Z/7Hq2vKxW9sNfRb3T/512.webp",
            "i/20261118T110640Z/../512.webp",
            "i/20261118T110640Z/7Hq2vKxW9sNfRb3T/../512.webp",
            "i/20261118T110640Z/7Hq2vKxW9sNfRb3T/..",
            "i/20261118T110640Z/7Hq2vKxW9sNfRb3T/512.webp/",
            "i/20261318T110640Z/7Hq2vKxW9sNfRb3T/512.webp",
        ] {
            assert_eq!(parse_file(path), None, "{path}");
        }
    }
}
