//! Compares what every route declares to caches with the files that say the same to Cloudflare and
//! CloudFront, with the simulation, and with what the server does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use axum::http::{StatusCode, header};
use cattocdn::http::declarations;
use cattocdn::http::declared::{Caching, Declaration, Key, Kind};
use serde_json::Value;
use tools::keys::Keys;
use yaml_rust2::{Yaml, YamlLoader};

use crate::support::{Answer, Site, asking_to_embed, path_of};

/// A value for each parameter that some list knows.
const OF_LISTS: [(&str, &str); 4] = [("q", "cat"), ("tag", "cat"), ("after", "5"), ("limit", "7")];

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../deploy")
        .join(file);
    fs::read_to_string(path).unwrap_or_else(|error| panic!("deploy/{file}: {error}"))
}

/// The cache key of a route whose answers may be kept.
fn key(declaration: &Declaration) -> Option<Key> {
    match declaration.caching {
        Caching::Kept(_, key) => Some(key),
        Caching::Never => None,
    }
}

fn is_image(declaration: &Declaration) -> bool {
    matches!(declaration.caching, Caching::Kept(Kind::Image, _))
}

/// The parameters in the cache key of a route.
fn parameters(declaration: &Declaration) -> &'static [&'static str] {
    match declaration.caching {
        Caching::Kept(_, Key::Query(parameters)) => parameters,
        _ => &[],
    }
}

/// A path that leads to this route: `/c/x` for `/c/{id}`.
fn example(declaration: &Declaration) -> String {
    let segments = declaration.path.split('/');
    let filled = segments.map(|segment| match segment.strip_prefix('{') {
        Some(_) => "x",
        None => segment,
    });
    filled.collect::<Vec<_>>().join("/")
}

/// The expression in `deploy/cloudflare.json` that covers all of these routes, and no other.
fn expression<'a>(of: impl Iterator<Item = &'a Declaration>) -> String {
    let (mut starts, mut whole) = (BTreeSet::new(), BTreeSet::new());
    for declaration in of {
        match declaration.path.find('{') {
            Some(at) => starts.insert(&declaration.path[..at]),
            None => whole.insert(declaration.path),
        };
    }
    let mut terms: Vec<String> = starts
        .iter()
        .map(|start| format!("starts_with(http.request.uri.path, \"{start}\")"))
        .collect();
    if !whole.is_empty() {
        let paths: Vec<String> = whole.iter().map(|path| format!("\"{path}\"")).collect();
        terms.push(format!("http.request.uri.path in {{{}}}", paths.join(" ")));
    }
    let terms = match &terms[..] {
        [term] => term.clone(),
        _ => format!("({})", terms.join(" or ")),
    };
    format!("(http.host eq \"{{{{host}}}}\" and {terms})")
}

/// The rules of Cloudflare's cache by their `ref`.
fn cloudflare_rules() -> BTreeMap<String, Value> {
    let file: Value = serde_json::from_str(&read("cloudflare.json")).expect("is JSON");
    let rules = file["phases"]["http_request_cache_settings"].as_array();
    let rules = rules.expect("is a list").iter();
    rules
        .map(|rule| {
            (
                rule["ref"].as_str().expect("a name").to_owned(),
                rule.clone(),
            )
        })
        .collect()
}

/// The rule by which Cloudflare drops the query from its key.
const NO_QUERY: &str = "cattocdn_no_query";

#[track_caller]
fn assert_expression(rule: &str, expected: &str) {
    let found = cloudflare_rules()[rule]["expression"].clone();
    assert_eq!(
        found.as_str(),
        Some(expected),
        "deploy/cloudflare.json: the expression of `{rule}` does not cover what the routes in \
         server/src/http.rs declare. Write there:\n{}\n",
        Value::from(expected)
    );
}

#[test]
fn cloudflare_drops_the_query_exactly_where_it_means_nothing() {
    let declared = declarations();
    let by_path = declared
        .iter()
        .filter(|declaration| key(declaration) == Some(Key::Path));
    assert_expression(NO_QUERY, &expression(by_path.clone()));
    // A start such as `/c/` covers all that lies below it.
    for one in by_path {
        for other in &declared {
            let swallowed = one.path.find('{').is_some_and(|at| {
                matches!(key(other), Some(Key::Query(_))) && other.path.starts_with(&one.path[..at])
            });
            assert!(
                !swallowed,
                "{} has its query in its key, and Cloudflare's rule for {} would drop it",
                other.path, one.path
            );
        }
    }
    for (name, rule) in cloudflare_rules() {
        let key = &rule["action_parameters"]["cache_key"];
        let expected = if name == NO_QUERY {
            serde_json::json!({ "custom_key": { "query_string": { "exclude": { "all": true } } } })
        } else {
            Value::Null
        };
        assert_eq!(
            *key, expected,
            "deploy/cloudflare.json: the key of `{name}`"
        );
    }
}

#[test]
fn cloudflare_shows_no_image_that_is_past_its_end() {
    let declared = declarations();
    let images = declared.iter().filter(|declaration| is_image(declaration));
    assert_expression("cattocdn_never_stale", &expression(images));
}

