// Tells Playwright which Chromium to use and how to start it.

import { existsSync } from "node:fs";
import type { LaunchOptions } from "@playwright/test";

/** Debian's Chromium. If it is not there, Playwright's own is used. */
const DEBIAN_CHROMIUM = "/usr/bin/chromium";

const isRoot = process.getuid?.() === 0;

export const launchOptions: LaunchOptions = {
  executablePath: existsSync(DEBIAN_CHROMIUM) ? DEBIAN_CHROMIUM : undefined,
  args: [
    // Chromium's sandbox refuses to start as root.
    ...(isRoot ? ["--no-sandbox"] : []),
    // The browser must not contact any host outside the tests.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
  ],
};
