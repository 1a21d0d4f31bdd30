// Attacks the built server, in the memory of a small machine, with everything at once, and tells whether it lives: its
// memory over time, what the attackers were told, and what an ordinary visitor met meanwhile.
//
// Usage: node scripts/attack.mjs [--seconds 3600] [--megabytes 256] [--seed 1]     (after `make build models`)
//
// The server runs with its default configuration, and with as much memory as `--megabytes` (MiB) says where the system
// lets us hold it to that (as root); elsewhere it is only watched. Ends with 1 when the server died, took more, or answered
// with what it should not. `CATTO_ATTACKED` names another binary than the one that `make build` made, and its site lies
// beside it. Linux only.

import { spawn } from "node:child_process";
import { setMaxListeners } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { ATTACKERS, attackAll } from "./attack/attackers.mjs";
import { makeBombs, ordinaryCat, tinyPng } from "./attack/bombs.mjs";
import { makeCage } from "./attack/cage.mjs";
import { ask, rest } from "./attack/client.mjs";
import { freePort, graph, kilobytes } from "./measure.mjs";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const { values: options } = parseArgs({
  options: {
    seconds: { type: "string", default: "3600" },
    megabytes: { type: "string", default: "256" },
    seed: { type: "string", default: "1" },
  },
});
if (process.platform !== "linux") {
  // It reads /proc, and speaks from addresses that only Linux gives to every program.
  console.log("The attack runs on Linux only; nothing was attacked.");
  process.exit();
}
const seconds = Number(options.seconds);
const limit = Number(options.megabytes) * 1024 * 1024;
/** How often memory is looked at, milliseconds. */
const SAMPLE_EVERY = 250;
/** Longer than the server may take over anything once it is left alone. */
const PATIENCE = 300_000;

const random = seeded(Number(options.seed));
const data = mkdtempSync(join(tmpdir(), "cattocdn-attack-"));
const port = await freePort();
const faults = [];
/** What the visitor who means well asked for, and how often it came. */
const visits = {};
/** The least share of it that must come: crowds are told to come again, and this visitor does not. */
const LEAST_GOOD = { health: 0.99, gallery: 0.8, picture: 0.8, upload: 0.25 };
/** How often each attacker met each answer. */
const answers = new Map();

console.error("==> making the bombs");
const over = new AbortController();
// Every attacker listens for the end.
setMaxListeners(0, over.signal);
const site = {
  port,
  random,
  signal: over.signal,
  ask: (request) => ask(port, { signal: over.signal, ...request }),
  bombs: makeBombs(random),
  tiny: tinyPng(),
  cat: () => ordinaryCat(random),
  /** Addresses of pictures, once there are some. */
  shown: [],
  /** A number for whoever wants to be another client each time. */
  next: (() => {
    let number = 0;
    return () => (number += 1);
  })(),
  // The day's uploads should last as long as the attack.
  pause: { bombs: Math.max(500, seconds * 4), searches: 20, views: 50, junk: 300, deletions: Math.max(2_000, seconds * 6) },
  note,
};

const cage = makeCage(limit);
const begun = Date.now();
const server = spawn(process.env.CATTO_ATTACKED ?? join(root, "dist", "cattocdn"), ["serve"], {
  // Not the checkout: no settings of the developer's, no real index.
  cwd: data,
  env: {
    PATH: process.env.PATH,
    CATTO_LISTEN: `127.0.0.1:${port}`,
    CATTO_PUBLIC_URL: `http://127.0.0.1:${port}`,
    CATTO_DATA_DIR: join(data, "data"),
    CATTO_MODELS_DIR: resolve(root, process.env.CATTO_MODELS_DIR ?? "models"),
    RUST_LOG: "warn",
  },
  stdio: ["ignore", "ignore", "pipe"],
});
cage?.hold(server.pid);
let log = "";
let lines = 0;
server.stderr.on("data", (text) => {
  lines += text.toString().split("\n").length - 1;
  // The end of it is enough to tell why a server died.
  log = (log + text).slice(-4_000);
});
const memory = [];
const sampling = setInterval(() => {
  if (!hasDied()) memory.push(megabytes());
}, SAMPLE_EVERY);

try {
  await started();
  const quiet = megabytes();
  await publishSome();
  const loops = ATTACKERS.reduce((sum, { many }) => sum + many, 0);
  console.error(`==> ${loops} attackers for ${seconds} s against ${options.megabytes} MiB (${cage?.kind ?? "only watched, as no control group can be made here"})`);
  const timer = setTimeout(() => over.abort(), seconds * 1000);
  await Promise.all([attackAll(site), visit(), died().then(() => over.abort())]);
  clearTimeout(timer);
  const busy = Math.max(...memory);
  console.error("==> the attack is over; waiting until all is well again");
  await wellAgain();
  report(quiet, busy);
} finally {
  clearInterval(sampling);
  server.kill("SIGKILL");
  if (!hasDied()) await new Promise((done) => server.once("exit", done));
  cage?.remove();
  rmSync(data, { recursive: true, force: true });
}
process.exit(faults.length ? 1 : 0);

async function started() {
  while ((await site.ask({ path: "/healthz" })).status !== 200) {
    if (server.exitCode !== null) throw new Error(`the server did not start:\n${log}`);
    await rest(50, over.signal);
  }
}

