//! The addresses of the contract: what each takes, and what it answers.

use serde_json::{Map, Value, json};

use crate::config::LimitsConfig;
use crate::domain::expiry::Retention;
use crate::domain::search::{MAX_QUERY_BYTES, MAX_TERMS};
use crate::http::list::{MOST_IDS, PAGE_SIZE};
use crate::http::lives::EXPIRES_IN;
use crate::http::oembed::LONGEST_URL;
use crate::http::upload::MAX_WAIT_SECONDS;

/// The groups of addresses, each with what it is for.
pub(super) const TAGS: [(&str, &str); 5] = [
    ("Pictures", "Uploading, reading and deleting pictures."),
    ("Tags", "What is in the pictures."),
    (
        "Feeds and embeds",
        "What feed readers follow, and how other sites show a picture behind its link.",
    ),
    (
        "Protocols of other hosts",
        "What the clients of imgur, imgbb, Chevereto, litterbox, catbox, 0x0 and rustypaste send. \
         Errors come in the words of these protocols. Nothing is fetched from a URL.",
    ),
    (
        "Pages",
        "What people read at the addresses that take uploads and deletions as well.",
    ),
];
const PICTURES: &str = TAGS[0].0;
const ALL_TAGS: &str = TAGS[1].0;
const FEEDS: &str = TAGS[2].0;
const OTHERS: &str = TAGS[3].0;
const PAGES: &str = TAGS[4].0;

/// How an id is written.
const ID: &str = "^[1-9A-HJ-NP-Za-km-z]{16}$";

/// The statuses of errors that any request may be answered with.
const OF_ALL: [u16; 4] = [403, 429, 500, 503];
/// Those of a picture that was refused, and of one that is over or never was.
const OF_READING: [u16; 5] = [404, 410, 413, 415, 422];
/// Those of an upload.
const OF_UPLOADS: [u16; 6] = [400, 408, 410, 413, 415, 422];

/// Every address, with its operations.
pub(super) fn paths(limits: &LimitsConfig) -> Value {
    json!({
        "/api/v1/pictures": {
            "get": list(),
            "post": upload("uploadPicture", "Upload a picture in a form or as the body", limits, true),
            "put": upload("putPicture", "Upload a picture as the body", limits, true),
        },
        "/api/v1/pictures/{id}": {
            "get": read(),
            "put": put_named(limits),
            "delete": delete(),
        },
        "/api/v1/tags": { "get": tags() },
        "/feed.xml": { "get": feed("readAtom", ATOM, json!([search(), after()])) },
        "/feed.json": { "get": feed("readJsonFeed", JSON_FEED, json!([search(), after()])) },
        "/tags/{tag}/feed.xml": { "get": feed("readAtomOfTag", ATOM, json!([tag(), after()])) },
        "/tags/{tag}/feed.json": {
            "get": feed("readJsonFeedOfTag", JSON_FEED, json!([tag(), after()])),
        },
        "/oembed": { "get": embed() },
        "/3/image": { "post": other("imgurImage", "Upload as to imgur", IMGUR) },
        "/3/upload": { "post": other("imgurUpload", "Upload as to imgur", IMGUR) },
        "/3/image.xml": { "post": other("imgurImageXml", "The same, answered in XML", IMGUR_XML) },
        "/3/upload.xml": {
            "post": other("imgurUploadXml", "The same, answered in XML", IMGUR_XML),
        },
        "/3/image/{id}": {
            "get": at_id("imgurRead", "Read as at imgur", IMGUR),
            "delete": at_id("imgurDelete", "Delete by the `deletehash` of the upload", IMGUR),
        },
        "/1/upload": { "post": other("imgbbUpload", "Upload as to imgbb", IMGBB) },
        "/api/1/upload": { "post": other("cheveretoUpload", "Upload as to Chevereto", IMGBB) },
        "/resources/internals/api.php": {
            "post": other("litterboxAsk", "Upload as to litterbox", CATBOX),
        },
        "/user/api.php": {
            "post": other("catboxAsk", "Upload as to catbox, or delete by `userhash`", CATBOX),
        },
        "/": {
            "get": page("readGallery", "The gallery, newest first", json!([after()])),
            "post": other("pasteUpload", "Upload as to 0x0 and rustypaste", PASTE),
        },
        "/c/{id}": {
            "get": page(
                "readPage",
                "The page of a picture; with an ending such as `.jpg`, a redirect to its file",
                json!([name()]),
            ),
            "delete": at_id("pasteDelete", "Delete as at rustypaste, by the secret in `Authorization`", PASTE),
            "post": at_id("pasteDeleteByForm", "Delete as at 0x0, by `token` and `delete`", PASTE),
        },
    })
}

