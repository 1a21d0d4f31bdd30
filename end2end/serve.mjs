// Starts the built server on a fresh data folder, and deletes that folder when the server ends.
// Where CATTO_STAND_IN names the stand-in for AWS, it is started before and ends after; it says how
// the server reaches it.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";

const binary = path.resolve(import.meta.dirname, process.env.CATTO_BINARY ?? "../dist/cattocdn");
if (!existsSync(binary)) {
  console.error(`There is no ${binary}: run \`make build\` first.`);
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

async function startStandIn(program) {
  if (!existsSync(program)) {
    console.error(`There is no ${program}: run \`make stand-in\` first.`);
    process.exit(1);
  }
  const child = spawn(program, [process.env.CATTO_STAND_IN_PORT], {
    // A signal to all processes of the tests must not end it before the server.
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
    // It ends by itself when its input does.
    stop: () => child.removeAllListeners("exit").stdin.end(),
  };
}
