// What the scripts have in common that measure a running server.

import { readFileSync } from "node:fs";
import { createServer } from "node:net";

/** A port of this machine that is free. */
export function freePort() {
  return new Promise((done, fail) => {
    const probe = createServer().once("error", fail);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });
}

/**
 * A field in the status of a process, in kilobytes, such as `VmRSS` (its memory now) or `VmHWM`
 * (its largest memory so far).
 */
export function kilobytes(pid, field) {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)[1]);
}

/**
 * Draws the course of a figure as one line of bars. A full bar stands for `most`, and each bar
 * shows the largest of `together` samples.
 */
export function graph(samples, most, together) {
  const bars = " ▁▂▃▄▅▆▇█";
  const groups = Array.from({ length: Math.ceil(samples.length / together) }, (_, at) =>
    Math.max(...samples.slice(at * together, (at + 1) * together)),
  );
  return groups.map((value) => bars[Math.min(8, Math.ceil((value / most) * 8))]).join("");
}
