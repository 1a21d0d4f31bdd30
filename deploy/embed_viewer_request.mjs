// Copies viewer_request.js into template.yaml, because CloudFormation wants the code of a function
// inside the template. With --check it changes nothing, and exits with 1 if the copy is out of
// date.
//
// Usage: node deploy/embed_viewer_request.mjs [--check]

import { readFileSync, writeFileSync } from "node:fs";

const templateFile = new URL("template.yaml", import.meta.url);
const template = readFileSync(templateFile, "utf8");
const code = readFileSync(new URL("viewer_request.js", import.meta.url), "utf8");

// The block ends before the next line that is indented less.
const block = /^( *)FunctionCode: !Sub \|\n(?:\1 {2,}.*\n|\n)*/m;
if (!block.test(template)) throw new Error("template.yaml has no FunctionCode block");
const fresh = template.replace(block, (_, indent) => {
  const lines = code.trimEnd().split("\n");
  return [
    `${indent}FunctionCode: !Sub |`,
    ...lines.map((line) => (line === "" ? "" : `${indent}  ${line}`)),
    "",
  ].join("\n");
});

if (fresh !== template) {
  if (process.argv.includes("--check")) {
    console.error(
      "The copy of deploy/viewer_request.js in deploy/template.yaml is out of date. Please run `node deploy/embed_viewer_request.mjs`.",
    );
    process.exit(1);
  }
  writeFileSync(templateFile, fresh);
}
