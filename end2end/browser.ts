// Tells Playwright which browsers to use and how to start them.

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

/** Debian's Firefox. If it is not there, Playwright's own is used. */
const DEBIAN_FIREFOX = "/usr/bin/firefox-esr";

export const firefox = existsSync(DEBIAN_FIREFOX)
  ? // With this channel Playwright speaks WebDriver BiDi, which every Firefox understands.
    { channel: "moz-firefox", launchOptions: { executablePath: DEBIAN_FIREFOX } }
  : { launchOptions: {} };
