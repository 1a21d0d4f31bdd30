// Opens pages with Chromium and prints which file each image element fetched, and how large the
// element is. It reads what to open from its input, as JSON:
//
//     { "pages": [{ "name": "gallery", "url": "http://…" }],
//       "screens": [{ "name": "phone", "width": 390, "height": 844, "scale": 3 }] }
//
// and prints a JSON list with a line for each image element and screen: names of page and screen,
// `url` and `bytes` of the file, and `width`, `height` and `fit` of the element, in device pixels.

import { createRequire } from "node:module";
import { existsSync } from "node:fs";
import { text } from "node:stream/consumers";

const require = createRequire(new URL("../../end2end/", import.meta.url));
const { chromium } = require("@playwright/test");

/** Debian's Chromium. If it is not there, Playwright's own is used. */
const DEBIAN_CHROMIUM = "/usr/bin/chromium";

const { pages, screens } = JSON.parse(await text(process.stdin));
const browser = await chromium.launch({
  executablePath: existsSync(DEBIAN_CHROMIUM) ? DEBIAN_CHROMIUM : undefined,
  // Chromium's sandbox refuses to start as root.
  args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
});
const seen = [];
try {
  for (const screen of screens) {
    for (const page of pages) {
      seen.push(...(await look(screen, page)));
      process.stderr.write(".");
    }
  }
} finally {
  await browser.close();
  process.stderr.write("\n");
}
console.log(JSON.stringify(seen));

/** Opens a page in a browser that has nothing in its cache, and looks at its images. */
async function look(screen, { name, url }) {
  const context = await browser.newContext({
    viewport: { width: screen.width, height: screen.height },
    deviceScaleFactor: screen.scale,
  });
  try {
    const page = await context.newPage();
    const answers = new Map();
    page.on("response", (answer) => answers.set(answer.url(), answer));
    await page.goto(url, { waitUntil: "networkidle" });
    const elements = await page.evaluate(() =>
      [...document.images].map((image) => {
        const { width, height } = image.getBoundingClientRect();
        return {
          url: image.currentSrc,
          width: width * devicePixelRatio,
          height: height * devicePixelRatio,
          fit: getComputedStyle(image).objectFit,
          is_loaded: image.complete && image.naturalWidth > 0,
        };
      }),
    );
    const found = [];
    for (const { is_loaded, ...element } of elements) {
      // Images within the page itself (`data:`) are not fetched, nor are those far below.
      if (!is_loaded || !element.url.startsWith("http") || element.width === 0) continue;
      const answer = answers.get(element.url);
      if (answer?.status() !== 200) throw new Error(`${element.url} was not fetched for ${url}`);
      found.push({
        page: name,
        address: url,
        screen: screen.name,
        bytes: (await answer.body()).length,
        ...element,
      });
    }
    return found;
  } finally {
    await context.close();
  }
}
