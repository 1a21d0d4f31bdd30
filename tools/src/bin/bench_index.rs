//! Measures the index with very many pictures. Usage: `bench_index FOLDER [PICTURES]`.
//!
//! It makes an index of a million pictures in the folder, or takes the one that is there. Each has
//! ten of 3,000 tags, which is about how many names Rekognition knows, by a Zipf law with exponent
//! 0.9. Then it asks every kind of question while one upload a second is published and 28 pictures
//! a second end, which is 100,000 an hour, and prints how long answers take.

#![expect(clippy::print_stdout, reason = "the table is for the terminal")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use cattocdn::db::{Acceptance, Begun, Db, Foreseen, ListFilter, Publishing};
use cattocdn::domain::expiry::ExpiresAt;
use cattocdn::domain::hash::Sha256Hash;
use cattocdn::domain::picture::{DeleteToken, PictureId, Published, Received, Variant};
use cattocdn::domain::search::{self, SearchQuery};
use cattocdn::domain::tag::Tag;
use cattocdn::domain::variant::FileName;
use cattocdn::domain::verdict::Rules;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

const TAGS: usize = 3000;
const TAGS_OF_A_PICTURE: usize = 10;
const EXPONENT: f64 = 0.9;
/// When the newest picture was published, in seconds since 1970.
const NOW: i64 = 1_800_000_000;
const RETENTION: i64 = 7 * 86_400;
/// How often each question is asked.
const ROUNDS: usize = 200;
/// Pictures that end each second.
const ENDING: i64 = 28;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments
        .next()
        .context("usage: bench_index FOLDER [PICTURES]")?;
    let pictures: i64 = arguments
        .next()
        .map_or(Ok(1_000_000), |count| count.parse())?;
    std::fs::create_dir_all(&folder)?;
    let file = Path::new(&folder).join(format!("index-{pictures}.sqlite"));
    let url = format!("sqlite://{}", file.display());
    let words = Words::new();
    if !file.exists() {
        let begun = Instant::now();
        let made = file.with_extension("made");
        drop(std::fs::remove_file(&made));
        make(&made, pictures, &words).await?;
        println!(
            "{pictures} pictures made in {:.0} s",
            begun.elapsed().as_secs_f64()
        );
        let begun = Instant::now();
        Db::open(&format!("sqlite://{}", made.display()))
            .await?
            .close()
            .await;
        println!(
            "their tags indexed in {:.0} s",
            begun.elapsed().as_secs_f64()
        );
        std::fs::rename(&made, &file)?;
    }
    let size = std::fs::metadata(&file)?.len();
    println!("the index takes {} MB", size / 1_000_000);
    let db = Db::open(&url).await?;
    measure(&db, &words, pictures).await?;
    db.close().await;
    Ok(())
}

/// The tags, each with the sum of the weights up to it.
struct Words {
    names: Vec<String>,
    sums: Vec<f64>,
}

impl Words {
    fn new() -> Self {
        const SYLLABLES: [&str; 12] = [
            "ka", "to", "mi", "ra", "lu", "ne", "so", "pi", "da", "ve", "go", "ti",
        ];
        let word = |mut number: usize| {
            let mut word = String::new();
            for _ in 0..3 {
                word.push_str(SYLLABLES[number % SYLLABLES.len()]);
                number /= SYLLABLES.len();
            }
            word
        };
        let mut sum = 0.0;
        let mut sums = Vec::new();
        for rank in 1..=u32::try_from(TAGS).unwrap_or(u32::MAX) {
            sum += f64::from(rank).powf(-EXPONENT);
            sums.push(sum);
        }
        // Every third tag has two words.
        let name = |number: usize| match number % 3 {
            2 => format!("{} {}", word(number / 3), word(number / 7)),
            _ => word(number),
        };
        Self {
            names: (0..TAGS).map(name).collect(),
            sums,
        }
    }

    fn draw(&self, random: &mut StdRng) -> usize {
        let at = random.random_range(0.0..*self.sums.last().unwrap_or(&1.0));
        self.sums.partition_point(|sum| *sum < at).min(TAGS - 1)
    }

