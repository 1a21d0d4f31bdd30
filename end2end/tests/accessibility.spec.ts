// Everybody can use the site: with a screen reader, with the keyboard alone, on a phone, in the
// dark.

import { AxeBuilder } from "@axe-core/playwright";
import type { Page } from "@playwright/test";

import { picture } from "./fixtures/pictures.js";
import { expect, test } from "./fixtures/test.js";
import { screens, views } from "./fixtures/views.js";

const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

// Colours are judged once they are at rest, and not in the middle of an animation.
test.use({ contextOptions: { reducedMotion: "reduce" } });

for (const { name, status, prepare } of views) {
  test(`the page “${name}” breaks no rule of WCAG A and AA and fits its screen`, async ({
    api,
    complaints,
    page,
    sitePage,
  }) => {
    if (status) {
      complaints.expectStatus(status);
    }
    const open = await prepare(api);
    for (const { name, width, height, colorScheme } of screens) {
      await test.step(name, async () => {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height });
        await open(sitePage);
        const { violations } = await new AxeBuilder({ page }).withTags(RULES).analyze();
        const found = violations.map(({ id, help, nodes }) => ({
          rule: `${id}: ${help}`,
          where: nodes.map(
            (node) => `${node.target.join(" ")}: ${node.any[0]?.message ?? node.failureSummary}`,
          ),
        }));
        expect.soft(found, name).toEqual([]);
        const overflow = await page.evaluate(
          () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
        );
        expect.soft(overflow, `${name}: pixels wider than the screen`).toBeLessThanOrEqual(0);
      });
    }
  });
}

test("the first press of Tab shows the skip link, which leads to the content", async ({
  page,
  sitePage,
}) => {
  await sitePage.goto("/");
  await page.keyboard.press("Tab");
  await expect(sitePage.skipLink).toBeFocused();
  await expect(sitePage.skipLink).toBeInViewport({ ratio: 1 });
  await page.keyboard.press("Enter");
  await expect(sitePage.main).toBeFocused();
});

test("the upload page is reached by keyboard, and every stop on the way shows its focus", async ({
  page,
  sitePage,
  uploadPage,
}) => {
  await sitePage.goto("/");
  const stops = [
    sitePage.skipLink,
    page.getByRole("link", { name: "CattoCDN" }),
    sitePage.search.field,
    page.getByRole("search").getByRole("button", { name: "Search" }),
    sitePage.uploadLink,
  ];
  for (const stop of stops) {
    await page.keyboard.press("Tab");
    await expect(stop).toBeFocused();
    await expect(stop).toHaveCSS("outline-style", /^(?!none)/);
    await expect(stop).not.toHaveCSS("outline-width", "0px");
  }
  await page.keyboard.press("Enter");
  await expect(uploadPage.headline).toHaveText("Upload a cat");
});

test("the box for pictures is reached by keyboard and shows its focus", async ({
  page,
  uploadPage,
}) => {
  await uploadPage.open();
  await uploadPage.skipLink.focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await expect(uploadPage.box).toBeFocused();
  // The whole box shows the focus of the field inside it.
  const box = page.locator("label").filter({ hasText: "Put your cat in the box" });
  await expect(box).toHaveCSS("outline-style", "solid");
});

test("every page has one headline and a title of its own", async ({
  api,
  page,
  sitePage,
  complaints,
}) => {
  complaints.expectStatus(404);
  const { url, delete_url } = await api.publish("chelsea.png");
  const titles = new Set<string>();
  const pages = [
    "/",
    "/search?q=tabby",
    "/tags/cat",
    "/tags",
    "/?after=1000000",
    "/upload",
    "/about",
    "/nowhere",
    url,
    delete_url,
  ];
  for (const address of pages) {
    await sitePage.goto(address);
    await expect(sitePage.headline, address).toHaveCount(1);
    titles.add(await page.title());
  }
  expect(titles.size).toBe(pages.length);
  expect([...titles].every((title) => title.endsWith(" · CattoCDN"))).toBe(true);
});

test.describe("with text twice as large", () => {
  // The style that enlarges the text is not ours, so our own policy would forbid it.
  test.use({ bypassCSP: true, viewport: { width: 390, height: 844 } });

  test("no page is wider than a phone", async ({ api, complaints, page, sitePage }) => {
    complaints.expectStatus(404);
    const { url } = await api.publish("chelsea.png");
    const pages = [
      ...["/", url, "/search?q=walrus", "/tags", "/upload", "/mine", "/about", "/docs"],
      ...["/status", "/nowhere"],
    ];
    for (const address of pages) {
      await sitePage.goto(address);
      await page.addStyleTag({ content: "html { font-size: 200%; }" });
      expect(await outsideOfPage(page), address).toEqual([]);
    }
  });

  test("the ears behind a card that is narrower than they are do not reach beyond it", async ({
    api,
    homePage,
    page,
  }) => {
    const { id } = await api.publish("long-cat.jpg");
    await homePage.open();
    await page.addStyleTag({ content: "html { font-size: 200%; } .gallery { --row: 96px; }" });
    const card = homePage.card(id).locator("xpath=ancestor::li");
    await expect(card).toBeVisible();
    const { width, ends } = await card.evaluate((card) => ({
      width: card.getBoundingClientRect().width,
      ends: ["::before", "::after"].map((ear) => {
        const style = getComputedStyle(card, ear);
        return parseFloat(style.left) + parseFloat(style.width);
      }),
    }));
    for (const end of ends) {
      expect(end).toBeLessThan(width);
    }
  });
});

test.describe("with colours that the visitor chooses", () => {
  test.use({ contextOptions: { forcedColors: "active", reducedMotion: "reduce" } });

  test("the progress of an upload and the focus are seen", async ({ page, uploadPage }) => {
    await uploadPage.open();
    const release = await uploadPage.holdUploads();
    await uploadPage.choose(picture("chelsea.png"));
    const { progress } = uploadPage.upload("chelsea.png");
    await expect(progress).toBeVisible();
    await expect(progress).toHaveCSS("border-top-style", "solid");
    const cancel = uploadPage.upload("chelsea.png").button("Cancel");
    await cancel.focus();
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Tab");
    await expect(cancel).toBeFocused();
    await expect(cancel).toHaveCSS("outline-style", "solid");
    const seen = await cancel.evaluate((button) => {
      const { borderTopColor, backgroundColor } = getComputedStyle(button);
      return borderTopColor !== backgroundColor;
    });
    expect(seen, "a button has an edge").toBe(true);
    release();
    await expect(uploadPage.upload("chelsea.png").published).toBeVisible();
  });
});

/** What makes a page wider than its window: the outermost elements that reach beyond it. */
function outsideOfPage(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const root = document.documentElement;
    if (root.scrollWidth <= root.clientWidth) {
      return [];
    }
    const wide = [...document.querySelectorAll("body *")].filter(
      (element) => element.getBoundingClientRect().right > root.clientWidth,
    );
    return [
      `${root.scrollWidth} of ${root.clientWidth} px`,
      ...wide.map((element) => {
        const { left, right } = element.getBoundingClientRect();
        const words = (element.textContent ?? "").trim().slice(0, 40);
        return `${element.tagName}.${element.className} ${left} to ${right} px: ${words}`;
      }),
    ];
  });
}
