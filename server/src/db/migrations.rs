//! The migrations: the files of `server/migrations`, which are compiled into the program.
//!
//! SQLx has a macro that does this. But a macro is run by the compiler, so all of SQLx and SQLite
//! would be compiled once more for the compiler's own use.

use std::sync::LazyLock;

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Reads files of `server/migrations` at compile time, each as its name without `.sql` and its
/// text.
macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../migrations/", $name, ".sql")))),*]
    };
}

/// All migrations in their order. A new file must be added here; a test tells if one is missing.
const FILES: &[(&str, &str)] = &files![
    "0001_create_pictures",
    "0002_remember_verdicts",
    "0003_create_ledger",
    "0004_create_purges",
    "0005_end_uploads",
    "0006_remember_reviews",
    "0007_count_traffic",
    "0008_count_failed_reviews",
    "0009_count_looks",
    "0010_share_fairly",
    "0011_ban_copies",
    "0012_share_purges",
    "0013_forget_pictures",
];

/// The migrations, which create the tables and bring those of older versions up to date.
pub(super) static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let migrations = FILES.iter().map(|(name, text)| {
        let (version, description) = split(name);
        let text = text.into_sql_str();
        Migration::new(
            version,
            description.into(),
            MigrationType::Simple,
            text,
            false,
        )
    });
    Migrator::with_migrations(migrations.collect())
});

/// The number and the words of `0001_create_pictures`.
fn split(name: &str) -> (i64, String) {
    let (number, words) = name.split_once('_').expect("a name has a number and words");
    let number = number.parse().expect("a name begins with a number");
    (number, words.replace('_', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_migration_in_the_order_of_the_names() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let mut found: Vec<String> = std::fs::read_dir(folder)
            .expect("the folder is there")
            .map(|entry| {
                entry
                    .expect("readable")
                    .file_name()
                    .into_string()
                    .expect("UTF-8")
            })
            .collect();
        found.sort();
        let listed: Vec<String> = FILES
            .iter()
            .map(|(name, _)| format!("{name}.sql"))
            .collect();
        assert_eq!(found, listed);
        let versions: Vec<i64> = MIGRATIONS.iter().map(|step| step.version).collect();
        assert_eq!(versions, (1..=listed.len() as i64).collect::<Vec<_>>());
    }

    /// Indexes of earlier versions hold these hashes, and are refused if they differ.
    #[test]
    fn a_migration_is_known_by_the_sha_384_of_its_file() {
        let first = MIGRATIONS.iter().next().expect("there is one");
        assert_eq!(first.description, "create pictures");
        let hash: String = first
            .checksum
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            hash,
            "8cccf90b3f4543e7c46d1b0bae28b23b5a96a535c941aaad\
             825146d851ef9bd0d862beb704a0096509f0e42d9e518cb4"
        );
    }
}
