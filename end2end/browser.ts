// Which Chromium is used, and how it is started.

import { existsSync } from "node:fs";
import type { LaunchOptions } from "@playwright/test";

/** Debian's Chromium; where it is missing, Playwright's own is used. */
const DEBIAN_CHROMIUM = "/usr/bin/chromium";

const isRoot = process.getuid?.() === 0;

export const launchOptions: LaunchOptions = {
  executablePath: existsSync(DEBIAN_CHROMIUM) ? DEBIAN_CHROMIUM : undefined,
  args: [
    // Chromium's sandbox refuses to start as root.
    ...(isRoot ? ["--no-sandbox"] : []),
    // Nothing may be asked of hosts outside the tests.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
  ],
};
