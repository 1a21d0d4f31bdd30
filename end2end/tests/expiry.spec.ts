// A picture's time runs out while somebody is looking.

import { shortLivedSite } from "../servers.js";
import { expect, test } from "./fixtures/test.js";

test.use({ baseURL: shortLivedSite.url });

test("a page left open takes the picture down at its second, and a reload answers 410", async ({
  api,
  page,
  picturePage,
  complaints,
}) => {
  complaints.expectStatus(410);
  const picture = await api.publish("cat.webp");
  await picturePage.goto(picture.url);
  await picturePage.expectPhotoLoaded();
  await expect(picturePage.countdown).toHaveText(/^\d seconds? left$/);
  await expect(picturePage.goneHeadline).toBeHidden();

  await expect(picturePage.goneHeadline).toBeVisible();
  const endOfLife = Date.parse(picture.expires_at);
  expect(Date.now()).toBeGreaterThanOrEqual(endOfLife);
  // The countdown looks at the clock once a second; the rest is for a busy machine.
  expect(Date.now()).toBeLessThan(endOfLife + 3000);
  await expect(picturePage.photo).toHaveCount(0);
  await expect(picturePage.main.getByRole("button", { name: "Copy" })).toHaveCount(0);

  const response = await page.reload();
  expect(response?.status()).toBe(410);
  await expect(picturePage.headline).toHaveText("This cat has wandered off");
  for (const url of Object.values(picture.images)) {
    expect(await api.status(url), url).toBe(410);
  }
  expect(await api.status(`/api/v1/pictures/${picture.id}`)).toBe(410);
});

test("a gallery left open takes the card's picture down", async ({ api, homePage }) => {
  const picture = await api.publish("cat.webp");
  await homePage.open();
  const card = homePage.card(picture.id);
  await expect(homePage.image(picture.id)).toBeVisible();
  await expect(card.getByText("This cat has wandered off")).toBeVisible();
  await expect(homePage.image(picture.id)).toHaveCount(0);
});
