// Makes the files that browsers load: for each of the two programs the optimised WASM and the
// JavaScript that loads it, and the CSS with its font. The name of each holds a hash of its content,
// and each that is not compressed already is also stored compressed with brotli and gzip.
//
// Usage: node scripts/build_site.mjs --wasm FOLDER --glue FILE --out FOLDER [--quick]
//
// `--wasm` names the folder in which Cargo has put the programs. `--glue` names the program that
// makes the JavaScript (the crate `glue`). `--quick` is for `make dev`: nothing is optimised, minified or
// compressed, and what was made of the same WASM is used again, from a folder beside `--out`.

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

// The programs for the browser: the name of each one's files, and of its package.
const PROGRAMS = { cattocdn: "frontend", uploads: "frontend_upload" };

// The kinds of files that are compressed as they are.
const COMPRESSED = ["png", "woff2"];

// The file in a folder that says what the folder was made of.
const STAMP = "inputs.txt";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const tools = join(root, "end2end", "node_modules");
const { values: options } = parseArgs({
  options: {
    wasm: { type: "string" },
    glue: { type: "string" },
    out: { type: "string" },
    quick: { type: "boolean" },
  },
});
if (!options.wasm || !options.glue || !options.out)
  throw new Error("usage: build_site.mjs --wasm FOLDER --glue FILE --out FOLDER [--quick]");
const out = resolve(options.out);

const wasmOf = (name) => join(options.wasm, `${PROGRAMS[name]}.wasm`);
const code = [
  ...Object.keys(PROGRAMS).map(wasmOf),
  options.glue,
  fileURLToPath(import.meta.url),
  join(root, "end2end", "package-lock.json"),
];
const fingerprint = fingerprintOf(code, [join(root, "style"), join(root, "public")]);
if (isMadeOf(out, fingerprint)) process.exit(0);

const work = mkdtempSync(join(tmpdir(), "cattocdn-site-"));
try {
  build();
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** Builds the site in a temporary folder and then puts it in place. */
function build() {
  say("compiling the styles");
  const require = createRequire(join(tools, "anchor.js"));
  const css = require("sass").compile(join(root, "style", "main.scss"), {
    style: options.quick ? "expanded" : "compressed",
  }).css;

  // The folder is put in place as a whole, so that a server that starts meanwhile finds the old
  // site or the new one.
  const fresh = join(work, "site");
  cpSync(join(root, "public"), fresh, { recursive: true });
  mkdirSync(join(fresh, "pkg"));
  put(fresh, "card", "png", readFileSync(join(root, "style", "card.png")));
  const font = put(fresh, "nunito", "woff2", readFileSync(join(root, "style", "nunito.woff2")));
  put(fresh, "cattocdn", "css", Buffer.from(css.replace("nunito.woff2", font)));
  for (const name of Object.keys(PROGRAMS)) {
    const [wasm, js] = options.quick ? quickCode(name) : optimisedCode(name);
    put(fresh, name, "wasm", wasm);
    put(fresh, name, "js", Buffer.from(js));
  }
  if (!options.quick) for (const file of ["favicon.svg"]) compress(join(fresh, file));
  putInPlace(fresh, out, fingerprint);
}

/** The WASM of a program and its JavaScript, as small as they can be made. */
function optimisedCode(name) {
  say(`optimising the WASM of ${name}`);
  const made = join(work, name);
  execFileSync(options.glue, [wasmOf(name), made]);
  const optimised = join(made, "optimised.wasm");
  execFileSync(join(tools, ".bin", "wasm-opt"), [
    // The second time it still finds something.
    "-Oz",
    "-Oz",
    ...WASM_FEATURES,
    "-o",
    optimised,
    join(made, "cattocdn_bg.wasm"),
  ]);
  const require = createRequire(join(tools, "anchor.js"));
  const js = require("esbuild").transformSync(readFileSync(join(made, "cattocdn.js"), "utf8"), {
    minify: true,
    format: "esm",
    target: "es2022",
  }).code;
  return [readFileSync(optimised), js];
}

/** The WASM and its JavaScript as they come, and without any work if the WASM is the same. */
function quickCode(name) {
  const kept = `${out}.${name}`;
  const made = fingerprintOf(code, []);
  if (!isMadeOf(kept, made)) {
    const fresh = join(work, name);
    execFileSync(options.glue, [wasmOf(name), fresh]);
    putInPlace(fresh, kept, made);
  }
  return [
    readFileSync(join(kept, "cattocdn_bg.wasm")),
    readFileSync(join(kept, "cattocdn.js"), "utf8"),
  ];
}

/** True if the folder was made of the inputs with this fingerprint. */
function isMadeOf(folder, fingerprint) {
  const stamp = join(folder, STAMP);
  return existsSync(stamp) && readFileSync(stamp, "utf8") === fingerprint;
}

/** Moves a folder to its place, with the fingerprint of what it was made of. */
function putInPlace(folder, place, fingerprint) {
  writeFileSync(join(folder, STAMP), fingerprint);
  mkdirSync(dirname(place), { recursive: true });
  rmSync(place, { recursive: true, force: true });
  cpSync(folder, `${place}.new`, { recursive: true });
  renameSync(`${place}.new`, place);
}

/** Writes `pkg/{name}.{hash}.{kind}`, and returns the file's name. */
function put(site, name, kind, bytes) {
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 16);
  const file = `${name}.${hash}.${kind}`;
  const path = join(site, "pkg", file);
  writeFileSync(path, bytes);
  if (!options.quick && !COMPRESSED.includes(kind))
    say(`${name}.${kind}: ${bytes.length} bytes, ${compress(path)} with brotli`);
  return file;
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
