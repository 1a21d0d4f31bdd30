// Tests of the viewer-request function, run in Node on the very file that CloudFront gets.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterEach, test } from "node:test";

const source = readFileSync(new URL("viewer_request.js", import.meta.url), "utf8");
const realNow = Date.now;
afterEach(() => {
  Date.now = realNow;
});

const KEY = "k".repeat(64);
const OLD_KEY = "o".repeat(64);
const T = Date.UTC(2026, 10, 29, 10, 15, 2);
const PICTURE = "/i/20261129T101502Z/7Hq2vKxW9sNfRb3T/512.webp";

const digestOf = (key) => createHash("sha256").update(key).digest("hex");

/** The function with these digests filled in, as CloudFormation publishes it. */
async function handlerWith(digests) {
  const published = `${source.replace("${EdgeKeyDigests}", digests)}\nexport { handler };`;
  return (await import(`data:text/javascript;base64,${Buffer.from(published).toString("base64")}`))
    .handler;
}
const open = await handlerWith("");
const guarded = await handlerWith(`${digestOf(KEY)},${digestOf(OLD_KEY)}`);

function ask(handler, uri, { method = "GET", at = T - 3600_000, headers = {} } = {}) {
  Date.now = () => at;
  const values = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, { value }]),
  );
  return handler({
    version: "1.0",
    viewer: { ip: "198.51.100.7" },
    request: { method, uri, querystring: {}, headers: values, cookies: {} },
  });
}

test("a picture is let through until the last millisecond before its end", () => {
  for (const at of [T - 1000, T - 1]) assert.equal(ask(open, PICTURE, { at }).uri, PICTURE);
});

test("a picture is gone from its second on, for every method, and caches may keep that for a day", () => {
  for (const at of [T, T + 1000, T + 86_400_000]) {
    for (const method of ["GET", "HEAD", "OPTIONS", "POST", "DELETE"]) {
      const response = ask(open, PICTURE, { at, method });
      assert.equal(response.statusCode, 410);
      assert.equal(response.headers["cache-control"].value, "public, max-age=86400");
      assert.equal(JSON.parse(response.body).error.code, "gone");
    }
  }
});

test("no other spelling of a picture's address outlives its end", () => {
  for (const uri of [
    "/%69/20261129T101502Z/7Hq2vKxW9sNfRb3T/512.webp",
    "/i%2F20261129T101502Z/7Hq2vKxW9sNfRb3T/512.webp",
    "/i/%320261129T101502Z/7Hq2vKxW9sNfRb3T/512.webp",
    "/i/20261129T101502%5A/7Hq2vKxW9sNfRb3T/512.webp",
    "/i/20261129T101502Z/7Hq2vKxW9sNfRb3T/640%2Ewebp",
    "/i//20261129T101502Z/7Hq2vKxW9sNfRb3T/512.webp",
    "/i/./20261129T101502Z/7Hq2vKxW9sNfRb3T/512.webp",
    "/i/20261129T101502Z/7Hq2vKxW9sNfRb3T/../7Hq2vKxW9sNfRb3T/512.webp",
    "/i/20261129T101502Z/7Hq2vKxW9sNfRb3T/512.webp/",
    "/i/20261129T101502Z/7Hq2vKxW9sNfRb3T/512.webp\n",
    "/c/../i/20261129T101502Z/7Hq2vKxW9sNfRb3T/512.webp",
    "/c/%2e%2E/i/20261129T101502Z/7Hq2vKxW9sNfRb3T/512.webp",
    "/c%2F..%2Fi/20261129T101502Z/7Hq2vKxW9sNfRb3T/512.webp",
    "/./i/20261129T101502Z/7Hq2vKxW9sNfRb3T/512.webp",
    "//i/20261129T101502Z/7Hq2vKxW9sNfRb3T/512.webp",
    "/i/",
    "/i/..",
    "/%zz/20261129T101502Z/7Hq2vKxW9sNfRb3T/512.webp",
    "/%C0%69/20261129T101502Z/7Hq2vKxW9sNfRb3T/512.webp",
  ]) {
    const response = ask(open, uri, { at: T + 1000 });
    assert.equal(response.statusCode, 404, uri);
    assert.equal(response.headers["cache-control"].value, "public, max-age=10");
  }
});

test("other addresses pass, whatever they look like", () => {
  for (const uri of [
    "/",
    "/c/7Hq2vKxW9sNfRb3T",
    "/tags/i",
    "/tags/chat%20noir",
    "/api/v1/pictures/i",
    "/api/v1/pictures/",
    "/api/v1/pictures/my..cat.jpg",
    "/.well-known/security.txt",
    "/pkg/a.b.wasm",
  ]) {
    assert.equal(ask(open, uri).uri, uri);
  }
});

test("without Cloudflare's secret everything is refused and nothing of it is kept", () => {
  for (const headers of [
    {},
    { "x-catto-edge-key": "" },
    { "x-catto-edge-key": `${KEY}x` },
    { "x-catto-edge-key": digestOf(KEY) },
  ]) {
    for (const uri of ["/", PICTURE, "/api/v1/pictures"]) {
      const response = ask(guarded, uri, { headers });
      assert.equal(response.statusCode, 403);
      assert.equal(response.headers["cache-control"].value, "no-store");
    }
  }
});

test("either of two secrets opens, and none of them goes on to the server", () => {
  for (const key of [KEY, OLD_KEY]) {
    const request = ask(guarded, PICTURE, { headers: { "x-catto-edge-key": key } });
    assert.equal(request.uri, PICTURE);
    assert.equal(request.headers["x-catto-edge-key"], undefined);
  }
});

test("a function that the template did not fill in lets nobody pass", async () => {
  const unfilled = await handlerWith("${EdgeKeyDigests}");
  assert.equal(ask(unfilled, "/", { headers: { "x-catto-edge-key": KEY } }).statusCode, 403);
});

test("the server hears the visitor's address from Cloudflare, or from CloudFront where there is none", () => {
  const forged = { "x-catto-client-address": "203.0.113.9", "cf-connecting-ip": "192.0.2.44" };
  assert.equal(
    ask(open, "/", { headers: forged }).headers["x-catto-client-address"].value,
    "198.51.100.7",
  );
  const told = ask(guarded, "/", { headers: { ...forged, "x-catto-edge-key": KEY } });
  assert.equal(told.headers["x-catto-client-address"].value, "192.0.2.44");
});

test("the function is small enough for CloudFront", () => {
  assert.ok(Buffer.byteLength(source) + 2 * 65 < 10 * 1024);
});