/** A gallery to look at. */
async function publishSome() {
  for (let number = 0; number < 24; number += 1) {
    const answer = await ask(port, { from: `127.9.0.${number + 1}`, method: "POST", path: "/api/v1/pictures?wait=25", body: site.cat() });
    if (answer.status !== 201) throw new Error(`a cat was not published before the attack: ${answer.status} ${answer.body}`);
    site.shown.push(new URL(answer.json.url).pathname, ...Object.values(answer.json.images).map((url) => new URL(url).pathname));
  }
}

/** Somebody who means well, from another address each time. */
async function visit() {
  for (let turn = 0; !over.signal.aborted; turn += 1) {
    const from = `127.200.${Math.floor(turn / 250) % 250}.${1 + (turn % 250)}`;
    noteVisit("health", await site.ask({ from, path: "/healthz" }), [200]);
    noteVisit("gallery", await site.ask({ from }), [200, 503]);
    noteVisit("picture", await site.ask({ from, path: site.shown[turn % site.shown.length] }), [200, 503]);
    if (turn % 4 === 0) {
      const body = site.cat();
      noteVisit("upload", await site.ask({ from, method: "POST", path: "/api/v1/pictures?wait=25", body }), [201, 202, 429, 503]);
    }
    await rest(2_000, over.signal);
  }
}

/** After the attack everything works as before. */
async function wellAgain() {
  if (hasDied()) return;
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const page = await ask(port, { from: "127.201.0.1" });
    const upload = await ask(port, { from: "127.201.0.1", method: "POST", path: "/api/v1/pictures?wait=25", body: site.cat() });
    // The day's quota may be used up by then, which is as it should be.
    if (page.status === 200 && [201, 429].includes(upload.status)) return;
    if (hasDied() || Date.now() > deadline) {
      faults.push(`the server did not recover: a page is answered ${said(page)}, an upload ${said(upload)}`);
      return;
    }
    await rest(1_000, new AbortController().signal);
  }
}

/** What the server takes now, in MiB. */
function megabytes() {
  return (cage?.bytes() ?? kilobytes(server.pid, "VmRSS") * 1024) / 1024 / 1024;
}

function hasDied() {
  return server.exitCode !== null || server.signalCode !== null;
}

function died() {
  return new Promise((done) => {
    if (hasDied()) return done();
    const ended = (code, signal) => {
      faults.push(`the server died (${signal ?? code}; killed for want of memory: ${cage?.kills() ?? "unknown"}):\n${log}`);
      done();
    };
    server.once("exit", ended);
    // In the end it is killed by us.
    over.signal.addEventListener("abort", () => {
      server.off("exit", ended);
      done();
    });
  });
}

/** Counts an answer, and looks for what no client should ever get. */
function note(who, answer) {
  if (answer.fault === "not waited for") return;
  const words = said(answer);
  const counts = answers.get(who) ?? new Map();
  counts.set(words, (counts.get(words) ?? 0) + 1);
  answers.set(who, counts);
  const { status, headers } = answer;
  if (status >= 500 && status !== 503) faults.push(`${who}: ${words}`);
  if ([429, 503].includes(status) && !(Number(headers["retry-after"]) > 0)) faults.push(`${who}: ${words} without Retry-After`);
}

function noteVisit(what, answer, expected) {
  note(`visitor: ${what}`, answer);
  if (answer.fault === "not waited for") return;
  visits[what] ??= { made: 0, good: 0 };
  visits[what].made += 1;
  if (answer.status >= 200 && answer.status < 300) visits[what].good += 1;
  if (answer.status && !expected.includes(answer.status)) faults.push(`a visitor's ${what} was answered ${said(answer)}`);
}

function said(answer) {
  if (answer.fault) return answer.fault;
  return [answer.status, answer.json?.error?.code].filter(Boolean).join(" ");
}

function report(quiet, busy) {
  const now = memory.at(-1) ?? 0;
  if (busy > Number(options.megabytes)) faults.push(`${busy.toFixed(0)} MiB were taken, of ${options.megabytes}`);
  for (const [what, least] of Object.entries(LEAST_GOOD)) {
    const { made = 0, good = 0 } = visits[what] ?? {};
    if (!(good >= made * least && good > 0)) faults.push(`of ${made} times that a visitor asked for ${what}, only ${good} went well`);
  }
  const width = Math.max(...[...answers.keys()].map((name) => name.length));
  for (const [who, counts] of [...answers].sort()) {
    const words = [...counts].sort((a, b) => b[1] - a[1]).map(([what, count]) => `${count}x ${what}`);
    console.log(`${who.padEnd(width)}  ${words.join(", ")}`);
  }
  const together = Math.max(1, Math.ceil(memory.length / 120));
  console.log(`\nmemory: ${quiet.toFixed(0)} MiB at rest, ${busy.toFixed(0)} MiB at most, ${now.toFixed(0)} MiB after it; ${lines} lines of log`);
  console.log(`over ${((Date.now() - begun) / 1000).toFixed(0)} s, from 0 to ${options.megabytes} MiB, on ${cpus().length} processors:\n${graph(memory, Number(options.megabytes), together)}`);
  const kills = cage?.kills() ?? 0;
  if (kills) faults.push(`the kernel killed ${kills} process(es) of the server for want of memory`);
  for (const fault of new Set(faults)) console.log(`FAULT: ${fault}`);
  console.log(faults.length ? "" : "The server lives, and served its visitors.");
}

/** Numbers from 0 to 1 that a seed repeats (Marsaglia's xorshift of 32 bits). */
function seeded(seed) {
  let state = seed | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
