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
    "0014_repeat_uploads",
    "0015_live_shorter",
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

    /// Indexes of earlier versions hold these hashes, and are refused if one differs.
    const HASHES: [&str; 14] = [
        "8cccf90b3f4543e7c46d1b0bae28b23b5a96a535c941aaad\
         825146d851ef9bd0d862beb704a0096509f0e42d9e518cb4",
        "c83f98b92b78cee05903131dc8d7f076b65822546584b346\
         b4d587b6c3ed036d06ea452e7b4224911c0da1de8a61d0d0",
        "bfe88d8601189fd5837fd3a491282d0d370b865f5a78da7b\
         3b3a37c2244b110b7ce170c796750961fb590da621ce3d26",
        "96b9feb4504e52dcf3c211a2aac4f7c1a5734ac74b4f1da4\
         71f3a23f55d7451df6175bdb18dff5597f5114569874a278",
        "483aeabc4c533903c46e66dfdeea8f87bebb12029868e9e2\
         20f301b76d055c6f295fcbbfade9064429485401d2bca5d2",
        "c3c77471947865489c05ffc72204c8731c31971b1d6344b7\
         ac2b7ef297c5d65f48191ac312af771289fad56077e7b848",
        "d43dffa9970c9515e63a446ff1b9f6be820c82bc5020fdbe\
         dd8831c89fff47c1d6759101a763857c4dcdee1e64353c6e",
        "c61c758bd51d9c8fd427d67f7780de974262692abb775b00\
         5d73e88c4271e655331a49143404252d2f43faff4c4b13db",
        "09fac96328dec2611155f3958bed43f7b832276fb245a44a\
         b4ee4b4a1bf390fc7a692d34ce598f7447dec1cb01302e68",
        "73721c460c2c0bab4f42d02518fd664065adc2e7814479d4\
         3e8190cf434cc204bb8787cfa39131c268c74d7c2813a299",
        "8b1961479a39fd6987efc99bec344d9fb2e26f7e86d2c8f1\
         acb1fc0fd2d99afb779db2c057d406af0d2f3a8b59207bc6",
        "465f570474c624489425dea044746ae9d83bf4856e6f46ab\
         afd7014208986edf254a27d0a4ef3c16cfe912adf4c1e8aa",
        "a1e669b79591b3fa5063d62b5b2b619d83fc643a97518fed\
         10cf629bfa250cc4d0990da686a2e20b3411b30b9907d2f2",
        "87fa72bb1715038ef8240cae758d33ba68150db3b68be7d0\
         66d8f09d71d455c4332554cb1bd1d32a57862caea2158b5a",
    ];

    #[test]
    fn a_migration_is_known_by_the_sha_384_of_its_file_which_never_changes() {
        let first = MIGRATIONS.iter().next().expect("there is one");
        assert_eq!(first.description, "create pictures");
        let hex =
            |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
        let found: Vec<String> = MIGRATIONS.iter().map(|step| hex(&step.checksum)).collect();
        assert_eq!(found[..HASHES.len()], HASHES);
    }
}
