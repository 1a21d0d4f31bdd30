import { defineConfig, devices } from "@playwright/test";

import { launchOptions } from "./browser.js";
import { cloudSite, shortLivedSite, site, start } from "./servers.js";

export default defineConfig({
  testDir: "./tests",
  // The tests share one gallery and two cores.
  workers: 1,
  // A test that passes only the second time has failed.
  retries: 0,
  forbidOnly: Boolean(process.env.CI),
  timeout: 60_000,
  // Real models judge every upload.
  expect: { timeout: 15_000 },
  reporter: "list",
  use: {
    ...devices["Desktop Chrome"],
    baseURL: site.url,
    launchOptions,
    // No traces: recording one fetches previews in the page, which the content security policy
    // rightly forbids.
    screenshot: "only-on-failure",
  },
  webServer: [start(site), start(shortLivedSite), start(cloudSite)],
});
