// Somebody looks around.

import { PAGE_SIZE } from "./fixtures/api.js";
import type { CardBox } from "./fixtures/home_page.js";
import { expect, onlyChromium, test } from "./fixtures/test.js";

test("the gallery shows the newest picture first", async ({ api, homePage }) => {
  const older = await api.publish("cat.webp");
  const newer = await api.publish("chelsea.png");
  await homePage.open();
  expect((await homePage.ids()).slice(0, 2)).toEqual([newer.id, older.id]);
});

test("a card shows its picture, its tag and the time left, and leads to its page", async ({
  api,
  homePage,
  picturePage,
}) => {
  const { id, alt } = await api.publish("chelsea.png");
  await homePage.open();
  const card = homePage.card(id);
  await expect(card).toHaveAccessibleName(/days left$/);
  await expect(card).toHaveAccessibleName(new RegExp(`^${alt || "Cat picture"} `, "i"));
  const image = homePage.image(id);
  await expect
    .poll(() => image.evaluate((image: HTMLImageElement) => image.naturalWidth))
    .toBeGreaterThan(0);

  await card.click();
  await picturePage.expectPhotoLoaded();
  expect(new URL(picturePage.page.url()).pathname).toBe(`/c/${id}`);
});

test("an animation's card is still until one points at it", async ({ api, homePage }) => {
  const { id, images } = await api.publish("cat-animated.gif");
  const played: string[] = [];
  homePage.page.on("request", (request) => {
    if (Object.values(images).includes(request.url()) && request.url().endsWith(".webp")) {
      played.push(request.url());
    }
  });
  await homePage.open();
  const image = homePage.image(id);
  await expect
    .poll(() => image.evaluate((image: HTMLImageElement) => image.currentSrc))
    .toBe(images["512.jpg"]);
  await expect(homePage.card(id)).toHaveAccessibleName(/^Animation: /);
  await expect(homePage.moving(id)).toBeHidden();
  expect(played).toEqual([]);

  await homePage.card(id).hover();
  await expect(homePage.moving(id)).toBeVisible();
  await expect.poll(() => played.length).toBe(1);
  await homePage.page.mouse.move(0, 0);
  await expect(homePage.moving(id)).toBeHidden();
  await homePage.card(id).focus();
  await homePage.page.keyboard.press("Shift+Tab");
  await homePage.page.keyboard.press("Tab");
  await expect(homePage.moving(id)).toBeVisible();
});

test("who asked for less motion sees animations still", onlyChromium, async ({
  api,
  homePage,
  picturePage,
  page,
}) => {
  await page.emulateMedia({ reducedMotion: "reduce" });
  const { id, images } = await api.publish("cat-animated.gif");
  await homePage.open();
  await homePage.card(id).hover();
  await expect(homePage.moving(id)).toBeHidden();
  await homePage.card(id).click();
  await picturePage.expectPhotoLoaded();
  const shown = picturePage.photo.evaluate((image: HTMLImageElement) => image.currentSrc);
  expect(await shown).toBe(images["1280.jpg"]);
});

/** The proportions, width to height, of the narrowest and the widest card. */
const [NARROWEST, WIDEST] = [0.4, 2.435];

for (const width of [390, 768, 1440, 2560]) {
  const rule = "the gallery keeps every picture's shape, in rows as wide as the page";
  test(`${rule}, at ${width} pixels`, async ({ api, homePage }) => {
    for (const name of ["chelsea.png", "cat-sideways.jpg", "ginger-kitten.jpg"] as const) {
      await api.publish(name);
    }
    await api.fillMoreThanOnePage();
    await homePage.page.setViewportSize({ width, height: 900 });
    await homePage.open();
    const rows = new Map<number, CardBox[]>();
    for (const card of await homePage.boxes()) {
      // Only what is longer than the longest card is cropped to it.
      const own = Math.min(Math.max(card.proportion, NARROWEST), WIDEST);
      const cropped = card.width / card.height / own;
      expect(cropped, "drawn to own proportions").toBeGreaterThan(0.96);
      expect(cropped, "drawn to own proportions").toBeLessThan(1.04);
      rows.set(Math.round(card.top), [...(rows.get(Math.round(card.top)) ?? []), card]);
    }
    const full = [...rows.values()].slice(0, -1);
    expect(full.length).toBeGreaterThan(1);
    const list = homePage.main.locator("#gallery");
    const right = await list.evaluate((list) => list.getBoundingClientRect().right);
    for (const row of full) {
      const heights = row.map((card) => card.height);
      expect(Math.max(...heights) - Math.min(...heights)).toBeLessThan(1);
      expect(Math.abs(Math.max(...row.map((card) => card.right)) - right)).toBeLessThan(1);
    }
  });
}

test("“more” appends the next page to the gallery and moves the focus there", async ({
  api,
  homePage,
}) => {
  await api.fillMoreThanOnePage();
  await homePage.open();
  await expect(homePage.cards).toHaveCount(PAGE_SIZE);
  const firstPage = await homePage.ids();

  await homePage.moreLink.click();
  await expect(
    homePage.main.getByText(/More cats have been added|Those are all the cats/),
  ).toBeVisible();
  const all = await homePage.ids();
  expect(all.length).toBeGreaterThan(PAGE_SIZE);
  expect(all.slice(0, PAGE_SIZE)).toEqual(firstPage);
  expect(new Set(all).size).toBe(all.length);
  await expect(homePage.cards.nth(PAGE_SIZE)).toBeFocused();
  await expect(homePage.cards.nth(PAGE_SIZE)).toContainText("days left");
  expect(new URL(homePage.page.url()).search).toMatch(/^\?after=\d+$/);
});

