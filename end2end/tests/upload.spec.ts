// Somebody brings pictures and takes links away.

import { picture } from "./fixtures/pictures.js";
import { expect, onlyChromium, test } from "./fixtures/test.js";

test.describe("upload", () => {
  test.beforeEach(async ({ uploadPage }) => uploadPage.open());

  test("several chosen files are uploaded, each with its own row", async ({ uploadPage }) => {
    await uploadPage.choose(picture("cat.webp"), picture("chelsea.png"), picture("cat-gray.jpg"));
    for (const name of ["cat.webp", "chelsea.png", "cat-gray.jpg"]) {
      await expect(uploadPage.upload(name).published).toBeVisible();
    }
  });

  test("files dropped on the box are uploaded", async ({ uploadPage }) => {
    await uploadPage.drop(picture("cat.webp"), picture("cat-sideways.jpg"));
    await expect(uploadPage.upload("cat.webp").published).toBeVisible();
    await expect(uploadPage.upload("cat-sideways.jpg").published).toBeVisible();
  });

  test("a picture pasted from the clipboard is uploaded", onlyChromium, async ({ uploadPage }) => {
    await uploadPage.paste(picture("chelsea.png", "image.png"));
    await expect(uploadPage.upload("image.png").published).toBeVisible();
  });

  test("a picture lives for as long as was chosen with it, also where it has to wait", async ({
    uploadPage,
  }) => {
    await uploadPage.life.selectOption("1 hour");
    const names = ["first.webp", "second.webp", "third.webp"];
    await uploadPage.choose(...names.map((name) => picture("cat.webp", name)));
    await uploadPage.life.selectOption("7 days");
    for (const name of names) {
      await expect(uploadPage.upload(name).row).toContainText(/5\d minutes left|1 hour left/);
    }
    await uploadPage.choose(picture("chelsea.png"));
    await expect(uploadPage.upload("chelsea.png").row).toContainText("7 days left");
  });

  test("a file that is online already is not sent again unless one insists", async ({
    uploadPage,
  }) => {
    await uploadPage.choose(picture("cat.webp"));
    await expect(uploadPage.upload("cat.webp").published).toBeVisible();
    await uploadPage.choose(picture("cat.webp"));
    const second = uploadPage.upload("cat.webp").row.last();
    await expect(second).toContainText("This one is online already");
    await second.getByRole("button", { name: "Upload again cat.webp" }).click();
    await expect(uploadPage.upload("cat.webp").published).toHaveCount(2);
  });

  test("while files are on their way, two show their progress and the third waits", async ({
    uploadPage,
  }) => {
    const release = await uploadPage.holdUploads();
    await uploadPage.choose(
      picture("cat.webp", "first.webp"),
      picture("cat.webp", "second.webp"),
      picture("cat.webp", "third.webp"),
    );
    const third = uploadPage.upload("third.webp");
    await expect(uploadPage.upload("first.webp").progress).toBeVisible();
    await expect(uploadPage.upload("second.webp").progress).toBeVisible();
    await expect(third.row).toContainText("Waiting for its turn…");
    await expect(third.progress).toBeHidden();

    release();
    await expect(third.published).toBeVisible();
  });

  test("a preview is shown before the file has arrived", async ({ uploadPage }) => {
    const release = await uploadPage.holdUploads();
    await uploadPage.choose(picture("chelsea.png"));
    const { preview, published } = uploadPage.upload("chelsea.png");
    await expect(preview).toBeVisible();
    await expect
      .poll(() => preview.evaluate((image: HTMLImageElement) => image.naturalWidth))
      .toBe(451);

    release();
    await expect(published).toBeVisible();
  });

  test("an upload can be cancelled and tried again", async ({ uploadPage }) => {
    const release = await uploadPage.holdUploads();
    await uploadPage.choose(picture("cat.webp"));
    const upload = uploadPage.upload("cat.webp");
    await upload.button("Cancel").click();
    await expect(upload.row).toContainText("Cancelled");
    await expect(upload.row).toBeFocused();

    release();
    await upload.button("Try again").click();
    await expect(upload.published).toBeVisible();
  });

  test("a published upload shows its tags, the time left, and a link to its page", async ({
    uploadPage,
    picturePage,
  }) => {
    await uploadPage.choose(picture("chelsea.png"));
    const upload = uploadPage.upload("chelsea.png");
    await upload.open();
    await expect(upload.tags.filter({ hasText: "tabby cat" })).toBeVisible();
    // It is seven days, of which some seconds may have passed.
    await expect(upload.timeLeft).toHaveText(/^[67] days left$/);

    await upload.pageLink.click();
    await picturePage.expectPhotoLoaded();
  });

  test("copying puts the link on the clipboard and says so", onlyChromium, async ({
    context,
    page,
    uploadPage,
  }) => {
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await uploadPage.choose(picture("cat.webp"));
    const upload = uploadPage.upload("cat.webp");
    await upload.open();
    for (const label of ["Page", "Image", "Delete link"] as const) {
      await upload.copyButton(label).click();
      await expect(upload.copyButton(label)).toHaveText("Copied");
      const copied = await page.evaluate(() => navigator.clipboard.readText());
      expect(copied).toBe(await upload.field(label).inputValue());
      expect(copied).toMatch(/^http:\/\//);
    }
  });

  test("the delete link leads to the question whether to delete", async ({
    uploadPage,
    sitePage,
  }) => {
    await uploadPage.choose(picture("cat.webp"));
    const upload = uploadPage.upload("cat.webp");
    await upload.open();
    await upload.deleteLink.click();
    await expect(sitePage.headline).toHaveText("Delete this picture?");
  });

  test("what is no cat is refused in words", async ({ uploadPage, complaints }) => {
    complaints.expectStatus(422);
    await uploadPage.choose(picture("coffee.png"));
    const { row } = uploadPage.upload("coffee.png");
    await expect(row).toContainText("We could not find a cat");
    await expect(uploadPage.log).toContainText("coffee.png: We could not find a cat. The computer");
  });

  test("what is no picture is refused in words", async ({ uploadPage, complaints }) => {
    complaints.expectStatus(415);
    await uploadPage.choose({
      name: "notes.txt",
      mimeType: "text/plain",
      buffer: Buffer.from("Buy cat food."),
    });
    await expect(uploadPage.upload("notes.txt").row).toContainText(
      "We cannot read this kind of file",
    );
  });

  test("a file that is too large is refused without being sent", async ({ page, uploadPage }) => {
    const sent: string[] = [];
    page.on("request", (request) => {
      if (request.method() === "POST") {
        sent.push(request.url());
      }
    });
    await uploadPage.choose({
      name: "huge.png",
      mimeType: "image/png",
      buffer: Buffer.alloc(20 * 1024 * 1024 + 1),
    });
    await expect(uploadPage.upload("huge.png").row).toContainText("That file is too big");
    await expect(uploadPage.upload("huge.png").row).toContainText("up to 20 MB");
    expect(sent).toEqual([]);
  });

  test("a refused file leaves the other files' results in the list", async ({
    uploadPage,
    complaints,
  }) => {
    complaints.expectStatus(422);
    await uploadPage.choose(picture("cat.webp"), picture("coffee.png"), picture("chelsea.png"));
    const refused = uploadPage.upload("coffee.png");
    await expect(refused.row).toContainText("We could not find a cat");
    await expect(uploadPage.upload("cat.webp").published).toBeVisible();
    await expect(uploadPage.upload("chelsea.png").published).toBeVisible();

    await refused.button("Dismiss").click();
    await expect(refused.row).toBeHidden();
    await expect(uploadPage.upload("cat.webp").published).toBeVisible();
    await expect(uploadPage.upload("chelsea.png").published).toBeVisible();
  });

  test("twenty files fit on about two screens of a phone, and all links are copied at once", onlyChromium, async ({
    context,
    page,
    uploadPage,
  }) => {
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.setViewportSize({ width: 390, height: 844 });
    const names = Array.from({ length: 20 }, (_, number) => `cat-${number}.webp`);
    await uploadPage.choose(...names.map((name) => picture("cat.webp", name)));
    await expect(uploadPage.line).toHaveText("20 online", { timeout: 60_000 });
    const box = (await uploadPage.uploads.boundingBox())!;
    expect(box.height).toBeLessThan(2 * 844);

    await uploadPage.main.getByRole("button", { name: "Copy all links" }).click();
    await expect(uploadPage.main.getByRole("button", { name: "All links copied" })).toBeVisible();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    expect(new Set(copied.split("\n")).size).toBe(20);
    expect(copied).toMatch(/^http:\/\/\S+\/c\/\w+\n/);
  });

  test("the head of the list counts what is online, refused and waiting", async ({
    uploadPage,
    complaints,
  }) => {
    complaints.expectStatus(422);
    await uploadPage.choose(picture("cat.webp"), picture("coffee.png"));
    await expect(uploadPage.line).toHaveText("1 online · 1 refused");
    const release = await uploadPage.holdUploads();
    await uploadPage.choose(picture("chelsea.png"));
    await expect(uploadPage.line).toHaveText("1 online · 1 refused · 1 waiting");
    release();
    await expect(uploadPage.line).toHaveText("2 online · 1 refused");
  });

  test("the link of a row is copied, also where the browser has no clipboard for scripts", onlyChromium, async ({
    context,
    page,
    uploadPage,
  }) => {
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.evaluate(() =>
      Object.defineProperty(navigator, "clipboard", { value: undefined, configurable: true }),
    );
    await uploadPage.choose(picture("cat.webp"));
    const upload = uploadPage.upload("cat.webp");
    await upload.button("Copy link").click();
    await expect(upload.button("Copy link")).toHaveText("Copied");
    await expect(upload.button("Copy link")).toBeFocused();
    await expect(uploadPage.log).toContainText("cat.webp: link copied");
    await page.evaluate(() => Reflect.deleteProperty(navigator, "clipboard"));
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    expect(copied).toMatch(/\/c\/\w{16}$/);
  });

  test("a picture of one's own is in the gallery at once", async ({ page, uploadPage }) => {
    await page.goto("/");
    await uploadPage.open();
    await uploadPage.choose(picture("chelsea.png"));
    const upload = uploadPage.upload("chelsea.png");
    await expect(upload.published).toBeVisible();
    const path = new URL((await upload.pageLink.getAttribute("href"))!).pathname;
    await page.getByRole("link", { name: "CattoCDN" }).click();
    await expect(page.locator(`a[href="${path}"]`)).toBeVisible();
  });

  test("pasting leaves text fields and text alone", onlyChromium, async ({ uploadPage }) => {
    const cat = picture("chelsea.png", "image.png");
    await uploadPage.pasteWithText("", "input[type=search]", cat);
    await uploadPage.pasteWithText("a table of cats", "body", cat);
    await expect(uploadPage.rows).toHaveCount(0);
    await uploadPage.pasteWithText("just words", "body");
    await expect(uploadPage.main).toContainText("There is no picture on the clipboard, only text.");
    await uploadPage.paste(cat);
    await expect(uploadPage.upload("image.png").published).toBeVisible();
  });

  test("a link that is dropped is answered in words", async ({ uploadPage }) => {
    await uploadPage.dropLink("https://example.org/cat.jpg");
    await expect(uploadPage.main).toContainText("That is only a link to a picture.");
    await expect(uploadPage.log).toContainText("That is only a link to a picture.");
  });

  test("leaving the page while an upload is under way is asked about", async ({
    page,
    uploadPage,
  }) => {
    const release = await uploadPage.holdUploads();
    await uploadPage.choose(picture("cat.webp"));
    await expect(uploadPage.line).toHaveText("1 waiting");
    await uploadPage.headline.click();
    const asked = page.waitForEvent("dialog");
    await page.close({ runBeforeUnload: true });
    const dialog = await asked;
    expect(dialog.type()).toBe("beforeunload");
    await dialog.dismiss();
    release();
    await expect(uploadPage.line).toHaveText("1 online");
  });
});

test.describe("from any page", () => {
  test("pictures that are dropped on the gallery are uploaded", async ({ page, uploadPage }) => {
    await uploadPage.goto("/");
    await uploadPage.dropAnywhere(picture("cat.webp"), picture("chelsea.png"));
    await expect(page).toHaveURL(/\/upload$/);
    await expect(uploadPage.upload("cat.webp").published).toBeVisible();
    await expect(uploadPage.upload("chelsea.png").published).toBeVisible();
    // They are taken along once.
    await uploadPage.open();
    await expect(uploadPage.rows).toHaveCount(0);
  });

  test("a picture that is pasted into the About page is uploaded", onlyChromium, async ({ page, uploadPage }) => {
    await uploadPage.goto("/about");
    await uploadPage.paste(picture("cat-gray.jpg", "image.jpg"));
    await expect(page).toHaveURL(/\/upload$/);
    await expect(uploadPage.upload("image.jpg").published).toBeVisible();
  });

  test("the search field keeps what is pasted into it", onlyChromium, async ({ page, uploadPage }) => {
    await uploadPage.goto("/");
    await uploadPage.pasteWithText("", "input[type=search]", picture("cat.webp"));
    await uploadPage.pasteWithText("only words", "body");
    await expect(page.getByText("There is no picture on the clipboard, only text.")).toBeVisible();
    await expect(page).toHaveURL(/\/$/);
  });
});

test("a phone can install the site and share pictures with it", async ({ page, request }) => {
  await page.goto("/");
  const href = await page.locator("link[rel=manifest]").getAttribute("href");
  const answer = await request.get(href!);
  expect(answer.headers()["content-type"]).toBe("application/manifest+json");
  const manifest = (await answer.json()) as {
    icons: { src: string }[];
    share_target: { action: string; params: { files: { name: string }[] } };
  };
  for (const path of [...manifest.icons.map(({ src }) => src), "/favicon.ico", "/apple-touch-icon.png"]) {
    expect((await request.get(path)).status(), path).toBe(200);
  }
  // A phone posts what is shared as this form.
  const { action, params } = manifest.share_target;
  const shared = await request.post(action, {
    multipart: { [params.files[0]!.name]: picture("cat.webp") },
    headers: { Accept: "text/html" },
  });
  expect(shared.status()).toBe(201);
  expect(await shared.text()).toContain("That is a cat!");
});
