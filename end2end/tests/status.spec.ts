// Somebody wants to know how the site is doing, and what it costs.

import { expect, test } from "./fixtures/test.js";

test("every page leads to the status, which counts pictures and requests and adds up the bill", async ({
  api,
  page,
  request,
  sitePage,
}) => {
  await api.publish("chelsea.png");
  await sitePage.goto("/");
  await page.getByRole("contentinfo").getByRole("link", { name: "Status" }).click();
  await expect(sitePage.headline).toHaveText("Status");
  const { pictures, origin, bill } = await (await request.get("/status.json")).json();
  expect(pictures.published).toBeGreaterThan(0);
  expect(origin.requests).toBeGreaterThan(1);

  const figures = sitePage.main.getByRole("definition");
  await expect(figures.first()).toContainText("by the end of the month");
  const table = sitePage.main.getByRole("table");
  await expect(table.getByRole("row")).toHaveCount(bill.lines.length + 2);
  for (const { label } of bill.lines) {
    await expect(table.getByRole("rowheader", { name: label })).toBeVisible();
  }
  await expect(table.getByRole("row").last()).toContainText("Total");
  await expect(sitePage.main).toContainText("A self-probe");
});

test("the status is there without scripts", async ({ browser, baseURL }) => {
  const context = await browser.newContext({ baseURL, javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto("/status");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Status");
  await expect(page.getByRole("table")).toBeVisible();
  await context.close();
});
