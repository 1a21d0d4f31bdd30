// Holds the built server to its contract: /openapi.json must be valid, and whatever schemathesis
// makes up must be answered as the contract says.
//
// Usage: make contract (after `make build models`)

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { freePort } from "./measure.mjs";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
/** How long the server may take to start, in milliseconds. */
const PATIENCE = 60_000;

const installed = spawnSync(join(root, "scripts/install_contract_tools.sh"), {
  encoding: "utf8",
  stdio: ["ignore", "pipe", "inherit"],
});
if (installed.status !== 0) process.exit(1);
const python = { ...process.env, PYTHONPATH: installed.stdout.trim() };

const folder = mkdtempSync(join(tmpdir(), "cattocdn-contract-"));
const port = await freePort();
const url = `http://127.0.0.1:${port}`;
const server = spawn(process.env.CATTO_SERVER ?? join(root, "dist/cattocdn"), ["serve"], {
  cwd: folder,
  env: {
    PATH: process.env.PATH,
    CATTO_LISTEN: `127.0.0.1:${port}`,
    CATTO_PUBLIC_URL: url,
    CATTO_DATA_DIR: join(folder, "data"),
    CATTO_MODELS_DIR: resolve(root, process.env.CATTO_MODELS_DIR ?? "models"),
    CATTO_SITE_DIR: resolve(root, process.env.CATTO_SITE_DIR ?? "dist/site"),
    CATTO_UPLOADS_PER_HOUR: "1000000",
    CATTO_UPLOADS_PER_DAY: "1000000",
    RUST_LOG: "warn",
  },
  stdio: "inherit",
});
let failed = 1;
try {
  await ready();
  // So that what is read is not always empty.
  for (const cat of ["tabby.jpg", "kitten.jpg"]) {
    const body = readFileSync(join(root, "server/tests/fixtures", cat));
    const answer = await fetch(`${url}/api/v1/pictures`, { method: "POST", body });
    if (answer.status !== 201) throw new Error(`${cat}: ${answer.status} ${await answer.text()}`);
  }
  const contract = join(folder, "openapi.json");
  writeFileSync(contract, await (await fetch(`${url}/openapi.json`)).text());
  failed =
    run("-m", "openapi_spec_validator", contract) ||
    run(
      ...["-c", "from schemathesis.cli import schemathesis; schemathesis()"],
      ...["--config-file", join(root, "scripts/contract/schemathesis.toml")],
      ...["run", `${url}/openapi.json`, "--continue-on-failure"],
    );
} catch (error) {
  console.error(error.message);
} finally {
  server.kill();
  if (server.exitCode === null) await new Promise((end) => server.once("exit", end));
  rmSync(folder, { recursive: true, force: true });
}
process.exit(failed);

/** Runs Python with these arguments, and gives its exit code. */
function run(...words) {
  const { status } = spawnSync("python3", words, {
    env: python,
    cwd: folder,
    stdio: "inherit",
  });
  return status ?? 1;
}

/** Waits until the server is ready. */
async function ready() {
  const until = Date.now() + PATIENCE;
  while (Date.now() < until && server.exitCode === null) {
    const answer = await fetch(`${url}/readyz`).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((later) => setTimeout(later, 100));
  }
  throw new Error("the server does not start");
}
