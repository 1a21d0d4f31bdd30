// Starts the built server on a fresh data folder, and deletes that folder when the server ends.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

const binary = path.resolve(import.meta.dirname, process.env.CATTO_BINARY ?? "../dist/cattocdn");
if (!existsSync(binary)) {
  console.error(`There is no ${binary}: run \`make build\` first.`);
  process.exit(1);
}

const folder = mkdtempSync(path.join(tmpdir(), "cattocdn-end2end-"));
const server = spawn(binary, ["serve"], {
  // Not the checkout, so that no developer's `.env` is read.
  cwd: folder,
  env: { ...process.env, CATTO_DATABASE_URL: "", CATTO_DATA_DIR: path.join(folder, "data") },
  stdio: "inherit",
});
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => server.kill(signal));
}
server.on("exit", (code) => {
  rmSync(folder, { recursive: true, force: true });
  process.exit(code ?? 1);
});