/// What CloudFront does with some paths, as `deploy/template.yaml` says.
struct Behavior {
    /// A pattern such as `/c/*`, or `*` for what no other behavior takes.
    pattern: String,
    target: String,
    /// The name of its cache policy.
    policy: String,
    /// The parameters of the query that are in the cache key, and that reach the server.
    parameters: BTreeSet<String>,
    /// Whether answers in several codings are kept apart.
    knows_codings: bool,
}

/// All behaviors, in the order in which CloudFront tries them.
fn behaviors() -> Vec<Behavior> {
    let template = YamlLoader::load_from_str(&read("template.yaml")).expect("is YAML");
    let resources = &template[0]["Resources"];
    let distribution = &resources["Distribution"]["Properties"]["DistributionConfig"];
    let text = |yaml: &Yaml| yaml.as_str().expect("is text").to_owned();
    let listed = distribution["CacheBehaviors"].as_vec().expect("is a list");
    let last = &distribution["DefaultCacheBehavior"];
    listed
        .iter()
        .chain([last])
        .map(|behavior| {
            let policy = text(&behavior["CachePolicyId"]);
            let config = &resources[&*policy]["Properties"]["CachePolicyConfig"];
            let key = &config["ParametersInCacheKeyAndForwardedToOrigin"];
            let queries = &key["QueryStringsConfig"];
            let parameters = match queries["QueryStringBehavior"].as_str() {
                Some("none") => BTreeSet::new(),
                Some("whitelist") => {
                    let named = queries["QueryStrings"].as_vec().expect("is a list");
                    named.iter().map(text).collect()
                }
                other => panic!("deploy/template.yaml: {policy} has {other:?} as its behavior"),
            };
            Behavior {
                pattern: behavior["PathPattern"].as_str().unwrap_or("*").to_owned(),
                target: text(&behavior["TargetOriginId"]),
                policy,
                parameters,
                knows_codings: key["EnableAcceptEncodingBrotli"].as_bool() == Some(true),
            }
        })
        .collect()
}

/// The behavior that takes this path.
fn behavior_of<'a>(behaviors: &'a [Behavior], path: &str) -> &'a Behavior {
    let takes = |behavior: &&Behavior| match behavior.pattern.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => path == behavior.pattern,
    };
    behaviors
        .iter()
        .find(takes)
        .expect("the last one takes all")
}

#[test]
fn cloudfront_has_in_its_keys_what_the_routes_behind_them_know_and_nothing_else() {
    let behaviors = behaviors();
    let mut known: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for declaration in declarations() {
        let behavior = behavior_of(&behaviors, &example(&declaration));
        let parameters = parameters(&declaration).iter().chain(declaration.told);
        let known = known.entry(&behavior.policy).or_default();
        known.extend(parameters.map(|parameter| (*parameter).to_owned()));
    }
    for Behavior {
        pattern,
        policy,
        parameters,
        ..
    } in &behaviors
    {
        let known = known.get(&**policy);
        let known = known.unwrap_or_else(|| {
            panic!("deploy/template.yaml: no route is behind `{pattern}` any more")
        });
        assert_eq!(
            parameters, known,
            "deploy/template.yaml: the routes in server/src/http.rs that CloudFront takes by \
             `{policy}` know the parameters on the right, so these must be its `QueryStrings`"
        );
    }
}

#[test]
fn cloudfront_takes_images_alone_from_the_bucket_and_keeps_codings_apart_of_all_else() {
    let behaviors = behaviors();
    for declaration in declarations() {
        let behavior = behavior_of(&behaviors, &example(&declaration));
        let (path, is_image) = (declaration.path, is_image(&declaration));
        assert_eq!(
            behavior.target == "pictures",
            is_image,
            "deploy/template.yaml: `{}` takes {path} from `{}`",
            behavior.pattern,
            behavior.target
        );
        assert_eq!(
            behavior.knows_codings, !is_image,
            "deploy/template.yaml: EnableAcceptEncodingBrotli of `{}` for {path}",
            behavior.policy
        );
    }
}

#[tokio::test]
async fn the_function_at_cloudfront_writes_what_the_server_writes() {
    let function = read("viewer_request.js");
    let constant = |name: &str| {
        let (_, rest) = function
            .split_once(&format!("const {name} = \""))
            .expect(name);
        rest.split('"').next().expect("an end").to_owned()
    };
    let site = Site::start().await;
    let gone = site
        .get("/i/20200101T000000Z/AAAAAAAAAAAAAAAA/512.webp")
        .await;
    assert_eq!(gone.status, StatusCode::GONE);
    let missing = site.get("/i/x").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    for (name, answer) in [("DAY", gone), ("TEN_SECONDS", missing)] {
        assert_eq!(
            constant(name),
            answer.header(header::CACHE_CONTROL),
            "deploy/viewer_request.js: `{name}` is what the server writes for {}",
            answer.status
        );
    }
}

