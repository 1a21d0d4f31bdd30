// Everything works in a browser that runs no scripts.

import { PAGE_SIZE } from "./fixtures/api.js";
import { picture } from "./fixtures/pictures.js";
import { expect, test } from "./fixtures/test.js";

test.use({ javaScriptEnabled: false });

test("a picture uploaded with the plain form is answered with its links, and is shown", async ({
  uploadPage,
  picturePage,
}) => {
  await uploadPage.gotoWithoutScripts("/upload");
  await uploadPage.choose(picture("chelsea.png"));
  await uploadPage.submitButton.click();
  await expect(uploadPage.headline).toHaveText("That is a cat!");
  await expect(picturePage.sharedText("Delete link")).toHaveValue(/\/delete\/\w{16}\/\w{22}$/);
  await expect(uploadPage.main.getByRole("link", { name: "Delete the picture" })).toBeVisible();
  await uploadPage.main.getByRole("link", { name: "See its page" }).click();
  await expect(picturePage.photo).toBeVisible();
  await expect(picturePage.countdown).toHaveText(/^until \d+ \w+, \d\d:\d\d UTC$/);
  await picturePage.more.click();
  await expect(picturePage.sharedText("Page")).toHaveValue(picturePage.page.url());
});

test("a shorter life can be chosen", async ({ uploadPage, picturePage }) => {
  await uploadPage.gotoWithoutScripts("/upload");
  await uploadPage.life.selectOption("1 hour");
  await uploadPage.choose(picture("cat.webp"));
  await uploadPage.submitButton.click();
  await uploadPage.main.getByRole("link", { name: "See its page" }).click();
  const end = await picturePage.main.locator("time").first().getAttribute("datetime");
  const left = Date.parse(end ?? "") - Date.now();
  expect(left).toBeLessThanOrEqual(3_600_000);
  expect(left).toBeGreaterThan(3_000_000);
});

test("what needs scripts is not offered", async ({ api, picturePage }) => {
  const { url } = await api.publish("cat.webp");
  await picturePage.gotoWithoutScripts(url);
  await expect(picturePage.photo).toBeVisible();
  await picturePage.more.click();
  await expect(picturePage.sharedText("Page")).toBeVisible();
  await expect(picturePage.copyButton("Page")).toBeHidden();
  await expect(picturePage.share).toBeHidden();
  await expect(picturePage.until).toBeHidden();
});

test("a refused picture is answered in words with status 422", async ({
  page,
  uploadPage,
  complaints,
}) => {
  complaints.expectStatus(422);
  await uploadPage.gotoWithoutScripts("/upload");
  await uploadPage.choose(picture("coffee.png"));
  const answer = page.waitForResponse((response) => response.request().method() === "POST");
  await uploadPage.submitButton.click();
  expect((await answer).status()).toBe(422);
  await expect(uploadPage.headline).toHaveText("We could not find a cat");
});

test("a form sent without a file is answered in words", async ({
  page,
  uploadPage,
  complaints,
}) => {
  complaints.expectStatus(400);
  await uploadPage.gotoWithoutScripts("/upload");
  const answer = page.waitForResponse((response) => response.request().method() === "POST");
  await uploadPage.submitButton.click();
  expect((await answer).status()).toBe(400);
  await expect(uploadPage.headline).toHaveText("We could not read that request");
});

test("a search finds what it is asked for", async ({ api, homePage }) => {
  const tabby = await api.publish("chelsea.png");
  const other = await api.publish("ginger-kitten.jpg");
  await homePage.gotoWithoutScripts("/");
  await homePage.search.submit("tabby");
  await expect(homePage.headline).toHaveText("Cats with tabby");
  await expect(homePage.card(tabby.id)).toBeVisible();
  await expect(homePage.card(other.id)).toHaveCount(0);
});

test("“more” is a link to the next page", async ({ api, homePage }) => {
  await api.fillMoreThanOnePage();
  await homePage.gotoWithoutScripts("/");
  const firstPage = await homePage.ids();
  expect(firstPage).toHaveLength(PAGE_SIZE);

  await homePage.moreLink.click();
  await expect(homePage.main.getByRole("heading", { name: "More cats" })).toBeVisible();
  const secondPage = await homePage.ids();
  expect(secondPage.length).toBeGreaterThan(0);
  expect(firstPage.filter((id) => secondPage.includes(id))).toEqual([]);
});

test("a page opened before the verdict comes to show the picture by itself", async ({
  api,
  picturePage,
}) => {
  const accepted = await api.submit("cat-animated.gif");
  await picturePage.gotoWithoutScripts(accepted.url);
  await expect(picturePage.photo).toBeVisible();
});

test("a picture is deleted with the plain form", async ({ api, picturePage, complaints }) => {
  complaints.expectStatus(410);
  const picture = await api.publish("cat.webp");
  await picturePage.gotoWithoutScripts(picture.delete_url);
  await picturePage.main.getByRole("button", { name: "Delete it" }).click();
  await expect(picturePage.headline).toHaveText("The picture is deleted");
  const response = await picturePage.gotoWithoutScripts(picture.url);
  expect(response.status()).toBe(410);
});
