//! Decides who requests what, and when. The week begins with a week's pictures already there.

use std::collections::VecDeque;
use std::iter::Peekable;
use std::vec::IntoIter;

use cattocdn::domain::variant::{self, Format, OF_STILLS, PUBLISHED};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use crate::site::{Picture, RETENTION_SECONDS};

const REQUESTS: i64 = 1_000_000;
const UPLOADS_PER_WEEK: usize = 1000;
const DELETIONS: usize = 50;
/// The number of distinct lists and searches.
const QUERIES: usize = 500;
/// The exponent of the Zipf distribution: the first item is requested n to this power times as
/// often as the n-th.
const ZIPF: f64 = 0.9;
const HOUR_MS: i64 = 3_600_000;
const WEEK_MS: i64 = 7 * 24 * HOUR_MS;
/// How long links to a picture are still followed after its end.
const LINKS_OUTLIVE_MS: i64 = HOUR_MS;

pub(crate) const ROUTES: [&str; 6] = [
    "images",
    "picture pages",
    "lists, search",
    "/random",
    "documents",
    "with fbclid",
];

/// The format and width of the files of a picture, and their share of requests in per cent: cards
/// of the gallery, pages, large views, previews. The site decides which published file suits each
/// place.
const FILES: [(Format, u32, u32); 10] = [
    (Format::Webp, 512, 18),
    (Format::Webp, 400, 15),
    (Format::Webp, 320, 12),
    (Format::Webp, 272, 10),
    (Format::Webp, 176, 10),
    (Format::Webp, 688, 8),
    (Format::Avif, 1120, 14),
    (Format::Webp, 1536, 4),
    (Format::Webp, 2048, 4),
    (Format::Jpeg, 1280, 5),
];
const DOCUMENTS: [&str; 5] = [
    "/about",
    "/upload",
    "/robots.txt",
    "/.well-known/security.txt",
    "/favicon.svg",
];
/// Coats, and wider words for things. Each picture has one of them.
const FIRST_TAGS: [&str; 20] = [
    "tabby cat",
    "black cat",
    "ginger cat",
    "white cat",
    "furniture",
    "bedding",
    "household",
    "hairless cat",
    "electronics",
    "clothing",
    "container",
    "toy",
    "kitchen",
    "bathroom",
    "appliance",
    "dishes",
    "stationery",
    "vehicle",
    "food",
    "light",
];
/// Tags of which each picture has up to two.
const THINGS: [&str; 24] = [
    "sofa", "laptop", "window", "garden", "box", "quilt", "keyboard", "basket", "curtain", "table",
    "lamp", "pillow", "umbrella", "bag", "towel", "sink", "book", "plant", "rug", "chair", "shoe",
    "hat", "ball", "bed",
];

/// What happens at an instant.
#[derive(Debug)]
pub(crate) enum Event {
    Publish(Picture),
    Delete(String),
    /// The sweeper runs.
    Sweep,
    Ask(Request),
}

/// One client's request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) route: &'static str,
    pub(crate) url: String,
    /// The number of the client, which decides which outer cache it uses.
    pub(crate) client: usize,
    /// The end of the requested picture, in milliseconds since 1970.
    pub(crate) ends: Option<i64>,
    /// Whether that picture was deleted before.
    pub(crate) deleted: bool,
}

/// A picture that can be requested.
#[derive(Debug)]
struct Known {
    /// The smaller this is, the better known is the picture.
    obscurity: f64,
    id: String,
    ends_ms: i64,
    deleted: bool,
}

/// The week, event by event.
pub(crate) struct Workload {
    random: StdRng,
    begins: i64,
    requests_made: i64,
    uploads: Peekable<IntoIter<i64>>,
    deletions: Peekable<IntoIter<i64>>,
    /// When pictures end, in order. The sweeper wakes then.
    ends: VecDeque<i64>,
    /// The pictures, ordered by obscurity.
    known: Vec<Known>,
    /// At index n, the sum of the first n + 1 weights.
    weights: Vec<f64>,
    queries: Vec<String>,
}

impl Workload {
    pub(crate) fn new(begins: i64) -> Self {
        let mut random = StdRng::seed_from_u64(5);
        let mut instants = |count: usize, from: i64, to: i64| {
            let mut all: Vec<i64> = (0..count).map(|_| random.random_range(from..to)).collect();
            all.sort_unstable();
            all.into_iter().peekable()
        };
        let uploads = instants(2 * UPLOADS_PER_WEEK, begins - WEEK_MS, begins + WEEK_MS);
        let deletions = instants(DELETIONS, begins, begins + WEEK_MS);
        let mut sum = 0.0;
        let weights = (1..=4 * UPLOADS_PER_WEEK.max(QUERIES))
            .map(|rank| {
                sum += f64::from(u32::try_from(rank).unwrap_or(u32::MAX)).powf(-ZIPF);
                sum
            })
            .collect();
        let queries = queries(&mut random);
        Self {
            random,
            begins,
            requests_made: 0,
            uploads,
            deletions,
            ends: VecDeque::new(),
            known: Vec::new(),
            weights,
            queries,
        }
    }

