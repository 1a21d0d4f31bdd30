// Nothing on a page moves when its font comes.

import { expect, test } from "./fixtures/test.js";

for (const [name, path, width] of [
  ["the gallery on a phone", "/", 390],
  ["the gallery", "/", 1440],
  ["the upload page on a phone", "/upload", 390],
  ["the page about the site", "/about", 1440],
] as const) {
  test(`${name} stays where it is when the font comes late`, async ({ page, sitePage }) => {
    await page.setViewportSize({ width, height: 900 });
    await page.addInitScript(() => {
      const shifts: number[] = [];
      Object.assign(window, { shifts });
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) shifts.push((entry as unknown as { value: number }).value);
      }).observe({ type: "layout-shift", buffered: true });
    });
    let release = () => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const font = /\/pkg\/nunito\.\w+\.woff2$/;
    await page.route(font, async (route) => {
      await held;
      await route.continue();
    });
    const asked = page.waitForRequest(font);
    // The page is not loaded as a whole before its font is.
    await page.goto(path, { waitUntil: "domcontentloaded" });
    await sitePage.ready();
    await asked;
    const isThere = page.waitForResponse(font);
    release();
    const answer = await isThere;
    expect(answer.headers()["content-type"]).toBe("font/woff2");
    expect(answer.headers()["cache-control"]).toContain("immutable");
    await page.evaluate(() => document.fonts.ready);
    await expect
      .poll(() => page.evaluate(() => [...document.fonts].some((font) => font.status === "loaded" && font.family.includes("Nunito"))))
      .toBe(true);
    const shifts = await page.evaluate(
      () =>
        new Promise<number[]>((resolve) =>
          requestAnimationFrame(() =>
            requestAnimationFrame(() => resolve((window as unknown as { shifts: number[] }).shifts)),
          ),
        ),
    );
    expect(shifts.reduce((sum, shift) => sum + shift, 0)).toBeLessThan(0.005);
  });
}
