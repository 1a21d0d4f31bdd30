// Has clients of other image hosts upload to the built server, as they are published: each uploads
// a cat, is told of a refusal, and deletes what it can delete.
//
// Usage: make clients (after `make build models`; Linux only)
//
// Most of these clients know one host by name. So the script runs in a mount and network namespace
// of its own, where those names lead to this machine and to nothing else, and where a certificate
// that it makes is trusted. Nothing of the machine is changed.

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createServer } from "node:tls";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
/** The hosts that the clients know, and this site's own name. */
const HOSTS = [
  "catto.test",
  "api.imgur.com",
  "api.imgbb.com",
  "catbox.moe",
  "litterbox.catbox.moe",
];
const PORT = 3000;
/** How long the server may take to start, in milliseconds. */
const PATIENCE = 60_000;

if (process.platform !== "linux") {
  // Only Linux has such namespaces.
  console.log("Other hosts' clients are tried on Linux only; nothing was tried.");
  process.exit();
}
if (process.argv[2] === "--inside") {
  process.exit(await run(process.argv[3], process.argv[4]));
}
process.exit(enter());

/** Runs this script in namespaces of its own. */
function enter() {
  const installed = spawnSync(join(root, "scripts/install_clients.sh"), {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (installed.status !== 0) return 1;
  const folders = installed.stdout.trim().split("\n");
  const folder = mkdtempSync(join(tmpdir(), "cattocdn-clients-"));
  const hosts = join(folder, "hosts");
  writeFileSync(hosts, `127.0.0.1 localhost ${HOSTS.join(" ")}\n`);
  const inside = spawnSync(
    "unshare",
    [
      ...["--map-root-user", "--mount", "--net", "sh", "-ec"],
      'mount --bind "$1" /etc/hosts; ip link set lo up; shift; exec "$@"',
      ...["sh", hosts, process.execPath, fileURLToPath(import.meta.url), "--inside"],
      ...folders,
    ],
    { stdio: "inherit", env: { ...process.env, CATTO_CLIENTS_FOLDER: folder } },
  );
  rmSync(folder, { recursive: true, force: true });
  if (inside.error) console.error(`unshare cannot be run: ${inside.error.message}`);
  return inside.status ?? 1;
}

/** Starts the server and what speaks TLS for it, and runs the clients. */
async function run(nodeFolder, pythonFolder) {
  const folder = process.env.CATTO_CLIENTS_FOLDER;
  const { key, cert } = certificate(folder);
  // It only takes the encryption off, and passes on what is inside.
  const relay = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (client) => {
    const server = createConnection(PORT, "127.0.0.1");
    client.pipe(server).pipe(client);
    for (const [one, other] of [
      [client, server],
      [server, client],
    ]) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  });
  await new Promise((listening) => relay.listen(443, "127.0.0.1", listening));
  const server = spawn(process.env.CATTO_SERVER ?? join(root, "dist/cattocdn"), ["serve"], {
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      CATTO_LISTEN: `127.0.0.1:${PORT}`,
      CATTO_PUBLIC_URL: "https://catto.test",
      CATTO_DATA_DIR: join(folder, "data"),
      CATTO_MODELS_DIR: resolve(root, process.env.CATTO_MODELS_DIR ?? "models"),
      CATTO_SITE_DIR: resolve(root, process.env.CATTO_SITE_DIR ?? "dist/site"),
      CATTO_UPLOADS_PER_HOUR: "1000",
      RUST_LOG: "warn",
    },
    stdio: "inherit",
  });
  try {
    await ready(server);
    const env = {
      ...process.env,
      NODE_EXTRA_CA_CERTS: cert,
      REQUESTS_CA_BUNDLE: cert,
      SSL_CERT_FILE: cert,
      NODE_PATH: join(nodeFolder, "node_modules"),
      PYTHONPATH: pythonFolder,
      LITTERBOX_BASE_URL: "https://catto.test",
      CATTO_FIXTURES: join(root, "server/tests/fixtures"),
    };
    const programs = [
      [process.execPath, join(root, "scripts/clients/with_node.cjs")],
      ["python3", join(root, "scripts/clients/with_python.py")],
    ];
    let failed = 0;
    for (const [program, script] of programs) {
      failed += await ended(spawn(program, [script], { env, cwd: folder, stdio: "inherit" }));
    }
    return failed === 0 ? 0 : 1;
  } finally {
    server.kill();
    await ended(server);
    relay.close();
  }
}

/** A certificate for all hosts, which is its own authority. */
function certificate(folder) {
  const [key, cert] = ["key.pem", "cert.pem"].map((name) => join(folder, name));
  const names = HOSTS.map((host) => `DNS:${host}`).join(",");
  const made = spawnSync("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
    ...["-days", "2", "-subj", "/CN=catto.test", "-addext", `subjectAltName=${names}`],
    ...["-keyout", key, "-out", cert],
  ]);
  if (made.status !== 0) throw new Error(`openssl: ${made.stderr ?? made.error}`);
  return { key, cert };
}

/** Waits until the server is ready. */
async function ready(server) {
  const until = Date.now() + PATIENCE;
  while (Date.now() < until && server.exitCode === null) {
    const answer = await fetch(`http://127.0.0.1:${PORT}/readyz`).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((later) => setTimeout(later, 100));
  }
  throw new Error("the server does not start");
}

/** The exit code of a process, once it has ended. */
function ended(child) {
  if (child.exitCode !== null) return child.exitCode;
  return new Promise((end) => child.once("exit", (code) => end(code ?? 1)));
}
