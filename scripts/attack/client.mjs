// An HTTP/1.1 client on plain sockets, so that attackers can be slow or rude, and can come from any
// address of the loopback network.

import { connect } from "node:net";

/**
 * Opens a socket from this local address; null if it was refused. A later error closes the socket
 * and does nothing else.
 */
export function open(port, from) {
  return new Promise((done) => {
    const socket = connect({ host: "127.0.0.1", port, localAddress: from });
    socket.once("connect", () => done(socket));
    socket.once("error", () => done(null));
    socket.on("error", () => socket.destroy());
  });
}

/** Waits for this many milliseconds, but no longer than until the signal. */
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
 * Sends one request and reads the whole answer, for at most `patience` milliseconds and until the
 * signal. Returns the status, headers and body, or a `fault` that says why there is no answer.
 */
export async function ask(
  port,
  { from = "127.0.0.1", method = "GET", path = "/", headers = {}, body, patience = 60_000, signal },
) {
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

/** Reads an answer out of its bytes. */
function parse(bytes) {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return { fault: "closed without an answer" };
  const [first, ...lines] = bytes.toString("latin1", 0, end).split("\r\n");
  const headers = Object.fromEntries(
    lines.map((line) => [
      line.slice(0, line.indexOf(":")).toLowerCase(),
      line.slice(line.indexOf(":") + 1).trim(),
    ]),
  );
  const body = bytes.subarray(end + 4);
  let json;
  try {
    json = JSON.parse(body.toString());
  } catch {
    // The body is no JSON but a page or a picture.
  }
  return { status: Number(first.split(" ")[1]), headers, body, json };
}
