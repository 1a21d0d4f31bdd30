//! One list of promises that every kind of storage keeps.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use cattocdn::domain::ban::Ban;
use cattocdn::domain::expiry::ExpiresAt;
use cattocdn::domain::month::Month;
use cattocdn::domain::picture::PictureId;
use cattocdn::domain::variant::{self, FileName};
use cattocdn::storage::{DiskStorage, Folder, ObjectStorage, StorageError, StorageKey};

/// Runs every promise against a fresh storage of each kind.
macro_rules! for_every_storage {
    ($($promise:ident),* $(,)?) => {
        mod disk {
            $(#[tokio::test]
            async fn $promise() {
                let folder = tempfile::tempdir().expect("a folder");
                super::$promise(super::disk(folder.path())).await;
            })*
        }

        mod s3s_fs {
            $(#[tokio::test]
            async fn $promise() {
                let bucket = tools::stand_ins::aws::Bucket::on_s3s_fs().await;
                super::$promise(std::sync::Arc::new(bucket.storage().await)).await;
            })*
        }

        mod moto {
            $(#[tokio::test]
            async fn $promise() {
                let bucket = tools::stand_ins::aws::Bucket::on_moto().await;
                super::$promise(std::sync::Arc::new(bucket.storage().await)).await;
            })*
        }
    };
}

for_every_storage!(
    what_is_put_is_got_back_whole,
    a_second_put_replaces_the_first,
    a_range_is_cut_out_of_the_object,
    an_absent_object_is_not_found_and_deleting_it_is_done,
    deleting_takes_the_named_objects_and_no_others,
    a_list_names_what_lies_in_its_folder_and_nothing_deeper,
    objects_survive_the_removal_of_unfinished_ones,
    many_at_once_do_not_disturb_each_other,
    a_creation_takes_a_free_key_and_leaves_a_taken_one_alone,
    more_objects_than_one_answer_holds_are_listed_and_deleted,
);

/// The S3 servers of the tests look first and then write, so only the disk can show this. Amazon's
/// does both in one step.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_creators_one_wins_and_its_bytes_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let storage = disk(folder.path());
    let key = manifest(&PictureId::random());
    let creators: Vec<_> = (0..32_u32)
        .map(|number| {
            let (storage, key) = (storage.clone(), key.clone());
            tokio::spawn(async move {
                let bytes = Bytes::from(number.to_string());
                let won = storage.create(&key, bytes.clone()).await.expect("answers");
                won.then_some(bytes)
            })
        })
        .collect();
    let mut winners = Vec::new();
    for creator in creators {
        winners.extend(creator.await.expect("ends well"));
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(storage.get(&key, None).await.expect("gets"), winners[0]);
}

fn disk(folder: &Path) -> Arc<dyn ObjectStorage> {
    Arc::new(DiskStorage::open(&folder.join("objects")).expect("opens"))
}

/// When every picture here ends.
fn expires_at() -> ExpiresAt {
    ExpiresAt::from_second(1_800_000_000)
}

fn image(id: &PictureId, name: &str) -> StorageKey {
    StorageKey::Image {
        expires_at: expires_at(),
        id: id.clone(),
        name: FileName::parse(name).expect("a name"),
    }
}

/// Every file that a picture may have, one that only another version of the program knows among
/// them.
fn images(id: &PictureId) -> Vec<StorageKey> {
    let names = variant::known().map(|name| name.to_string());
    let names = names.chain(["99999.avif".to_owned()]);
    names.map(|name| image(id, &name)).collect()
}

fn manifest(id: &PictureId) -> StorageKey {
    StorageKey::Manifest { id: id.clone() }
}

async fn what_is_put_is_got_back_whole(storage: Arc<dyn ObjectStorage>) {
    let id = PictureId::random();
    let large: Bytes = (0..3_000_000_u32)
        .map(|number| number.to_le_bytes()[0])
        .collect();
    let objects = vec![
        (image(&id, "320.webp"), Bytes::from_static(b"a")),
        (image(&id, "2048.webp"), large),
        (manifest(&id), Bytes::from_static(b"{}")),
        (
            StorageKey::Ban { ban: Ban::of(7) },
            Bytes::from_static(b"{}"),
        ),
    ];
    storage.put(objects.clone()).await.expect("puts");
    for (key, bytes) in objects {
        assert_eq!(
            storage.get(&key, None).await.expect("gets"),
            bytes,
            "{key:?}"
        );
    }
}

