//! One page of a list, from a query that is parsed the same way for the API and for pages.

use std::collections::BTreeSet;

use app::error::{ApiError, ErrorCode};
use app::types::{ListQuery, PicturePage, SiteView, TagCount, TagList};

use crate::db::ListFilter;
use crate::domain::picture::{PictureId, Published};
use crate::domain::search::{MAX_QUERY_BYTES, MAX_TERMS, SearchQuery, canonical};
use crate::http::cache::CachePolicy;
use crate::http::error::Error;
use crate::http::views;
use crate::pictures::{Pictures, Status};

/// How many pictures a full page has, which is also the most that a client may ask for.
pub(crate) const PAGE_SIZE: u32 = 40;

/// The parameters of the list that takes the most of them.
pub(crate) const PARAMETERS: &[&str] = &["q", "tag", "after", "limit", "ids"];

/// The most pictures that can be asked for by their ids.
pub(crate) const MOST_IDS: usize = 40;

/// Parses the query string of a list that takes these parameters; all others are ignored.
///
/// # Errors
/// `malformed` for a `limit` that is no number.
pub(crate) fn parse_query(query: &str, known: &[&str]) -> Result<ListQuery, Error> {
    let mut list = ListQuery::default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            name if !known.contains(&name) => {}
            "q" => list.q = canonical(&value),
            "tag" => list.tag = canonical(&value),
            "after" => list.after = value.into_owned(),
            "limit" => {
                let limit = value.parse().map_err(|_| bad_limit())?;
                list.limit = Some(limit);
            }
            "ids" => list.ids = value.into_owned(),
            _ => {}
        }
    }
    Ok(list)
}

/// One page of a list as the index has it.
pub(crate) struct Found {
    pub(crate) pictures: Vec<Published>,
    /// The cursor of the next page; `None` where this is the last.
    pub(crate) next: Option<String>,
    /// The cursor of the page before, which is empty for the first page; `None` where this is the
    /// first.
    previous: Option<String>,
}

/// One page of pictures, newest first, with the cursor of the next page and the policy for caches.
///
/// # Errors
/// `malformed` for an invalid cursor, limit or query, or `storage-unavailable`.
pub(crate) async fn list_pictures(
    pictures: &Pictures,
    site: &SiteView,
    query: &ListQuery,
) -> Result<(PicturePage, CachePolicy), Error> {
    let found = find_pictures(pictures, query).await?;
    let policy = CachePolicy::list(&found.pictures);
    let page = PicturePage {
        pictures: found
            .pictures
            .iter()
            .map(|published| views::picture(site, published))
            .collect(),
        next: found.next,
        previous: found.previous,
    };
    Ok((page, policy))
}

/// The same page, for whoever shows pictures in another way.
///
/// # Errors
/// As [`list_pictures`].
pub(crate) async fn find_pictures(pictures: &Pictures, query: &ListQuery) -> Result<Found, Error> {
    let filter = filter_of(query)?;
    if let Some(ids) = ids_of(query)? {
        return read_pictures(pictures, &ids).await;
    }
    let limit = filter.limit - 1;
    let mut found = pictures.reading.list(&filter).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found
        .last()
        .filter(|_| more)
        .map(|last| last.sequence.to_string());
    let previous = match filter.before {
        Some(before) => Some(previous_page(pictures, filter, before).await?),
        None => None,
    };
    Ok(Found {
        pictures: found,
        next,
        previous,
    })
}

/// The published ones of these pictures, in this order.
async fn read_pictures(pictures: &Pictures, ids: &[PictureId]) -> Result<Found, Error> {
    let mut found = Vec::new();
    for id in ids {
        if let Status::Published(published) = pictures.reading.status(id).await? {
            found.push(*published);
        }
    }
    Ok(Found {
        pictures: found,
        next: None,
        previous: None,
    })
}

/// The ids that are asked for; `None` where none are.
///
/// # Errors
/// `malformed` for what is no list of ids, each of them once.
fn ids_of(query: &ListQuery) -> Result<Option<Vec<PictureId>>, Error> {
    if query.ids.is_empty() {
        return Ok(None);
    }
    let ids: Option<Vec<PictureId>> = query.ids.split(',').map(PictureId::parse).collect();
    let is_distinct = |ids: &Vec<PictureId>| ids.iter().collect::<BTreeSet<_>>().len() == ids.len();
    match ids.filter(|ids| ids.len() <= MOST_IDS).filter(is_distinct) {
        Some(ids) => Ok(Some(ids)),
        None => Err(Error::new(
            ErrorCode::Malformed,
            format!(
                "`ids` must be 1 to {MOST_IDS} different ids of pictures with commas between them."
            ),
        )),
    }
}

