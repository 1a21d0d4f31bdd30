//! The index can be lost, because the objects hold everything that is needed.

use std::path::Path;
use std::process::Output;

use axum::http::StatusCode;
use serde_json::Value;
use sqlx::{Connection, Row};

use crate::support::process::Launch;
use crate::support::{ADMIN_TOKEN, Setup, files_of_a_still, fixture, index_of};

/// Every row of a table as text, in the order of its first column.
async fn dump(data_dir: &Path, table: &'static str) -> Vec<String> {
    let mut connection = index_of(data_dir).await;
    let columns: Vec<String> =
        sqlx::query_scalar("SELECT name FROM pragma_table_info(?) ORDER BY cid")
            .bind(table)
            .fetch_all(&mut connection)
            .await
            .expect("has columns");
    // How often work began and when an admin banned are not part of what is shown.
    let quoted: Vec<String> = columns
        .iter()
        .filter(|column| !["attempts", "banned_at"].contains(&column.as_str()))
        .map(|column| format!("quote({column})"))
        .collect();
    let query = format!("SELECT {} FROM {table} ORDER BY 1", quoted.join("||' '||"));
    let rows = sqlx::query(sqlx::AssertSqlSafe(query))
        .fetch_all(&mut connection)
        .await
        .expect("can be read");
    rows.iter().map(|row| row.get(0)).collect()
}

