// Somebody uploads while the network fails in every way that networks have.

import type { Page } from "@playwright/test";

import { BadNetwork } from "./fixtures/bad_network.js";
import { picture } from "./fixtures/pictures.js";
import { expect, test } from "./fixtures/test.js";
import type { UploadPage } from "./fixtures/upload_page.js";

/** Opens the upload page with a clock that can be put forward. */
async function openWithClock(page: Page, uploadPage: UploadPage, url = ""): Promise<void> {
  await page.clock.install();
  await uploadPage.goto(`${url}/upload`);
}

/** How many pictures the site shows. */
async function count(page: Page): Promise<number> {
  const answer = await page.request.get("/api/v1/tags");
  const { tags } = (await answer.json()) as { tags: { name: string; count: number }[] };
  return tags.find(({ name }) => name === "cat")?.count ?? 0;
}

test.describe("through a network that dies without a word", () => {
  let network: BadNetwork;
  test.beforeEach(async () => {
    network = await BadNetwork.open();
  });
  test.afterEach(() => network.close());

  test("an upload that stands still is noticed, and sent again by itself", async ({
    page,
    uploadPage,
  }) => {
    await openWithClock(page, uploadPage, network.url);
    network.dieAfter(20_000);
    await uploadPage.choose(
      picture("chelsea.png"),
      picture("cat-sideways.jpg"),
      picture("cat.webp"),
    );
    const first = uploadPage.upload("chelsea.png");
    await expect(first.button("Cancel")).toBeVisible();
    await expect(uploadPage.upload("cat.webp").row).toContainText("Waiting for its turn…");

    await page.clock.fastForward(62_000);
    await expect(first.row).toContainText("Nothing moved any more");
    await expect(uploadPage.wait).toContainText(/Next try in \d:\d\d/);
    network.heal();
    await page.clock.fastForward(61_000);
    await expect(uploadPage.line).toHaveText("3 online");
    await expect(uploadPage.wait).toBeHidden();
  });

  test("what is cancelled while its verdict is awaited is deleted", async ({
    page,
    uploadPage,
  }) => {
    await uploadPage.goto(`${network.url}/upload`);
    network.keepAnswers();
    await uploadPage.choose(picture("cat.webp"));
    const upload = uploadPage.upload("cat.webp");
    await expect(upload.row).toContainText("Looking for the cat…");
    await expect.poll(() => network.answers).toContain('"delete_token"');
    const [, id] = /"id":"(\w+)"/.exec(network.answers)!;
    await upload.button("Cancel").click();
    await expect(upload.row).toContainText("Cancelled");
    network.heal();
    network.deliverAnswers();
    const status = async () => (await page.request.get(`/api/v1/pictures/${id}`)).status();
    await expect.poll(status).toBe(410);
  });

  test("a lost answer makes no second picture", async ({ page, uploadPage }) => {
    await openWithClock(page, uploadPage, network.url);
    const before = await count(page);
    network.keepAnswers();
    await uploadPage.choose(picture("cat-gray.jpg"));
    const { row } = uploadPage.upload("cat-gray.jpg");
    await expect(row).toContainText("Looking for the cat…");
    // The picture is there, and only its uploader does not know.
    await expect.poll(() => count(page)).toBe(before + 1);

    await page.clock.fastForward(62_000);
    await expect(row).toContainText("Nothing moved any more");
    network.heal();
    await page.clock.fastForward(10_000);
    const upload = uploadPage.upload("cat-gray.jpg");
    await expect(upload.published).toBeVisible();
    expect(await count(page)).toBe(before + 1);

    // The delete link is that of the one picture there is.
    await upload.open();
    const deletion = new URL(await upload.field("Delete link").inputValue());
    const deleted = await page.request.post(deletion.pathname);
    expect(deleted.status()).toBe(200);
    await expect.poll(() => count(page)).toBe(before);
  });
});

test("an upload without a network is sent once there is one", async ({
  context,
  page,
  uploadPage,
  complaints,
}) => {
  complaints.expectLostNetwork();
  await uploadPage.open();
  await context.setOffline(true);
  await uploadPage.choose(picture("cat.webp"));
  const upload = uploadPage.upload("cat.webp");
  await expect(upload.row).toContainText("You are offline");
  await expect(upload.button("Cancel")).toBeVisible();
  await context.setOffline(false);
  await expect(upload.published).toBeVisible();
  await expect(page.locator(".tray-wait")).toBeHidden();
});

test("who must wait is told why and until when, and the page goes on by itself", async ({
  page,
  uploadPage,
  complaints,
}) => {
  complaints.expectStatus(429);
  await openWithClock(page, uploadPage);
  let refusals = 1;
  await page.route("**/api/ui/upload", async (route) => {
    if (refusals-- > 0) {
      await route.fulfill({
        status: 429,
        headers: { "Retry-After": "1200" },
        json: {
          error: {
            code: "too-many-requests",
            message: "Many pictures have come from your network within an hour.",
          },
        },
      });
    } else {
      await route.continue();
    }
  });
  await uploadPage.choose(picture("cat.webp"), picture("chelsea.png"));
  const first = uploadPage.upload("cat.webp");
  await expect(first.row).toContainText("Please wait a little");
  await expect(first.row).toContainText("Many pictures have come from your network");
  await expect(uploadPage.wait).toContainText(/Next try at .+, in (20:00|19:\d\d)\./);
  await page.clock.fastForward(19 * 60_000);
  await expect(uploadPage.wait).toContainText(/Next try in 0:\d\d\.|in 1:00/);
  await page.clock.fastForward(61_000);
  await expect(first.published).toBeVisible();
});

test("one who does not want to wait tries at once", async ({ page, uploadPage, complaints }) => {
  complaints.expectStatus(503);
  let refusals = 1;
  await uploadPage.open();
  await page.route("**/api/ui/upload", async (route) => {
    if (refusals-- > 0) {
      const error = { code: "screening-unavailable", message: "Too many pictures are arriving." };
      await route.fulfill({ status: 503, headers: { "Retry-After": "600" }, json: { error } });
    } else {
      await route.continue();
    }
  });
  await uploadPage.choose(picture("cat.webp"));
  await expect(uploadPage.wait).toBeVisible();
  await uploadPage.wait.getByRole("button", { name: "Try now" }).click();
  await expect(uploadPage.upload("cat.webp").published).toBeVisible();
});