    /// The tags of a picture. Every picture has one of two that never meet.
    fn of_a_picture(&self, random: &mut StdRng, sequence: i64) -> Vec<Tag> {
        let mut chosen = BTreeSet::new();
        while chosen.len() < TAGS_OF_A_PICTURE - 1 {
            chosen.insert(self.draw(random));
        }
        let side = if sequence % 2 == 0 { "even" } else { "odd" };
        let names = chosen.into_iter().map(|number| self.names[number].clone());
        let confidence = 0.93;
        [side.to_owned()]
            .into_iter()
            .chain(names)
            .map(|name| Tag { name, confidence })
            .collect()
    }
}

fn published(id: PictureId, sequence: i64, published_at: i64, tags: Vec<Tag>) -> Published {
    let files = [(192, 6), (320, 14), (512, 32), (768, 62), (2048, 310)];
    let variant = |(width, kilobytes): (u32, u64)| {
        Some(Variant {
            name: FileName::parse(&format!("{width}.webp"))?,
            width,
            height: width * 3 / 4,
            size_bytes: kilobytes * 1000,
            hash: Sha256Hash::of(&sequence.to_le_bytes()),
        })
    };
    let hash = Sha256Hash::of(&sequence.to_le_bytes()).0;
    Published {
        id,
        sequence,
        published_at,
        expires_at: ExpiresAt::from_second(published_at + RETENTION),
        width: 4000,
        height: 3000,
        animated: false,
        alt: String::from("a cat on a sofa"),
        tags,
        thumbhash: hash[..24].to_vec(),
        placeholder: format!("data:image/png;base64,{}", "A".repeat(300)),
        perceptual_hash: u64::from_le_bytes(hash[..8].try_into().unwrap_or_default()),
        stripped: vec![String::from("exif"), String::from("gps")],
        variants: files.into_iter().filter_map(variant).collect(),
        rules: Rules(Sha256Hash::of(b"rules")),
    }
}

/// When the picture with this sequence number was published.
fn time_of(sequence: i64, pictures: i64) -> i64 {
    NOW - 1 - (pictures - sequence) * (RETENTION - 3600) / pictures
}

/// Makes an index as an earlier version would have left it: with all rows, and without postings.
async fn make(file: &Path, pictures: i64, words: &Words) -> anyhow::Result<()> {
    let url = format!("sqlite://{}", file.display());
    Db::open(&url).await?.close().await;
    let mut connection = SqliteConnectOptions::new()
        .filename(file)
        .synchronous(sqlx::sqlite::SqliteSynchronous::Off)
        .pragma("cache_size", "-200000")
        .connect()
        .await?;
    let mut random = StdRng::seed_from_u64(1);
    let mut transaction = connection.begin().await?;
    for sequence in 1..=pictures {
        let tags = words.of_a_picture(&mut random, sequence);
        insert(
            &mut transaction,
            sequence,
            time_of(sequence, pictures),
            tags,
        )
        .await?;
    }
    sqlx::query(
        "INSERT INTO tag_counts (name, pictures)
         SELECT json_extract(tag.value, '$.name') AS name, count(*)
         FROM pictures, json_each(pictures.tags) AS tag WHERE state = 'published' GROUP BY name",
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    connection.close().await?;
    Ok(())
}

async fn insert(
    connection: &mut SqliteConnection,
    sequence: i64,
    at: i64,
    tags: Vec<Tag>,
) -> anyhow::Result<()> {
    let picture = published(PictureId::random(), sequence, at, tags);
    let text = search::index_text(picture.tags.iter().map(|tag| tag.name.as_str()));
    let tags: Vec<_> = picture
        .tags
        .iter()
        .map(|tag| serde_json::json!({"name": tag.name, "confidence": tag.confidence}))
        .collect();
    let variants: Vec<_> = picture
        .variants
        .iter()
        .map(|file| {
            serde_json::json!({"name": file.name.to_string(), "width": file.width,
                "height": file.height, "size_bytes": file.size_bytes, "hash": file.hash.hex()})
        })
        .collect();
    let stored = i64::try_from(picture.stored_bytes())?;
    sqlx::query(
        "INSERT INTO pictures (id, state, received_at, delete_token_hash, content_hash, size_bytes, looked, sequence,
             published_at, expires_at, width, height, animated, alt, tags, tags_text, thumbhash, placeholder,
             perceptual_hash, stripped, variants, stored_bytes, rules)
         VALUES (?, 'published', ?, ?, ?, 3000000, 1, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, '[\"exif\"]', ?, ?, ?)",
    )
    .bind(picture.id.as_str())
    .bind(at)
    .bind(Sha256Hash::of(picture.id.as_str().as_bytes()).0.to_vec())
    .bind(Sha256Hash::of(&sequence.to_le_bytes()).0.to_vec())
    .bind(sequence)
    .bind(at)
    .bind(picture.expires_at.second())
    .bind(picture.width)
    .bind(picture.height)
    .bind(picture.alt)
    .bind(serde_json::Value::from(tags).to_string())
    .bind(text)
    .bind(picture.thumbhash)
    .bind(picture.placeholder)
    .bind(picture.perceptual_hash.cast_signed())
    .bind(serde_json::Value::from(variants).to_string())
    .bind(stored)
    .bind(picture.rules.0.0.to_vec())
    .execute(connection)
    .await?;
    Ok(())
}

