// No cat was found, because it is small in its picture. The page offers to crop the picture, and
// tries again with the part that the visitor chooses.

import { picture, smallCat, SMALL_CAT } from "./fixtures/pictures.js";
import { expect, test } from "./fixtures/test.js";
import type { UploadPage, UploadRow } from "./fixtures/upload_page.js";

test.beforeEach(async ({ uploadPage, complaints }) => {
  complaints.expectStatus(422);
  await uploadPage.open();
});

/** Uploads the picture with the small cat, and sees it refused. */
async function refuseSmallCat(uploadPage: UploadPage): Promise<UploadRow> {
  const cat = await smallCat(uploadPage.page);
  await uploadPage.choose(cat);
  const upload = uploadPage.upload(cat.name);
  await expect(upload.row).toContainText("We could not find a cat");
  return upload;
}

test("a cat that is too small is cropped with the keyboard alone, and published", async ({
  page,
  uploadPage,
}) => {
  const upload = await refuseSmallCat(uploadPage);
  await upload.button("Crop closer…").focus();
  await page.keyboard.press("Enter");
  const frame = upload.row.getByRole("slider", { name: "Frame" });
  await expect(frame).toBeFocused();
  await expect(frame).toHaveAttribute("aria-valuetext", "50% from the left, 50% from the top");

  for (let press = 0; press < 6; press += 1) {
    await page.keyboard.press("+");
  }
  const isBefore = async (axis: 0 | 1, place: number) => {
    const words = await frame.getAttribute("aria-valuetext");
    return Number(words!.match(/\d+/g)![axis]) < 100 * place - 1;
  };
  while (await isBefore(0, SMALL_CAT.x)) {
    await page.keyboard.press("ArrowRight");
  }
  while (await isBefore(1, SMALL_CAT.y)) {
    await page.keyboard.press("ArrowDown");
  }
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await expect(upload.row).toBeFocused();
  await expect(upload.published).toBeVisible();
  await expect(uploadPage.rows).toHaveCount(1);
});

test("a cat that is too small is cropped with the mouse, and published", async ({
  page,
  uploadPage,
}) => {
  const upload = await refuseSmallCat(uploadPage);
  const editor = await upload.openEditor();
  await editor.closeness.fill("5");
  const from = await editor.point({ x: 0.48, y: 0.53 });
  const to = await editor.point({ x: SMALL_CAT.x - 0.02, y: SMALL_CAT.y + 0.03 });
  await page.mouse.move(from.x, from.y);
  await page.mouse.down();
  await page.mouse.move(to.x, to.y, { steps: 5 });
  await page.mouse.up();
  // The pointer held the frame beside its middle.
  await expect(editor.frame).toHaveAttribute("aria-valuetext", /^(79|80)% .* 8[123]% /);
  await page.mouse.move(from.x, from.y);
  await expect(editor.frame).toHaveAttribute("aria-valuetext", /^(79|80)% .* 8[123]% /);

  await editor.cutButton.click();
  await expect(upload.published).toBeVisible();
  await expect(editor.editor).toHaveCount(0);
});

test.describe("on a phone", () => {
  test.use({ viewport: { width: 390, height: 844 }, hasTouch: true });

  test("a cat that is too small is cropped with a tap, and published", async ({
    page,
    uploadPage,
  }) => {
    const upload = await refuseSmallCat(uploadPage);
    const editor = await upload.openEditor();
    await editor.closeness.fill("5");
    const cat = await editor.point(SMALL_CAT);
    await page.touchscreen.tap(cat.x, cat.y);
    await editor.cutButton.tap();
    await expect(upload.published).toBeVisible();
  });
});

test("what is cut out has the pixels of the frame, and upright pictures stay upright", async ({
  page,
  uploadPage,
}) => {
  // The cat in it is found, but here the server says that none is.
  await page.route("**/api/ui/upload", (route) =>
    route.fulfill({
      status: 422,
      json: { error: { code: "not-a-cat", message: "No cat was seen." } },
    }),
  );
  // Its pixels lie on their side: 451 × 300 when upright.
  await uploadPage.choose(picture("cat-sideways.jpg"));
  const upload = uploadPage.upload("cat-sideways.jpg");
  const editor = await upload.openEditor();
  await editor.closeness.fill("1");
  await editor.frame.press("ArrowLeft");
  await editor.cutButton.click();
  await expect(upload.button("Crop closer…")).toBeVisible();
  await expect
    .poll(() =>
      upload.preview.evaluate((image: HTMLImageElement) => [
        image.naturalWidth,
        image.naturalHeight,
        image.src.startsWith("blob:"),
      ]),
    )
    .toEqual([300, 300, true]);
});

test("Escape and the button close the editor, and the focus returns", async ({
  page,
  uploadPage,
}) => {
  const upload = await refuseSmallCat(uploadPage);
  for (const close of ["Escape", "button"]) {
    const editor = await upload.openEditor();
    if (close === "Escape") {
      await page.keyboard.press("Escape");
    } else {
      await editor.closeButton.click();
    }
    await expect(editor.editor).toHaveCount(0);
    await expect(upload.button("Crop closer…")).toBeFocused();
  }
});

test("a part without a cat is refused in the same row, and can be cropped again", async ({
  uploadPage,
}) => {
  const upload = await refuseSmallCat(uploadPage);
  const editor = await upload.openEditor();
  await editor.cutButton.click();
  await expect(upload.row).toContainText("We could not find a cat");
  await expect(uploadPage.rows).toHaveCount(1);
  // It begins with the whole picture again.
  const again = await upload.openEditor();
  const shape = await again.editor
    .getByRole("presentation")
    .evaluate((image: HTMLImageElement) => image.naturalWidth / image.naturalHeight);
  expect(shape).toBe(1.5);
});

test("a refused file that is chosen again has one row", async ({ uploadPage }) => {
  for (let time = 0; time < 3; time += 1) {
    await uploadPage.choose(picture("coffee.png"));
    const { row } = uploadPage.upload("coffee.png");
    await expect(row).toHaveCount(1);
    await expect(row).toContainText("We could not find a cat");
  }
  await expect(uploadPage.rows).toHaveCount(1);
});

test("an animation is refused in words alone", async ({ uploadPage }) => {
  await uploadPage.choose(picture("mostly-coffee.gif"), picture("coffee.png"));
  const animation = uploadPage.upload("mostly-coffee.gif");
  await expect(animation.row).toContainText("We could not find a cat");
  await expect(animation.button("Dismiss")).toBeVisible();
  await expect(uploadPage.upload("coffee.png").button("Crop closer…")).toBeVisible();
  await expect(animation.button("Crop closer…")).toBeHidden();
});

test("a picture that the browser cannot draw is refused in words alone", async ({
  page,
  uploadPage,
}) => {
  await page.route("**/api/ui/upload", (route) =>
    route.fulfill({
      status: 422,
      json: { error: { code: "not-a-cat", message: "No cat was seen." } },
    }),
  );
  await uploadPage.choose({
    name: "half.jpg",
    mimeType: "image/jpeg",
    buffer: Buffer.from([0xff, 0xd8, 0xff, 0xe0]),
  });
  const upload = uploadPage.upload("half.jpg");
  await expect(upload.button("Dismiss")).toBeVisible();
  await expect(upload.row).toHaveAttribute("data-stage", "missed");
  await expect(upload.button("Crop closer…")).toBeHidden();
});
