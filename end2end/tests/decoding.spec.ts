// What is published looks, frame for frame, as Chromium shows the upload.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test, type Page } from "@playwright/test";

import { launchOptions } from "../browser.js";
import { publisher } from "../servers.js";
import { families } from "./fixtures/families.js";
import { picture } from "./fixtures/pictures.js";
import { swappingProfile } from "./fixtures/profile.js";
import { compare, encodeWebp, openDecoder, pixels, see, type Seen } from "./fixtures/seen.js";

// Another colour profile of the screen would change what is read back.
test.use({
  launchOptions: {
    ...launchOptions,
    args: [...(launchOptions.args ?? []), "--force-color-profile=srgb"],
  },
});

/** The greatest differences that lossy files may make, as means of samples. */
const MOST = { mean: 5, worst: 16 };

/** Members that are refused although Chromium shows something: they are cut in their pixels. */
const REFUSED = /^cut-(.*(jpg|webp|still\.png)|animation\.png)$/;

const TYPES: Record<string, string> = {
  gif: "image/gif",
  jpg: "image/jpeg",
  png: "image/png",
  webp: "image/webp",
};

test("every kind of oddity looks as Chromium shows it", async ({ page }) => {
  test.setTimeout(240_000);
  const folder = mkdtempSync(path.join(tmpdir(), "cattocdn-decoding-"));
  const [uploads, published] = [path.join(folder, "uploads"), path.join(folder, "published")];
  try {
    mkdirSync(uploads);
    mkdirSync(published);
    await openDecoder(page);
    const cat = await pixels(page, picture("chelsea.png").buffer, 200, 150);
    const members = await families(cat, swappingProfile(), {
      lossy: (frame) => encodeWebp(page, frame, 0.95),
      lossless: (frame) => encodeWebp(page, frame, 1),
    });
    for (const { name, bytes } of members) writeFileSync(path.join(uploads, name), bytes);
    execFileSync(publisher, [uploads, published]);

    const wrong: string[] = [];
    for (const { name, bytes, like } of members) {
      const fault = await faultOf(page, name, like ?? bytes, path.join(published, name));
      if (fault) wrong.push(`${name}: ${fault}`);
    }
    expect(wrong, `of ${members.length} files`).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("every format of a wide picture looks as Chromium shows the upload", async ({ page }) => {
  const folder = mkdtempSync(path.join(tmpdir(), "cattocdn-formats-"));
  const [uploads, published] = [path.join(folder, "uploads"), path.join(folder, "published")];
  try {
    mkdirSync(uploads);
    mkdirSync(published);
    await openDecoder(page);
    // Odd sides, because colours are stored for two pixels at a time.
    const cat = await pixels(page, picture("chelsea.png").buffer, 1201, 799);
    const upload = await encodeWebp(page, cat, 1);
    writeFileSync(path.join(uploads, "cat"), upload);
    execFileSync(publisher, [uploads, published]);
    const expected = await see(page, "upload", "image/webp", upload);
    for (const ending of ["webp", "avif", "jpg"]) {
      const type = ending === "jpg" ? "image/jpeg" : `image/${ending}`;
      const file = readFileSync(path.join(published, `cat.${ending}`));
      expect(await see(page, ending, type, file), ending).toEqual(expected);
      const { mean, worst } = await compare(page, ["upload", 0], [ending, 0]);
      expect(mean, ending).toBeLessThan(MOST.mean);
      expect(worst, ending).toBeLessThan(MOST.worst);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** What is wrong with what was published of a member, if anything is. */
async function faultOf(
  page: Page,
  name: string,
  upload: Buffer,
  published: string,
): Promise<string | undefined> {
  const expected = await see(page, "upload", TYPES[path.extname(name).slice(1)]!, upload);
  if (!existsSync(`${published}.webp`)) {
    if (expected === null || REFUSED.test(name)) return undefined;
    return `refused: ${readFileSync(`${published}.txt`, "utf8").trim()}`;
  }
  const file = readFileSync(`${published}.webp`);
  const found = await see(page, "published", "image/webp", file);
  if (expected === null) return "published, although Chromium does not show it";
  if (found === null) return "published as a file that Chromium does not show";
  if (REFUSED.test(name)) return "published, although it is cut or has lost data";
  const shape = ({ width, height, durations, plays }: Seen) =>
    `${width} x ${height}, ${durations.reduce((sum, ms) => sum + ms)} ms, ${plays} plays`;
  if (shape(found) !== shape(expected)) return `${shape(found)} instead of ${shape(expected)}`;
  for (const [frame, other] of pairs(expected.durations, found.durations)) {
    const { mean, worst } = await compare(page, ["upload", frame], ["published", other]);
    if (mean > MOST.mean || worst > MOST.worst) {
      return `frame ${frame} differs by ${mean.toFixed(1)}, at worst by ${worst.toFixed(1)}`;
    }
  }
  return undefined;
}

/** For each frame of one animation, the frame of the other that is shown in the middle of it. */
function pairs(one: readonly number[], other: readonly number[]): [number, number][] {
  let start = 0;
  return one.map((ms, frame) => {
    const middle = start + ms / 2;
    start += ms;
    let end = 0;
    const shown = other.findIndex((duration) => (end += duration) > middle);
    return [frame, Math.max(0, shown)];
  });
}
