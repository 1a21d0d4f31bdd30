// Somebody shares pictures with the site from a phone's share sheet.

import { picture } from "./fixtures/pictures.js";
import { expect, test } from "./fixtures/test.js";

test("several pictures that are shared with the installed site are uploaded, each with its own row", async ({
  page,
  uploadPage,
}) => {
  await uploadPage.goto("/about");
  // What the browser says once somebody has installed the site.
  await page.evaluate(async () => {
    window.dispatchEvent(new Event("appinstalled"));
    const scope = "/upload?shared";
    const worker = await new Promise<ServiceWorker>((resolve) => {
      const look = async () => {
        const registration = await navigator.serviceWorker.getRegistration(scope);
        const worker = registration?.active ?? registration?.waiting ?? registration?.installing;
        if (worker) resolve(worker);
        else requestAnimationFrame(look);
      };
      void look();
    });
    while (worker.state !== "activated") {
      await new Promise((changed) =>
        worker.addEventListener("statechange", changed, { once: true }),
      );
    }
  });
  // The share sheet sends the form that the manifest describes.
  const manifest = await page.request.get("/manifest.webmanifest");
  const { share_target } = (await manifest.json()) as {
    share_target: { action: string; params: { files: { name: string }[] } };
  };
  await page.evaluate(({ action, params }) => {
    const form = document.createElement("form");
    form.method = "post";
    form.enctype = "multipart/form-data";
    form.action = action;
    const input = document.createElement("input");
    input.type = "file";
    input.multiple = true;
    input.name = params.files[0]!.name;
    input.id = "shared";
    form.append(input);
    document.body.append(form);
  }, share_target);
  await page.locator("#shared").setInputFiles([picture("cat.webp"), picture("chelsea.png")]);
  await page.evaluate(() => document.querySelector<HTMLFormElement>("form[action*=shared]")!.submit());
  await expect(page).toHaveURL(/\/upload$/);
  for (const name of ["cat.webp", "chelsea.png"]) {
    await expect(uploadPage.upload(name).published).toBeVisible();
  }
});