fn delete_index(data_dir: &Path) {
    for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
        match std::fs::remove_file(data_dir.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_index_is_rebuilt_exactly_with_delete_tokens_and_bans() {
    let dir = tempfile::tempdir().expect("a folder");
    let site = Setup::within(dir.path()).start().await;
    let mut pictures = Vec::new();
    for name in [
        "cat.webp",
        "chelsea.png",
        "cat-animated.gif",
        "cat-sideways.jpg",
    ] {
        let answer = site.upload(fixture(name)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{name}");
        pictures.push(answer.json());
    }
    let banned = site.upload(fixture("coffee.png")).await.json();
    let path = format!("/api/v1/pictures/{}?ban=true", text(&banned, "id"));
    site.delete(&path, ADMIN_TOKEN).await;
    let data_dir = site.data_dir.clone();
    let list = site.get("/api/v1/pictures").await.json();
    site.stop().await;
    let tombstone = format!("'{}'", text(&banned, "id"));
    let mut rows = dump(&data_dir, "pictures").await;
    rows.retain(|row| !row.starts_with(&tombstone));
    let bans = dump(&data_dir, "bans").await;
    assert_eq!((rows.len(), bans.len()), (4, 1));
    delete_index(&data_dir);

    // A new index beside objects means that the old one was lost, so the start restores it.
    let site = Setup::within(dir.path()).start_without_jobs().await;
    assert_eq!(site.get("/api/v1/pictures").await.json(), list);
    let rebuilt = site.rebuild().await;
    assert_eq!(
        (
            rebuilt.restored,
            rebuilt.known,
            rebuilt.bans,
            rebuilt.lost,
            rebuilt.orphans
        ),
        (0, 4, 1, 0, 0)
    );
    assert_eq!(rebuilt.unreadable, Vec::<String>::new());
    assert_eq!(site.get("/api/v1/pictures").await.json(), list);
    site.stop().await;
    assert_eq!(dump(&data_dir, "pictures").await, rows);
    assert_eq!(dump(&data_dir, "bans").await, bans);

    let site = Setup::within(dir.path()).start().await;
    site.upload(fixture("coffee.png"))
        .await
        .assert_error(422, "banned");
    // What the index has forgotten is not found, but the paths of its images still tell that they
    // are over.
    let page = site.get(&format!("/c/{}", text(&banned, "id"))).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    for picture in &pictures {
        let path = format!("/api/v1/pictures/{}", text(picture, "id"));
        let deleted = site.delete(&path, text(picture, "delete_token")).await;
        assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_ban_covers_does_not_come_back_with_a_lost_index() {
    let dir = tempfile::tempdir().expect("a folder");
    let site = Setup::within(dir.path()).start().await;
    let picture = site.publish().await;
    let data_dir = site.data_dir.clone();
    site.stop().await;
    // The state that a server leaves when it dies between writing the ban's object and its row.
    let manifest = data_dir.join(format!("objects/meta/{}.json", text(&picture, "id")));
    let manifest = std::fs::read(manifest).expect("there is one");
    let manifest: Value = serde_json::from_slice(&manifest).expect("is JSON");
    let ban = data_dir.join("objects/meta/bans");
    std::fs::create_dir_all(&ban).expect("is made");
    let ban = ban.join(format!("{}.json", text(&manifest, "perceptual_hash")));
    std::fs::write(ban, "{}").expect("is written");
    delete_index(&data_dir);

    let site = Setup::within(dir.path()).start_without_jobs().await;
    let listed = site.get("/api/v1/pictures").await.json();
    assert_eq!(listed["pictures"].as_array().map(Vec::len), Some(0));
    let pictures = site.stored_files();
    let left = pictures.iter().filter(|file| !file.contains("/bans/"));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<&String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn rebuilding_twice_changes_nothing_and_mends_what_disagrees() {
    let dir = tempfile::tempdir().expect("a folder");
    let site = Setup::within(dir.path()).start().await;
    let (kept, lost) = (site.publish().await, site.publish().await);
    let data_dir = site.data_dir.clone();
    site.stop().await;
    std::fs::remove_file(data_dir.join(format!("objects/meta/{}.json", text(&lost, "id"))))
        .expect("is deleted");
    std::fs::write(data_dir.join("objects/meta/AAAAAAAAAAAAAAAA.json"), "{").expect("is written");
    let site = Setup::within(dir.path()).start_without_jobs().await;
    let rebuilt = site.rebuild().await;
    assert_eq!((rebuilt.known, rebuilt.restored), (1, 0));
    let orphans = files_of_a_still().len() as u64;
    assert_eq!((rebuilt.lost, rebuilt.orphans), (1, orphans));
    assert_eq!(rebuilt.unreadable.len(), 1, "{rebuilt:?}");
    let again = site.rebuild().await;
    assert_eq!((again.known, again.lost, again.orphans), (1, 0, 0));
    let image = kept["images"]["512.webp"].as_str().expect("a URL");
    assert_eq!(site.get(image).await.status, StatusCode::OK);
    let image = lost["images"]["512.webp"].as_str().expect("a URL");
    site.get(image).await.assert_error(410, "gone");
}

#[test]
fn a_damaged_index_stops_the_start_and_reindex_mends_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let launch = Launch::within(dir.path());
    let server = launch.serve();
    let picture = server
        .client()
        .upload("", &fixture("chelsea.png"))
        .expect("is answered")
        .json();
    let busy = launch.run("reindex");
    assert!(!busy.status.success());
    assert!(
        words(&busy).contains("another cattocdn"),
        "{}",
        words(&busy)
    );
    server.terminate();
    assert!(server.wait().0.success());

    let index = launch.data_dir.join("index.sqlite");
    let noise: Vec<u8> = (0..8192_u32).map(|n| ((n * 7919) >> 5) as u8).collect();
    std::fs::write(&index, noise).expect("is written");
    let refused = launch.run("serve");
    assert!(!refused.status.success());
    assert!(
        words(&refused).contains("cattocdn reindex"),
        "{}",
        words(&refused)
    );

    let done = launch.run("reindex");
    assert!(done.status.success(), "{}", words(&done));
    assert!(
        words(&done).contains("Pictures restored: 1"),
        "{}",
        words(&done)
    );
    let server = launch.serve();
    let client = server.client();
    let image = text(&picture["images"], "512.webp");
    assert_eq!(client.get(image).expect("is answered").status, 200);
    let path = format!("/api/v1/pictures/{}", text(&picture, "id"));
    let deleted = client.delete(&path, text(&picture, "delete_token"));
    assert_eq!(deleted.expect("is answered").status, 204);
}

fn words(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn text<'a>(json: &'a Value, field: &str) -> &'a str {
    json[field].as_str().expect("is there")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_was_cut_off_is_made_again_at_the_next_start() {
    let dir = tempfile::tempdir().expect("a folder");
    let site = Setup::within(dir.path()).start().await;
    let pictures = [site.publish().await, site.publish().await];
    let data_dir = site.data_dir.clone();
    site.stop().await;
    let whole = dump(&data_dir, "pictures").await;

    // The state that a kill would leave: rebuilding has begun, and one of the two pictures is
    // restored.
    let mut index = index_of(&data_dir).await;
    sqlx::query("PRAGMA user_version = 1")
        .execute(&mut index)
        .await
        .expect("is noted");
    sqlx::query("DELETE FROM pictures WHERE id = ?")
        .bind(pictures[0]["id"].as_str())
        .execute(&mut index)
        .await
        .expect("is lost");
    index.close().await.expect("closes");

    let site = Setup::within(dir.path()).start().await;
    for picture in &pictures {
        let page = site.get(picture["url"].as_str().expect("a URL")).await;
        assert_eq!(page.status, StatusCode::OK);
    }
    site.stop().await;
    assert_eq!(dump(&data_dir, "pictures").await, whole);
}
