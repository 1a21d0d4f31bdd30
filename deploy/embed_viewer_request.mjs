// Writes viewer_request.js into template.yaml, where CloudFormation wants it. With --check it only tells whether both agree.
// Usage: node deploy/embed_viewer_request.mjs [--check]

import { readFileSync, writeFileSync } from "node:fs";

const templateFile = new URL("template.yaml", import.meta.url);
const template = readFileSync(templateFile, "utf8");
const code = readFileSync(new URL("viewer_request.js", import.meta.url), "utf8");

// The block reaches to the next line that is indented less than it.
const block = /^( *)FunctionCode: !Sub \|\n(?:\1 {2,}.*\n|\n)*/m;
if (!block.test(template)) throw new Error("template.yaml has no FunctionCode block");
const fresh = template.replace(block, (_, indent) => {
  const lines = code.trimEnd().split("\n");
  return [`${indent}FunctionCode: !Sub |`, ...lines.map((line) => (line === "" ? "" : `${indent}  ${line}`)), ""].join("\n");
});

if (fresh !== template) {
  if (process.argv.includes("--check")) {
    console.error("deploy/template.yaml holds an older deploy/viewer_request.js: run `node deploy/embed_viewer_request.mjs`.");
    process.exit(1);
  }
  writeFileSync(templateFile, fresh);
}
