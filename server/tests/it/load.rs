//! The real program while more arrives than it can work on at once: it stays within its memory, and
//! reading goes on.

#![expect(
    clippy::print_stdout,
    reason = "figures for whoever runs the test by hand"
)]

use std::sync::atomic::{AtomicBool, Ordering};

use imaging::Raster;
use serde_json::Value;

use crate::made::{jpeg, painted, pixel, read_back};
use crate::support::fixture;
use crate::support::process::Launch;

/// The memory that the machine has left for it, in megabytes. The models take half of it at rest.
const MOST_MEGABYTES: u64 = 240;
/// The most images that are read meanwhile, so that the test does more than reading.
const ENOUGH: u32 = 2000;
/// The number of uploads at once.
const UPLOADERS: u8 = 8;

/// The cat as a photograph of twelve megapixels, which takes half of the memory that all pictures
/// share.
fn photograph() -> Vec<u8> {
    let cat: &Raster = &read_back(&fixture("cat.webp"))[0];
    let scaled = |at: u32, side: u32, whole: u32| at * side / whole;
    jpeg(&painted(4000, 3000, |x, y| {
        pixel(cat, scaled(x, cat.width, 4000), scaled(y, cat.height, 3000))
    }))
}

/// The most memory that a process ever had, in megabytes.
fn most_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it lives");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    kilobytes
        .and_then(|number| number.parse::<u64>().ok())
        .expect("a number")
        / 1000
}

#[test]
fn eight_photographs_at_once_are_published_within_the_memory_that_there_is_while_others_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = Launch::within(dir.path()).serve();
    let client = server.client();
    let first: Value = client
        .upload("", &fixture("cat.webp"))
        .expect("is answered")
        .json();
    let image = first["images"]["320.webp"].as_str().expect("a URL");
    let photograph = photograph();
    let over = AtomicBool::new(false);
    let read = std::thread::scope(|threads| {
        let reader = threads.spawn(|| {
            let mut read = 0_u32;
            while !over.load(Ordering::SeqCst) && read < ENOUGH {
                assert_eq!(client.get(image).expect("is answered").status, 200);
                read += 1;
            }
            read
        });
        let uploads: Vec<_> = (0..UPLOADERS)
            .map(|number| {
                let (client, mut bytes) = (server.client(), photograph.clone());
                // Each is a file of its own, so that no verdict on one spares work on another.
                bytes.push(number);
                threads.spawn(move || {
                    let upload = client.upload("?wait=25", &bytes).expect("is answered");
                    let json: Value = upload.json();
                    assert!(matches!(upload.status, 201 | 202), "{json}");
                    let id = json["id"].as_str().expect("an id").to_owned();
                    let path = format!("/api/v1/pictures/{id}");
                    loop {
                        let reply = client.get(&path).expect("is answered");
                        assert_eq!(reply.status, 200, "{}", reply.code());
                        if reply.json()["state"] == "published" {
                            return;
                        }
                    }
                })
            })
            .collect();
        for upload in uploads {
            upload.join().expect("is published");
        }
        over.store(true, Ordering::SeqCst);
        reader.join().expect("every answer was 200")
    });
    let most = most_memory(server.process_id());
    println!("at most {most} MB, {read} images read meanwhile");
    assert!(most <= MOST_MEGABYTES, "{most} MB");
    assert!(read > 20, "only {read} images were read meanwhile");
}