/// Publishes a picture as the server does, and returns how long the index took.
async fn publish(db: &Db, tags: Vec<Tag>, now: i64) -> anyhow::Result<Duration> {
    let received = Received {
        id: PictureId::random(),
        delete_token_hash: DeleteToken::random().hash(),
        content_hash: Sha256Hash::of(DeleteToken::random().expose().as_bytes()),
        size_bytes: 3_000_000,
        received_at: now,
        leased_until: 0,
        attempts: 0,
    };
    let foreseen = Foreseen {
        work: Duration::from_secs(1),
        stored_bytes: 1_000_000,
    };
    let begun = Instant::now();
    let accepted = db.accept(
        &received,
        None,
        foreseen,
        now - 86_400,
        |_| Ok::<(), ()>(()),
    );
    ensure!(accepted.await? == Acceptance::Done, "it was not accepted");
    let claimed = db.claim(&received.id, now, now + 600, now - 600).await?;
    let received = claimed.context("it was not free")?.received;
    let expires_at = ExpiresAt::from_second(now + RETENTION);
    let begin = db.begin_publishing(&received, expires_at, 1_000_000, u64::MAX, now - 600);
    let Begun::Ready { sequence } = begin.await? else {
        anyhow::bail!("it was not ready");
    };
    let picture = published(received.id.clone(), sequence, now, tags);
    let done = db.publish(&picture, &received).await?;
    ensure!(done == Publishing::Done, "it was not published");
    Ok(begun.elapsed())
}

/// Words a question, each time another one.
type Wording<'a, Q> = Box<dyn Fn(&mut StdRng) -> Q + 'a>;

