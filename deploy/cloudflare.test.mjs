// Tests of cloudflare.mjs against a small server that knows the four calls it makes, and is as
// strict about them as Cloudflare.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { afterEach, beforeEach, test } from "node:test";

import { run } from "./cloudflare.mjs";

const WANTED = JSON.parse(readFileSync(new URL("cloudflare.json", import.meta.url), "utf8"));
const ZONE = "0123456789abcdef0123456789abcdef";
const TOKEN = "test-token-of-nobody-000";
const EDGE_KEY = "e".repeat(64);
const ENVIRONMENT = {
  CATTO_CLOUDFLARE_TOKEN: TOKEN,
  CATTO_CLOUDFLARE_ZONE: ZONE,
  CATTO_PUBLIC_URL: "https://cats.example.org",
  CATTO_EDGE_KEY: EDGE_KEY,
};
const NO_RULESET = 10003;
const PHASES = ["http_request_cache_settings", "http_request_late_transform"];
const RULE_FIELDS = [
  "id",
  "ref",
  "description",
  "expression",
  "action",
  "action_parameters",
  "enabled",
];
// The settings of a new zone, as far as they are known.
const NEW_ZONE = {
  always_online: "off",
  always_use_https: "off",
  automatic_https_rewrites: "on",
  browser_cache_ttl: 14400,
  development_mode: "off",
  email_obfuscation: "on",
  hotlink_protection: "off",
  min_tls_version: "1.0",
  rocket_loader: "off",
  ssl: "full",
};

/** A stand-in for Cloudflare's API with one zone. */
class FakeZone {
  settings = { ...NEW_ZONE };
  rulesets = {};
  writes = [];
  refusal = null;

  async listen() {
    this.server = createServer((request, response) => {
      let text = "";
      request.on("data", (chunk) => (text += chunk));
      request.on("end", () => {
        const [status, envelope] = this.answer(request, text);
        response
          .writeHead(status, { "content-type": "application/json" })
          .end(JSON.stringify(envelope));
      });
    });
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    this.base = `http://127.0.0.1:${this.server.address().port}/client/v4`;
  }

  close() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }

  answer(request, text) {
    const fail = (status, code, message) => [
      status,
      { success: false, errors: [{ code, message }], messages: [], result: null },
    ];
    const succeed = (result) => [200, { success: true, errors: [], messages: [], result }];
    if (request.headers.authorization !== `Bearer ${TOKEN}`)
      return fail(403, 9109, "Unauthorized to access requested resource");
    if (this.refusal) return fail(...this.refusal);
    const call = new RegExp(
      `^/client/v4/zones/${ZONE}/(settings|rulesets/phases)/([a-z_]+)(/entrypoint)?$`,
    ).exec(request.url);
    if (!call || (call[1] === "settings") !== (call[3] === undefined))
      return fail(404, 7003, "Could not route the request");
    let body;
    if (request.method !== "GET") {
      if (request.headers["content-type"] !== "application/json")
        return fail(415, 10001, "Unsupported content type");
      body = JSON.parse(text);
      this.writes.push(`${request.method} ${call[2]}`);
    }
    const name = call[2];
    if (call[1] === "settings") {
      if (!(name in this.settings)) return fail(400, 1006, "Unrecognized zone setting name");
      if (request.method === "PATCH") {
        if (
          Object.keys(body).join() !== "value" ||
          typeof body.value !== typeof this.settings[name]
        )
          return fail(400, 1007, "Invalid value");
        this.settings[name] = body.value;
      } else if (request.method !== "GET") return fail(405, 10000, "Method not allowed");
      return succeed({ id: name, value: this.settings[name], editable: true, modified_on: null });
    }
    if (!PHASES.includes(name)) return fail(400, 20022, "unknown phase");
    if (request.method === "PUT") {
      const problem = this.problemWith(name, body);
      if (problem) return fail(400, 20021, problem);
      this.rulesets[name] = body.rules.map((rule, index) => ({
        id: `rule${index}`,
        version: "1",
        last_updated: "2026-11-22T00:00:00Z",
        ...rule,
      }));
    } else if (request.method !== "GET") return fail(405, 10000, "Method not allowed");
    if (!this.rulesets[name])
      return fail(404, NO_RULESET, `could not find entrypoint ruleset in the ${name} phase`);
    return succeed({
      id: "ruleset",
      kind: "zone",
      phase: name,
      version: "1",
      rules: this.rulesets[name],
    });
  }

  problemWith(phase, body) {
    if (Object.keys(body).join() !== "rules") return "only rules are expected";
    const refs = body.rules.map(({ ref }) => ref);
    if (new Set(refs).size !== refs.length) return "a ref is used twice";
    for (const rule of body.rules) {
      const unknown = Object.keys(rule).find((field) => !RULE_FIELDS.includes(field));
      if (unknown) return `unexpected field ${unknown}`;
      if (typeof rule.expression !== "string" || rule.expression.includes("{{"))
        return "not an expression";
      const [action, known] =
        phase === PHASES[0]
          ? ["set_cache_settings", ["cache", "edge_ttl", "browser_ttl", "cache_key", "serve_stale"]]
          : ["rewrite", ["headers"]];
      if (rule.action !== action) return `the action of this phase is ${action}`;
      if (Object.keys(rule.action_parameters).some((key) => !known.includes(key)))
        return "unexpected action parameter";
    }
    return null;
  }
}
let zone;
beforeEach(async () => {
  zone = new FakeZone();
  await zone.listen();
});
afterEach(() => zone.close());

async function call(args, environment = ENVIRONMENT) {
  const lines = [];
  const status = await run(args, environment, {
    base: zone.base,
    print: (line) => lines.push(line),
  });
  return { status, text: lines.join("\n") };
}

