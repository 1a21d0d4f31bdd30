//! The record of a build: an object that lists the build's files.

use std::collections::BTreeMap;

use anyhow::Context;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Asset;
use crate::domain::build::{AssetName, Coding};
use crate::domain::expiry::{parse_rfc3339, rfc3339};
use crate::domain::hash::Sha256Hash;
use crate::storage::StorageKey;

/// The version of the format, of which there has been no other. A new field must have a default;
/// any other change needs a new number.
const VERSION: u32 = 1;

/// What is known of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// The files by name.
    files: BTreeMap<String, (AssetName, Asset)>,
    /// When another build replaced this one, in seconds since 1970; `None` while it runs.
    pub(super) replaced_at: Option<i64>,
}

/// The content of `meta/builds/{id}.json`.
#[derive(Serialize, Deserialize)]
struct RecordFile {
    version: u32,
    files: Vec<RecordEntry>,
    replaced_at: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct RecordEntry {
    name: String,
    /// The hash of the uncompressed file, in hexadecimal.
    sha256: String,
    /// The endings of its compressed forms.
    compressed: Vec<String>,
}

impl Record {
    /// The record of a build that runs and has these files.
    pub(super) fn of<'a>(files: impl IntoIterator<Item = (&'a AssetName, &'a Asset)>) -> Self {
        let entry =
            |(name, asset): (&AssetName, &Asset)| (name.to_string(), (name.clone(), asset.clone()));
        Self {
            files: files.into_iter().map(entry).collect(),
            replaced_at: None,
        }
    }

    /// The files of the build.
    pub(super) fn files(&self) -> impl Iterator<Item = (&AssetName, &Asset)> {
        self.files.values().map(|(name, asset)| (name, asset))
    }

    /// The keys of all objects of the build.
    pub(super) fn keys(&self) -> impl Iterator<Item = StorageKey> {
        self.files().flat_map(|(name, asset)| {
            let compressed = asset.codings.iter().copied().map(Some);
            compressed.chain([None]).map(|coding| StorageKey::Asset {
                name: name.clone(),
                coding,
            })
        })
    }

    /// The record as it is stored.
    pub(super) fn write(&self) -> anyhow::Result<Bytes> {
        let entry = |(name, asset): (&AssetName, &Asset)| RecordEntry {
            name: name.to_string(),
            sha256: asset.hash.hex(),
            compressed: asset
                .codings
                .iter()
                .map(|coding| coding.ending().to_owned())
                .collect(),
        };
        let file = RecordFile {
            version: VERSION,
            files: self.files().map(entry).collect(),
            replaced_at: self.replaced_at.map(rfc3339),
        };
        Ok(serde_json::to_vec_pretty(&file)?.into())
    }

    /// Parses what [`Self::write`] wrote.
    pub(super) fn read(bytes: &[u8]) -> anyhow::Result<Self> {
        let file: RecordFile = serde_json::from_slice(bytes)?;
        anyhow::ensure!(
            file.version == VERSION,
            "its version {} is unknown",
            file.version
        );
        let mut files = BTreeMap::new();
        for entry in file.files {
            let name = AssetName::parse(&entry.name).context("a name is none")?;
            let hash = Sha256Hash::parse_hex(&entry.sha256).context("a hash is none")?;
            let mut codings = Vec::new();
            for ending in &entry.compressed {
                let coding = Coding::ALL
                    .into_iter()
                    .find(|coding| coding.ending() == ending)
                    .context("a coding is unknown")?;
                codings.push(coding);
            }
            files.insert(entry.name, (name, Asset { hash, codings }));
        }
        let replaced_at = file
            .replaced_at
            .map(|text| parse_rfc3339(&text).context("an instant is none"))
            .transpose()?;
        Ok(Self { files, replaced_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_nonsense_does_not() {
        let name = AssetName::parse("cattocdn.0123.css").expect("a name");
        let asset = Asset {
            hash: Sha256Hash::of(b"body{}"),
            codings: vec![Coding::Brotli, Coding::Gzip],
        };
        let mut record = Record::of([(&name, &asset)]);
        for replaced_at in [None, Some(1_800_000_000)] {
            record.replaced_at = replaced_at;
            let bytes = record.write().expect("is written");
            assert_eq!(Record::read(&bytes).expect("is read"), record);
        }
        let text = String::from_utf8(record.write().expect("is written").to_vec()).expect("text");
        for (from, to) in [
            ("\"version\": 1", "\"version\": 2"),
            ("cattocdn.0123.css", "../../etc/passwd"),
            ("\"br\"", "\"zst\""),
            ("2027-01-15T08:00:00Z", "yesterday"),
            ("{", ""),
        ] {
            assert!(text.contains(from), "{from}");
            assert!(
                Record::read(text.replacen(from, to, 1).as_bytes()).is_err(),
                "{to}"
            );
        }
    }
}