async fn a_second_put_replaces_the_first(storage: Arc<dyn ObjectStorage>) {
    let key = manifest(&PictureId::random());
    for text in ["the first, a longer one", "second"] {
        storage
            .put(vec![(key.clone(), Bytes::from_static(text.as_bytes()))])
            .await
            .expect("puts");
        assert_eq!(storage.get(&key, None).await.expect("gets"), text);
    }
}

async fn a_range_is_cut_out_of_the_object(storage: Arc<dyn ObjectStorage>) {
    let key = image(&PictureId::random(), "1280.jpg");
    storage
        .put(vec![(key.clone(), Bytes::from_static(b"0123456789"))])
        .await
        .expect("puts");
    for (range, expected) in [
        (0..=0, "0"),
        (3..=6, "3456"),
        (0..=9, "0123456789"),
        (9..=9, "9"),
    ] {
        assert_eq!(
            storage.get(&key, Some(range)).await.expect("gets"),
            expected
        );
    }
}

async fn an_absent_object_is_not_found_and_deleting_it_is_done(storage: Arc<dyn ObjectStorage>) {
    let id = PictureId::random();
    for range in [None, Some(0..=3)] {
        let got = storage.get(&manifest(&id), range).await;
        assert!(matches!(got, Err(StorageError::NotFound)), "{got:?}");
    }
    storage
        .delete(&[manifest(&id), image(&id, "512.webp")])
        .await
        .expect("deletes");
    storage.delete(&[]).await.expect("deletes nothing");
}

async fn deleting_takes_the_named_objects_and_no_others(storage: Arc<dyn ObjectStorage>) {
    let (dead, alive) = (PictureId::random(), PictureId::random());
    let keys_of = |id: &PictureId| {
        let mut keys = vec![manifest(id)];
        keys.extend(images(id));
        keys
    };
    let objects = [keys_of(&dead), keys_of(&alive)]
        .concat()
        .into_iter()
        .map(|key| (key, Bytes::from_static(b"x")))
        .collect();
    storage.put(objects).await.expect("puts");
    storage.delete(&keys_of(&dead)).await.expect("deletes");
    for key in keys_of(&dead) {
        let got = storage.get(&key, None).await;
        assert!(matches!(got, Err(StorageError::NotFound)), "{key:?}");
    }
    for key in keys_of(&alive) {
        assert_eq!(storage.get(&key, None).await.expect("gets"), "x", "{key:?}");
    }
}

async fn a_list_names_what_lies_in_its_folder_and_nothing_deeper(storage: Arc<dyn ObjectStorage>) {
    let id = PictureId::random();
    for folder in [
        Folder::Images,
        Folder::Picture {
            expires_at: expires_at(),
            id: id.clone(),
        },
        Folder::Manifests,
        Folder::Bans,
        Folder::Ledgers,
    ] {
        let found = storage.list(folder.clone()).await;
        assert_eq!(found.expect("lists"), [], "{folder:?}");
    }
    let ban = StorageKey::Ban { ban: Ban::of(7) };
    let month = Month::parse("2026-11").expect("a month");
    let ledger = StorageKey::Ledger { month };
    let images = images(&id);
    let mut objects: Vec<_> = images
        .iter()
        .map(|key| (key.clone(), Bytes::from_static(b"x")))
        .collect();
    let manifest = manifest(&id);
    objects.push((manifest.clone(), Bytes::from_static(b"{}")));
    objects.push((ban.clone(), Bytes::from_static(b"{}")));
    objects.push((ledger.clone(), Bytes::from_static(b"{}")));
    storage.put(objects).await.expect("puts");
    let other = image(&PictureId::random(), "512.webp");
    let stored = storage.put(vec![(other.clone(), Bytes::from_static(b"x"))]);
    stored.await.expect("puts");
    let sorted = |mut keys: Vec<StorageKey>| {
        keys.sort_by_key(StorageKey::path);
        keys
    };
    let found = storage.list(Folder::Images).await.expect("lists");
    let expected = [images.clone(), vec![other]].concat();
    assert_eq!(sorted(found), sorted(expected));
    let folder = Folder::Picture {
        expires_at: expires_at(),
        id,
    };
    let found = storage.list(folder).await.expect("lists");
    assert_eq!(sorted(found), sorted(images));
    assert_eq!(
        storage.list(Folder::Manifests).await.expect("lists"),
        [manifest]
    );
    assert_eq!(storage.list(Folder::Bans).await.expect("lists"), [ban]);
    assert_eq!(
        storage.list(Folder::Ledgers).await.expect("lists"),
        [ledger]
    );
}

