#!/usr/bin/env node
// Compares a Cloudflare zone with cloudflare.json and, with --apply, changes the zone accordingly.
//
// Usage: node deploy/cloudflare.mjs [--diff | --apply]
//
// It reads CATTO_CLOUDFLARE_TOKEN, CATTO_CLOUDFLARE_ZONE, CATTO_PUBLIC_URL and CATTO_EDGE_KEY from
// the environment, and prints no secret. It exits with 0 if nothing differs (any more), with 1 if
// --diff found a difference, and with 2 if something went wrong. The rules of this site are those
// whose `ref` begins with "cattocdn_"; all other rules stay as they are.

import { readFileSync, realpathSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { fileURLToPath } from "node:url";

const API = "https://api.cloudflare.com/client/v4";
const OURS = /^cattocdn_/;
const RULE_FIELDS = ["description", "expression", "action", "action_parameters", "enabled"];
// Fields that Cloudflare tells about a rule but does not take back.
const TOLD_ONLY = ["version", "last_updated", "categories"];
const NO_RULESET = 10003;
const PATIENCE_MS = 30_000;

/** A problem that the person who runs this can solve. Its message says how. */
class Problem extends Error {}

/**
 * Does what the arguments say and returns the exit status. `base` and `print` are for the tests.
 */
export async function run(args, environment, { base = API, print = console.log } = {}) {
  let hide = (text) => text;
  try {
    const apply = readArguments(args);
    const { token, zone, host, edgeKey } = readEnvironment(environment);
    hide = (text) => text.replaceAll(token, "…").replaceAll(edgeKey, "…");
    const ask = client(base, zone, token);
    const differences = await compare(readWanted(host, edgeKey), ask);
    for (const difference of differences) {
      for (const line of difference.lines) print(hide(line));
      if (apply) await difference.mend();
    }
    if (differences.length === 0) print("Nothing differs.");
    else
      print(
        apply ? "All of this was applied." : "Nothing was changed. To apply this, use --apply.",
      );
    return differences.length > 0 && !apply ? 1 : 0;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    print(hide(`cloudflare: ${error.message}`));
    return 2;
  }
}

/** Tells whether to apply the differences. */
function readArguments(args) {
  const [mode = "--diff", ...rest] = args;
  if (!["--diff", "--apply"].includes(mode) || rest.length > 0)
    throw new Problem("usage: node deploy/cloudflare.mjs [--diff | --apply]");
  return mode === "--apply";
}

/** Reads the variables, and reports all problems with them at once. */
function readEnvironment(environment) {
  const problems = [];
  const read = (name, form, must) => {
    const value = environment[name] ?? "";
    if (!form.test(value)) problems.push(`${name} ${must}`);
    return value;
  };
  const token = read("CATTO_CLOUDFLARE_TOKEN", /^[\w-]{20,}$/, "must be an API token");
  const zone = read(
    "CATTO_CLOUDFLARE_ZONE",
    /^[0-9a-f]{32}$/,
    "must be the zone's 32 hexadecimal digits",
  );
  const url = read(
    "CATTO_PUBLIC_URL",
    /^https:\/\/[a-z0-9-]+(\.[a-z0-9-]+)+$/,
    "must be https:// and a host",
  );
  const edgeKey = read(
    "CATTO_EDGE_KEY",
    /^[A-Za-z0-9]{32,128}$/,
    "must be 32 to 128 letters and digits: openssl rand -hex 32",
  );
  if (problems.length > 0) throw new Problem(problems.join("; "));
  return { token, zone, host: url.slice("https://".length), edgeKey };
}

/**
 * Reads cloudflare.json and fills in the host and the key. Both were checked above, so they cannot
 * hold anything that would change the meaning of the JSON or of an expression.
 */
function readWanted(host, edgeKey) {
  const text = readFileSync(new URL("cloudflare.json", import.meta.url), "utf8");
  return JSON.parse(text.replaceAll("{{host}}", host).replaceAll("{{edge_key}}", edgeKey));
}

/**
 * A function that calls the API of one zone and returns the result, or null if the zone has no
 * rules yet for the phase that is asked for.
 */
function client(base, zone, token) {
  return async (method, path, body) => {
    let status, answer;
    try {
      const response = await fetch(`${base}/zones/${zone}/${path}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body && { "content-type": "application/json" }),
        },
        body: body && JSON.stringify(body),
        redirect: "error",
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      status = response.status;
      answer = await response.json();
    } catch (error) {
      throw new Problem(
        `${method} ${path} got no answer that could be read: ${error.cause?.message ?? error.message}`,
      );
    }
    if (answer.success === true) return answer.result;
    const errors = answer.errors ?? [];
    if (method === "GET" && status === 404 && errors.some(({ code }) => code === NO_RULESET))
      return null;
    throw new Problem(
      `${method} ${path} was answered ${status}: ${errors.map(({ code, message }) => `${code} ${message}`).join("; ")}`,
    );
  };
}

/** Finds all differences. Each has lines that tell it, and a function that mends it. */
async function compare(wanted, ask) {
  const differences = [];
  for (const [name, value] of Object.entries(wanted.settings)) {
    const found = (await ask("GET", `settings/${name}`)).value;
    if (found === value) continue;
    differences.push({
      lines: [`setting ${name}: ${JSON.stringify(found)} -> ${JSON.stringify(value)}`],
      mend: () => ask("PATCH", `settings/${name}`, { value }),
    });
  }
  for (const [phase, rules] of Object.entries(wanted.phases)) {
    const path = `rulesets/phases/${phase}/entrypoint`;
    const found = (await ask("GET", path))?.rules ?? [];
    const others = found.filter((rule) => !OURS.test(rule.ref ?? ""));
    const ours = found.filter((rule) => OURS.test(rule.ref ?? ""));
    const lines = compareRules(rules, ours);
    // Of several rules that match, the last one wins, so ours come after all others.
    if (
      lines.length === 0 &&
      !isDeepStrictEqual(found.slice(others.length).map(refOf), rules.map(refOf))
    )
      lines.push("the order of the rules");
    if (lines.length === 0) continue;
    differences.push({
      lines: lines.map((line) => `${phase}: ${line}`),
      mend: () => ask("PUT", path, { rules: [...others.map(withoutToldOnly), ...rules] }),
    });
  }
  return differences;
}

/**
 * Tells which rules differ, and in which fields. It does not tell the values, because one of them
 * is a secret.
 */
function compareRules(wanted, found) {
  const lines = [];
  for (const rule of wanted) {
    const present = found.find(({ ref }) => ref === rule.ref);
    const fields =
      present &&
      RULE_FIELDS.filter((field) => !isDeepStrictEqual(tidy(present[field]), tidy(rule[field])));
    if (!present) lines.push(`+ ${rule.ref} (${rule.description})`);
    else if (fields.length > 0) lines.push(`~ ${rule.ref}: ${fields.join(", ")}`);
  }
  for (const { ref } of found) if (!wanted.some((rule) => rule.ref === ref)) lines.push(`- ${ref}`);
  return lines;
}

/**
 * Leaves out fields that are null, false or empty. The API fills such fields in, and they would
 * count as differences for ever.
 */
function tidy(value) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  const kept = Object.entries(value).map(([key, inner]) => [key, tidy(inner)]);
  return Object.fromEntries(
    kept.filter(([, inner]) => inner !== null && inner !== false && !isDeepStrictEqual(inner, {})),
  );
}

/** A rule as Cloudflare takes it back. */
function withoutToldOnly(rule) {
  return Object.fromEntries(Object.entries(rule).filter(([field]) => !TOLD_ONLY.includes(field)));
}

function refOf({ ref }) {
  return ref;
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.exitCode = await run(process.argv.slice(2), process.env);
}
