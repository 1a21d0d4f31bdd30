// Somebody looks at one picture, and goes on from it.

import { expect, onlyChromium, test } from "./fixtures/test.js";

for (const [name, width, height] of [
  ["a phone", 390, 844],
  ["a phone on its side", 844, 390],
  ["a tablet", 768, 1024],
  ["a screen", 1440, 900],
  ["a large screen", 2560, 1440],
] as const) {
  test(`on ${name} the picture is whole, in its own shape and at most twice its size`, async ({
    api,
    page,
    picturePage,
  }) => {
    await page.setViewportSize({ width, height });
    for (const file of ["chelsea.png", "cat-sideways.jpg", "ginger-kitten.jpg"] as const) {
      const picture = await api.publish(file);
      await picturePage.goto(picture.url);
      await picturePage.expectPhotoLoaded();
      const { box, stage, own } = await picturePage.photo.evaluate((image: HTMLImageElement) => {
        const side = (name: string) => Number(image.getAttribute(name));
        return {
          box: image.getBoundingClientRect().toJSON() as DOMRect,
          stage: image.closest(".stage")!.getBoundingClientRect().toJSON() as DOMRect,
          own: { width: side("width"), height: side("height") },
        };
      });
      expect(box.width / box.height / (own.width / own.height)).toBeGreaterThan(0.98);
      expect(box.width / box.height / (own.width / own.height)).toBeLessThan(1.02);
      expect(box.width).toBeLessThanOrEqual(2 * own.width + 1);
      expect(box.height).toBeLessThanOrEqual(height);
      expect(box.top).toBeGreaterThanOrEqual(stage.top - 1);
      expect(box.bottom).toBeLessThanOrEqual(stage.bottom + 1);
      // It stands in the middle, and touches two sides unless it is too small for that.
      expect(Math.abs(box.left + box.right - stage.left - stage.right)).toBeLessThan(2);
      expect(Math.abs(box.top + box.bottom - stage.top - stage.bottom)).toBeLessThan(2);
      const fills = Math.max(box.width / stage.width, box.height / stage.height);
      expect(fills > 0.96 || box.width >= 2 * own.width - 1).toBe(true);
    }
  });
}

test("a click on the picture opens its largest file", async ({ api, page, picturePage }) => {
  const picture = await api.publish("chelsea.png");
  await picturePage.goto(picture.url);
  await picturePage.photo.click();
  await expect(page).toHaveURL(picture.images["2048.webp"] ?? "");
});

test("the arrow keys lead through all pictures, and past the newest back to the gallery", async ({
  api,
  page,
  homePage,
  picturePage,
}) => {
  const older = await api.publish("cat.webp");
  const newer = await api.publish("chelsea.png");
  await homePage.open();
  await homePage.card(newer.id).click();
  await picturePage.ready();
  await page.keyboard.press("ArrowRight");
  await expect(page).toHaveURL(older.url);
  await picturePage.ready();
  await page.keyboard.press("ArrowLeft");
  await expect(page).toHaveURL(newer.url);
  await picturePage.ready();
  await page.keyboard.press("ArrowLeft");
  await expect(page).toHaveURL(/:\d+\/$/);
});

test("arrow keys in a field move only the cursor", async ({ api, page, picturePage }) => {
  const { url } = await api.publish("cat.webp");
  await picturePage.goto(url);
  await picturePage.search.field.fill("tabby");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowRight");
  await picturePage.ready();
  await expect(page).toHaveURL(url);
});

test("from a tag one goes on within the tag, and back to its search at the end", async ({
  api,
  page,
  homePage,
  picturePage,
}) => {
  const first = await api.publish("chelsea.png");
  await api.publish("ginger-kitten.jpg");
  const second = await api.publish("chelsea.png");
  await homePage.goto("/tags/tabby%20cat");
  await homePage.card(second.id).click();
  await picturePage.ready();
  await picturePage.older.click();
  await expect(page).toHaveURL(`${first.url}#q=%22tabby+cat%22`);
  await picturePage.ready();
  await picturePage.newer.click();
  await expect(page).toHaveURL(`${second.url}#q=%22tabby+cat%22`);
  await picturePage.ready();
  await picturePage.newer.click();
  await expect(homePage.headline).toHaveText('Cats with "tabby cat"');
});

test("a swipe leads to the next picture, and a scroll does not", onlyChromium, async ({
  api,
  page,
  picturePage,
}) => {
  const older = await api.publish("cat.webp");
  const newer = await api.publish("chelsea.png");
  await picturePage.goto(newer.url);
  const swipe = (right: number, down: number) =>
    page.locator(".stage").evaluate(
      (stage, { right, down }) => {
        const touch = (x: number, y: number) =>
          new Touch({ identifier: 1, target: stage, clientX: x, clientY: y });
        const send = (type: string, touch: Touch, touches: Touch[]) =>
          stage.dispatchEvent(
            new TouchEvent(type, { touches, changedTouches: [touch], bubbles: true }),
          );
        const [start, end] = [touch(200, 200), touch(200 + right, 200 + down)];
        send("touchstart", start, [start]);
        send("touchend", end, []);
      },
      { right, down },
    );
  await swipe(-30, 300);
  await swipe(-120, 110);
  await expect(page).toHaveURL(newer.url);
  await swipe(-120, 10);
  await expect(page).toHaveURL(older.url);
});

test("it says until when the picture is here, in the visitor's own time", async ({
  api,
  browser,
}) => {
  const { url, expires_at } = await api.publish("cat.webp");
  const context = await browser.newContext({ timezoneId: "Asia/Tokyo" });
  const page = await context.newPage();
  await page.goto(url);
  const time = new Intl.DateTimeFormat("en-GB", {
    timeZone: "Asia/Tokyo",
    hour: "2-digit",
    minute: "2-digit",
  }).format(new Date(expires_at));
  await expect(page.locator("time.until")).toHaveText(new RegExp(`^until \\w+,? \\d+ \\w+,? ${time}$`));
  await context.close();
});

