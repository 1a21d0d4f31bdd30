// The two servers that the tests talk to: the real one, twice, with fresh data folders and real models.

import path from "node:path";

/** Where a server listens, and how long its pictures live. */
export interface Server {
  readonly port: number;
  readonly url: string;
  readonly retention: string;
}

const firstPort = Number(process.env.E2E_PORT ?? 3917);

/** Keeps pictures for longer than any test runs. */
export const site = server(firstPort, "7d");

/** Lets pictures go while a test looks on. */
export const shortLivedSite = server(firstPort + 1, "8s");

/** How Playwright starts a server, and how it knows that the server is ready. */
export function start({ port, url, retention }: Server) {
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
      CATTO_MODELS_DIR: path.resolve(import.meta.dirname, process.env.CATTO_MODELS_DIR ?? "../models"),
      CATTO_RETENTION: retention,
      CATTO_ABUSE_CONTACT: "abuse@cattocdn.example",
      // Runs upload as much as a whole town of people.
      CATTO_UPLOADS_PER_DAY: "100000",
      CATTO_UPLOADS_PER_HOUR: "100000",
    },
  };
}

function server(port: number, retention: string): Server {
  return { port, url: `http://127.0.0.1:${port}`, retention };
}
