//! The inverted index: which published pictures have which term, in the tables `terms` and
//! `postings`, and how many have which tag.
//!
//! Terms are those of `domain::search`. What is kept here changes in the transaction that publishes
//! a picture or ends it, so it never tells of other pictures than `pictures` does. Whoever looks
//! here finds candidates, and then reads their rows.

use std::collections::BTreeMap;

use anyhow::Context;
use sqlx::{Row, Sqlite, SqliteConnection, SqlitePool, Transaction};

use super::chunk::{Chunk, SPAN};
use super::rows::{read_tag_names, to_i64};
use super::{Db, DbError};
use crate::domain::picture::Published;
use crate::domain::search::{self, SearchQuery};

/// A picture as this index sees it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) sequence: i64,
    /// Its tags as one text, as `search::index_text` makes it.
    pub(super) text: String,
    /// The names of its tags.
    pub(super) tags: Vec<String>,
}

impl Entry {
    pub(super) fn of(published: &Published) -> Self {
        let tags: Vec<String> = published.tags.iter().map(|tag| tag.name.clone()).collect();
        Self {
            sequence: published.sequence,
            text: search::index_text(tags.iter().map(String::as_str)),
            tags,
        }
    }

    /// Reads the columns `sequence`, `tags_text` and `tags`. `None` for a picture that was never
    /// published.
    pub(super) fn read(row: &sqlx::sqlite::SqliteRow) -> Result<Option<Self>, DbError> {
        let text: Option<String> = row.try_get("tags_text")?;
        let Some(text) = text else { return Ok(None) };
        Ok(Some(Self {
            sequence: row.try_get("sequence")?,
            text,
            tags: read_tag_names(row.try_get("tags")?)?,
        }))
    }
}

/// What a change does to the entries that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Add,
    Remove,
}

/// Adds pictures that are being published.
pub(super) async fn add(
    transaction: &mut Transaction<'_, Sqlite>,
    entries: &[Entry],
) -> Result<(), DbError> {
    change(transaction, entries, Change::Add).await
}

/// Removes pictures that are published no longer.
pub(super) async fn remove(
    transaction: &mut Transaction<'_, Sqlite>,
    entries: &[Entry],
) -> Result<(), DbError> {
    change(transaction, entries, Change::Remove).await
}

/// Fills the tables where they are empty although there are published pictures, as in an index of
/// an earlier version.
pub(super) async fn fill(pool: &SqlitePool) -> Result<(), DbError> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let bounds: (Option<i64>, Option<i64>) = sqlx::query_as(
        "SELECT min(sequence), max(sequence) FROM pictures
         WHERE state = 'published' AND NOT EXISTS (SELECT 1 FROM terms)",
    )
    .fetch_one(&mut *transaction)
    .await?;
    let (Some(first), Some(last)) = bounds else {
        return Ok(());
    };
    tracing::info!("the tags of all pictures are being indexed");
    for chunk in Chunk::place(first).0..=Chunk::place(last).0 {
        let rows = sqlx::query(
            "SELECT sequence, tags_text, tags FROM pictures
             WHERE state = 'published' AND sequence >= ? AND sequence < ?",
        )
        .bind(chunk * SPAN)
        .bind((chunk + 1) * SPAN)
        .fetch_all(&mut *transaction)
        .await?;
        let entries: Vec<Entry> = rows
            .iter()
            .filter_map(|row| Entry::read(row).transpose())
            .collect::<Result<_, _>>()?;
        // The counts of the tags were made by the migration.
        change_postings(&mut transaction, &entries, Change::Add).await?;
    }
    Ok(transaction.commit().await?)
}

