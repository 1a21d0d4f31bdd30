// Somebody's browser changes the pages: it has a password manager or a translator, it forbids
// WebAssembly, or the site is reached without encryption.

import type { Page } from "@playwright/test";

import { PAGE_SIZE } from "./fixtures/api.js";
import { picture } from "./fixtures/pictures.js";
import { expect, onlyChromium, test } from "./fixtures/test.js";

/** Puts a node beside every field as soon as it is there, and into all that will come alive. */
async function withPasswordManager(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const seen = new WeakSet<Node>();
    const decorate = () => {
      for (const input of document.querySelectorAll("input")) {
        if (seen.has(input)) continue;
        seen.add(input);
        const icon = document.createElement("div");
        icon.dataset.strangers = "icon";
        input.before(icon.cloneNode());
        input.after(icon);
      }
      for (const place of document.querySelectorAll("[data-island], leptos-island")) {
        if (seen.has(place)) continue;
        seen.add(place);
        place.prepend("strange words", document.createElement("strange-element"));
      }
    };
    new MutationObserver(decorate).observe(document, { childList: true, subtree: true });
  });
}

/** Replaces every text by its “translation” in an element of its own, also those that change. */
async function withTranslator(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const translate = () => {
      const texts = document.createTreeWalker(document.body ?? document, NodeFilter.SHOW_TEXT);
      const found: Text[] = [];
      while (texts.nextNode()) {
        const text = texts.currentNode as Text;
        const parent = text.parentElement;
        const isWords = /\w/.test(text.data) && !parent?.closest("font, script, style, noscript");
        if (isWords) found.push(text);
      }
      for (const text of found) {
        const outer = document.createElement("font");
        const inner = outer.appendChild(document.createElement("font"));
        inner.textContent = `«${text.data}»`;
        text.replaceWith(outer);
      }
    };
    new MutationObserver(translate).observe(document, {
      childList: true,
      characterData: true,
      subtree: true,
    });
  });
}

test("a password manager beside the fields breaks nothing", async ({ api, page, homePage }) => {
  await api.publish("chelsea.png");
  await api.fillMoreThanOnePage();
  await withPasswordManager(page);
  await homePage.open();
  await expect(page.locator("[data-strangers]").first()).toBeAttached();
  await homePage.search.focus();
  await homePage.search.field.pressSequentially("tab");
  await expect(homePage.search.options.filter({ hasText: "tabby cat" })).toBeVisible();
  await homePage.search.field.press("Escape");
  await homePage.moreLink.click();
  await expect.poll(() => homePage.cards.count()).toBeGreaterThan(PAGE_SIZE);
});

test("a password manager does not keep pictures from being uploaded", async ({
  page,
  uploadPage,
}) => {
  await withPasswordManager(page);
  await uploadPage.open();
  await uploadPage.choose(picture("chelsea.png"));
  await uploadPage.upload("chelsea.png").open();
  await expect(uploadPage.main.getByRole("link", { name: "tabby cat" })).toBeVisible();
});

test("a translated suggestion searches for the tag that it stands for", async ({
  api,
  page,
  homePage,
}) => {
  await api.publish("chelsea.png");
  await withTranslator(page);
  await homePage.gotoWithoutScripts("/");
  await homePage.ready();
  await homePage.search.field.focus();
  await homePage.search.field.pressSequentially("tab");
  await page.getByRole("option", { name: "«tabby cat»" }).click();
  await expect(page).toHaveURL(/\/search\?q=%22tabby\+cat%22$/);
});

test("words that change are changed on a translated page too", onlyChromium, async ({
  api,
  context,
  page,
  picturePage,
}) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const { url } = await api.publish("chelsea.png");
  await withTranslator(page);
  await picturePage.gotoWithoutScripts(url);
  await expect(picturePage.countdown).toHaveText(/^«\d days left»$/);
  await page.locator("summary").first().click();
  const copy = page.locator(".copy-field button").first();
  await copy.click();
  await expect(copy).toHaveText("«Copied»");
  await expect(copy).toHaveText("«Copy»");
});

