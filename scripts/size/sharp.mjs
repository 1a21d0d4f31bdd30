// Shrinks photographs with sharp, and writes each as WebP and AVIF with sharp's own settings:
//
//     node sharp.mjs FOLDER_OF_SHARP <TASKS
//
// The input is a JSON list of `{ "original": path, "width": pixels, "out": path }`; each becomes
// `out.webp` and `out.avif`.

import { createRequire } from "node:module";
import { join } from "node:path";
import { text } from "node:stream/consumers";

const sharp = createRequire(join(process.argv[2], "package.json"))("sharp");

for (const { original, width, out } of JSON.parse(await text(process.stdin))) {
  const picture = sharp(original).autoOrient().resize({ width });
  await picture.clone().webp().toFile(`${out}.webp`);
  await picture.clone().avif().toFile(`${out}.avif`);
  process.stderr.write(".");
}
process.stderr.write("\n");
