// The clients and readers from npm, as scripts/clients.mjs runs them. Each test prints a line; the first failure
// ends the script.

const assert = require("node:assert/strict");
const { createReadStream, readFileSync } = require("node:fs");
const { join } = require("node:path");

const fixture = (name) => join(process.env.CATTO_FIXTURES, name);
const CAT = fixture("tabby.jpg");
const COFFEE = fixture("coffee.png");
const REFUSAL = /saw no cat/;

/** Checks that a link leads to a picture. */
async function shows(link) {
  const answer = await fetch(link);
  assert.equal(answer.status, 200, link);
  assert.match(answer.headers.get("content-type"), /^image\//);
}

async function isGone(link) {
  assert.equal((await fetch(link)).status, 410, link);
}

/** Opens the link with which a person deletes a picture, and confirms. */
async function confirm(deleteUrl) {
  assert.equal((await fetch(deleteUrl)).status, 200, deleteUrl);
  assert.equal((await fetch(deleteUrl, { method: "POST" })).status, 200, deleteUrl);
}

async function imgur() {
  const { ImgurClient } = require("imgur");
  const client = new ImgurClient({ clientId: "any" });
  for (const image of [
    { image: createReadStream(CAT), type: "stream" },
    { image: readFileSync(CAT, "base64"), type: "base64" },
  ]) {
    const uploaded = await client.upload(image);
    assert.equal(uploaded.success, true, JSON.stringify(uploaded.data));
    await shows(uploaded.data.link);
    const read = await client.getImage(uploaded.data.id);
    assert.equal(read.data.link, uploaded.data.link);
    const deleted = await client.deleteImage(uploaded.data.deletehash);
    assert.equal(deleted.success, true);
    await isGone(uploaded.data.link);
  }
  const refused = await client.upload({ image: createReadStream(COFFEE), type: "stream" });
  assert.equal(refused.success, false);
  assert.match(String(refused.data), REFUSAL);
  const fetched = await client.upload({ image: "https://catto.test/cat.jpg", type: "url" });
  assert.match(String(fetched.data), /fetches no pictures/);
}

async function imgurAnonymousUploader() {
  const Uploader = require("imgur-anonymous-uploader");
  const client = new Uploader("any");
  for (const upload of [client.upload(CAT), client.uploadBuffer(readFileSync(CAT))]) {
    const uploaded = await upload;
    assert.equal(uploaded.success, true, JSON.stringify(uploaded));
    await shows(uploaded.url);
    assert.equal((await client.delete(uploaded.deleteHash)).success, true);
    await isGone(uploaded.url);
  }
  // It passes on no more of a refusal than this.
  const refused = await client.upload(COFFEE);
  assert.deepEqual([refused.success, refused.status], [false, 422]);
}

async function imgbbUploader() {
  const upload = require("imgbb-uploader");
  const asChevereto = { apiKey: "any", cheveretoHost: "catto.test" };
  const { image } = await upload({ ...asChevereto, imagePath: CAT });
  await shows(image.url);
  await confirm(image.delete_url);
  await isGone(image.url);
  const asImgbb = await upload({ apiKey: "any", imagePath: CAT, name: "a cat", expiration: 600 });
  await shows(asImgbb.display_url);
  await confirm(asImgbb.delete_url);
  for (const options of [asChevereto, { apiKey: "any" }]) {
    await assert.rejects(upload({ ...options, imagePath: COFFEE }), REFUSAL);
    const imageUrl = "https://catto.test/cat.jpg";
    await assert.rejects(upload({ ...options, imageUrl }), /fetches no pictures/);
  }
}

/** Uploads a cat for a reader to find, and gives the answer. */
async function published() {
  const url = "https://catto.test/api/v1/pictures";
  const answer = await fetch(url, { method: "POST", body: readFileSync(CAT) });
  assert.equal(answer.status, 201);
  return answer.json();
}

async function feedExtractor() {
  const { extract } = require("@extractus/feed-extractor");
  // It does not know a feed without entries for one.
  const other = await published();
  const picture = await published();
  const feeds = ["feed.xml", "feed.json", "feed.xml?q=cat", "tags/cat/feed.json"];
  for (const feed of feeds) {
    const { entries } = await extract(`https://catto.test/${feed}`);
    const [newest] = entries;
    assert.deepEqual([newest.id, newest.link], [picture.url, picture.url], feed);
    assert.ok(newest.title.length > 0 && newest.published, feed);
  }
  await confirm(picture.delete_url);
  for (const feed of feeds) {
    const { entries } = await extract(`https://catto.test/${feed}`);
    assert.ok(!entries.some((entry) => entry.link === picture.url), feed);
  }
  await confirm(other.delete_url);
}

async function oembedExtractor() {
  const { extract } = require("@extractus/oembed-extractor");
  const picture = await published();
  // It knows nothing of this site but what the page says.
  const whole = await extract(picture.url);
  assert.equal(whole.type, "photo");
  await shows(whole.url);
  const small = await extract(picture.url, { maxwidth: 300 });
  assert.ok(small.width <= 300, JSON.stringify(small));
  await shows(small.url);
  await confirm(picture.delete_url);
  await assert.rejects(extract(picture.url));
}

(async () => {
  for (const [name, test] of Object.entries({
    imgur,
    "imgur-anonymous-uploader": imgurAnonymousUploader,
    "imgbb-uploader": imgbbUploader,
  })) {
    await test();
    console.log(`ok: ${name} uploads, is told of a refusal, deletes`);
  }
  for (const [name, test] of Object.entries({
    "@extractus/feed-extractor": feedExtractor,
    "@extractus/oembed-extractor": oembedExtractor,
  })) {
    await test();
    console.log(`ok: ${name} reads`);
  }
})();