/// The parameters that several operations take.
pub(super) fn parameters(retention: Retention) -> Value {
    json!({
        "Id": {
            "name": "id",
            "in": "path",
            "required": true,
            "description": "The id of a picture.",
            "schema": { "type": "string", "pattern": ID },
            "example": "5ZkXbZ7H8r6Y3pQw",
        },
        "Wait": {
            "name": "wait",
            "in": "query",
            "description": "How many seconds the answer may wait for the verdict.",
            "schema": {
                "type": "integer",
                "minimum": 0,
                "maximum": MAX_WAIT_SECONDS,
                "default": 20,
            },
        },
        "ExpiresIn": {
            "name": EXPIRES_IN,
            "in": "query",
            "description": format!(
                "How long the picture lives once it is published, in seconds, or with a unit as \
                 in `1h`. Without it that is {}, which is also the most.",
                retention.in_words(),
            ),
            "schema": {
                "type": "integer",
                "minimum": retention.shortest().seconds(),
                "maximum": retention.seconds(),
                "default": retention.seconds(),
            },
        },
        "IdempotencyKey": {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "A secret name for this upload, such as a random UUID. The same bytes \
                with the same key are answered as the first time, for 24 hours.",
            "schema": { "type": "string", "pattern": "^[!-~]{16,255}$" },
        },
        "IfNoneMatch": {
            "name": "If-None-Match",
            "in": "header",
            "description": "The `ETag` of an earlier answer, which is then not sent again.",
            "schema": { "type": "string" },
        },
    })
}

/// The headers that several answers carry.
pub(super) fn headers() -> Value {
    json!({
        "RetryAfter": {
            "description": "In how many seconds to try again.",
            "required": true,
            "schema": { "type": "integer", "minimum": 1 },
        },
        "Etag": {
            "description": "Names these very bytes.",
            "schema": { "type": "string" },
        },
        "CacheControl": {
            "description": "How long the answer may be kept. It ends before the first picture in \
                it does.",
            "schema": { "type": "string" },
        },
        "Link": {
            "description": "The next page with `rel=\"next\"`, and the one before with \
                `rel=\"prev\"`, where there are such pages.",
            "schema": { "type": "string" },
        },
        "Location": {
            "description": "The page of the picture.",
            "required": true,
            "schema": { "type": "string", "format": "uri" },
        },
    })
}

fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

/// An answer in JSON that may be kept.
fn kept(description: &str, schema: Value) -> Value {
    json!({
        "description": description,
        "headers": {
            "ETag": reference("headers", "Etag"),
            "Cache-Control": reference("headers", "CacheControl"),
        },
        "content": { "application/json": { "schema": schema } },
    })
}

/// These answers, and those with errors of these statuses and of [`OF_ALL`].
fn responses<const N: usize>(answers: [(&str, Value); N], errors: &[u16]) -> Value {
    let mut responses: Map<String, Value> = answers
        .into_iter()
        .map(|(status, answer)| (status.to_owned(), answer))
        .collect();
    for status in errors.iter().chain(&OF_ALL) {
        let error = reference("responses", &format!("Error{status}"));
        responses.insert(status.to_string(), error);
    }
    Value::Object(responses)
}

