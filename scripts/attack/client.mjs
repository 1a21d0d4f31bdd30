// A client that can be slow, rude, or several: it speaks HTTP/1.1 over plain sockets from any address of the loopback
// network.

import { connect } from "node:net";

/** A socket from this address of ours, once it is open; null where it was refused. Its errors end it and nothing else. */
export function open(port, from) {
  return new Promise((done) => {
    const socket = connect({ host: "127.0.0.1", port, localAddress: from });
    socket.once("connect", () => done(socket));
    socket.once("error", () => done(null));
    socket.on("error", () => socket.destroy());
  });
}

/** Waits, at least until the attack is over. */
export function rest(milliseconds, signal) {
  return new Promise((done) => {
    if (signal.aborted) return done();
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      done();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener("abort", end);
  });
}

/**
 * Asks once and reads the answer to its end, at most this long and until the signal. Answers its status, headers and
 * body, or a `fault` where the connection was refused, ended early or came to nothing.
 */
export async function ask(port, { from = "127.0.0.1", method = "GET", path = "/", headers = {}, body, patience = 60_000, signal }) {
  const socket = await open(port, from);
  if (!socket) return { fault: "refused" };
  const head = [`${method} ${path} HTTP/1.1`, "Host: attack.test", "Connection: close"];
  for (const [name, value] of Object.entries(headers)) head.push(`${name}: ${value}`);
  if (body) head.push(`Content-Length: ${body.length}`);
  socket.write(head.join("\r\n") + "\r\n\r\n");
  if (body) socket.write(body);
  return new Promise((done) => {
    const parts = [];
    const end = (answer) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", giveUp);
      socket.destroy();
      done(answer);
    };
    const giveUp = () => end({ fault: "not waited for" });
    const timer = setTimeout(() => end({ fault: "no answer in time" }), patience);
    signal?.addEventListener("abort", giveUp);
    socket.on("data", (part) => parts.push(part));
    socket.once("close", () => end(parse(Buffer.concat(parts))));
  });
}

function parse(bytes) {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return { fault: "closed without an answer" };
  const [first, ...lines] = bytes.toString("latin1", 0, end).split("\r\n");
  const headers = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]));
  const body = bytes.subarray(end + 4);
  let json;
  try {
    json = JSON.parse(body.toString());
  } catch {
    // A page, or a picture.
  }
  return { status: Number(first.split(" ")[1]), headers, body, json };
}
