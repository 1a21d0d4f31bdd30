// Measures the built server: how long it takes to start, to publish uploads and to serve viewers
// while uploads run, how much memory it takes, and how large the assets are. It prints a table and
// a graph of the memory, and judges nothing.
//
// Usage: node scripts/bench.mjs [--uploads N]
// (after `make build models`; N is how often each picture is uploaded)

import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { Agent, get } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

import { freePort, graph, kilobytes } from "./measure.mjs";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const { values: options } = parseArgs({ options: { uploads: { type: "string", default: "10" } } });
const pictures = join(process.env.CATTO_CACHE, "bench-pictures");
/** How many viewers there are at the same time. */
const VIEWERS = 4;
/** How many requests each viewer makes. */
const ASKS = 1000;

// The uploads that run while viewers are measured have a thread of their own, so that they do not
// delay the measuring.
if (!isMainThread) {
  await keepUploading(workerData.origin, workerData.at_once);
  process.exit();
}

const data = mkdtempSync(join(tmpdir(), "cattocdn-bench-"));
const rows = [];

if (!existsSync(join(pictures, "50mpx.png"))) {
  console.error("==> making the pictures (once)");
  execFileSync(
    "cargo",
    [
      "run",
      "--quiet",
      "--locked",
      "--release",
      "--package",
      "tools",
      "--bin",
      "bench_pictures",
      pictures,
    ],
    { cwd: root, stdio: "inherit" },
  );
}

const port = await freePort();
const origin = `http://127.0.0.1:${port}`;
const started = performance.now();
const server = spawn(join(root, "dist", "cattocdn"), ["serve"], {
  // Not the checkout, so that no settings of the developer's are used and no real index is touched.
  cwd: data,
  env: {
    PATH: process.env.PATH,
    CATTO_LISTEN: `127.0.0.1:${port}`,
    CATTO_PUBLIC_URL: origin,
    CATTO_DATA_DIR: join(data, "data"),
    CATTO_MODELS_DIR: resolve(root, process.env.CATTO_MODELS_DIR ?? "models"),
    CATTO_UPLOADS_PER_HOUR: "1000000",
    RUST_LOG: "warn",
  },
  stdio: ["ignore", "inherit", "inherit"],
});
const course = [];
const sampling = setInterval(() => course.push(kilobytes(server.pid, "VmRSS") / 1000), 250);
try {
  await measure();
} finally {
  clearInterval(sampling);
  server.kill("SIGTERM");
  await new Promise((done) => server.once("exit", done));
  rmSync(data, { recursive: true, force: true });
}
const width = Math.max(...rows.map(([name]) => name.length));
for (const [name, value] of rows) console.log(`${name.padEnd(width)}  ${value}`);
console.log(
  `\nmemory over time, ${(course.length / 4).toFixed(0)} s, from 0 to 200 MB:\n${graph(course, 200, 2)}`,
);

/** Makes all measurements in turn. */
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
    row(
      label,
      `median ${milliseconds(times[times.length >> 1])}, slowest ${milliseconds(times.at(-1))}`,
    );
  }
  row("most memory so far", memory("VmHWM"));

  for (const name of ["50mpx.jpg", "50mpx.png"]) {
    const bytes = readFileSync(join(pictures, name));
    const begun = performance.now();
    await Promise.all(Array.from({ length: 8 }, () => upload(bytes)));
    row(`eight ${name} at once, all published`, milliseconds(performance.now() - begun));
    row("most memory so far", memory("VmHWM"));
  }

  await measureViewers();

  const page = await (await fetch(`${origin}/`)).arrayBuffer();
  row("gallery page", `${(page.byteLength / 1000).toFixed(1)} kB (uncompressed)`);
  const pkg = join(root, "dist", "site", "pkg");
  for (const file of readdirSync(pkg).filter((file) => file.endsWith(".br"))) {
    const [name, , kind] = file.split(".");
    row(`${name}.${kind}, brotli`, `${(statSync(join(pkg, file)).size / 1000).toFixed(1)} kB`);
  }
  const { images } = await upload(readFileSync(join(pictures, "12mpx.jpg")));
  for (const [name, url] of Object.entries(images)) {
    const image = await (await fetch(url)).arrayBuffer();
    row(`variant ${name} of 12mpx.jpg`, `${(image.byteLength / 1000).toFixed(1)} kB`);
  }
}