fn list() -> Value {
    let text = |name: &str, description: String, schema: Value| json!({ "name": name, "in": "query", "description": description, "schema": schema });
    let mut page = kept("A page of pictures.", reference("schemas", "PicturePage"));
    page["headers"]["Link"] = reference("headers", "Link");
    json!({
        "tags": [PICTURES],
        "operationId": "listPictures",
        "summary": "List or search pictures, newest first",
        "description": "An address in another than the canonical spelling is answered 301.",
        "parameters": [
            search(),
            text(
                "tag",
                format!("One whole tag, of at most {MAX_QUERY_BYTES} bytes."),
                json!({ "type": "string", "maxLength": MAX_QUERY_BYTES }),
            ),
            after(),
            text(
                "limit",
                "How many pictures the page has at most.".to_owned(),
                json!({ "type": "integer", "minimum": 1, "maximum": PAGE_SIZE, "default": PAGE_SIZE }),
            ),
            text(
                "ids",
                format!("Up to {MOST_IDS} ids with commas between them: these pictures are read, and nothing else is asked for. Ids of pictures that are not published are left out."),
                json!({ "type": "string", "pattern": format!("^({id}(,{id}){{0,{more}}})?$", id = &ID[1..ID.len() - 1], more = MOST_IDS - 1) }),
            ),
            reference("parameters", "IfNoneMatch"),
        ],
        "responses": responses(
            [("200", page), ("301", moved()), ("304", unchanged())],
            &[400],
        ),
    })
}

fn search() -> Value {
    json!({
        "name": "q",
        "in": "query",
        "description": format!(
            "A search: words and `\"phrases\"`, with `-` before those that must be absent. At most \
             {MAX_TERMS} of them, and {MAX_QUERY_BYTES} bytes."
        ),
        "schema": { "type": "string", "maxLength": MAX_QUERY_BYTES },
    })
}

fn after() -> Value {
    json!({
        "name": "after",
        "in": "query",
        "description": "The `next` or the `previous` of another page.",
        "schema": { "type": "string", "pattern": "^([1-9][0-9]{0,17})?$" },
    })
}

fn moved() -> Value {
    json!({
        "description": "The canonical address.",
        "headers": { "Location": { "required": true, "schema": { "type": "string" } } },
    })
}

fn unchanged() -> Value {
    json!({ "description": "What the client has is still right." })
}

fn read() -> Value {
    let either = json!({
        "oneOf": [reference("schemas", "PictureView"), reference("schemas", "PendingView")],
    });
    json!({
        "tags": [PICTURES],
        "operationId": "readPicture",
        "summary": "Read one picture, or where its screening stands",
        "parameters": [reference("parameters", "Id"), reference("parameters", "IfNoneMatch")],
        "responses": responses(
            [("200", kept("The picture.", either)), ("304", unchanged())],
            &OF_READING,
        ),
    })
}

fn upload(id: &str, summary: &str, limits: &LimitsConfig, in_form: bool) -> Value {
    let binary = || json!({ "schema": { "type": "string", "contentMediaType": "application/octet-stream" } });
    let mut content = Map::new();
    for kind in [
        "image/jpeg",
        "image/png",
        "image/webp",
        "image/gif",
        "application/octet-stream",
    ] {
        content.insert(kind.to_owned(), binary());
    }
    if in_form {
        let form = json!({
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": { "type": "string", "contentMediaType": "application/octet-stream" },
                    EXPIRES_IN: { "type": "string", "description": "As the parameter." },
                },
            },
        });
        content.insert("multipart/form-data".to_owned(), form);
    }
    let answer = |description: &str, schema: Value| {
        json!({
            "description": description,
            "headers": { "Location": reference("headers", "Location") },
            "content": { "application/json": { "schema": schema } },
        })
    };
    let published = json!({
        "allOf": [reference("schemas", "UploadView"), reference("schemas", "PublishedView")],
    });
    let waiting = json!({
        "allOf": [reference("schemas", "UploadView"), { "type": "object", "required": ["status_url"] }],
    });
    json!({
        "tags": [PICTURES],
        "operationId": id,
        "summary": summary,
        "description": format!(
            "The file is a JPEG, PNG, WebP or GIF of at most {} and {} pixels; its kind is \
             read from its content. One client may send {} files an hour.",
            bytesize::ByteSize(limits.max_upload_bytes).display().iec(),
            limits.max_pixels,
            limits.uploads_per_hour,
        ),
        "parameters": [
            reference("parameters", "Wait"),
            reference("parameters", "ExpiresIn"),
            reference("parameters", "IdempotencyKey"),
        ],
        "requestBody": { "required": true, "content": content },
        "responses": responses(
            [
                ("201", answer("The picture is published.", published)),
                ("202", answer("It is still being screened; ask `status_url`.", waiting)),
            ],
            &OF_UPLOADS,
        ),
    })
}