test("“Share” hands over the file, or the link where files cannot be shared", async ({
  api,
  page,
  picturePage,
}) => {
  const { id, url } = await api.publish("chelsea.png");
  await page.addInitScript(() => {
    const shared: unknown[] = [];
    Object.assign(window, { shared, takesFiles: true });
    Object.assign(Navigator.prototype, {
      canShare: () => Reflect.get(window, "takesFiles") as boolean,
      share: async ({ files, ...rest }: ShareData) => {
        shared.push({ ...rest, file: files?.[0] && `${files[0].name} ${files[0].type}` });
      },
    });
  });
  await picturePage.goto(url);
  const shared = () => page.evaluate(() => Reflect.get(window, "shared") as unknown[]);
  await picturePage.share.click();
  await expect.poll(shared).toEqual([
    { title: await picturePage.headline.textContent(), file: `catto-${id}.jpg image/jpeg` },
  ]);
  await page.evaluate(() => Reflect.set(window, "takesFiles", false));
  await picturePage.share.click();
  await expect.poll(async () => (await shared())[1]).toMatchObject({ url });
});

test("all that can be done with a picture stands in one row on a phone", async ({
  api,
  page,
  picturePage,
}) => {
  await page.setViewportSize({ width: 390, height: 844 });
  const { url } = await api.publish("cat.webp");
  await picturePage.goto(url);
  await expect(picturePage.share).toBeVisible();
  const tops = await picturePage.main.locator(".actions > .button, .actions > details > .button").evaluateAll((buttons) =>
    buttons.map((button) => Math.round(button.getBoundingClientRect().top)),
  );
  expect(tops).toHaveLength(4);
  expect(new Set(tops).size).toBe(1);
});

test("“Share” copies the link where there is no share sheet", onlyChromium, async ({
  api,
  context,
  page,
  picturePage,
}) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const { url } = await api.publish("cat.webp");
  await page.addInitScript(() => Reflect.deleteProperty(Navigator.prototype, "share"));
  await picturePage.goto(url);
  await picturePage.share.click();
  await expect(page.getByRole("button", { name: "Link copied" })).toBeVisible();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(url);
});

test("an animation is saved as an animation, and every size is offered", async ({
  api,
  picturePage,
}) => {
  const picture = await api.publish("cat-animated.gif");
  await picturePage.goto(picture.url);
  const save = picturePage.main.getByRole("link", { name: "Save", exact: true });
  await expect(save).toHaveAttribute("href", /\.webp$/);
  await expect(save).toHaveAttribute("download", `catto-${picture.id}.webp`);
  await picturePage.more.click();
  const sizes = picturePage.main.getByRole("link", { name: /^(Animated WebP|JPEG), \d+ × \d+$/ });
  const offered = await sizes.allTextContents();
  expect(new Set(offered).size, "each is offered once").toBe(offered.length);
  expect(offered).toContain(`Animated WebP, ${picture.width} × ${picture.height}`);
  expect(offered).toContain(`JPEG, ${picture.width} × ${picture.height}`);
});

test("further cats with the same tag are fetched when the reader comes near, without the picture", async ({
  api,
  page,
  picturePage,
}) => {
  const other = await api.publish("chelsea.png");
  const { id, url } = await api.publish("chelsea.png");
  await page.setViewportSize({ width: 390, height: 500 });
  const asked: string[] = [];
  page.on("request", (request) => {
    if (request.url().includes("/api/v1/pictures?")) asked.push(request.url());
  });
  await picturePage.goto(url);
  const related = page.locator(".related");
  await related.scrollIntoViewIfNeeded();
  const links = related.getByRole("listitem").getByRole("link");
  await expect(links.first()).toBeVisible();
  const hrefs = await links.evaluateAll((all) => all.map((link) => link.getAttribute("href")));
  expect(hrefs.length).toBeLessThanOrEqual(13);
  expect(hrefs.some((href) => href?.startsWith(`/c/${other.id}#q=`))).toBe(true);
  expect(hrefs.some((href) => href?.startsWith(`/c/${id}`))).toBe(false);
  expect(asked).toHaveLength(1);
  // They are as wide as their cards, and not as the screen.
  const image = links.first().locator("img").first();
  await image.scrollIntoViewIfNeeded();
  const excess = () =>
    image.evaluate((image: HTMLImageElement) =>
      image.complete ? image.naturalWidth / image.clientWidth : NaN,
    );
  await expect.poll(excess).toBeLessThan(1.7);
});

test.describe("without scripts", () => {
  test.use({ javaScriptEnabled: false });

  test("words below the picture lead to the cats with its tag", async ({
    api,
    page,
    picturePage,
  }) => {
    const { url } = await api.publish("chelsea.png");
    await picturePage.gotoWithoutScripts(url);
    await picturePage.main.getByRole("link", { name: /^More cats tagged “/ }).click();
    await expect(page).toHaveURL(/\/tags\//);
  });
});

test("a QR code of the link is folded away under More, dark on light in every colour scheme", onlyChromium, async ({
  api,
  page,
  picturePage,
}) => {
  const { url } = await api.publish("chelsea.png");
  await page.emulateMedia({ colorScheme: "dark" });
  await picturePage.goto(url);
  const code = picturePage.main.getByRole("img", { name: "QR code of this page's link" });
  await picturePage.more.click();
  await expect(code).toBeHidden();
  await picturePage.main.getByText("QR code", { exact: true }).click();
  await expect(code).toBeVisible();
  await expect(code).toHaveCSS("background-color", "rgb(255, 255, 255)");
});
