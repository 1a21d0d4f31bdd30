// Measures what is built: start time, upload latency, memory, asset sizes. Prints a table; decides nothing.
// Usage: node scripts/bench.mjs [--uploads N] (after `make build models`)

import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const { values: options } = parseArgs({ options: { uploads: { type: "string", default: "10" } } });
const pictures = join(process.env.CATTO_CACHE, "bench-pictures");
const data = mkdtempSync(join(tmpdir(), "cattocdn-bench-"));
const rows = [];

if (!existsSync(join(pictures, "50mpx.png"))) {
  console.error("==> making the pictures (once)");
  execFileSync("cargo", ["run", "--quiet", "--locked", "--release", "--package", "server", "--example", "bench_pictures", pictures], { cwd: root, stdio: "inherit" });
}

const port = await freePort();
const origin = `http://127.0.0.1:${port}`;
const started = performance.now();
const server = spawn(join(root, "dist", "cattocdn"), ["serve"], {
  // Not the checkout, and no settings of the developer's: the bench must not touch a real index.
  cwd: data,
  env: {
    PATH: process.env.PATH,
    CATTO_LISTEN: `127.0.0.1:${port}`,
    CATTO_PUBLIC_URL: origin,
    CATTO_DATA_DIR: join(data, "data"),
    CATTO_MODELS_DIR: resolve(root, process.env.CATTO_MODELS_DIR ?? "models"),
    RUST_LOG: "warn",
  },
  stdio: ["ignore", "inherit", "inherit"],
});
try {
  await measure();
} finally {
  server.kill("SIGTERM");
  await new Promise((done) => server.once("exit", done));
  rmSync(data, { recursive: true, force: true });
}
const width = Math.max(...rows.map(([name]) => name.length));
for (const [name, value] of rows) console.log(`${name.padEnd(width)}  ${value}`);

async function measure() {
  while (!(await fetch(`${origin}/healthz`).catch(() => null))) {
    if (server.exitCode !== null) throw new Error("the server did not start");
  }
  row("start to first answered request", milliseconds(performance.now() - started));
  row("memory at rest", memory("VmRSS"));

  for (const name of ["12mpx.jpg", "12mpx-progressive.jpg", "50mpx.jpg", "50mpx.png"]) {
    const bytes = readFileSync(join(pictures, name));
    const times = [];
    for (let index = 0; index < Number(options.uploads); index += 1) {
      const begun = performance.now();
      await upload(bytes);
      times.push(performance.now() - begun);
    }
    times.sort((a, b) => a - b);
    const label = `${name} (${(bytes.length / 1e6).toFixed(1)} MB) to 201, one at a time`;
    row(label, `median ${milliseconds(times[times.length >> 1])}, slowest ${milliseconds(times.at(-1))}`);
  }
  row("most memory so far", memory("VmHWM"));

  for (const name of ["50mpx.jpg", "50mpx.png"]) {
    const bytes = readFileSync(join(pictures, name));
    const begun = performance.now();
    await Promise.all(Array.from({ length: 8 }, () => upload(bytes)));
    row(`eight ${name} at once, all published`, milliseconds(performance.now() - begun));
    row("most memory so far", memory("VmHWM"));
  }

  const page = await (await fetch(`${origin}/`)).arrayBuffer();
  row("gallery page", `${(page.byteLength / 1000).toFixed(1)} kB (uncompressed)`);
  const pkg = join(root, "dist", "site", "pkg");
  const brotli = (kind) => readdirSync(pkg).filter((file) => file.endsWith(`.${kind}.br`)).reduce((sum, file) => sum + statSync(join(pkg, file)).size, 0);
  for (const kind of ["wasm", "js", "css"]) row(`${kind}, brotli`, `${(brotli(kind) / 1000).toFixed(1)} kB`);
  const { images } = await upload(readFileSync(join(pictures, "12mpx.jpg")));
  for (const [name, url] of Object.entries(images)) {
    const image = await (await fetch(url)).arrayBuffer();
    row(`variant ${name} of 12mpx.jpg`, `${(image.byteLength / 1000).toFixed(1)} kB`);
  }
}

/** Uploads until the picture is published; a 202 is asked for again. */
async function upload(bytes) {
  const answer = await fetch(`${origin}/api/v1/pictures?wait=25`, { method: "POST", body: bytes });
  let json = await answer.json();
  if (answer.status === 202) {
    const status = json.status_url;
    do json = await (await fetch(status)).json();
    while (json.state === "screening");
  }
  if (!json.images) throw new Error(`${answer.status}: ${JSON.stringify(json)}`);
  return json;
}

function memory(field) {
  const status = readFileSync(`/proc/${server.pid}/status`, "utf8");
  return `${(Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)[1]) / 1000).toFixed(0)} MB`;
}

function milliseconds(time) {
  return `${time.toFixed(0)} ms`;
}

function row(name, value) {
  rows.push([name, value]);
}

function freePort() {
  return new Promise((done, fail) => {
    const probe = createServer().once("error", fail);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });
}
