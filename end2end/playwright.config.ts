import { defineConfig, devices } from "@playwright/test";

import { firefox, launchOptions } from "./browser.js";
import { cloudSite, shortLivedSite, site, start } from "./servers.js";

export default defineConfig({
  testDir: "./tests",
  // All tests share one gallery and the two cores of a small machine, so they run one after
  // another.
  workers: 1,
  // A test that passes only at the second try has failed.
  retries: 0,
  forbidOnly: Boolean(process.env.CI),
  timeout: 60_000,
  // Real models judge every upload, which takes a while.
  expect: { timeout: 15_000 },
  reporter: "list",
  use: {
    baseURL: site.url,
    // Traces are off: recording one fetches previews from within the page, which the content
    // security policy rightly forbids.
    screenshot: "only-on-failure",
  },
  projects: [
    { name: "chromium", use: { ...devices["Desktop Chrome"], launchOptions } },
    {
      name: "firefox",
      use: { ...devices["Desktop Firefox"], ...firefox },
      // What visitors do most, and what depends most on the browser.
      testMatch: /\/(browse|picture|search|upload|wild)\.spec\.ts$/,
      grepInvert: /@chromium/,
    },
  ],
  webServer: [start(site), start(shortLivedSite), start(cloudSite)],
});