async fn change(
    connection: &mut SqliteConnection,
    entries: &[Entry],
    change: Change,
) -> Result<(), DbError> {
    change_postings(connection, entries, change).await?;
    let mut tags = BTreeMap::<&str, i64>::new();
    for name in entries.iter().flat_map(|entry| &entry.tags) {
        *tags.entry(name).or_default() += 1;
    }
    for (name, pictures) in tags {
        let query = match change {
            Change::Add => sqlx::query(
                "INSERT INTO tag_counts (name, pictures) VALUES (?1, ?2)
                 ON CONFLICT DO UPDATE SET pictures = pictures + ?2",
            ),
            Change::Remove => {
                // A row must not come to nothing, so it is deleted where it would.
                sqlx::query("DELETE FROM tag_counts WHERE name = ?1 AND pictures <= ?2")
                    .bind(name)
                    .bind(pictures)
                    .execute(&mut *connection)
                    .await?;
                sqlx::query("UPDATE tag_counts SET pictures = pictures - ?2 WHERE name = ?1")
            }
        };
        query
            .bind(name)
            .bind(pictures)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn change_postings(
    connection: &mut SqliteConnection,
    entries: &[Entry],
    change: Change,
) -> Result<(), DbError> {
    let mut postings = BTreeMap::<String, BTreeMap<i64, Vec<u16>>>::new();
    for entry in entries {
        let (chunk, place) = Chunk::place(entry.sequence);
        for term in search::index_terms(&entry.text) {
            let chunks = postings.entry(term).or_default();
            chunks.entry(chunk).or_default().push(place);
        }
    }
    for (term, chunks) in postings {
        let found: Option<(i64, i64)> =
            sqlx::query_as("SELECT id, pictures FROM terms WHERE term = ?")
                .bind(&term)
                .fetch_optional(&mut *connection)
                .await?;
        match (change, found) {
            (Change::Add, None) => {
                let pictures = chunks.values().map(Vec::len).sum::<usize>();
                let id = sqlx::query_scalar(
                    "INSERT INTO terms (term, pictures) VALUES (?, ?) RETURNING id",
                )
                .bind(&term)
                .bind(to_i64(pictures as u64))
                .fetch_one(&mut *connection)
                .await?;
                change_chunks(connection, id, chunks, change).await?;
            }
            (Change::Add, Some((id, pictures))) => {
                let added = change_chunks(connection, id, chunks, change).await?;
                count(connection, id, pictures + added).await?;
            }
            (Change::Remove, Some((id, pictures))) => {
                let removed = change_chunks(connection, id, chunks, change).await?;
                count(connection, id, pictures - removed).await?;
            }
            (Change::Remove, None) => {}
        }
    }
    Ok(())
}

/// Changes the chunks of a term, and returns how many pictures got it or lost it.
async fn change_chunks(
    connection: &mut SqliteConnection,
    term: i64,
    chunks: BTreeMap<i64, Vec<u16>>,
    change: Change,
) -> Result<i64, DbError> {
    let mut changed = 0;
    for (number, places) in chunks {
        let mut chunk = read_chunk(connection, term, number).await?;
        for place in places {
            let is_change = match change {
                Change::Add => chunk.insert(place),
                Change::Remove => chunk.remove(place),
            };
            changed += i64::from(is_change);
        }
        write_chunk(connection, term, number, &chunk).await?;
    }
    Ok(changed)
}

/// Notes how many pictures have a term. One that none has is deleted.
async fn count(connection: &mut SqliteConnection, term: i64, pictures: i64) -> Result<(), DbError> {
    let query = if pictures > 0 {
        sqlx::query("UPDATE terms SET pictures = ?2 WHERE id = ?1")
            .bind(term)
            .bind(pictures)
    } else {
        sqlx::query("DELETE FROM terms WHERE id = ?1").bind(term)
    };
    query.execute(connection).await?;
    Ok(())
}

async fn read_chunk(
    connection: &mut SqliteConnection,
    term: i64,
    number: i64,
) -> Result<Chunk, DbError> {
    let members: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT members FROM postings WHERE term = ? AND chunk = ?")
            .bind(term)
            .bind(number)
            .fetch_optional(connection)
            .await?;
    members.map_or_else(|| Ok(Chunk::empty()), |members| parse(&members))
}

async fn write_chunk(
    connection: &mut SqliteConnection,
    term: i64,
    number: i64,
    chunk: &Chunk,
) -> Result<(), DbError> {
    let members = chunk.to_bytes();
    let query = if members.is_empty() {
        sqlx::query("DELETE FROM postings WHERE term = ?1 AND chunk = ?2")
    } else {
        sqlx::query(
            "INSERT INTO postings (term, chunk, members) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET members = ?3",
        )
    };
    let query = query.bind(term).bind(number);
    let query = if members.is_empty() {
        query
    } else {
        query.bind(members)
    };
    query.execute(connection).await?;
    Ok(())
}

fn parse(members: &[u8]) -> Result<Chunk, DbError> {
    Ok(Chunk::from_bytes(members).context("stored postings are no chunk")?)
}

/// How many chunks of the rarest term are read at first; then twice as many each time.
const FIRST_CHUNKS: i64 = 2;
/// How many chunks of the rarest term are read at once at most.
const CHUNKS_AT_ONCE: i64 = 64;

/// A walk over the pictures that have some terms and lack others, in the order of their sequence
/// numbers.
pub(super) struct Walk {
    /// The rarest term that all have; the walk goes from one of its chunks to the next.
    rarest: i64,
    required: Vec<i64>,
    excluded: Vec<i64>,
    /// From the oldest picture to the newest.
    ascending: bool,
    /// The next sequence number that is looked at.
    next: i64,
    chunks: i64,
    is_over: bool,
}

impl Walk {
    /// Begins a walk over what may match the search and the folded tag. `next` is the first
    /// sequence number that it looks at, and `ascending` where it goes from there.
    pub(super) async fn begin(
        pool: &SqlitePool,
        query: &SearchQuery,
        tag: Option<&str>,
        next: i64,
        ascending: bool,
    ) -> Result<Self, DbError> {
        let required = query
            .required
            .iter()
            .flat_map(|phrase| search::phrase_terms(phrase));
        let required = required.chain(tag.map(search::tag_term));
        let mut terms = Vec::new();
        let mut is_over = false;
        for term in required.chain([search::EVERY_PICTURE.to_owned()]) {
            match find_term(pool, &term).await? {
                Some(found) => terms.push(found),
                None => is_over = true,
            }
        }
        let mut excluded = Vec::new();
        for phrase in &query.excluded {
            // Of a long phrase only the whole text tells who has it.
            if let [term] = search::phrase_terms(phrase).as_slice()
                && let Some((id, _)) = find_term(pool, term).await?
            {
                excluded.push(id);
            }
        }
        terms.sort_by_key(|(_, pictures)| *pictures);
        // Every picture has the term of all pictures, so it need not be asked for beside others.
        if terms.len() > 1 {
            terms.pop();
        }
        let mut ids = terms.into_iter().map(|(id, _)| id);
        let rarest = ids.next();
        Ok(Self {
            rarest: rarest.unwrap_or_default(),
            required: ids.collect(),
            excluded,
            ascending,
            next,
            chunks: FIRST_CHUNKS,
            is_over: is_over || rarest.is_none(),
        })
    }

    /// The next candidates in the walk's order, at least one; `None` at its end.
    pub(super) async fn advance(&mut self, pool: &SqlitePool) -> Result<Option<Vec<i64>>, DbError> {
        while !self.is_over {
            let candidates = self.read_on(pool).await?;
            if !candidates.is_empty() {
                return Ok(Some(candidates));
            }
        }
        Ok(None)
    }

    async fn read_on(&mut self, pool: &SqlitePool) -> Result<Vec<i64>, DbError> {
        let (from, _) = Chunk::place(self.next);
        let query = if self.ascending {
            "SELECT chunk, members FROM postings WHERE term = ? AND chunk >= ? ORDER BY chunk LIMIT ?"
        } else {
            "SELECT chunk, members FROM postings WHERE term = ? AND chunk <= ? ORDER BY chunk DESC LIMIT ?"
        };
        let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(query)
            .bind(self.rarest)
            .bind(from)
            .bind(self.chunks)
            .fetch_all(pool)
            .await?;
        let mut chunks = BTreeMap::new();
        for (number, members) in &rows {
            chunks.insert(*number, parse(members)?);
        }
        let (Some((first, _)), Some((last, _))) =
            (chunks.first_key_value(), chunks.last_key_value())
        else {
            self.is_over = true;
            return Ok(Vec::new());
        };
        let (first, last) = (*first, *last);
        for term in &self.required {
            let others = read_chunks(pool, *term, first, last).await?;
            chunks.retain(|number, chunk| {
                others.get(number).is_some_and(|other| {
                    chunk.keep(other);
                    true
                })
            });
        }
        for term in &self.excluded {
            for (number, other) in read_chunks(pool, *term, first, last).await? {
                if let Some(chunk) = chunks.get_mut(&number) {
                    chunk.drop_all(&other);
                }
            }
        }
        let all = chunks.iter().flat_map(|(number, chunk)| {
            chunk
                .places()
                .map(move |place| number * SPAN + i64::from(place))
        });
        let mut candidates: Vec<i64> = if self.ascending {
            let next = self.next;
            self.next = (last + 1) * SPAN;
            all.filter(|sequence| *sequence >= next).collect()
        } else {
            let next = self.next;
            self.next = first * SPAN - 1;
            all.filter(|sequence| *sequence <= next).collect()
        };
        if !self.ascending {
            candidates.reverse();
        }
        self.is_over = to_i64(rows.len() as u64) < self.chunks;
        self.chunks = (self.chunks * 2).min(CHUNKS_AT_ONCE);
        Ok(candidates)
    }
}

/// The number of a term and how many pictures have it; `None` where none has.
async fn find_term(pool: &SqlitePool, term: &str) -> Result<Option<(i64, i64)>, DbError> {
    Ok(
        sqlx::query_as("SELECT id, pictures FROM terms WHERE term = ?")
            .bind(term)
            .fetch_optional(pool)
            .await?,
    )
}

async fn read_chunks(
    pool: &SqlitePool,
    term: i64,
    first: i64,
    last: i64,
) -> Result<BTreeMap<i64, Chunk>, DbError> {
    let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT chunk, members FROM postings WHERE term = ? AND chunk BETWEEN ? AND ?",
    )
    .bind(term)
    .bind(first)
    .bind(last)
    .fetch_all(pool)
    .await?;
    rows.iter()
        .map(|(number, members)| Ok((*number, parse(members)?)))
        .collect()
}

impl Db {
    /// How many pictures are published, those included that have expired and wait for the sweeper.
    pub(super) async fn count_entries(&self) -> Result<i64, DbError> {
        let found = find_term(&self.pool, search::EVERY_PICTURE).await?;
        Ok(found.map_or(0, |(_, pictures)| pictures))
    }

    /// The sequence number of the published picture at this position, counted from the oldest one;
    /// `None` where there are not so many.
    pub(super) async fn sequence_at(&self, position: i64) -> Result<Option<i64>, DbError> {
        let Some((term, _)) = find_term(&self.pool, search::EVERY_PICTURE).await? else {
            return Ok(None);
        };
        let rows: Vec<(i64, Vec<u8>)> =
            sqlx::query_as("SELECT chunk, members FROM postings WHERE term = ? ORDER BY chunk")
                .bind(term)
                .fetch_all(&self.pool)
                .await?;
        let mut left = usize::try_from(position).unwrap_or(usize::MAX);
        for (number, members) in &rows {
            let chunk = parse(members)?;
            let members = chunk.len();
            if left < members {
                let place = chunk.places().nth(left);
                return Ok(place.map(|place| number * SPAN + i64::from(place)));
            }
            left -= members;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use rand::rngs::StdRng;
    use rand::{Rng as _, SeedableRng as _};

    use super::*;
    use crate::db::{ListFilter, PurgeTerms};
    use crate::domain::expiry::ExpiresAt;
    use crate::domain::hash::Sha256Hash;
    use crate::domain::picture::{DeleteToken, PictureId, Received};
    use crate::domain::tag::Tag;
    use crate::domain::verdict::Rules;

    const NOW: i64 = 1_800_000_000;
    const TAGS: [&str; 8] = [
        "cat",
        "Tabby Cat",
        "cat tree",
        "tree",
        "a big old arm chair",
        "Égyptian mau",
        "mau",
        "big old chair",
    ];
    const QUERIES: [&str; 14] = [
        "cat",
        "cat tree",
        "\"cat tree\"",
        "\"tree cat\"",
        "mau egyptian -cat",
        "-cat",
        "-cat -mau -tree -chair",
        "\"a big old arm chair\"",
        "-\"a big old arm chair\"",
        "\"big old arm\"",
        "\"a big old arm chair tree\"",
        "nobody",
        "-nobody",
        "cat -\"tabby cat\"",
    ];

    /// What the index should say, kept in the simplest way.
    #[derive(Default)]
    struct Model(BTreeMap<i64, (PictureId, i64, Vec<&'static str>)>);

    impl Model {
        fn list(&self, filter: &ListFilter, now: i64) -> Vec<i64> {
            let has = |text: &str, phrase: &String| text.contains(&format!(" {phrase} "));
            let fits = |(sequence, (_, ends, tags)): (&i64, &(PictureId, i64, Vec<&str>))| {
                let text = search::index_text(tags.iter().copied());
                let tag = filter.tag.as_ref();
                let is_listed = *ends > now
                    && filter
                        .search
                        .required
                        .iter()
                        .all(|phrase| has(&text, phrase))
                    && !filter
                        .search
                        .excluded
                        .iter()
                        .any(|phrase| has(&text, phrase))
                    && tag.is_none_or(|tag| text.contains(&format!("| {} |", search::fold(tag))))
                    && filter.before.is_none_or(|before| *sequence < before)
                    && filter.after.is_none_or(|after| *sequence > after);
                is_listed.then_some(*sequence)
            };
            let mut found: Vec<i64> = self.0.iter().filter_map(fits).collect();
            if filter.after.is_none() {
                found.reverse();
            }
            found.truncate(filter.limit as usize);
            found
        }
    }

    fn picture(sequence: i64, ends: i64, tags: &[&str]) -> (Received, Published) {
        let id = PictureId::random();
        let received = Received {
            id: id.clone(),
            delete_token_hash: DeleteToken::random().hash(),
            content_hash: Sha256Hash::of(id.as_str().as_bytes()),
            size_bytes: 1,
            received_at: NOW - 100,
            leased_until: 0,
            attempts: 0,
        };
        let tag = |name: &&str| Tag {
            name: (*name).to_owned(),
            confidence: 0.9,
        };
        let published = Published {
            id,
            sequence,
            published_at: NOW - 100,
            expires_at: ExpiresAt::from_second(ends),
            width: 1,
            height: 1,
            animated: false,
            alt: String::new(),
            tags: tags.iter().map(tag).collect(),
            thumbhash: Vec::new(),
            placeholder: String::new(),
            perceptual_hash: 0,
            stripped: Vec::new(),
            variants: Vec::new(),
            rules: Rules(Sha256Hash::of(b"rules")),
        };
        (received, published)
    }

    async fn check(db: &Db, model: &Model, random: &mut StdRng) {
        for query in QUERIES.into_iter().chain(TAGS) {
            let bound = random.random_range(0..30_000);
            let filter = ListFilter {
                search: SearchQuery::parse(query),
                tag: random
                    .random_bool(0.2)
                    .then(|| TAGS[random.random_range(0..8)].to_owned()),
                before: random.random_bool(0.3).then_some(bound),
                after: None,
                limit: random.random_range(1..60),
            };
            let upwards = ListFilter {
                before: None,
                after: Some(bound),
                ..filter.clone()
            };
            for filter in [filter, upwards] {
                let listed = db.list(&filter, NOW).await.expect("lists");
                let listed: Vec<i64> = listed.iter().map(|found| found.sequence).collect();
                assert_eq!(listed, model.list(&filter, NOW), "{filter:?}");
            }
        }
        let live = model.0.values().filter(|(_, ends, _)| *ends > NOW);
        let mut counts = BTreeMap::<String, u32>::new();
        for name in live.clone().flat_map(|(_, _, tags)| tags) {
            *counts.entry((*name).to_owned()).or_default() += 1;
        }
        let listed = db.list_tags(NOW).await.expect("lists");
        assert!(listed.is_sorted_by_key(|(name, count)| (std::cmp::Reverse(*count), name.clone())));
        assert_eq!(listed.into_iter().collect::<BTreeMap<_, _>>(), counts);
        let count = db.count_published(NOW).await.expect("counts");
        assert_eq!(count as usize, live.count());
    }

    #[tokio::test]
    async fn lists_and_counts_are_right_whatever_is_published_deleted_and_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("index.sqlite").display());
        let db = Db::open(&url).await.expect("opens");
        let mut random = StdRng::seed_from_u64(11);
        let mut model = Model::default();
        let mut used = BTreeSet::new();
        check(&db, &model, &mut random).await;
        let purge = PurgeTerms {
            cdns: &[],
            keep: 0,
            shared: false,
        };
        for _ in 0..12 {
            for _ in 0..40 {
                let tags: Vec<&str> = TAGS
                    .into_iter()
                    .filter(|_| random.random_bool(0.3))
                    .collect();
                let ends = NOW + random.random_range(-1..9);
                let (received, published) = picture(random.random_range(1..30_000), ends, &tags);
                if !used.insert(published.sequence) {
                    continue;
                }
                assert!(
                    db.insert_published(&received, &published)
                        .await
                        .expect("works")
                );
                model
                    .0
                    .insert(published.sequence, (published.id, ends, tags));
            }
            check(&db, &model, &mut random).await;
            let over: BTreeSet<i64> = model
                .0
                .keys()
                .copied()
                .filter(|_| random.random_bool(0.3))
                .collect();
            let mut swept = Vec::new();
            for sequence in over {
                let (id, ends, _) = model.0.remove(&sequence).expect("is there");
                if ends > NOW {
                    assert!(db.remove(&id, purge, NOW).await.expect("works"));
                } else {
                    swept.push(id);
                }
            }
            db.leave_tombstones(&swept).await.expect("works");
            check(&db, &model, &mut random).await;
        }
        // When all are over, nothing is left behind.
        let ids: Vec<PictureId> = model.0.into_values().map(|(id, _, _)| id).collect();
        db.leave_tombstones(&ids).await.expect("works");
        for table in ["terms", "postings", "tag_counts"] {
            let query = format!("SELECT count(*) FROM {table}");
            let left: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(query))
                .fetch_one(&db.pool)
                .await
                .expect("counts");
            assert_eq!(left, 0, "{table}");
        }
    }

    #[tokio::test]
    async fn the_pictures_of_an_earlier_version_are_indexed_when_it_is_opened() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("index.sqlite").display());
        let db = Db::open(&url).await.expect("opens");
        let mut model = Model::default();
        for sequence in [3, 8191, 8192, 20_000] {
            let tags = [TAGS[sequence as usize % 8], "cat"];
            let (received, published) = picture(sequence, NOW + 9, &tags);
            assert!(
                db.insert_published(&received, &published)
                    .await
                    .expect("works")
            );
            model
                .0
                .insert(sequence, (published.id, NOW + 9, tags.to_vec()));
        }
        for table in ["terms", "postings"] {
            let query = format!("DELETE FROM {table}");
            sqlx::query(sqlx::AssertSqlSafe(query))
                .execute(&db.pool)
                .await
                .expect("empties");
        }
        db.close().await;
        let db = Db::open(&url).await.expect("opens");
        check(&db, &model, &mut StdRng::seed_from_u64(12)).await;
    }
}