/// The cursor of the page that ends where this one begins, which is empty for the first page.
async fn previous_page(
    pictures: &Pictures,
    filter: ListFilter,
    before: i64,
) -> Result<String, Error> {
    // The page before ends with the picture that the cursor names. It needs a cursor where there is
    // one picture more than it holds.
    let newer = ListFilter {
        before: None,
        after: Some(before - 1),
        ..filter
    };
    let full = newer.limit as usize;
    let found = pictures.reading.list(&newer).await?;
    let newest = found.get(full - 1);
    Ok(newest.map_or_else(String::new, |newest| newest.sequence.to_string()))
}

/// What a query asks of the index.
///
/// # Errors
/// `malformed` for an invalid cursor, limit, query or list of ids.
pub(crate) fn filter_of(query: &ListQuery) -> Result<ListFilter, Error> {
    let limit = query.limit.unwrap_or(PAGE_SIZE);
    if !(1..=PAGE_SIZE).contains(&limit) {
        return Err(bad_limit());
    }
    if query.q.len() > MAX_QUERY_BYTES || query.tag.len() > MAX_QUERY_BYTES {
        return Err(Error::new(
            ErrorCode::Malformed,
            format!(
                "A search or a tag may be at most {MAX_QUERY_BYTES} bytes long. Please shorten it."
            ),
        ));
    }
    let search = SearchQuery::parse(&query.q);
    if search.terms() > MAX_TERMS {
        return Err(Error::new(
            ErrorCode::Malformed,
            format!("A search may have at most {MAX_TERMS} words or phrases. Please use fewer."),
        ));
    }
    ids_of(query)?;
    Ok(ListFilter {
        search,
        tag: (!query.tag.is_empty()).then(|| query.tag.clone()),
        before: parse_cursor(&query.after)?,
        after: None,
        // One picture more than is shown tells whether there is a next page.
        limit: limit + 1,
    })
}

/// All tags with their counts, and the policy for caches. Every picture counts, so the first of
/// them to expire decides.
pub(crate) async fn list_tags(pictures: &Pictures) -> Result<(TagList, CachePolicy), Error> {
    let tags = pictures.reading.list_tags().await?;
    // This is read last, so that it covers every picture that was counted.
    let ends = pictures.endings.next_expiry().await?;
    let list = TagList {
        tags: tags
            .into_iter()
            .map(|(name, count)| TagCount { name, count })
            .collect(),
    };
    let policy = CachePolicy::List {
        ends,
        pictures: Vec::new(),
    };
    Ok((list, policy))
}

fn parse_cursor(text: &str) -> Result<Option<i64>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    match text.parse() {
        Ok(sequence) if digits => Ok(Some(sequence)),
        _ => Err(Error(ApiError::new(
            ErrorCode::Malformed,
            "This page of the list does not exist. Please begin at its first page.",
        ))),
    }
}

fn bad_limit() -> Error {
    Error::new(
        ErrorCode::Malformed,
        format!("`limit` must be a whole number from 1 to {PAGE_SIZE}."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_query_has_one_canonical_spelling() {
        for (query, canonical) in [
            ("", ""),
            ("q=", ""),
            ("q=Tabby+Cat&fbclid=x", "q=tabby+cat"),
            ("limit=5&q=%20cat%20%20hat", "q=cat+hat&limit=5"),
            ("after=7&tag=CAT", "tag=cat&after=7"),
        ] {
            let parsed = parse_query(query, PARAMETERS).expect("is well-formed");
            assert_eq!(parsed.to_query_string(), canonical, "{query}");
        }
    }

    #[test]
    fn a_nonsense_cursor_is_malformed() {
        for text in [
            "x",
            "-1",
            "+1",
            "0",
            "007",
            "99999999999999999999",
            "1;drop",
        ] {
            assert!(parse_cursor(text).is_err(), "{text}");
        }
        assert_eq!(parse_cursor("12").ok().flatten(), Some(12));
    }
}