async fn objects_survive_the_removal_of_unfinished_ones(storage: Arc<dyn ObjectStorage>) {
    let key = manifest(&PictureId::random());
    storage
        .put(vec![(key.clone(), Bytes::from_static(b"{}"))])
        .await
        .expect("puts");
    storage.delete_unfinished().await.expect("cleans");
    storage.check().await.expect("is well");
    assert_eq!(storage.get(&key, None).await.expect("gets"), "{}");
}

async fn many_at_once_do_not_disturb_each_other(storage: Arc<dyn ObjectStorage>) {
    // All are below one folder, so that deleting one races with putting the next into that folder.
    let tasks = (0..16).map(|_| {
        let storage = storage.clone();
        tokio::spawn(async move {
            let id = PictureId::random();
            let key = image(&id, "320.webp");
            for _ in 0..8 {
                let object = (key.clone(), Bytes::from_static(b"x"));
                storage.put(vec![object]).await.expect("puts");
                assert_eq!(storage.get(&key, None).await.expect("gets"), "x");
                storage
                    .delete(std::slice::from_ref(&key))
                    .await
                    .expect("deletes");
            }
        })
    });
    for task in tasks {
        task.await.expect("ends well");
    }
    assert_eq!(storage.list(Folder::Images).await.expect("lists"), []);
}

async fn a_creation_takes_a_free_key_and_leaves_a_taken_one_alone(storage: Arc<dyn ObjectStorage>) {
    let key = manifest(&PictureId::random());
    let create = async |text: &'static str| {
        let bytes = Bytes::from_static(text.as_bytes());
        storage.create(&key, bytes).await.expect("answers")
    };
    assert!(create("first").await);
    assert!(!create("second").await);
    assert!(!create("first").await, "the same bytes take no key either");
    assert_eq!(storage.get(&key, None).await.expect("gets"), "first");
    let put = (key.clone(), Bytes::from_static(b"put"));
    storage.put(vec![put]).await.expect("a put replaces it");
    assert!(!create("third").await);
    assert_eq!(storage.get(&key, None).await.expect("gets"), "put");
    let keys = std::slice::from_ref(&key);
    storage.delete(keys).await.expect("deletes");
    assert!(create("fourth").await);
    assert_eq!(storage.get(&key, None).await.expect("gets"), "fourth");
    assert_eq!(storage.list(Folder::Manifests).await.expect("lists"), keys);
}

async fn more_objects_than_one_answer_holds_are_listed_and_deleted(
    storage: Arc<dyn ObjectStorage>,
) {
    // S3 lists and deletes a thousand at a time.
    let keys: Vec<_> = (0..1005).map(|_| manifest(&PictureId::random())).collect();
    let objects = keys
        .iter()
        .map(|key| (key.clone(), Bytes::from_static(b"{}")))
        .collect();
    storage.put(objects).await.expect("puts");
    let mut expected: Vec<_> = keys.iter().map(StorageKey::path).collect();
    let listed = storage.list(Folder::Manifests).await.expect("lists");
    let mut found: Vec<_> = listed.iter().map(StorageKey::path).collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    storage.delete(&keys).await.expect("deletes");
    assert_eq!(storage.list(Folder::Manifests).await.expect("lists"), []);
}