test("a picture's page says what is in it and how long it has left", async ({
  api,
  picturePage,
}) => {
  const picture = await api.publish("chelsea.png");
  await picturePage.goto(picture.url);
  await picturePage.expectPhotoLoaded();
  await expect(picturePage.photo).toHaveAccessibleName(picture.alt);
  await expect(picturePage.countdown).toHaveText(/^[67] days left$/);
  await expect(picturePage.countdown).toHaveAttribute("datetime", picture.expires_at);
});

test("the browser picks a WebP that is no wider than the upload", async ({ api, picturePage }) => {
  const picture = await api.publish("chelsea.png");
  await picturePage.goto(picture.url);
  await picturePage.expectPhotoLoaded();
  const chosen = await picturePage.photo.evaluate((image: HTMLImageElement) => image.currentSrc);
  const webps = Object.entries(picture.images).filter(([name]) => name.endsWith(".webp"));
  expect(webps.map(([, url]) => url)).toContain(chosen);
});

test("a picture's links can be copied", onlyChromium, async ({ api, context, page, picturePage }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const picture = await api.publish("chelsea.png");
  await picturePage.goto(picture.url);
  await picturePage.more.click();
  await expect(picturePage.sharedText("Page")).toHaveValue(picture.url);
  await picturePage.main.getByText("Embed codes").click();
  for (const label of ["Page", "Image", "Markdown", "HTML"] as const) {
    await picturePage.copyButton(label).click();
    await expect(picturePage.copyButton(label)).toHaveText("Copied");
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    expect(copied).toBe(await picturePage.sharedText(label).inputValue());
    // Every form of sharing leads to this picture.
    expect(copied).toContain(picture.id);
  }
});

test("a picture's page carries its preview card, with an image that exists", async ({
  api,
  picturePage,
}) => {
  const picture = await api.publish("chelsea.png");
  await picturePage.goto(picture.url);
  const image = picture.images["1280.jpg"];
  expect(await picturePage.meta("og:image")).toBe(image);
  expect(await picturePage.meta("og:url")).toBe(picture.url);
  expect(await picturePage.meta("og:image:alt")).toBe(picture.alt);
  expect(await picturePage.meta("og:title")).toMatch(/cat/i);
  expect(await picturePage.meta("twitter:card")).toBe("summary_large_image");
  expect(await api.status(image ?? "")).toBe(200);
});

test("a tag leads to its gallery", async ({ api, homePage, picturePage }) => {
  const { id, url } = await api.publish("chelsea.png");
  const untagged = await api.publish("ginger-kitten.jpg");
  await picturePage.goto(url);
  await picturePage.tags.filter({ hasText: "tabby cat" }).click();
  await expect(homePage.headline).toHaveText("Cats tagged tabby cat");
  await expect(homePage.card(id)).toBeVisible();
  await expect(homePage.card(untagged.id)).toBeHidden();
});

test("an address that is no page says so", async ({ sitePage, complaints }) => {
  complaints.expectStatus(404);
  const response = await sitePage.goto("/no-such-page");
  expect(response.status()).toBe(404);
  await expect(sitePage.headline).toHaveText("No cat lives here");
});

test("going back to the gallery leads to the card that was opened", async ({
  api,
  page,
  homePage,
  picturePage,
}) => {
  await api.fillMoreThanOnePage();
  // Chromium keeps no page that may not be stored, so going back loads this one anew.
  await page.route(/\/(\?after=\d+)?$/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, headers: { ...response.headers(), "cache-control": "no-store" } });
  });
  await homePage.open();
  await homePage.moreLink.click();
  await expect.poll(() => homePage.cards.count()).toBeGreaterThan(PAGE_SIZE);
  const id = (await homePage.ids())[PAGE_SIZE] ?? "";
  await homePage.card(id).click();
  await picturePage.ready();
  await page.goBack();
  await homePage.ready();
  await expect(homePage.card(id)).toBeInViewport();
  await page.getByRole("link", { name: "Newer cats" }).click();
  await expect(page).toHaveURL(/:\d+\/$/);
});

test("all tags are offered with their counts", async ({ api, homePage }) => {
  await api.publish("chelsea.png");
  await homePage.goto("/");
  await homePage.main.getByRole("link", { name: "All tags" }).click();
  await homePage.main.getByRole("link", { name: /^tabby cat \d+$/ }).click();
  await expect(homePage.headline).toHaveText("Cats tagged tabby cat");
});

test("the home page has a preview card with an image that exists", async ({ api, picturePage }) => {
  await picturePage.goto("/");
  const image = (await picturePage.meta("og:image")) ?? "";
  expect(await picturePage.meta("twitter:card")).toBe("summary_large_image");
  expect(await api.status(image)).toBe(200);
});

test("the first page offers the most frequent tags in one line, each with its gallery", async ({
  api,
  page,
  homePage,
}) => {
  const { tags } = await api.publish("chelsea.png");
  const common = ["cat", "animal", "pet"];
  await homePage.open();
  const chips = homePage.main.getByRole("list", { name: "Frequent tags" });
  const tops = await chips
    .getByRole("link")
    .evaluateAll((links) => links.map((link) => link.getBoundingClientRect().top));
  expect(new Set(tops).size).toBe(1);
  const chip = chips.getByRole("link", { name: /^tabby cat \d+$/ });
  expect(tags.map(({ name }) => name)).toContain("tabby cat");
  for (const tag of common) {
    await expect(chips.getByRole("link", { name: new RegExp(`^${tag} \\d`) })).toHaveCount(0);
  }
  await chip.click();
  await expect(page).toHaveURL(/\/tags\/tabby%20cat$/);
  // Later pages of the gallery are about what is on them.
  await homePage.goto("/?after=1000000");
  await expect(chips).toHaveCount(0);
});
