// Pages stay light: what of scripts and WASM they load, as it comes over the wire.

import type { Page } from "@playwright/test";

import { expect, test } from "./fixtures/test.js";

/** The bytes of all scripts and WASM that the page has loaded, compressed with brotli. */
async function weight(page: Page): Promise<number> {
  const addresses = await page.evaluate(() =>
    performance
      .getEntriesByType("resource")
      .map((entry) => entry.name)
      .filter((name) => /\.(js|wasm)$/.test(name)),
  );
  let bytes = 0;
  for (const address of new Set(addresses)) {
    const headers = { "accept-encoding": "br" };
    const answer = (await page.request.get(address, { headers })).headers();
    expect(answer["content-encoding"]).toBe("br");
    bytes += Number(answer["content-length"]);
  }
  return bytes;
}

test("galleries and pictures' pages load at most 72 kB of scripts", async ({
  api,
  page,
  sitePage,
}) => {
  const picture = await api.publish("chelsea.png");
  for (const path of ["/", `/c/${picture.id}`]) {
    await sitePage.goto(path);
    const bytes = await weight(page);
    expect(bytes).toBeGreaterThan(10_000);
    expect(bytes).toBeLessThanOrEqual(72_000);
  }
});

test("the page that uploads loads at most 82 kB of scripts", async ({ page, uploadPage }) => {
  await uploadPage.goto("/upload");
  const bytes = await weight(page);
  expect(bytes).toBeGreaterThan(10_000);
  expect(bytes).toBeLessThanOrEqual(82_000);
});
