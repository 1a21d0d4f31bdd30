// Takes a screenshot of every page, narrow and wide, light and dark. The screenshots are for people
// to look at; nothing is compared.

import path from "node:path";

import { test } from "../tests/fixtures/test.js";
import { screens, views } from "../tests/fixtures/views.js";

for (const { name, status, prepare } of views) {
  test(name, async ({ api, complaints, page, sitePage }) => {
    if (status) {
      complaints.expectStatus(status);
    }
    const open = await prepare(api);
    for (const { name: screen, width, height, colorScheme } of screens) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height });
      await open(sitePage);
      // Loads the images too that a visitor would have to scroll to.
      await page.evaluate(async () => {
        const images = [...document.images];
        images.forEach((image) => (image.loading = "eager"));
        await Promise.allSettled(images.map((image) => image.decode()));
      });
      await page.screenshot({
        path: path.join(import.meta.dirname, `${name}-${screen}.png`),
        fullPage: true,
        animations: "disabled",
      });
    }
  });
}