    /// The next event, and when it happens in milliseconds since 1970.
    pub(crate) fn next(&mut self) -> Option<(i64, Event)> {
        if self.requests_made == REQUESTS {
            return None;
        }
        let pace = self.begins + self.requests_made * WEEK_MS / REQUESTS;
        if let Some(at) = self.uploads.next_if(|at| *at <= pace) {
            return Some((at, self.publish(at)));
        }
        if let Some(at) = self.deletions.next_if(|at| *at <= pace) {
            let alive: Vec<usize> = (0..self.known.len())
                .filter(|index| !self.known[*index].deleted && self.known[*index].ends_ms > at)
                .collect();
            let chosen = alive[self.random.random_range(0..alive.len())];
            self.known[chosen].deleted = true;
            return Some((at, Event::Delete(self.known[chosen].id.clone())));
        }
        if let Some(at) = self.ends.front().copied()
            && at <= pace
        {
            self.ends.pop_front();
            self.known
                .retain(|known| known.ends_ms + LINKS_OUTLIVE_MS > at);
            return Some((at, Event::Sweep));
        }
        self.requests_made += 1;
        let request = self.request();
        Some((pace, Event::Ask(request)))
    }

    fn publish(&mut self, at: i64) -> Event {
        let id: String = (0..16)
            .map(|_| {
                let letters = b"ABCDEFGHJKLMNPQRSTUVWXYZ";
                char::from(letters[self.random.random_range(0..letters.len())])
            })
            .collect();
        let end_second = at / 1000 + RETENTION_SECONDS;
        let known = Known {
            obscurity: self.random.random(),
            id: id.clone(),
            ends_ms: end_second * 1000,
            deleted: false,
        };
        self.ends.push_back(known.ends_ms);
        let place = self
            .known
            .partition_point(|other| other.obscurity < known.obscurity);
        self.known.insert(place, known);
        let first = self.zipf(FIRST_TAGS.len());
        let mut tags = vec!["cat", "animal", "pet", FIRST_TAGS[first]];
        for _ in 0..self.random.random_range(0..3) {
            let thing = THINGS[self.zipf(THINGS.len())];
            if !tags.contains(&thing) {
                tags.push(thing);
            }
        }
        Event::Publish(Picture {
            id,
            published_second: at / 1000,
            end_second,
            tags,
        })
    }

    fn request(&mut self) -> Request {
        let client = self.random.random_range(0..usize::MAX / 2);
        let plain = |route, url: String| Request {
            route,
            url,
            client,
            ends: None,
            deleted: false,
        };
        match self.random.random_range(0..100) {
            0..55 => self.of_picture("images", client),
            55..75 => self.of_picture("picture pages", client),
            75..90 => {
                let query = self.zipf(QUERIES);
                plain("lists, search", self.queries[query].clone())
            }
            90..95 => plain("/random", "/random".into()),
            95..98 => {
                let document = self.random.random_range(0..DOCUMENTS.len());
                plain("documents", DOCUMENTS[document].into())
            }
            _ => {
                let click = format!("fbclid={:016x}", self.random.random::<u64>());
                if self.random.random_bool(0.5) {
                    plain("with fbclid", format!("/?{click}"))
                } else {
                    let mut request = self.of_picture("picture pages", client);
                    request.route = "with fbclid";
                    request.url = format!("{}?{click}", request.url);
                    request
                }
            }
        }
    }

    /// A request for a picture's file or page.
    fn of_picture(&mut self, route: &'static str, client: usize) -> Request {
        let chosen = self.zipf(self.known.len());
        let mut file = self.random.random_range(0..100);
        let known = &self.known[chosen];
        let url = if route == "images" {
            let name = FILES.iter().find_map(|(format, width, share)| {
                let found = file < *share;
                file = file.saturating_sub(*share);
                let published = PUBLISHED.iter().chain(OF_STILLS).copied();
                found.then(|| variant::choose(published, *format, *width))?
            });
            let name = name.expect("the shares are a hundred, and some file is published");
            let end = crate::site::compact(known.ends_ms / 1000);
            format!("/i/{end}/{}/{name}", known.id)
        } else {
            format!("/c/{}", known.id)
        };
        Request {
            route,
            url,
            client,
            ends: Some(known.ends_ms),
            deleted: known.deleted,
        }
    }

    /// A rank below `count`. Low ones are frequent, high ones rare.
    fn zipf(&mut self, count: usize) -> usize {
        let draw = self.random.random::<f64>() * self.weights[count - 1];
        self.weights
            .partition_point(|sum| *sum <= draw)
            .min(count - 1)
    }
}

/// The gallery first, then the page of every tag and pairs of words, in a random order. Every fifth
/// of the pairs is a request to the API.
fn queries(random: &mut StdRng) -> Vec<String> {
    let mut rest: Vec<String> = FIRST_TAGS
        .iter()
        .chain(&THINGS)
        .map(|tag| format!("/tags/{}", tag.replace(' ', "%20")))
        .collect();
    let pairs = FIRST_TAGS
        .iter()
        .flat_map(|first| THINGS.iter().map(move |thing| (first, thing)));
    for (number, (first, thing)) in pairs.enumerate() {
        let words = format!("{first} {thing}").replace(' ', "+");
        rest.push(if number % 5 == 0 {
            format!("/api/v1/pictures?q={words}")
        } else {
            format!("/search?q={words}")
        });
    }
    rest.shuffle(random);
    let mut queries = vec!["/".to_owned(), "/api/v1/tags".to_owned()];
    queries.extend(rest);
    queries.truncate(QUERIES);
    queries
}