test("a difference is shown and nothing is written unless asked for", async () => {
  const { status, text } = await call([]);
  assert.equal(status, 1);
  assert.match(text, /setting browser_cache_ttl: 14400 -> 0/);
  assert.match(text, /http_request_late_transform: \+ cattocdn_edge_key/);
  assert.deepEqual(zone.writes, []);
});

test("after applying, a second run finds no difference and writes nothing", async () => {
  assert.equal((await call(["--apply"])).status, 0);
  zone.writes = [];
  const again = await call(["--diff"]);
  assert.deepEqual([again.status, again.text], [0, "Nothing differs."]);
  assert.equal((await call(["--apply"])).status, 0);
  assert.deepEqual(zone.writes, []);
  assert.equal(zone.settings.browser_cache_ttl, 0);
  assert.equal(
    zone.rulesets.http_request_late_transform[0].action_parameters.headers["X-Catto-Edge-Key"]
      .value,
    EDGE_KEY,
  );
});

test("rules of others are kept, in their order and before ours", async () => {
  const foreign = ["a", "b"].map((id) => ({
    id,
    ref: id,
    version: "3",
    last_updated: "2026-01-01T00:00:00Z",
    description: "not ours",
    expression: "true",
    action: "set_cache_settings",
    action_parameters: { cache: false },
    enabled: true,
  }));
  zone.rulesets.http_request_cache_settings = structuredClone(foreign);
  assert.equal((await call(["--apply"])).status, 0);
  const rules = zone.rulesets.http_request_cache_settings;
  assert.deepEqual(
    rules.slice(0, 2).map(({ id, description }) => [id, description]),
    [
      ["a", "not ours"],
      ["b", "not ours"],
    ],
  );
  assert.deepEqual(
    rules.slice(2).map(({ ref }) => ref),
    WANTED.phases.http_request_cache_settings.map(({ ref }) => ref),
  );

  rules.push(rules.shift());
  const { status, text } = await call(["--diff"]);
  assert.equal(status, 1);
  assert.match(text, /the order of the rules/);
});

test("whatever was changed by hand is found and mended", async () => {
  await call(["--apply"]);
  const rules = zone.rulesets.http_request_cache_settings;
  rules[0].action_parameters.edge_ttl = { mode: "override_origin", default: 7200 };
  rules[1].enabled = false;
  rules[2].action_parameters.browser_ttl = { mode: "override_origin", default: 60 };
  rules.push({ ...rules[0], id: "x", ref: "cattocdn_forgotten" });
  const { status, text } = await call(["--diff"]);
  assert.equal(status, 1);
  for (const line of [
    /~ cattocdn_origin_decides: action_parameters/,
    /~ cattocdn_no_query: enabled/,
    /~ cattocdn_never_stale: action_parameters/,
    /- cattocdn_forgotten/,
  ]) {
    assert.match(text, line);
  }
  await call(["--apply"]);
  assert.equal((await call(["--diff"])).status, 0);
});

test("defaults that the API spells out are no difference", async () => {
  await call(["--apply"]);
  const [first] = zone.rulesets.http_request_cache_settings;
  first.action_parameters.cache_key = { ignore_query_strings_order: false };
  first.action_parameters.serve_stale = null;
  assert.equal((await call(["--diff"])).status, 0);
});

test("a new secret is noticed and never printed", async () => {
  await call(["--apply"]);
  const rotated = { ...ENVIRONMENT, CATTO_EDGE_KEY: "f".repeat(64) };
  const outputs = [await call(["--diff"], rotated), await call(["--apply"], rotated)];
  assert.match(outputs[0].text, /~ cattocdn_edge_key: action_parameters/);
  zone.refusal = [400, 1, `the body was {"value":"${rotated.CATTO_EDGE_KEY}"} with ${TOKEN}`];
  outputs.push(await call(["--diff"], rotated));
  assert.equal(outputs[2].status, 2);
  for (const { text } of outputs) {
    for (const secret of [TOKEN, EDGE_KEY, rotated.CATTO_EDGE_KEY])
      assert.ok(!text.includes(secret));
  }
});

test("a refused token and an unreachable API end with a sentence and status 2", async () => {
  const refused = await call([], {
    ...ENVIRONMENT,
    CATTO_CLOUDFLARE_TOKEN: "another-token-of-nobody",
  });
  assert.equal(refused.status, 2);
  assert.match(refused.text, /403: 9109 Unauthorized/);
  const { base } = zone;
  await zone.close();
  const lines = [];
  assert.equal(await run([], ENVIRONMENT, { base, print: (line) => lines.push(line) }), 2);
  assert.match(lines.join("\n"), /got no answer/);
  await zone.listen();
});

test("every missing or misshapen variable is named at once", async () => {
  const { status, text } = await call([], {
    CATTO_PUBLIC_URL: "http://cats.example.org",
    CATTO_EDGE_KEY: 'a"}},{{host}}',
  });
  assert.equal(status, 2);
  for (const name of Object.keys(ENVIRONMENT)) assert.match(text, new RegExp(name));
  assert.deepEqual(zone.writes, []);
});

test("no rule lets Cloudflare keep anything longer than the origin says", () => {
  const text = JSON.stringify(WANTED);
  assert.ok(!text.includes("override_origin"));
  assert.equal(WANTED.settings.browser_cache_ttl, 0);
  assert.equal(WANTED.settings.always_online, "off");
  for (const rule of Object.values(WANTED.phases).flat())
    assert.match(rule.expression, /http\.host eq "\{\{host\}\}"/);
});
