// The attackers: what strangers may do to a server. Each attacker is a loop that goes on until it
// is told to stop. All of them run at the same time and come from many addresses.

import { open, rest } from "./client.mjs";

/**
 * The address of a client. Each kind of attacker has a network of its own, with up to 250 clients
 * in it.
 */
const address = (network, client) => `127.${network}.0.${1 + (client % 250)}`;

/**
 * Requests whose body the server takes, or might carelessly read although it does not need it: the
 * method, the path and the type of the body.
 */
const TARGETS = [
  ["POST", "/api/ui/status", "application/x-www-form-urlencoded"],
  ["POST", "/api/ui/upload", "multipart/form-data; boundary=b"],
  ["POST", "/api/v1/pictures", "application/octet-stream"],
  ["PUT", "/api/v1/pictures/cat.jpg", "image/jpeg"],
  ["POST", "/upload", "multipart/form-data; boundary=b"],
  ["POST", "/", "multipart/form-data; boundary=b"],
  ["POST", "/3/image", "text/plain"],
  ["POST", "/1/upload", "application/x-www-form-urlencoded"],
  ["POST", "/user/api.php", "multipart/form-data; boundary=b"],
  ["POST", "/c/1111111111111111", "application/x-www-form-urlencoded"],
  ["POST", "/delete/1111111111111111/x", "application/x-www-form-urlencoded"],
  ["DELETE", "/api/v1/pictures/1111111111111111", "application/json"],
  ["GET", "/", "text/plain"],
  ["POST", "/nowhere", "text/plain"],
];

/**
 * Sends two megabytes at once and then a byte now and then. A server that waits for the rest keeps
 * all of it in memory.
 */
