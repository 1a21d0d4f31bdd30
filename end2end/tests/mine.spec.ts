// Somebody finds their own cats again after the tab was closed.

import { readFile } from "node:fs/promises";

import { picture } from "./fixtures/pictures.js";
import { expect, test } from "./fixtures/test.js";
import type { UploadPage } from "./fixtures/upload_page.js";

/** Uploads a picture and returns the path of its page. */
async function upload(uploadPage: UploadPage, name: "cat.webp" | "chelsea.png"): Promise<string> {
  await uploadPage.open();
  await uploadPage.choose(picture(name));
  const row = uploadPage.upload(name);
  await expect(row.published).toBeVisible();
  return new URL((await row.pageLink.getAttribute("href"))!).pathname;
}

test("one's own cats are listed and can be deleted", async ({ page, uploadPage }) => {
  const first = await upload(uploadPage, "cat.webp");
  const second = await upload(uploadPage, "chelsea.png");
  await page.goto("/mine");
  const rows = uploadPage.main.getByRole("listitem");
  await expect(rows).toHaveCount(2);
  await expect(rows.first()).toContainText("chelsea.png");
  await expect(rows.first()).toContainText("days left");

  page.on("dialog", (dialog) => void dialog.accept());
  await rows.first().getByRole("button", { name: "Delete chelsea.png" }).click();
  await expect(rows).toHaveCount(1);
  await expect(uploadPage.main.getByRole("status")).toHaveText("chelsea.png is deleted.");
  expect((await page.request.get(second)).status()).toBe(410);
  expect((await page.request.get(first)).status()).toBe(200);
});

test("the owner of a picture can delete it from its page", async ({
  page,
  uploadPage,
  sitePage,
}) => {
  const path = await upload(uploadPage, "cat.webp");
  await page.goto(path);
  await uploadPage.main.getByRole("link", { name: "Delete it…" }).click();
  await page.getByRole("button", { name: "Delete it" }).click();
  await expect(sitePage.headline).toHaveText("The picture is deleted");
  await page.goto("/mine");
  await expect(uploadPage.main).toContainText("No cats of yours are here now.");
});

test("nobody else is offered to delete it", async ({ api, page, uploadPage }) => {
  const { url } = await api.publish("cat.webp");
  await page.goto(url);
  await expect(page.locator("html")).toHaveClass(/is-alive/);
  await expect(uploadPage.main.getByRole("link", { name: "Delete it…" })).toHaveCount(0);
});

test("a visitor can have nothing remembered", async ({ page, uploadPage }) => {
  await upload(uploadPage, "cat.webp");
  await page.goto("/mine");
  const remember = uploadPage.main.getByRole("checkbox", { name: "Remember my uploads" });
  await expect(remember).toBeChecked();
  await remember.uncheck();
  await expect(uploadPage.main).toContainText("No cats of yours are here now.");
  await upload(uploadPage, "chelsea.png");
  await page.goto("/mine");
  await expect(remember).not.toBeChecked();
  await expect(uploadPage.main.getByRole("listitem")).toHaveCount(0);
  const stored = await page.evaluate(() => localStorage.getItem("catto-cats"));
  expect(stored).toBeNull();
});

test("the list can be taken to another browser as a file", async ({ page, uploadPage }) => {
  await upload(uploadPage, "cat.webp");
  await page.goto("/mine");
  const saving = page.waitForEvent("download");
  await uploadPage.main.getByRole("button", { name: "Save the list as a file" }).click();
  const file = await (await saving).path();
  expect(await readFile(file, "utf8")).toMatch(/^\w{16}\t\w{22}\t[^\n]+\tcat\.webp$/);

  await page.evaluate(() => localStorage.clear());
  await page.reload();
  await expect(uploadPage.main).toContainText("No cats of yours are here now.");
  await uploadPage.main.getByLabel("Load a saved list").setInputFiles(file);
  await expect(uploadPage.main.getByRole("listitem")).toHaveCount(1);
  await expect(uploadPage.main.getByRole("status")).toHaveText("1 cat is loaded.");
});

test("a picture that is over is forgotten", async ({ page, uploadPage }) => {
  await upload(uploadPage, "cat.webp");
  await page.clock.install({ time: Date.now() + 8 * 24 * 3600_000 });
  await page.goto("/mine");
  await expect(uploadPage.main).toContainText("No cats of yours are here now.");
  expect(await page.evaluate(() => localStorage.getItem("catto-cats"))).toBeNull();
});
