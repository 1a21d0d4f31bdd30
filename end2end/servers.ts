// The servers that the tests talk to: the real server, started three times with different settings,
// each with a fresh data folder and the real models.

import { homedir } from "node:os";
import path from "node:path";

/** Where a server listens, how long its pictures live, and which variables it gets. */
export interface Server {
  readonly port: number;
  readonly url: string;
  readonly retention: string;
  readonly variables: Readonly<Record<string, string>>;
}

const firstPort = Number(process.env.E2E_PORT ?? 3917);

/** The ordinary site, which keeps pictures for longer than any test runs. */
export const site = server(firstPort, "7d");

/** A site whose pictures end after seconds, while a test looks on. */
export const shortLivedSite = server(firstPort + 1, "8s");

/** Where the tests tell the stand-in for AWS what to answer, and ask it what it was asked. */
const standInPort = firstPort + 3;
export const standInUrl = `http://127.0.0.1:${standInPort}`;

/**
 * A site that keeps its pictures in a bucket, and asks Rekognition about what the local models let
 * pass.
 */
export const cloudSite = server(firstPort + 2, "7d", {
  CATTO_STORAGE: "s3",
  CATTO_SCREENING: "local+rekognition",
  CATTO_STAND_IN: process.env.CATTO_STAND_IN ?? path.join(builtPrograms(), "aws_stand_in"),
  CATTO_STAND_IN_PORT: String(standInPort),
});

/** How Playwright starts a server, and how it knows that the server is ready. */
export function start({ port, url, retention, variables }: Server) {
  return {
    command: "node serve.mjs",
    cwd: import.meta.dirname,
    url: `${url}/readyz`,
    reuseExistingServer: false,
    stdout: "ignore" as const,
    stderr: "pipe" as const,
    gracefulShutdown: { signal: "SIGTERM" as const, timeout: 10_000 },
    env: {
      CATTO_LISTEN: `127.0.0.1:${port}`,
      CATTO_PUBLIC_URL: url,
      CATTO_MODELS_DIR: path.resolve(
        import.meta.dirname,
        process.env.CATTO_MODELS_DIR ?? "../models",
      ),
      CATTO_RETENTION: retention,
      CATTO_ABUSE_CONTACT: "abuse@cattocdn.example",
      // One run of the tests uploads as much as a whole town.
      CATTO_UPLOADS_PER_DAY: "100000",
      CATTO_UPLOADS_PER_HOUR: "100000",
      // Only the cloud site has a stand-in, whatever the environment says.
      CATTO_STAND_IN: "",
      ...variables,
    },
  };
}

function server(
  port: number,
  retention: string,
  variables: Readonly<Record<string, string>> = {},
): Server {
  return { port, url: `http://127.0.0.1:${port}`, retention, variables };
}

/** Publishes the pictures of a folder without looking at them; `make stand-in` builds it. */
export const publisher =
  process.env.CATTO_PUBLISHER ?? path.join(builtPrograms(), "examples/publish_pictures");

/** Where `make stand-in` puts the programs that it builds. */
function builtPrograms(): string {
  const { CARGO_TARGET_DIR, CATTO_CACHE, XDG_CACHE_HOME } = process.env;
  const cache =
    CATTO_CACHE ?? path.join(XDG_CACHE_HOME ?? path.join(homedir(), ".cache"), "cattocdn");
  return path.join(CARGO_TARGET_DIR ?? path.join(cache, "target"), "release");
}
