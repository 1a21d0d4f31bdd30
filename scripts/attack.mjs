// Attacks the built server with everything at once, in the memory of a small machine, and tells
// whether it survives. It prints the memory over time, the answers that the attackers got, and how
// an ordinary visitor fared meanwhile.
//
// Usage: node scripts/attack.mjs [--seconds 3600] [--megabytes 256] [--seed 1]
// (after `make build models`)
//
// The server runs with its default configuration. If the system allows it, which takes root, the
// server is held to `--megabytes` (MiB) of memory; otherwise its memory is only watched. The script
// exits with 1 if the server died, took more memory than that, or gave an answer that no client
// should get. `CATTO_ATTACKED` names another binary than the one that `make build` made; its site
// must lie beside it. It runs on Linux only.

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
  // It reads /proc, and it uses addresses such as 127.9.0.1, which only Linux lets every program
  // use.
  console.log("The attack runs on Linux only; nothing was attacked.");
  process.exit();
}
const seconds = Number(options.seconds);
const limit = Number(options.megabytes) * 1024 * 1024;
/** How often the memory is measured, in milliseconds. */
const SAMPLE_EVERY = 250;
/** How long the server may take to recover after the attack, in milliseconds. */
const PATIENCE = 300_000;

const random = seeded(Number(options.seed));
const data = mkdtempSync(join(tmpdir(), "cattocdn-attack-"));
const port = await freePort();
const faults = [];
/** How often the well-meaning visitor asked for each thing, and how often that went well. */
const visits = {};
/**
 * The share of these requests that must go well. It is not all of them, because in a crowd some are
 * told to try again, which this visitor does not do.
 */
const LEAST_GOOD = { health: 0.99, gallery: 0.8, picture: 0.8, upload: 0.25 };
/** How often each attacker got each answer. */
const answers = new Map();

console.error("==> making the files to attack with");
const over = new AbortController();
// Every attacker listens to this signal, and Node warns about more than ten listeners.
setMaxListeners(0, over.signal);
const site = {
  port,
  random,
  signal: over.signal,
  ask: (request) => ask(port, { signal: over.signal, ...request }),
  bombs: makeBombs(random),
  tiny: tinyPng(),
  cat: () => ordinaryCat(random),
  /** The paths of pictures and their pages, once there are some. */
  shown: [],
  /** Gives another number each time, for attackers that want to be another client each time. */
  next: (() => {
    let number = 0;
    return () => (number += 1);
  })(),
  // The pauses between two attempts, in milliseconds. They are so long for uploads that the site's
  // uploads of the day last as long as the attack.
  pause: {
    bombs: Math.max(500, seconds * 4),
    searches: 20,
    views: 50,
    junk: 300,
    deletions: Math.max(2_000, seconds * 6),
  },
  note,
};

