// Somebody looks for a certain kind of cat.

import type { Published } from "./fixtures/api.js";
import { expect, test } from "./fixtures/test.js";

test.describe("search", () => {
  let tabby: Published;
  let other: Published;

  test.beforeEach(async ({ api, homePage }) => {
    tabby = await api.publish("chelsea.png");
    other = await api.publish("ginger-kitten.jpg");
    expect(other.tags.map((tag) => tag.name)).not.toContain("tabby cat");
    await homePage.open();
  });

  test("a word finds the pictures with a tag that holds it", async ({ homePage }) => {
    await homePage.search.submit("tabby");
    await expect(homePage.headline).toHaveText("Cats with tabby");
    await expect(homePage.card(tabby.id)).toBeVisible();
    await expect(homePage.card(other.id)).toBeHidden();
    await expect(homePage.search.field).toHaveValue("tabby");
  });

  test("the button searches as Enter does", async ({ homePage }) => {
    await homePage.search.field.fill("tabby");
    await homePage.page.getByRole("search").getByRole("button", { name: "Search" }).click();
    await expect(homePage.headline).toHaveText("Cats with tabby");
  });

  test("a word behind a minus leaves pictures out", async ({ homePage }) => {
    await homePage.search.submit("cat -tabby");
    await expect(homePage.card(other.id)).toBeVisible();
    await expect(homePage.card(tabby.id)).toBeHidden();
  });

  test("a phrase in quotes finds its words side by side only", async ({ homePage }) => {
    await homePage.search.submit('"tabby cat"');
    await expect(homePage.card(tabby.id)).toBeVisible();
    await homePage.search.submit('"cat tabby"');
    await expect(homePage.main.getByText("No cat matches that today.")).toBeVisible();
  });

  test("case and accents make no difference", async ({ homePage }) => {
    await homePage.search.submit("TÁBBY");
    await expect(homePage.card(tabby.id)).toBeVisible();
  });

  test("a plural or another word finds what tags call it", async ({ homePage }) => {
    for (const words of ["tabbies", "striped kittens"]) {
      await homePage.search.submit(words);
      await expect(homePage.card(tabby.id)).toBeVisible();
      await expect(homePage.card(other.id)).toBeHidden();
    }
  });

  test("a search that finds nothing says so and offers to upload", async ({ homePage }) => {
    await homePage.search.submit("walrus");
    await expect(homePage.main.getByText("No cat matches that today.")).toBeVisible();
    await expect(homePage.main.getByRole("link", { name: "Upload a cat" })).toBeVisible();
    await expect(homePage.cards).toHaveCount(0);
  });

  test("searching for nothing explains how to search", async ({ homePage }) => {
    await homePage.goto("/search");
    await expect(homePage.main.getByText("means both words")).toBeVisible();
  });

  test("a tag is completed with the keyboard alone", async ({ homePage }) => {
    const { field, options } = homePage.search;
    await homePage.search.focus();
    await expect(field).toHaveAttribute("aria-expanded", "false");

    await field.pressSequentially("tab");
    await expect(field).toHaveAttribute("aria-expanded", "true");
    const option = options.filter({ hasText: "tabby cat" });
    await expect(option).toHaveAttribute("aria-selected", "false");

    await field.press("ArrowDown");
    await expect(option).toHaveAttribute("aria-selected", "true");
    expect(await field.getAttribute("aria-activedescendant")).toBe(await option.getAttribute("id"));

    await field.press("Enter");
    await expect(homePage.headline).toHaveText('Cats with "tabby cat"');
    await expect(homePage.card(tabby.id)).toBeVisible();
  });

  test("Escape closes the completion and keeps the word", async ({ homePage }) => {
    const { field, options } = homePage.search;
    await homePage.search.focus();
    await field.pressSequentially("tab");
    await expect(options).not.toHaveCount(0);
    await field.press("Escape");
    await expect(options).toHaveCount(0);
    await expect(field).toHaveValue("tab");
  });

  test("an excluded word is completed too", async ({ homePage }) => {
    const { field, options } = homePage.search;
    await homePage.search.focus();
    await field.pressSequentially("cat -tab");
    await options.filter({ hasText: "tabby cat" }).click();
    await expect(homePage.headline).toHaveText('Cats with cat -"tabby cat"');
    await expect(homePage.card(other.id)).toBeVisible();
    await expect(homePage.card(tabby.id)).toBeHidden();
  });
});
