// Somebody shares pictures with the site from a phone's share sheet.

import type { Page, Worker } from "@playwright/test";

import { picture, type PictureName } from "./fixtures/pictures.js";
import { expect, test } from "./fixtures/test.js";

test("several pictures that are shared with the installed site are uploaded, each with its own row", async ({
  page,
  uploadPage,
}) => {
  await uploadPage.goto("/about");
  await install(page);
  await share(page, "cat.webp", "chelsea.png");
  await expect(page).toHaveURL(/\/upload$/);
  for (const name of ["cat.webp", "chelsea.png"]) {
    await expect(uploadPage.upload(name).published).toBeVisible();
  }
});

test("where the browser keeps nothing for the site, a shared picture is uploaded all the same", async ({
  page,
  uploadPage,
  picturePage,
}) => {
  await uploadPage.goto("/about");
  await keepNothing(await install(page));
  await share(page, "chelsea.png");
  await expect(uploadPage.headline).toHaveText("That is a cat!");
  await expect(picturePage.sharedText("Delete link")).toHaveValue(/\/delete\/\w{16}\/\w{22}$/);
});

test("where the browser keeps nothing for the site, several shared pictures are answered in words", async ({
  page,
  uploadPage,
  complaints,
}) => {
  complaints.expectStatus(400);
  await uploadPage.goto("/about");
  await keepNothing(await install(page));
  await share(page, "cat.webp", "chelsea.png");
  await expect(uploadPage.main).toContainText("exactly one picture");
});

/** Does what the browser does when somebody installs the site, and returns its worker. */
async function install(page: Page): Promise<Worker> {
  const started = page.context().waitForEvent("serviceworker");
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
  return started;
}

/** Imitates a browser whose database has no room. */
async function keepNothing(worker: Worker): Promise<void> {
  await worker.evaluate(() => {
    IDBObjectStore.prototype.put = () => {
      throw new DOMException("There is no room.", "QuotaExceededError");
    };
  });
}

/** Sends the form that the share sheet sends, as the manifest describes it. */
async function share(page: Page, ...names: PictureName[]): Promise<void> {
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
  await page.locator("#shared").setInputFiles(names.map((name) => picture(name)));
  await page.evaluate(() =>
    document.querySelector<HTMLFormElement>("form[action*=shared]")!.submit(),
  );
}