const cage = makeCage(limit);
const begun = Date.now();
const server = spawn(process.env.CATTO_ATTACKED ?? join(root, "dist", "cattocdn"), ["serve"], {
  // Not the checkout, so that no settings of the developer's and no real index are used.
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
  // The end of the log is enough to tell why a server died.
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
  console.error(
    `==> ${loops} attackers for ${seconds} s against ${options.megabytes} MiB (${cage?.kind ?? "only watched, because no control group can be made here"})`,
  );
  const timer = setTimeout(() => over.abort(), seconds * 1000);
  await Promise.all([attackAll(site), visit(), died().then(() => over.abort())]);
  clearTimeout(timer);
  const busy = Math.max(...memory);
  console.error("==> the attack is over; waiting for the server to recover");
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

/** Waits until the server answers. */
async function started() {
  while ((await site.ask({ path: "/healthz" })).status !== 200) {
    if (server.exitCode !== null) throw new Error(`the server did not start:\n${log}`);
    await rest(50, over.signal);
  }
}

/** Publishes some pictures, so that there is a gallery to look at. */
async function publishSome() {
  for (let number = 0; number < 24; number += 1) {
    const answer = await ask(port, {
      from: `127.9.0.${number + 1}`,
      method: "POST",
      path: "/api/v1/pictures?wait=25",
      body: site.cat(),
    });
    if (answer.status !== 201)
      throw new Error(`a cat was not published before the attack: ${answer.status} ${answer.body}`);
    site.shown.push(
      new URL(answer.json.url).pathname,
      ...Object.values(answer.json.images).map((url) => new URL(url).pathname),
    );
  }
}

/** A visitor who means well, and comes from another address each time. */
async function visit() {
  for (let turn = 0; !over.signal.aborted; turn += 1) {
    const from = `127.200.${Math.floor(turn / 250) % 250}.${1 + (turn % 250)}`;
    noteVisit("health", await site.ask({ from, path: "/healthz" }), [200]);
    noteVisit("gallery", await site.ask({ from }), [200, 503]);
    noteVisit(
      "picture",
      await site.ask({ from, path: site.shown[turn % site.shown.length] }),
      [200, 503],
    );
    if (turn % 4 === 0) {
      const body = site.cat();
      noteVisit(
        "upload",
        await site.ask({ from, method: "POST", path: "/api/v1/pictures?wait=25", body }),
        [201, 202, 429, 503],
      );
    }
    await rest(2_000, over.signal);
  }
}

/** Waits until a page and an upload are answered as before the attack. */
async function wellAgain() {
  if (hasDied()) return;
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const page = await ask(port, { from: "127.201.0.1" });
    const upload = await ask(port, {
      from: "127.201.0.1",
      method: "POST",
      path: "/api/v1/pictures?wait=25",
      body: site.cat(),
    });
    // The uploads of the day may be used up by then, which is as it should be.
    if (page.status === 200 && [201, 429].includes(upload.status)) return;
    if (hasDied() || Date.now() > deadline) {
      faults.push(
        `the server did not recover: a page is answered ${said(page)}, an upload ${said(upload)}`,
      );
      return;
    }
    await rest(1_000, new AbortController().signal);
  }
}

/** The memory that the server takes now, in MiB. */
function megabytes() {
  return (cage?.bytes() ?? kilobytes(server.pid, "VmRSS") * 1024) / 1024 / 1024;
}

function hasDied() {
  return server.exitCode !== null || server.signalCode !== null;
}

/** Resolves when the server dies, or when the attack is over. */
function died() {
  return new Promise((done) => {
    if (hasDied()) return done();
    const ended = (code, signal) => {
      faults.push(
        `the server died (${signal ?? code}; killed for lack of memory: ${cage?.kills() ?? "unknown"}):\n${log}`,
      );
      done();
    };
    server.once("exit", ended);
    // After the attack this script kills the server itself, which is no fault.
    over.signal.addEventListener("abort", () => {
      server.off("exit", ended);
      done();
    });
  });
}

/** Counts an answer, and notes a fault if no client should ever get such an answer. */
function note(who, answer) {
  if (answer.fault === "not waited for") return;
  const words = said(answer);
  const counts = answers.get(who) ?? new Map();
  counts.set(words, (counts.get(words) ?? 0) + 1);
  answers.set(who, counts);
  const { status, headers } = answer;
  if (status >= 500 && status !== 503) faults.push(`${who}: ${words}`);
  if ([429, 503].includes(status) && !(Number(headers["retry-after"]) > 0))
    faults.push(`${who}: ${words} without Retry-After`);
}

/** Counts an answer to the visitor, and notes a fault if it is none of the expected ones. */
function noteVisit(what, answer, expected) {
  note(`visitor: ${what}`, answer);
  if (answer.fault === "not waited for") return;
  visits[what] ??= { made: 0, good: 0 };
  visits[what].made += 1;
  if (answer.status >= 200 && answer.status < 300) visits[what].good += 1;
  if (answer.status && !expected.includes(answer.status))
    faults.push(`a visitor's ${what} was answered ${said(answer)}`);
}

/** An answer in a few words: its status and its error code, or why there was none. */
function said(answer) {
  if (answer.fault) return answer.fault;
  return [answer.status, answer.json?.error?.code].filter(Boolean).join(" ");
}

/** Prints what came of the attack. */
function report(quiet, busy) {
  const now = memory.at(-1) ?? 0;
  if (busy > Number(options.megabytes))
    faults.push(`the server took ${busy.toFixed(0)} MiB, of ${options.megabytes} allowed`);
  for (const [what, least] of Object.entries(LEAST_GOOD)) {
    const { made = 0, good = 0 } = visits[what] ?? {};
    if (!(good >= made * least && good > 0))
      faults.push(`a visitor asked ${made} times for ${what}, and only ${good} of these went well`);
  }
  const width = Math.max(...[...answers.keys()].map((name) => name.length));
  for (const [who, counts] of [...answers].sort()) {
    const words = [...counts]
      .sort((a, b) => b[1] - a[1])
      .map(([what, count]) => `${count}x ${what}`);
    console.log(`${who.padEnd(width)}  ${words.join(", ")}`);
  }
  const together = Math.max(1, Math.ceil(memory.length / 120));
  console.log(
    `\nmemory: ${quiet.toFixed(0)} MiB at rest, ${busy.toFixed(0)} MiB at most, ${now.toFixed(0)} MiB after it; ${lines} lines of log`,
  );
  console.log(
    `over ${((Date.now() - begun) / 1000).toFixed(0)} s, from 0 to ${options.megabytes} MiB, on ${cpus().length} processors:\n${graph(memory, Number(options.megabytes), together)}`,
  );
  const kills = cage?.kills() ?? 0;
  if (kills) faults.push(`the kernel killed ${kills} process(es) of the server for lack of memory`);
  for (const fault of new Set(faults)) console.log(`FAULT: ${fault}`);
  console.log(faults.length ? "" : "The server survived, and served its visitors all the while.");
}

/**
 * A source of numbers from 0 to 1, which are always the same for the same seed (Marsaglia's
 * xorshift with 32 bits).
 */
function seeded(seed) {
  let state = seed | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
