//! The storage of published objects. Keys are built from parsed ids only, so no text that a client
//! sends becomes a path. Nothing here knows the index, HTTP statuses or the screening.

mod disk;
mod s3;

use std::ops::RangeInclusive;

use async_trait::async_trait;
use bytes::Bytes;

pub use self::disk::DiskStorage;
pub use self::s3::S3Storage;
use crate::domain::address::{self, file_path, folder_path};
use crate::domain::ban::Ban;
use crate::domain::build::{AssetName, BuildId, Coding};
use crate::domain::expiry::ExpiresAt;
use crate::domain::month::Month;
use crate::domain::picture::PictureId;
use crate::domain::variant::FileName;

/// The key of an object. This is the whole key scheme.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StorageKey {
    /// One published file: `i/{expires}/{id}/{name}`, which is also the path of its URL.
    Image {
        expires_at: ExpiresAt,
        id: PictureId,
        name: FileName,
    },
    /// A picture's manifest, which holds what is needed to rebuild its index row: `meta/{id}.json`.
    Manifest { id: PictureId },
    /// The ban of a picture: `meta/bans/{perceptual hash, 16 hexadecimal digits}.json`.
    Ban { ban: Ban },
    /// A file of a build of the site: `pkg/{name}`, and with the ending `.br` or `.gz` its
    /// compressed form.
    Asset {
        name: AssetName,
        coding: Option<Coding>,
    },
    /// Which files a build has, and when another one replaced it: `meta/builds/{id}.json`.
    Build { id: BuildId },
    /// The most that may have been spent in a month: `meta/ledger/2026-11.json`.
    Ledger { month: Month },
}

/// A group of keys that can be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Folder {
    /// The files of all pictures.
    Images,
    /// The files of one picture.
    Picture {
        expires_at: ExpiresAt,
        id: PictureId,
    },
    Manifests,
    Bans,
    Assets,
    Builds,
    Ledgers,
}

impl Folder {
    /// The prefix of its keys.
    #[must_use]
    pub fn prefix(&self) -> String {
        match self {
            Self::Images => "i/".into(),
            Self::Picture { expires_at, id } => folder_path(*expires_at, id),
            Self::Manifests => "meta/".into(),
            Self::Bans => "meta/bans/".into(),
            Self::Assets => "pkg/".into(),
            Self::Builds => "meta/builds/".into(),
            Self::Ledgers => "meta/ledger/".into(),
        }
    }

    /// How many path segments follow the prefix in each key. Keys with more or fewer belong to
    /// another folder.
    #[must_use]
    pub const fn depth(&self) -> usize {
        match self {
            Self::Images => 3,
            Self::Picture { .. }
            | Self::Manifests
            | Self::Bans
            | Self::Assets
            | Self::Builds
            | Self::Ledgers => 1,
        }
    }
}

impl StorageKey {
    /// The object's path within the bucket or the folder on disk.
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::Image {
                expires_at,
                id,
                name,
            } => file_path(*expires_at, id, name),
            Self::Manifest { id } => format!("meta/{id}.json"),
            Self::Ban { ban } => format!("meta/bans/{}.json", ban.hex()),
            Self::Asset { name, coding } => format!("pkg/{}", name.stored(*coding)),
            Self::Build { id } => format!("meta/builds/{id}.json"),
            Self::Ledger { month } => format!("meta/ledger/{month}.json"),
        }
    }

    /// Parses what [`Self::path`] wrote. Anything else, such as a foreign file in the bucket, is
    /// `None`.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let names: Vec<&str> = path.split('/').collect();
        match names[..] {
            ["i", ..] => {
                let (expires_at, id, name) = address::parse_file(path)?;
                Some(Self::Image {
                    expires_at,
                    id,
                    name,
                })
            }
            ["meta", name] => Some(Self::Manifest {
                id: PictureId::parse(name.strip_suffix(".json")?)?,
            }),
            ["meta", "bans", name] => Some(Self::Ban {
                ban: Ban::parse_hex(name.strip_suffix(".json")?)?,
            }),
            ["pkg", name] => {
                let (name, coding) = AssetName::parse_stored(name)?;
                Some(Self::Asset { name, coding })
            }
            ["meta", "builds", name] => Some(Self::Build {
                id: BuildId::parse(name.strip_suffix(".json")?)?,
            }),
            ["meta", "ledger", name] => Some(Self::Ledger {
                month: Month::parse(name.strip_suffix(".json")?)?,
            }),
            _ => None,
        }
    }

    /// The media type of the object.
    #[must_use]
    pub const fn content_type(&self) -> &'static str {
        match self {
            Self::Image { name, .. } => match name.known() {
                Some(name) => name.format().content_type(),
                // Only another version of the program stores files of this name.
                None => "application/octet-stream",
            },
            Self::Manifest { .. } | Self::Ban { .. } | Self::Ledger { .. } | Self::Build { .. } => {
                "application/json"
            }
            Self::Asset { name, .. } => name.kind().content_type(),
        }
    }
}

