// Starts the built server on a fresh data folder, and deletes the folder when the server ends. If
// CATTO_STAND_IN names the stand-in for AWS, that is started before the server and ends after it;
// it tells which variables the server needs to reach it.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";

const binary = path.resolve(import.meta.dirname, process.env.CATTO_BINARY ?? "../dist/cattocdn");
if (!existsSync(binary)) {
  console.error(`${binary} is not there. Please run \`make build\` first.`);
  process.exit(1);
}

const standIn = process.env.CATTO_STAND_IN
  ? await startStandIn(process.env.CATTO_STAND_IN)
  : undefined;
const folder = mkdtempSync(path.join(tmpdir(), "cattocdn-end2end-"));
const server = spawn(binary, ["serve"], {
  // Not the checkout, so that no developer's `.env` is read.
  cwd: folder,
  env: {
    ...process.env,
    ...standIn?.environment,
    CATTO_DATABASE_URL: "",
    CATTO_DATA_DIR: path.join(folder, "data"),
  },
  stdio: "inherit",
});
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => server.kill(signal));
}
server.on("exit", (code) => {
  rmSync(folder, { recursive: true, force: true });
  standIn?.stop();
  process.exit(code ?? 1);
});

/** Starts the stand-in for AWS. Returns the variables that it tells, and a way to stop it. */
async function startStandIn(program) {
  if (!existsSync(program)) {
    console.error(`${program} is not there. Please run \`make stand-in\` first.`);
    process.exit(1);
  }
  const child = spawn(program, [process.env.CATTO_STAND_IN_PORT], {
    // It has a process group of its own, so that a signal to the tests does not end it before the
    // server.
    detached: true,
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.on("exit", (code) => {
    console.error(`The stand-in for AWS ended with ${code}.`);
    process.kill(process.pid, "SIGTERM");
  });
  const { value } = await createInterface(child.stdout)[Symbol.asyncIterator]().next();
  return {
    environment: JSON.parse(value),
    // It ends by itself once its input is closed.
    stop: () => child.removeAllListeners("exit").stdin.end(),
  };
}
