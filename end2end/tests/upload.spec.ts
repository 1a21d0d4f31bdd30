// Somebody brings pictures and takes links away.

import { picture } from "./fixtures/pictures.js";
import { expect, test } from "./fixtures/test.js";

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

  test("a picture pasted from the clipboard is uploaded", async ({ uploadPage }) => {
    await uploadPage.paste(picture("chelsea.png", "image.png"));
    await expect(uploadPage.upload("image.png").published).toBeVisible();
  });

  test("the same file can be chosen twice", async ({ uploadPage }) => {
    await uploadPage.choose(picture("cat.webp"));
    await expect(uploadPage.upload("cat.webp").published).toBeVisible();
    await uploadPage.choose(picture("cat.webp"));
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
    await expect(upload.tags.filter({ hasText: "tabby cat" })).toBeVisible();
    // It is seven days, of which some seconds may have passed.
    await expect(upload.timeLeft).toHaveText(/^[67] days left$/);

    await upload.pageLink.click();
    await picturePage.expectPhotoLoaded();
  });

  test("copying puts the link on the clipboard and says so", async ({
    context,
    page,
    uploadPage,
  }) => {
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await uploadPage.choose(picture("cat.webp"));
    const upload = uploadPage.upload("cat.webp");
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
    await uploadPage.upload("cat.webp").deleteLink.click();
    await expect(sitePage.headline).toHaveText("Delete this picture?");
  });

  test("what is no cat is refused in words", async ({ uploadPage, complaints }) => {
    complaints.expectStatus(422);
    await uploadPage.choose(picture("coffee.png"));
    const { row } = uploadPage.upload("coffee.png");
    await expect(row).toContainText("We could not find a cat");
    await expect(uploadPage.main.getByRole("status")).toHaveText(
      "coffee.png: We could not find a cat",
    );
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
});