async fn measure(db: &Db, words: &Words, pictures: i64) -> anyhow::Result<()> {
    let mut random = StdRng::seed_from_u64(2);
    let (stop, mut stopped) = tokio::sync::watch::channel(());
    let writer = {
        let (db, words) = (db.clone(), Words::new());
        tokio::spawn(async move {
            let mut random = StdRng::seed_from_u64(3);
            let mut times = Vec::new();
            let mut second = tokio::time::interval(Duration::from_secs(1));
            for step in 0.. {
                tokio::select! {
                    _ = second.tick() => {}
                    _ = stopped.changed() => break,
                }
                let tags = words.of_a_picture(&mut random, step);
                times.push(publish(&db, tags, NOW).await?);
                // The oldest pictures end, however long they might have lived.
                let ended = db
                    .list_ended(NOW + RETENTION, NOW - 600, u32::try_from(ENDING)?)
                    .await?;
                let ids: Vec<_> = ended.into_iter().map(|ended| ended.id).collect();
                db.leave_tombstones(&ids).await?;
            }
            anyhow::Ok(times)
        })
    };
    println!(
        "\n{:<44} {:>9} {:>9} {:>9}",
        "question", "p50 ms", "p99 ms", "found"
    );
    let limit = 41;
    let searches: [(&str, Wording<'_, String>); 9] = [
        (
            "search: one word",
            Box::new(|random| words.names[words.draw(random)].clone()),
        ),
        (
            "search: the most frequent word",
            Box::new(|_| words.names[0].clone()),
        ),
        (
            "search: two frequent words that never meet",
            Box::new(|_| String::from("even odd")),
        ),
        (
            "search: a rare word and a frequent one",
            Box::new(|random| {
                format!(
                    "{} {}",
                    words.names[TAGS - 1 - random.random_range(0..300)],
                    words.names[0]
                )
            }),
        ),
        (
            "search: a phrase",
            Box::new(|random| {
                format!(
                    "\"{}\"",
                    words.names[random.random_range(0..TAGS / 3) * 3 + 2]
                )
            }),
        ),
        (
            "search: exclusions alone",
            Box::new(|random| {
                format!(
                    "-even -{} -{}",
                    words.names[0],
                    words.names[words.draw(random)]
                )
            }),
        ),
        (
            "search: everything excluded",
            Box::new(|_| String::from("-even -odd")),
        ),
        (
            "search: nobody's word",
            Box::new(|random| format!("nobody{}", random.random_range(0..1000))),
        ),
        (
            "search: sixteen words",
            Box::new(|_| {
                format!(
                    "even {}",
                    words
                        .names
                        .iter()
                        .take(15)
                        .map(|name| format!("-\"{name}\""))
                        .collect::<Vec<_>>()
                        .join(" ")
                )
            }),
        ),
    ];
    for (name, query) in searches {
        let mut times = Times::default();
        for _ in 0..ROUNDS {
            let search = SearchQuery::parse(&query(&mut random));
            let filter = ListFilter {
                search,
                limit,
                ..ListFilter::default()
            };
            times
                .add(async || Ok(db.list(&filter, NOW).await?.len()))
                .await?;
        }
        times.print(name);
    }
    let mut lists: Vec<(&str, Wording<'_, ListFilter>)> = vec![
        (
            "list: the newest",
            Box::new(|_| ListFilter {
                limit,
                ..ListFilter::default()
            }),
        ),
        (
            "list: anywhere",
            Box::new(|random| ListFilter {
                limit,
                before: Some(random.random_range(pictures / 2..pictures)),
                ..ListFilter::default()
            }),
        ),
        (
            "list: one tag",
            Box::new(|random| ListFilter {
                limit,
                tag: Some(words.names[words.draw(random)].clone()),
                ..ListFilter::default()
            }),
        ),
    ];
    if pictures > 500_000 {
        lists.push((
            "search: a frequent word, 10,000 pages deep",
            Box::new(|_| ListFilter {
                limit,
                search: SearchQuery::parse("even"),
                before: Some(pictures - 800_000),
                ..ListFilter::default()
            }),
        ));
    }
    for (name, filter) in lists {
        let mut times = Times::default();
        for _ in 0..ROUNDS {
            let filter = filter(&mut random);
            times
                .add(async || Ok(db.list(&filter, NOW).await?.len()))
                .await?;
        }
        times.print(name);
    }
    let (mut tags, mut picked, mut counted) =
        (Times::default(), Times::default(), Times::default());
    for _ in 0..ROUNDS {
        let draw = random.random_range(0..u32::MAX);
        tags.add(async || Ok(db.list_tags(NOW).await?.len()))
            .await?;
        picked
            .add(async || Ok(usize::from(db.pick(NOW, NOW, draw).await?.is_some())))
            .await?;
        counted
            .add(async || Ok(db.count_published(NOW).await? as usize))
            .await?;
    }
    tags.print("all tags with their counts");
    picked.print("a random picture");
    counted.print("how many there are");
    // As many publications as make a percentile.
    tokio::time::sleep(Duration::from_secs(20)).await;
    stop.send_replace(());
    let times = writer.await??;
    Times { times, found: 1 }.print("a publication, all steps");
    Ok(())
}

/// How long answers took.
#[derive(Default)]
struct Times {
    times: Vec<Duration>,
    /// How many things the last answer held.
    found: usize,
}

impl Times {
    async fn add(
        &mut self,
        ask: impl AsyncFnOnce() -> anyhow::Result<usize>,
    ) -> anyhow::Result<()> {
        let begun = Instant::now();
        self.found = ask().await?;
        self.times.push(begun.elapsed());
        Ok(())
    }

    fn print(mut self, name: &str) {
        self.times.sort();
        let at = |percent: usize| {
            let index = (self.times.len() * percent / 100).min(self.times.len().saturating_sub(1));
            self.times
                .get(index)
                .map_or(0.0, |time| time.as_secs_f64() * 1000.0)
        };
        println!(
            "{name:<44} {:>9.2} {:>9.2} {:>9}",
            at(50),
            at(99),
            self.found
        );
    }
}