test("where WebAssembly is missing, all that is offered works", async ({
  api,
  page,
  homePage,
  picturePage,
  uploadPage,
}) => {
  const { url } = await api.publish("chelsea.png");
  await api.fillMoreThanOnePage();
  await page.addInitScript(() => Reflect.deleteProperty(globalThis, "WebAssembly"));

  await homePage.gotoWithoutScripts("/");
  await expect(page.locator("html")).toHaveClass("is-plain");
  await homePage.moreLink.click();
  await expect(page).toHaveURL(/\?after=/);
  await homePage.search.field.fill("tabby");
  await page.keyboard.press("Enter");
  await expect(homePage.headline).toHaveText("Cats with tabby");

  await picturePage.gotoWithoutScripts(url);
  await expect(picturePage.photo).toBeVisible();
  await picturePage.more.click();
  await expect(page.getByRole("button", { name: "Copy" })).toHaveCount(0);
  await expect(picturePage.share).toHaveCount(0);
  await expect(picturePage.countdown).toHaveText(/^until /);

  await uploadPage.gotoWithoutScripts("/upload");
  await expect(page.locator("html")).toHaveClass("is-plain");
  await expect(page.getByText("Drop pictures here")).toBeHidden();
  await uploadPage.choose(picture("cat.webp"));
  await uploadPage.submitButton.click();
  await uploadPage.main.getByRole("link", { name: "See its page" }).click();
  await expect(picturePage.photo).toBeVisible();
});

test("where WebAssembly is missing, a page opened before the verdict comes to show the picture", async ({
  api,
  page,
  picturePage,
}) => {
  await page.addInitScript(() => Reflect.deleteProperty(globalThis, "WebAssembly"));
  const accepted = await api.submit("cat-animated.gif");
  await picturePage.gotoWithoutScripts(accepted.url);
  await expect(picturePage.photo).toBeVisible();
});

test("an island that fails takes no other with it", onlyChromium, async ({
  api,
  complaints,
  context,
  page,
  homePage,
  picturePage,
}) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const { url } = await api.publish("chelsea.png");
  await api.fillMoreThanOnePage();
  complaints.expectError(/no lists|unreachable/);
  // The list of suggestions cannot be made.
  await page.addInitScript(() => {
    const create = Document.prototype.createElement;
    Document.prototype.createElement = function (this: Document, name: string) {
      if (name === "ul") throw new Error("no lists today");
      return create.call(this, name);
    } as typeof create;
  });
  await homePage.gotoWithoutScripts("/");
  await expect(page.locator("html")).toHaveClass("is-alive");
  await homePage.moreLink.click();
  await expect.poll(() => homePage.cards.count()).toBeGreaterThan(PAGE_SIZE);
  await picturePage.gotoWithoutScripts(url);
  await expect(picturePage.countdown).toHaveText(/days left$/);
  await picturePage.more.click();
  await picturePage.copyButton("Page").click();
  await expect(picturePage.copyButton("Page")).toHaveText("Copied");
  expect(complaints.all.length).toBeGreaterThan(0);
});

test("suggestions that arrive after one has typed are shown", async ({ api, page, homePage }) => {
  await api.publish("chelsea.png");
  let arrive = () => {};
  const typed = new Promise<void>((resolve) => (arrive = resolve));
  await page.route("**/api/v1/tags", async (route) => {
    await typed;
    await route.continue();
  });
  await homePage.open();
  await homePage.search.field.focus();
  await homePage.search.field.pressSequentially("tab");
  await expect(homePage.search.options).toHaveCount(0);
  arrive();
  await expect(homePage.search.options.filter({ hasText: "tabby cat" })).toBeVisible();
});

test("a link is copied on plain http too, and the focus stays", async ({
  api,
  page,
  picturePage,
}) => {
  const { url } = await api.publish("chelsea.png");
  await page.addInitScript(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
  await picturePage.goto(url);
  await picturePage.more.click();
  const copy = picturePage.copyButton("Page");
  await copy.focus();
  await page.keyboard.press("Enter");
  await expect(copy).toHaveText("Copied");
  await expect(copy).toBeFocused();
  await picturePage.search.field.focus();
  await page.keyboard.press("ControlOrMeta+V");
  await expect(picturePage.search.field).toHaveValue(url);
});
