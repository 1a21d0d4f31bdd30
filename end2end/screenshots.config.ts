import { defineConfig } from "@playwright/test";

import config from "./playwright.config.js";

// With this configuration Playwright takes screenshots of every page into `screenshots/`.
// `npx playwright test` alone takes none.
export default defineConfig(config, { testDir: "./screenshots" });