/// The upload whose address ends with a name, which is ignored.
fn put_named(limits: &LimitsConfig) -> Value {
    let summary = "Upload a picture as the body; the last part of the address is ignored";
    let mut operation = upload("putNamedPicture", summary, limits, false);
    let name = json!({
        "name": "id",
        "in": "path",
        "required": true,
        "description": "Any name, as `curl -T` adds it.",
        "schema": { "type": "string", "pattern": "^[A-Za-z0-9_-]{1,100}([.][a-z]{3,4})?$" },
        "example": "cat.jpg",
    });
    if let Some(parameters) = operation["parameters"].as_array_mut() {
        parameters.insert(0, name);
    }
    operation
}

fn delete() -> Value {
    let ban = json!({
        "name": "ban",
        "in": "query",
        "description": "Deletes all pictures that look like this one, and refuses such pictures \
            from now on. It takes the operator's token.",
        "schema": { "type": "boolean", "default": false },
    });
    json!({
        "tags": [PICTURES],
        "operationId": "deletePicture",
        "summary": "Delete a picture",
        "security": [{ "token": [] }],
        "parameters": [reference("parameters", "Id"), ban],
        "responses": responses(
            [("204", json!({ "description": "The picture is gone." }))],
            &[400, 401, 404, 410],
        ),
    })
}

fn tags() -> Value {
    let all = kept(
        "All tags with their counts.",
        reference("schemas", "TagList"),
    );
    json!({
        "tags": [ALL_TAGS],
        "operationId": "listTags",
        "summary": "List all tags, most used first",
        "parameters": [reference("parameters", "IfNoneMatch")],
        "responses": responses([("200", all), ("301", moved()), ("304", unchanged())], &[]),
    })
}

const ATOM: &str = "application/atom+xml";
const JSON_FEED: &str = "application/feed+json";

/// A feed of this type.
fn feed(id: &str, kind: &str, mut parameters: Value) -> Value {
    if let Some(parameters) = parameters.as_array_mut() {
        parameters.push(reference("parameters", "IfNoneMatch"));
    }
    let mut newest = kept("The newest pictures.", json!({}));
    newest["content"] = json!({ kind: {} });
    json!({
        "tags": [FEEDS],
        "operationId": id,
        "summary": format!("The newest pictures as {kind}"),
        "description": "An address in another than the canonical spelling is answered 301.",
        "parameters": parameters,
        "responses": responses(
            [("200", newest), ("301", moved()), ("304", unchanged())],
            &[400, 404],
        ),
    })
}

fn tag() -> Value {
    json!({
        "name": "tag",
        "in": "path",
        "required": true,
        "description": format!("One whole tag, of at most {MAX_QUERY_BYTES} bytes."),
        "schema": { "type": "string", "minLength": 1, "maxLength": MAX_QUERY_BYTES },
        "example": "tabby cat",
    })
}