async function drip(site, number) {
  // Half of the attackers use the address where the server reads a whole body into memory.
  const [method, path, kind] = TARGETS[number % 2 ? (number >> 1) % TARGETS.length : 0];
  const socket = await open(site.port, address(10, Math.floor(number / 4)));
  if (!socket) return rest(2_000, site.signal);
  socket.resume();
  let isOpen = true;
  socket.once("close", () => (isOpen = false));
  const head = `${method} ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: ${kind}\r\n`;
  if (number % 4 === 3) {
    // Announces a body and does not send it.
    socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n`);
  } else {
    socket.write(`${head}Content-Length: 2097000\r\n\r\n`);
    socket.write(Buffer.alloc(2_000_000, "a"));
  }
  while (isOpen && !site.signal.aborted) {
    await rest(5_000, site.signal);
    socket.write("a");
  }
  socket.destroy();
  return rest(500, site.signal);
}

/** Uploads one hostile file after another. */
async function bomb(site, number, turn) {
  const names = Object.keys(site.bombs);
  const name = names[(number + turn) % names.length];
  const body = Buffer.concat([site.bombs[name], Buffer.from(String(site.random()))]);
  // Every fourth comes in Base64, as the clients of other hosts send it.
  const inBase64 = number % 4 === 3;
  const answer = await site.ask({
    from: address(11, site.next()),
    method: "POST",
    path: inBase64 ? "/3/image" : "/api/v1/pictures?wait=25",
    body: inBase64 ? Buffer.from(body.toString("base64")) : body,
  });
  site.note(`bomb: ${name}`, answer);
  return rest(site.pause.bombs, site.signal);
}

/** Asks for much and then reads next to nothing of the answer. */
async function sip(site, number) {
  const paths = ["/", "/search?q=cat", "/api/v1/pictures", "/about", ...site.shown];
  const socket = await open(site.port, address(12, Math.floor(number / 8)));
  if (!socket) return rest(2_000, site.signal);
  let isOpen = true;
  socket.once("close", () => (isOpen = false));
  socket.pause();
  socket.write(`GET ${paths[number % paths.length]} HTTP/1.1\r\nHost: a\r\n\r\n`);
  while (isOpen && !site.signal.aborted) {
    await rest(10_000, site.signal);
    // One read takes what the system has received, and no more.
    socket.read(1);
  }
  socket.destroy();
  return rest(500, site.signal);
}

/** Sends many requests at once on one connection, and reads no answer. */
async function pipeline(site, number) {
  const socket = await open(site.port, address(13, number));
  if (!socket) return rest(2_000, site.signal);
  socket.pause();
  const shown = site.shown[number % Math.max(1, site.shown.length)] ?? "/";
  socket.write(
    `GET / HTTP/1.1\r\nHost: a\r\n\r\nGET ${shown} HTTP/1.1\r\nHost: a\r\n\r\n`.repeat(200),
  );
  await rest(15_000, site.signal);
  socket.destroy();
}

/** Searches for what no picture has, in new words each time, so that no cache can answer. */
async function search(site, number) {
  const words = Array.from({ length: 6 }, () => Math.floor(site.random() * 1e9).toString(36));
  const paths = [
    `/search?q=${words.join("+")}`,
    `/search?q=-${words.join("+-")}`,
    `/api/v1/pictures?q=${words[0]}`,
    "/api/v1/tags",
    "/random",
  ];
  const answer = await site.ask({
    from: address(14, number),
    path: paths[Math.floor(site.random() * paths.length)],
  });
  site.note("search", answer);
  return rest(site.pause.searches, site.signal);
}

/** Opens page after page, as a crowd does when a link is shared widely. */
async function look(site, number) {
  const paths = ["/", "/about", "/upload", ...site.shown];
  const answer = await site.ask({
    from: address(15, number),
    path: paths[Math.floor(site.random() * paths.length)],
  });
  site.note("view", answer);
  return rest(site.pause.views, site.signal);
}

/** Uploads what is refused at first sight. */
async function litter(site) {
  const junk = [site.tiny, Buffer.from("GIF89a"), Buffer.from("<html>"), Buffer.alloc(0)];
  const body = junk[Math.floor(site.random() * junk.length)];
  const answer = await site.ask({
    from: address(16, site.next()),
    method: "POST",
    path: "/api/v1/pictures",
    body,
  });
  site.note("junk", answer);
  return rest(site.pause.junk, site.signal);
}

/** Begins a request and never finishes its headers, or opens a connection and sends nothing. */
async function linger(site, number) {
  const socket = await open(site.port, address(17, Math.floor(number / 40)));
  if (!socket) return rest(2_000, site.signal);
  socket.resume();
  let isOpen = true;
  socket.once("close", () => (isOpen = false));
  if (number % 2) socket.write(`GET / HTTP/1.1\r\nX: ${"a".repeat(15_000)}`);
  while (isOpen && !site.signal.aborted) {
    await rest(5_000, site.signal);
    if (number % 2) socket.write("a");
  }
  socket.destroy();
  return rest(500, site.signal);
}

/** Uploads a cat and deletes it at once. */
async function repent(site) {
  const from = address(18, site.next());
  const answer = await site.ask({
    from,
    method: "POST",
    path: "/api/v1/pictures?wait=25",
    body: site.cat(),
  });
  site.note("upload to delete", answer);
  if (answer.json?.delete_token) {
    const done = await site.ask({
      from,
      method: "DELETE",
      path: `/api/v1/pictures/${answer.json.id}`,
      headers: { Authorization: `Bearer ${answer.json.delete_token}` },
    });
    site.note("delete", done);
  }
  return rest(site.pause.deletions, site.signal);
}

/** All kinds of attackers, and how many there are of each. */
export const ATTACKERS = [
  { name: "drip", attack: drip, many: 320 },
  { name: "bombs", attack: bomb, many: 6 },
  { name: "slow readers", attack: sip, many: 200 },
  { name: "pipelines", attack: pipeline, many: 12 },
  { name: "searches", attack: search, many: 48 },
  { name: "views", attack: look, many: 16 },
  { name: "junk", attack: litter, many: 4 },
  { name: "idle connections", attack: linger, many: 200 },
  { name: "deletions", attack: repent, many: 2 },
];

/** Runs all attackers until the site's signal. */
export async function attackAll(site) {
  const loops = ATTACKERS.flatMap(({ attack, many }) =>
    Array.from({ length: many }, async (_, number) => {
      for (let turn = 0; !site.signal.aborted; turn += 1) await attack(site, number, turn);
    }),
  );
  await Promise.all(loops);
}