#[test]
fn the_simulated_caches_know_addresses_by_the_keys_of_the_real_ones() {
    let rules = cloudflare_rules();
    let no_query = rules[NO_QUERY]["expression"].as_str().expect("is text");
    let paths: Vec<&str> = no_query
        .split('"')
        .skip(1)
        .step_by(2)
        .filter(|text| text.starts_with('/'))
        .collect();
    let cloudflare = |url: &str| {
        let path = url.split('?').next().expect("a path").to_owned();
        let drops_query = paths.iter().any(|start| match start.strip_suffix('/') {
            Some(_) => path.starts_with(start),
            None => path == *start,
        });
        if drops_query { path } else { url.to_owned() }
    };
    let behaviors = behaviors();
    let cloudfront = |url: &str| {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let known = &behavior_of(&behaviors, path).parameters;
        let kept: Vec<&str> = query
            .split('&')
            .filter(|parameter| known.contains(parameter.split('=').next().expect("a name")))
            .collect();
        let separator = if kept.is_empty() { "" } else { "?" };
        format!("{path}{separator}{}", kept.join("&"))
    };
    let keys = Keys::of_the_site();
    for declaration in declarations() {
        if declaration.caching == Caching::Never {
            continue;
        }
        let own = parameters(&declaration)
            .iter()
            .map(|name| format!("{name}=1&"));
        let query: String = own.collect();
        for url in [
            example(&declaration),
            format!("{}?{query}fbclid=1", example(&declaration)),
        ] {
            let said = "its route in server/src/http.rs declares another key than this file has:";
            let (outer, inner) = (keys.outer(&url), keys.inner(&url));
            assert_eq!(
                outer,
                cloudflare(&url),
                "{url}: {said} deploy/cloudflare.json"
            );
            assert_eq!(
                inner,
                cloudfront(&url),
                "{url}: {said} deploy/template.yaml"
            );
        }
    }
}

/// A URL of this site for the route, with the parameters that it needs to be answered.
fn address(declaration: &Declaration, picture: &Value) -> String {
    let (id, tag) = (&picture["id"], &picture["tags"][0]["name"]);
    let text = |value: &Value| value.as_str().expect("is text").to_owned();
    match declaration.path {
        "/i/{expires}/{id}/{name}" => path_of(&text(&picture["images"]["1280.jpg"])).to_owned(),
        "/pkg/{name}" => "/pkg/cattocdn.0123.css".into(),
        "/search" => "/search?q=cat".into(),
        "/oembed" => format!("/oembed?{}", asking_to_embed(picture)),
        path => path
            .replace("{tag}", &text(tag).replace(' ', "%20"))
            .replace("{id}", &text(id))
            .replace("{token}", "x"),
    }
}

fn with(address: &str, parameter: &str) -> String {
    let separator = if address.contains('?') { '&' } else { '?' };
    format!("{address}{separator}{parameter}")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_address_goes_by_the_parameters_that_it_declares_and_by_no_others() {
    let site = Site::start().await;
    let upload = site.publish().await;
    let api = format!("/api/v1/pictures/{}", upload["id"].as_str().expect("an id"));
    let picture = site.get(&api).await.json();
    // `security.txt` names an instant that is reckoned from now.
    site.clock.stop_at(site.clock.now().as_millisecond());
    let is_kept = |answer: &Answer| answer.header(header::CACHE_CONTROL) != "no-store";
    for declaration in declarations() {
        let address = address(&declaration, &picture);
        let answer = site.get(&address).await;
        let Some(key) = key(&declaration) else {
            assert!(
                !is_kept(&answer),
                "{address} is kept and declares that it never is"
            );
            continue;
        };
        assert!(
            is_kept(&answer),
            "{address} declares that it may be kept and is not"
        );
        for (name, value) in OF_LISTS.into_iter().chain([("fbclid", "1")]) {
            if address.contains(&format!("{name}=")) {
                continue;
            }
            let asked = with(&address, &format!("{name}={value}"));
            let answer_to_that = site.get(&asked).await;
            let location = answer_to_that.header(header::LOCATION).to_owned();
            match key {
                // Else whoever has a cache fetch the page writes what others read.
                Key::Path => assert!(
                    answer_to_that.body == answer.body,
                    "{asked}: the answer depends on a query that is not in the key"
                ),
                Key::Query(known) if known.contains(&name) => {
                    assert_eq!(answer_to_that.status, answer.status, "{asked}");
                }
                Key::Query(_) => assert_eq!(
                    (answer_to_that.status, &*location),
                    (StatusCode::MOVED_PERMANENTLY, &*address),
                    "{asked}"
                ),
            }
        }
    }
}

#[test]
fn every_page_is_among_those_that_a_browser_looks_at() {
    let views = read("../end2end/tests/fixtures/views.ts");
    for page in declarations().iter().filter(|one| one.is_page) {
        let opened = match page.path {
            // The views take these from what the API answers to an upload.
            "/c/{id}" => "return published.url;".to_owned(),
            "/delete/{id}/{token}" => ".delete_url)".to_owned(),
            path => match path.split_once('{') {
                Some((start, _)) => format!("\"{start}"),
                None => format!("\"{path}\""),
            },
        };
        assert!(
            views.contains(&opened),
            "no view in end2end/tests/fixtures/views.ts opens {}: it has no `{opened}`",
            page.path
        );
    }
}
