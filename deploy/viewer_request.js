// What CloudFront runs for every request, before it looks into its cache (runtime cloudfront-js-2.0).
// It lets nobody past Cloudflare, ends pictures at their second, and tells the server who is asking.
// The template holds a copy of this file: `node deploy/embed_viewer_request.mjs` refreshes it.

import crypto from "crypto";

// SHA-256 of each secret that Cloudflare may send, in hexadecimal, with a comma between two; filled in by the template.
// Empty means that no Cloudflare stands in front. Digests, because whoever may read a function's code is not to learn the secret.
const EDGE_KEY_DIGESTS = "${EdgeKeyDigests}";

// The only form in which a picture's address is let through to the bucket. The bucket decodes percent signs, so an
// encoded digit would name the same object and slip past the clock below.
const IMAGE_PATH = /^\/i\/(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z\/[1-9A-HJ-NP-Za-km-z]+\/[0-9a-z]+\.[0-9a-z]+$/;

// Empty and dot segments, which some reader on the way might fold away. No address of the site has any.
const FOLDABLE = /\/(\/|\.{1,2}(\/|$))/;

const DAY = "public, max-age=86400";
const TEN_SECONDS = "public, max-age=10";

function handler(event) {
  const request = event.request;
  const headers = request.headers;

  if (EDGE_KEY_DIGESTS !== "" && !isEdgeKey(headers["x-catto-edge-key"])) {
    return answer(403, "Forbidden", "no-store", "forbidden", "This address is not meant to be asked directly.");
  }

  const path = decoded(request.uri);
  if (path === null || FOLDABLE.test(path)) return notFound();
  if (path.startsWith("/i/")) {
    const parts = IMAGE_PATH.exec(request.uri);
    if (parts === null) return notFound();
    if (Date.now() >= endOf(parts)) {
      return answer(410, "Gone", DAY, "gone", "This picture has reached its end and was deleted.");
    }
  }

  // Always written, so that what a visitor sent under this name never reaches the server.
  headers["x-catto-client-address"] = { value: clientAddress(event) };
  delete headers["x-catto-edge-key"];
  return request;
}

function isEdgeKey(header) {
  if (header === undefined) return false;
  const digest = crypto.createHash("sha256").update(header.value).digest("hex");
  return EDGE_KEY_DIGESTS.split(",").includes(digest);
}

/** The path as the bucket would read it, or null where it cannot be read. */
function decoded(uri) {
  try {
    return decodeURIComponent(uri);
  } catch (_) {
    return null;
  }
}

/** The first millisecond at which the picture is gone. */
function endOf(parts) {
  return Date.UTC(Number(parts[1]), Number(parts[2]) - 1, Number(parts[3]), Number(parts[4]), Number(parts[5]), Number(parts[6]));
}

/** Behind Cloudflare, CloudFront sees only Cloudflare; what Cloudflare says is believed because its secret was right. */
function clientAddress(event) {
  const told = event.request.headers["cf-connecting-ip"];
  return EDGE_KEY_DIGESTS !== "" && told !== undefined ? told.value : event.viewer.ip;
}

function notFound() {
  return answer(404, "Not Found", TEN_SECONDS, "not-found", "There is nothing at this address.");
}

function answer(statusCode, statusDescription, cacheControl, code, message) {
  return {
    statusCode: statusCode,
    statusDescription: statusDescription,
    headers: {
      "cache-control": { value: cacheControl },
      "content-type": { value: "application/json" },
      "access-control-allow-origin": { value: "*" },
      "x-content-type-options": { value: "nosniff" },
    },
    body: JSON.stringify({ error: { code: code, message: message } }),
  };
}
