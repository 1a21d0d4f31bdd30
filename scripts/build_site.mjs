// Makes the files that browsers load: the JavaScript that loads the WASM, the optimised WASM and
// the CSS. The name of each holds a hash of its content, and each is also stored compressed with
// brotli and gzip. The file `hash.txt` tells the server the names.
//
// Usage: node scripts/build_site.mjs --wasm FILE --out FOLDER

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

// The features of WASM that `wasm-opt` may use: those that every browser has understood since 2022.
// `--all-features` would use some that no browser has.
const WASM_FEATURES = [
  "bulk-memory",
  "multivalue",
  "mutable-globals",
  "nontrapping-float-to-int",
  "reference-types",
  "sign-ext",
].map((feature) => `--enable-${feature}`);

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const tools = join(root, "end2end", "node_modules");
const { values: options } = parseArgs({
  options: { wasm: { type: "string" }, out: { type: "string" } },
});
if (!options.wasm || !options.out)
  throw new Error("usage: build_site.mjs --wasm FILE --out FOLDER");
const out = resolve(options.out);

const fingerprint = fingerprintOf(
  [options.wasm, fileURLToPath(import.meta.url), join(root, "end2end", "package-lock.json")],
  [join(root, "style"), join(root, "public")],
);
const stamp = join(out, "inputs.txt");
if (existsSync(stamp) && readFileSync(stamp, "utf8") === fingerprint) process.exit(0);

const work = mkdtempSync(join(tmpdir(), "cattocdn-site-"));
try {
  build();
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** Builds the site in a temporary folder and then puts it in place. */
function build() {
  say("optimising the WASM");
  execFileSync("wasm-bindgen", [
    "--target",
    "web",
    "--no-typescript",
    "--out-dir",
    work,
    "--out-name",
    "cattocdn",
    options.wasm,
  ]);
  const optimised = join(work, "optimised.wasm");
  execFileSync(join(tools, ".bin", "wasm-opt"), [
    "-Oz",
    ...WASM_FEATURES,
    "-o",
    optimised,
    join(work, "cattocdn_bg.wasm"),
  ]);

  say("compiling the styles");
  const require = createRequire(join(tools, "anchor.js"));
  const css = require("sass").compile(join(root, "style", "main.scss"), {
    style: "compressed",
  }).css;
  const js = require("esbuild").transformSync(readFileSync(join(work, "cattocdn.js"), "utf8"), {
    minify: true,
    format: "esm",
    target: "es2022",
  }).code;

  // The folder is put in place as a whole, so that a server that starts meanwhile finds the old
  // site or the new one.
  const fresh = join(work, "site");
  cpSync(join(root, "public"), fresh, { recursive: true });
  mkdirSync(join(fresh, "pkg"));
  const hashes = [
    put(fresh, "wasm", readFileSync(optimised)),
    put(fresh, "js", Buffer.from(js)),
    put(fresh, "css", Buffer.from(css)),
  ];
  writeFileSync(join(fresh, "hash.txt"), hashes.join(""));
  for (const file of ["favicon.svg"]) compress(join(fresh, file));
  writeFileSync(join(fresh, "inputs.txt"), fingerprint);
  mkdirSync(dirname(out), { recursive: true });
  rmSync(out, { recursive: true, force: true });
  cpSync(fresh, `${out}.new`, { recursive: true });
  renameSync(`${out}.new`, out);
}

/** Writes `pkg/cattocdn.{hash}.{kind}` and returns the line for it in `hash.txt`. */
function put(site, kind, bytes) {
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 16);
  const path = join(site, "pkg", `cattocdn.${hash}.${kind}`);
  writeFileSync(path, bytes);
  const brotli = compress(path);
  say(`${kind}: ${bytes.length} bytes, ${brotli} with brotli`);
  return `${kind}: ${hash}\n`;
}

/**
 * Writes the compressed copies of a file beside it, and returns the size of the one with brotli in
 * bytes.
 */
function compress(path) {
  const bytes = readFileSync(path);
  const brotli = brotliCompressSync(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 11,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
  writeFileSync(`${path}.br`, brotli);
  writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
  return brotli.length;
}

/**
 * A hash over the names and the contents of all inputs, which tells whether anything has changed
 * since the last build.
 */
function fingerprintOf(files, folders) {
  const all = [...files];
  for (const folder of folders) {
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (entry.isFile()) all.push(join(entry.parentPath ?? entry.path, entry.name));
    }
  }
  const hash = createHash("sha256");
  for (const file of all.sort()) hash.update(relative(root, file)).update(readFileSync(file));
  return hash.digest("hex");
}

/** Tells the person who builds what is being done. */
function say(text) {
  process.stderr.write(`    ${text}\n`);
}
