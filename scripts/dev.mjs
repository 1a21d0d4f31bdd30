// The edit loop: builds the site for debugging, starts it, and does both again whenever a file
// changes. Where a build fails, the server of the build before goes on. Ctrl-C stops everything.
//
// The site has data of its own in `data-dev` and asks no outside service, whatever `.env` says.
// Usage: make dev

import { spawn } from "node:child_process";
import { readdirSync, watch } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The folders whose files are compiled. */
const CODE = [
  "app/src",
  "frontend/src",
  "frontend_upload/src",
  "imaging/src",
  "probe/src",
  "server/migrations",
  "server/src",
  "trim/src",
];
/** The folders whose files are not: a change in them is there without Cargo, in a second. */
const LOOKS = ["style", "public"];
/** How long to wait for more changes after one, in milliseconds: an editor may save many files. */
const SETTLE_MS = 50;
/** How long a server may take to end before it is killed, in milliseconds. */
const PATIENCE_MS = 3000;

const WASM = "wasm32-unknown-unknown";
const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
const glue = join(target, "release", "glue");
const site = join(target, "dev-site");
const address = process.env.CATTO_LISTEN ?? "127.0.0.1:3000";

// These win over `.env`, so that nobody tries things out on real pictures and real accounts. What
// is set in the shell wins over these.
const environment = {
  CATTO_LISTEN: address,
  CATTO_PUBLIC_URL: `http://${address}`,
  CATTO_DATA_DIR: join(root, "data-dev"),
  CATTO_DATABASE_URL: "",
  CATTO_STORAGE: "disk",
  CATTO_SCREENING: "local",
  CATTO_ORIGIN_KEY: "",
  CATTO_CLIENT_ADDRESS: "socket",
  CATTO_CLOUDFLARE_ZONE: "",
  CATTO_CLOUDFLARE_TOKEN: "",
  CATTO_CLOUDFRONT_DISTRIBUTION: "",
  ...process.env,
  CATTO_SITE_DIR: site,
};

/** The running server, if there is one. */
let server;
/** Every program that runs now. */
const running = new Set();
/** What has changed since the last build began. At the start everything has. */
const changed = { code: true, looks: true };
/** True after a build that failed: the next one does all of it again, whatever has changed. */
let isBroken = false;
let isBuilding = false;
let isStopping = false;

for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, stop);
for (const folder of CODE) watchFolder(join(root, folder), "code");
for (const folder of LOOKS) watchFolder(join(root, folder), "looks");
watch(root, (_, name) => name?.startsWith("Cargo.") && take("code"));
say("building for debugging; the first time takes minutes");
if (await run("cargo", ["build", "--quiet", "--release", "--package", "glue"])) {
  await buildUntilSettled();
} else {
  await stop();
}

/** Watches a folder and all folders in it. */
function watchFolder(folder, kind) {
  const watched = new Set();
  const watchAll = (folder) => {
    if (!watched.has(folder)) {
      watched.add(folder);
      const watcher = watch(folder, () => {
        take(kind);
        watchThose(folder);
      });
      // The folder was deleted. If it comes back, it is watched anew.
      watcher.on("error", () => {
        watcher.close();
        watched.delete(folder);
      });
    }
    watchThose(folder);
  };
  const watchThose = (folder) => {
    for (const entry of foldersIn(folder)) watchAll(join(folder, entry));
  };
  watchAll(folder);
}

/** The names of the folders in a folder, or none if it is gone. */
function foldersIn(folder) {
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch (error) {
    if (error.code === "ENOENT") return [];
    throw error;
  }
}

/** Takes note of a change, and sees to it that it is built. */
function take(kind) {
  changed[kind] = true;
  void buildUntilSettled();
}

/** Builds until nothing changes any more, and restarts the server after every build. */
async function buildUntilSettled() {
  if (isBuilding) return;
  isBuilding = true;
  while ((changed.code || changed.looks) && !isStopping) {
    const begun = Date.now();
    await pause(SETTLE_MS);
    const isCode = changed.code || isBroken;
    changed.code = changed.looks = false;
    isBroken = !(await build(isCode));
    if (!isBroken) {
      const seconds = () => ((Date.now() - begun) / 1000).toFixed(1);
      if (await restart()) say(`http://${address} is up to date after ${seconds()} s`);
    } else if (!isStopping) {
      say(server ? "that failed, so the server of the build before goes on" : "that failed");
    }
  }
  isBuilding = false;
}

/** Builds what has changed, and answers whether that worked. */
async function build(isCode) {
  if (isCode) {
    const cargo = ["build", "--quiet", "--package"];
    // Both at once: neither uses two processors for long.
    const built = await Promise.all([
      run("cargo", [...cargo, "server"]),
      run("cargo", [
        ...[...cargo, "frontend", "--package", "frontend_upload"],
        ...["--profile", "wasm-dev", "--target", WASM],
      ]),
    ]);
    if (built.includes(false)) return false;
  }
  return run(process.execPath, [
    join(root, "scripts", "build_site.mjs"),
    "--quick",
    ...["--wasm", join(target, WASM, "wasm-dev")],
    ...["--glue", glue],
    ...["--out", site],
  ]);
}

/** Runs a program to its end, and answers whether it succeeded. */
function run(program, parameters) {
  return new Promise((resolve) => start(program, parameters).on("exit", (code) => resolve(!code)));
}

/** Starts a program that tells what it has to say in this terminal. */
function start(program, parameters, more = {}) {
  const child = spawn(program, parameters, {
    cwd: root,
    env: { ...process.env, CARGO_TARGET_DIR: target, ...more },
    stdio: ["ignore", "inherit", "inherit"],
  });
  running.add(child);
  child.on("exit", () => running.delete(child));
  child.on("error", (error) => {
    say(`cannot run ${program}: ${error.message}`);
    process.exit(1);
  });
  return child;
}

/**
 * Ends the server, if there is one, starts the new one, and waits until it answers or has ended.
 * Answers whether it serves.
 */
async function restart() {
  await end(server);
  const child = start(join(target, "debug", "cattocdn"), ["serve"], environment);
  server = child;
  child.on("exit", (code) => {
    if (server !== child) return;
    server = undefined;
    if (!isStopping) say(`the server ended by itself (${code ?? child.signalCode})`);
  });
  while (server === child && !(await isReady())) await pause(30);
  return server === child;
}

async function isReady() {
  try {
    return (await fetch(`http://${address}/readyz`)).ok;
  } catch {
    // It does not listen yet.
    return false;
  }
}

/** Has a program end, and waits for that. */
async function end(child) {
  if (!child || !running.has(child)) return;
  if (child === server) server = undefined;
  const ended = new Promise((resolve) => child.on("exit", resolve));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
  await ended;
  clearTimeout(timer);
}

/** Ends all that runs, and then this. */
async function stop() {
  if (isStopping) return;
  isStopping = true;
  await Promise.all([...running].map(end));
  process.exit(0);
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Tells the person at the terminal what happens. */
function say(text) {
  process.stderr.write(`==> ${text}\n`);
}
