// Nobody sees a picture before its verdict, and a page that waits for the verdict shows it by
// itself.

import { expect, test } from "./fixtures/test.js";

test("a page opened before the verdict comes to show the picture by itself", async ({
  api,
  page,
  picturePage,
}) => {
  // The models need most time for an animation.
  const accepted = await api.submit("cat-animated.gif");
  // The page object's `goto` would not do, because the page may reload at any moment.
  await page.goto(accepted.url);
  await picturePage.expectPhotoLoaded();
});

test("a page opened before the verdict comes to say why the picture is refused", async ({
  api,
  page,
  sitePage,
  complaints,
}) => {
  complaints.expectStatus(422);
  const accepted = await api.submit("one-frame-refused.gif");
  await page.goto(accepted.url);
  await expect(sitePage.headline).toHaveText("We cannot show this picture");
});

test("the page of a picture that is no cat says so with status 422", async ({
  api,
  picturePage,
  complaints,
}) => {
  complaints.expectStatus(422);
  const refused = await api.submitRefused("coffee.png");
  const response = await picturePage.goto(refused.url);
  expect(response.status()).toBe(422);
  await expect(picturePage.headline).toHaveText("We could not find a cat");
  await expect(picturePage.photo).toHaveCount(0);
});

test("the page of an indecent picture says so with status 422", async ({
  api,
  picturePage,
  complaints,
}) => {
  complaints.expectStatus(422);
  const refused = await api.submitRefused("refused.jpg");
  const response = await picturePage.goto(refused.url);
  expect(response.status()).toBe(422);
  await expect(picturePage.headline).toHaveText("We cannot show this picture");
  await expect(picturePage.photo).toHaveCount(0);
});

test("a refused picture is not in the gallery", async ({ api, homePage }) => {
  const published = await api.publish("cat.webp");
  const refused = await api.submitRefused("refused.jpg");
  await homePage.open();
  await expect(homePage.card(published.id)).toBeVisible();
  await expect(homePage.card(refused.id)).toHaveCount(0);
});