/// oEmbed, whose parameters and answers its specification names.
fn embed() -> Value {
    let number = |name: &str, side: &str| {
        json!({
            "name": name,
            "in": "query",
            "description": format!("The most pixels of the picture's {side}."),
            "schema": { "type": "integer", "minimum": 1, "maximum": u32::MAX },
        })
    };
    let url = json!({
        "name": "url",
        "in": "query",
        "required": true,
        "description": "A link that leads to a picture of this site.",
        "schema": { "type": "string", "minLength": 1, "maxLength": LONGEST_URL },
    });
    let format = json!({
        "name": "format",
        "in": "query",
        "description": "How the answer is written.",
        "schema": { "type": "string", "enum": ["json", "xml"], "default": "json" },
    });
    let photo = json!({
        "type": "object",
        "required": ["type", "version", "url", "width", "height"],
        "properties": {
            "type": { "const": "photo" },
            "version": { "const": "1.0" },
            "url": { "type": "string", "format": "uri" },
            "width": { "type": "integer", "minimum": 1 },
            "height": { "type": "integer", "minimum": 1 },
            "cache_age": { "type": "integer", "minimum": 0 },
        },
    });
    let mut answer = kept("How to show the picture.", photo);
    answer["content"]["text/xml"] = json!({});
    json!({
        "tags": [FEEDS],
        "operationId": "embed",
        "summary": "How another site shows a picture behind its link (oEmbed)",
        "description": "An address in another than the canonical spelling is answered 301.",
        "parameters": [
            url,
            format,
            number("maxwidth", "width"),
            number("maxheight", "height"),
            reference("parameters", "IfNoneMatch"),
        ],
        "responses": responses(
            [("200", answer), ("301", moved()), ("304", unchanged())],
            &[400, 404, 501],
        ),
    })
}

/// How a protocol of another host looks.
#[derive(Clone, Copy)]
struct Looks {
    /// The field with the picture.
    field: &'static str,
    /// The type of its answers.
    answers: &'static str,
}

const IMGUR: Looks = Looks {
    field: "image",
    answers: "application/json",
};
const IMGUR_XML: Looks = Looks {
    field: "image",
    answers: "application/xml",
};
const IMGBB: Looks = Looks {
    field: "image",
    answers: "application/json",
};
const CATBOX: Looks = Looks {
    field: "fileToUpload",
    answers: "text/plain",
};
const PASTE: Looks = Looks {
    field: "file",
    answers: "text/plain",
};

/// The answers of another host's protocol, whose clients know what is in them.
fn as_they_know(looks: Looks) -> Value {
    let answer =
        |description: &str| json!({ "description": description, "content": { looks.answers: {} } });
    json!({
        "200": answer("Done."),
        "202": answer("The picture has arrived and is still being screened."),
        "4XX": answer("A refusal, in the words of this protocol."),
        "5XX": answer("A failure, in the words of this protocol."),
    })
}

/// An upload as another host takes it.
fn other(id: &str, summary: &str, looks: Looks) -> Value {
    let form = json!({
        "schema": {
            "type": "object",
            "required": [looks.field],
            "properties": {
                looks.field: { "type": "string", "contentMediaType": "application/octet-stream" },
            },
        },
    });
    json!({
        "tags": [OTHERS],
        "operationId": id,
        "summary": summary,
        "requestBody": { "required": true, "content": { "multipart/form-data": form } },
        "responses": as_they_know(looks),
    })
}

/// What another host does at the address of a picture.
fn at_id(id: &str, summary: &str, looks: Looks) -> Value {
    json!({
        "tags": [OTHERS],
        "operationId": id,
        "summary": summary,
        "parameters": [name()],
        "responses": as_they_know(looks),
    })
}

/// The id of a picture, or what stands in its place.
fn name() -> Value {
    json!({
        "name": "id",
        "in": "path",
        "required": true,
        "description": "The id of the picture, with an ending or a token behind it where the \
            protocol has that.",
        "schema": { "type": "string", "pattern": "^[1-9A-HJ-NP-Za-km-z.]{16,43}$" },
    })
}

/// A page that people read.
fn page(id: &str, summary: &str, parameters: Value) -> Value {
    let answer =
        |description: &str| json!({ "description": description, "content": { "text/html": {} } });
    json!({
        "tags": [PAGES],
        "operationId": id,
        "summary": summary,
        "parameters": parameters,
        "responses": {
            "200": answer("The page."),
            "301": moved(),
            "302": { "description": "The file that a link with an ending leads to." },
            "304": unchanged(),
            "4XX": {
                "description": "A page that explains the error, or the error in JSON.",
                "content": {
                    "text/html": {},
                    "application/json": { "schema": reference("schemas", "ErrorBody") },
                },
            },
            "5XX": {
                "description": "The same for a failure.",
                "content": {
                    "text/html": {},
                    "application/json": { "schema": reference("schemas", "ErrorBody") },
                },
            },
        },
    })
}