/**
 * Measures how long viewers wait for a picture, first alone and then while eight uploads are always
 * under way.
 */
async function measureViewers() {
  const { images } = await upload(readFileSync(join(pictures, "12mpx.jpg")));
  await view(images["512.webp"]);
  const idle = await view(images["512.webp"]);
  const uploads = new Worker(fileURLToPath(import.meta.url), {
    workerData: { origin, at_once: 8 },
  });
  await new Promise((started) => uploads.once("message", started));
  const busy = await view(images["512.webp"]);
  uploads.postMessage("stop");
  const [count] = await new Promise((done) =>
    uploads.on("message", (message) => Array.isArray(message) && done(message)),
  );
  const words = (times) => `p50 ${times.p50.toFixed(1)} ms, p99 ${times.p99.toFixed(1)} ms`;
  row(`${VIEWERS} viewers, nothing else`, words(idle));
  row(
    `${VIEWERS} viewers, eight uploads at once (${count} published meanwhile)`,
    `${words(busy)}; p99 ${(busy.p99 / idle.p99).toFixed(1)} times the idle one`,
  );
  row("most memory so far", memory("VmHWM"));
}

/** Has all viewers ask for this address and returns how long they waited, in milliseconds. */
async function view(url) {
  const agent = new Agent({ keepAlive: true, maxSockets: VIEWERS });
  const times = [];
  const viewer = async () => {
    for (let ask = 0; ask < ASKS; ask += 1) {
      const begun = performance.now();
      await new Promise((done, fail) => {
        get(url, { agent }, (answer) => {
          if (answer.statusCode !== 200) fail(new Error(`${answer.statusCode} for ${url}`));
          answer.resume().once("end", done);
        }).once("error", fail);
      });
      times.push(performance.now() - begun);
    }
  };
  await Promise.all(Array.from({ length: VIEWERS }, viewer));
  agent.destroy();
  times.sort((a, b) => a - b);
  return { p50: times[times.length >> 1], p99: times[Math.floor(times.length * 0.99)] };
}

/**
 * What the uploading thread does: it keeps `at_once` uploads under way until it is told to stop,
 * and then tells how many pictures were published.
 */
async function keepUploading(origin, at_once) {
  const kinds = ["12mpx.jpg", "12mpx-progressive.jpg", "50mpx.jpg", "50mpx.png"].map((name) =>
    readFileSync(join(pictures, name)),
  );
  let stopping = false;
  let published = 0;
  parentPort.once("message", () => (stopping = true));
  const uploader = async (number) => {
    for (let turn = number; !stopping; turn += 1) {
      await upload(kinds[turn % kinds.length], origin);
      published += 1;
      if (published === 1) parentPort.postMessage("started");
    }
  };
  await Promise.all(Array.from({ length: at_once }, (_, number) => uploader(number)));
  parentPort.postMessage([published]);
}

/**
 * Uploads a picture and waits until it is published. Each upload gets some random bytes at its end,
 * because the server would not screen the same bytes twice.
 */
async function upload(bytes, to = origin) {
  const body = Buffer.concat([bytes, randomBytes(8)]);
  const answer = await fetch(`${to}/api/v1/pictures?wait=25`, { method: "POST", body });
  let json = await answer.json();
  if (answer.status === 202) {
    const status = json.status_url;
    do json = await (await fetch(status)).json();
    while (json.state === "screening");
  }
  if (!json.images) throw new Error(`${answer.status}: ${JSON.stringify(json)}`);
  return json;
}

/** A figure of the server's memory, in words. */
function memory(field) {
  return `${(kilobytes(server.pid, field) / 1000).toFixed(0)} MB`;
}

function milliseconds(time) {
  return `${time.toFixed(0)} ms`;
}

/** Adds a row to the table. */
function row(name, value) {
  rows.push([name, value]);
}
