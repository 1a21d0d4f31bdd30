// The site as it is deployed: pictures in a bucket, and Rekognition after the local models.

import { cloudSite } from "../servers.js";
import { picture } from "./fixtures/pictures.js";
import { LABELS, MODERATION, StandIn } from "./fixtures/stand_in.js";
import { expect, test as base } from "./fixtures/test.js";

const test = base.extend<{ standIn: StandIn }>({
  standIn: async ({ request }, use) => use(new StandIn(request)),
});

test.use({ baseURL: cloudSite.url });

test("a cat is published with Rekognition's tags, read from the bucket, found and deleted", async ({
  api,
  homePage,
  picturePage,
  standIn,
  uploadPage,
}) => {
  const before = await standIn.calls();
  await uploadPage.open();
  await uploadPage.choose(picture("chelsea.png"));
  const upload = uploadPage.upload("chelsea.png");
  await expect(upload.published).toBeVisible();
  const calls = (await standIn.calls()).slice(before.length);
  expect(calls, "decency first, then what is in it, each once").toEqual([MODERATION, LABELS]);
  await upload.open();
  // The stand-in gives these tags to every picture; the local models would not give them to this
  // one.
  for (const tag of ["couch", "sofa"]) {
    await expect(upload.tags.filter({ hasText: tag })).toBeVisible();
  }

  const deleteUrl = await upload.field("Delete link").inputValue();
  await upload.pageLink.click();
  await picturePage.expectPhotoLoaded();
  const pageUrl = picturePage.page.url();
  const id = new URL(pageUrl).pathname.replace("/c/", "");
  await picturePage.more.click();
  const imageUrl = await picturePage.sharedText("Image").inputValue();
  const keys = await standIn.keysOf(id);
  const read = await picturePage.page.request.get(`/api/v1/pictures/${id}`);
  const files = Object.keys((await read.json()).images).length;
  expect(keys, "its files and what describes them").toHaveLength(files + 1);
  expect(keys).toContain(new URL(imageUrl).pathname.slice(1));
  expect(keys).toContain(`meta/${id}.json`);
  expect(await api.status(imageUrl)).toBe(200);

  await homePage.search.submit("couch sofa");
  await expect(homePage.card(id)).toBeVisible();

  await picturePage.goto(deleteUrl);
  await picturePage.main.getByRole("button", { name: "Delete it" }).click();
  await expect(picturePage.headline).toHaveText("The picture is deleted");
  expect(await standIn.keysOf(id)).toEqual([]);
  // This is not asked in the browser, which may keep the page for a minute.
  for (const url of [imageUrl, pageUrl]) {
    expect(await api.status(url), url).toBe(410);
  }
});

test("what the local models are sure of is refused without a paid call", async ({
  standIn,
  uploadPage,
  complaints,
}) => {
  complaints.expectStatus(422);
  const [calls, keys] = [await standIn.calls(), await standIn.keys()];
  await uploadPage.open();
  await uploadPage.choose(picture("coffee.png"));
  await expect(uploadPage.upload("coffee.png").row).toContainText("We could not find a cat");
  expect(await standIn.calls()).toEqual(calls);
  expect(await standIn.keys()).toEqual(keys);
});

test("what only Rekognition finds indecent is refused in words, and nothing of it is in the bucket", async ({
  standIn,
  uploadPage,
  complaints,
}) => {
  complaints.expectStatus(422);
  const [calls, keys] = [await standIn.calls(), await standIn.keys()];
  await standIn.reply({
    ModerationLabels: [
      { Name: "Graphic Violence", ParentName: "Violence", Confidence: 97.5, TaxonomyLevel: 2 },
      { Name: "Violence", ParentName: "", Confidence: 97.5, TaxonomyLevel: 1 },
    ],
    ModerationModelVersion: "7.0",
  });
  await uploadPage.open();
  // The local models see a cat in this picture. It is not the one from above, because the verdict
  // on that one is remembered.
  await uploadPage.choose(picture("cat.webp"));
  const { row } = uploadPage.upload("cat.webp");
  await expect(row).toContainText("We cannot show this picture");
  expect((await standIn.calls()).slice(calls.length), "and is not asked what is in it").toEqual([
    MODERATION,
  ]);
  expect(await standIn.keys()).toEqual(keys);
});
