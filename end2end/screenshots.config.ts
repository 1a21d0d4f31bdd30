import { defineConfig } from "@playwright/test";

import config from "./playwright.config.js";

// Takes pictures of every page into `screenshots/`; `npx playwright test` alone does not.
export default defineConfig(config, { testDir: "./screenshots" });
