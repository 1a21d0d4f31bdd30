// Tests that the Dockerfile, .dockerignore and fly.toml fit each other and the rest of the
// repository.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const read = (path) => readFileSync(new URL(`../${path}`, import.meta.url), "utf8");
const dockerfile = read("Dockerfile");
const fly = read("fly.toml");

/** The patterns of an ignore file, in one spelling for both kinds of files. */
function patterns(path) {
  const lines = read(path)
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  return new Set(lines.map((line) => line.replace(/\/$/, "").replace(/^(?!\/|\*\*)/, "**/")));
}

test("nothing that git ignores is sent to the image's build", () => {
  const sent = [...patterns(".gitignore")].filter(
    (pattern) => !patterns(".dockerignore").has(pattern),
  );
  assert.deepEqual(sent, []);
});

test("the image compiles with the repository's own compiler", () => {
  const channel = /^channel = "(.*)"$/m.exec(read("rust-toolchain.toml"))[1];
  assert.match(
    dockerfile,
    new RegExp(`^FROM rust:${channel.replaceAll(".", "\\.")}-slim-bookworm AS build$`, "m"),
  );
  assert.match(dockerfile, /^FROM debian:bookworm-slim$/m);
});

test("the program runs without rights and finds its port and its data where Fly.io puts them", () => {
  const runtime = dockerfile.slice(dockerfile.lastIndexOf("FROM "));
  assert.match(runtime, /^USER cattocdn$/m);
  const port = /CATTO_LISTEN=0\.0\.0\.0:(\d+)/.exec(runtime)[1];
  assert.match(fly, new RegExp(`^ *internal_port = ${port}$`, "m"));
  const data = /CATTO_DATA_DIR=(\S+)/.exec(runtime)[1];
  assert.match(fly, new RegExp(`^ *destination = "${data}"$`, "m"));
  assert.ok(!/CATTO_MODELS_DIR=(\S+)/.exec(runtime)[1].startsWith(data));
});

test("the image has the licences and notices of what is in it", () => {
  const runtime = dockerfile.slice(dockerfile.lastIndexOf("FROM "));
  assert.match(runtime, /^COPY NOTICES\.md LICENSE-APACHE LICENSE-MIT \/app\/$/m);
  assert.match(runtime, /^COPY --from=build \/src\/models \/models$/m);
  assert.match(read("server/models/fetch_models.py"), /output="onnxruntime-notices\.txt"/);
});

test("Fly.io waits for requests under way, and asks only whether the process lives", () => {
  const grace = Number(
    /SHUTDOWN_GRACE: Duration = Duration::from_secs\((\d+)\)/.exec(read("server/src/lib.rs"))[1],
  );
  assert.match(fly, /^kill_signal = "SIGTERM"$/m);
  assert.ok(Number(/^kill_timeout = (\d+)$/m.exec(fly)[1]) > grace);
  assert.match(fly, /^ *path = "\/healthz"$/m);
});

test("no secret is in what everybody can read", () => {
  for (const text of [dockerfile, fly])
    assert.doesNotMatch(text, /CATTO_(ORIGIN_KEY|ADMIN_TOKEN|CLOUDFLARE_TOKEN|EDGE_KEY)|AWS_/);
});