/// The path of a test object, which `doctor` puts and deletes again. It does not parse as a key, so
/// listings leave it out.
pub(crate) fn probe_path(folder: Folder) -> String {
    format!("{}doctor-probe-{}", folder.prefix(), PictureId::random())
}

/// A failure of the storage, as far as callers tell failures apart.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("no such object")]
    NotFound,
    /// Something outside failed: a full disk, a missing permission, the network.
    #[error(transparent)]
    Unavailable(#[from] anyhow::Error),
}

/// A place where objects are stored. An adapter MUST make [`Self::put`] durable and atomic for each
/// object before it returns, MUST list what was put, and MUST treat the deletion of an absent
/// object as a success, so that every step can be repeated.
#[async_trait]
pub trait ObjectStorage: Send + Sync + 'static {
    /// Stores these objects, and replaces those that exist. Each one is complete and durable once
    /// this returns.
    async fn put(&self, objects: Vec<(StorageKey, Bytes)>) -> Result<(), StorageError>;
    /// Stores this object only where its key is free. Returns false where the key is taken, and
    /// then leaves the existing object as it is. Of several callers with different bytes, on one
    /// machine or on many, at most one MUST get true.
    async fn create(&self, key: &StorageKey, bytes: Bytes) -> Result<bool, StorageError>;
    /// Reads the whole object, or the given range of bytes. The range includes both ends and must
    /// lie within the object.
    async fn get(
        &self,
        key: &StorageKey,
        range: Option<RangeInclusive<u64>>,
    ) -> Result<Bytes, StorageError>;
    /// Deletes these objects for good. An absent object is no error.
    async fn delete(&self, keys: &[StorageKey]) -> Result<(), StorageError>;
    /// Lists every key in this folder, in no particular order. Objects whose path is no key are
    /// left out.
    async fn list(&self, folder: Folder) -> Result<Vec<StorageKey>, StorageError>;
    /// Deletes what an earlier run left half-written. It may only be called before anything is put.
    async fn delete_unfinished(&self) -> Result<(), StorageError>;
    /// Succeeds when the storage can be reached.
    async fn check(&self) -> Result<(), StorageError>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::variant;

    #[test]
    fn every_kind_of_key_reads_back() {
        let id = PictureId::random();
        let mut keys = vec![
            StorageKey::Manifest { id: id.clone() },
            StorageKey::Ban {
                ban: Ban::of(0x00ff_1234_5678_9abc),
            },
            StorageKey::Build {
                id: BuildId::of([]),
            },
            StorageKey::Ledger {
                month: Month::parse("2026-11").expect("a month"),
            },
        ];
        for coding in [None, Some(Coding::Brotli), Some(Coding::Gzip)] {
            let name = AssetName::parse("cattocdn.0123.wasm").expect("a name");
            keys.push(StorageKey::Asset { name, coding });
        }
        let unknown = FileName::parse("99999.avif").expect("a name");
        let names = variant::known().map(FileName::Known).chain([unknown]);
        keys.extend(names.map(|name| StorageKey::Image {
            expires_at: ExpiresAt::from_second(1_800_000_000),
            id: id.clone(),
            name,
        }));
        for key in keys {
            assert_eq!(StorageKey::parse(&key.path()), Some(key));
        }
    }

    #[test]
    fn what_doctor_writes_is_no_key() {
        for folder in [Folder::Images, Folder::Manifests] {
            assert_eq!(StorageKey::parse(&probe_path(folder)), None);
        }
    }

    #[test]
    fn what_is_not_ours_is_no_key() {
        for path in [
            "",
            "i",
            "i/20270115T080000Z",
            "i/20270115T080000Z/short/512.webp",
            "i/20270115T080000Z/AAAAAAAAAAAAAAAA/../512.webp",
            "i/20270115T080000Z/AAAAAAAAAAAAAAAA/README.txt",
            "meta/README.txt",
            "meta/bans/nothex.json",
            "meta/ledger/2026-13.json",
            "/meta/AAAAAAAAAAAAAAAA.json",
            "other/AAAAAAAAAAAAAAAA.json",
            "pkg/cattocdn.css",
            "pkg/../cattocdn.0123.css",
            "pkg/below/cattocdn.0123.css",
            "meta/builds/README.json",
        ] {
            assert_eq!(StorageKey::parse(path), None, "{path}");
        }
    }
}
