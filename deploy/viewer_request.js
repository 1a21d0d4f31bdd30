// CloudFront runs this function for every request, before it looks into its cache (runtime
// cloudfront-js-2.0). It refuses requests that go round Cloudflare, answers "gone" for
// pictures from the second at which they end, and tells the server the address of the
// client.
//
// `template.yaml` holds a copy of this file. After a change, refresh the copy with
// `node deploy/embed_viewer_request.mjs`.

import crypto from "crypto";

// The SHA-256 of each secret that Cloudflare may send, in hexadecimal, separated by commas.
// The template fills it in. It is empty if no Cloudflare stands in front. Only digests
// stand here, so that somebody who may read the code of this function does not learn the
// secrets.
const EDGE_KEY_DIGESTS = "${EdgeKeyDigests}";

// The only form in which the address of a picture is let through to the bucket. The bucket
// decodes percent signs, so an address with an encoded digit would name the same object and
// slip past the check of the time below.
const IMAGE_PATH = /^\/i\/(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z\/[1-9A-HJ-NP-Za-km-z]+\/[0-9a-z]+\.[0-9a-z]+$/;

// Matches empty segments and segments of dots, which a server or cache on the way might
// leave out, so that the address would mean something else there. No address of the site
// has such segments.
const FOLDABLE = /\/(\/|\.{1,2}(\/|$))/;

const DAY = "public, max-age=86400";
const TEN_SECONDS = "public, max-age=10";

function handler(event) {
  const request = event.request;
  const headers = request.headers;

  if (EDGE_KEY_DIGESTS !== "" && !isEdgeKey(headers["x-catto-edge-key"])) {
    const message = "This address cannot be used directly. Please use the public address of the site.";
    return answer(403, "Forbidden", "no-store", "forbidden", message);
  }

  const path = decoded(request.uri);
  if (path === null || FOLDABLE.test(path)) return notFound();
  if (path.startsWith("/i/")) {
    const parts = IMAGE_PATH.exec(request.uri);
    if (parts === null) return notFound();
    if (Date.now() >= endOf(parts)) {
      const message = "This picture is gone, because its time was up. It cannot be brought back.";
      return answer(410, "Gone", DAY, "gone", message);
    }
  }

  // This header is always overwritten, so that the server never sees what a visitor sent
  // under its name.
  headers["x-catto-client-address"] = { value: clientAddress(event) };
  delete headers["x-catto-edge-key"];
  return request;
}

/** Tells whether this header holds one of the secrets that only Cloudflare sends. */
function isEdgeKey(header) {
  if (header === undefined) return false;
  const digest = crypto.createHash("sha256").update(header.value).digest("hex");
  return EDGE_KEY_DIGESTS.split(",").includes(digest);
}

/** The path as the bucket would read it, or null if it cannot be decoded. */
function decoded(uri) {
  try {
    return decodeURIComponent(uri);
  } catch (_) {
    return null;
  }
}

/** The first instant at which the picture is gone, in milliseconds since 1970. */
function endOf(parts) {
  return Date.UTC(
    Number(parts[1]), Number(parts[2]) - 1, Number(parts[3]),
    Number(parts[4]), Number(parts[5]), Number(parts[6])
  );
}

/**
 * The IP address of the client. If Cloudflare stands in front, CloudFront sees only
 * Cloudflare's address; the header in which Cloudflare names the client is believed because
 * the request came with the right secret.
 */
function clientAddress(event) {
  const told = event.request.headers["cf-connecting-ip"];
  return EDGE_KEY_DIGESTS !== "" && told !== undefined ? told.value : event.viewer.ip;
}

function notFound() {
  const message = "There is nothing at this address. Please check it for typing mistakes.";
  return answer(404, "Not Found", TEN_SECONDS, "not-found", message);
}

/** An answer with an error in the same form as the server's own. */
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
