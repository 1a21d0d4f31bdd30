// The uploader thinks better of it.

import { expect, test } from "./fixtures/test.js";

test("the delete page asks, deletes by its button, and then the picture is gone", async ({
  api,
  picturePage,
  complaints,
}) => {
  complaints.expectStatus(410);
  const picture = await api.publish("cat.webp");
  await picturePage.goto(picture.delete_url);
  await expect(picturePage.headline).toHaveText("Delete this picture?");
  expect(await api.status(picture.url), "asking deletes nothing").toBe(200);

  await picturePage.main.getByRole("button", { name: "Delete it" }).click();
  await expect(picturePage.headline).toHaveText("The picture is deleted");

  const response = await picturePage.goto(picture.url);
  expect(response.status()).toBe(410);
  await expect(picturePage.headline).toHaveText("This cat has wandered off");
  for (const url of Object.values(picture.images)) {
    expect(await api.status(url), url).toBe(410);
  }
});

test("who keeps the picture is back on its page", async ({ api, picturePage }) => {
  const picture = await api.publish("cat.webp");
  await picturePage.goto(picture.delete_url);
  await picturePage.main.getByRole("link", { name: "Keep it" }).click();
  await picturePage.expectPhotoLoaded();
});

test("a wrong token asks nothing and deletes nothing", async ({ api, picturePage, complaints }) => {
  complaints.expectStatus(403);
  const picture = await api.publish("cat.webp");
  const stranger = await api.publish("cat.webp");
  const response = await picturePage.goto(`/delete/${picture.id}/${stranger.delete_token}`);
  expect(response.status()).toBe(403);
  await expect(picturePage.headline).toHaveText("Sorry, that is not allowed");
  await expect(picturePage.main.getByRole("button", { name: "Delete it" })).toHaveCount(0);
  expect(await api.status(picture.url)).toBe(200);
});

test("the delete page of a deleted picture says that it is gone", async ({
  api,
  picturePage,
  complaints,
}) => {
  complaints.expectStatus(410);
  const picture = await api.publish("cat.webp");
  await api.delete(picture);
  const response = await picturePage.goto(picture.delete_url);
  expect(response.status()).toBe(410);
});
