// A limit on memory for a process, its caches and its sockets included, where the system lets us set one: a control group
// of our own (version 1 or 2), without swap. Elsewhere the process is only watched.

import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Makes a group of this many bytes; null where that cannot be. */
export function makeCage(bytes) {
  return version1(bytes) ?? version2(bytes);
}

function version1(bytes) {
  return make("/sys/fs/cgroup/memory", (folder) => {
    write(folder, "memory.limit_in_bytes", bytes);
    write(folder, "memory.swappiness", 0);
    return { now: "memory.usage_in_bytes", kills: () => field(folder, "memory.oom_control", "oom_kill") };
  });
}

function version2(bytes) {
  return make("/sys/fs/cgroup", (folder) => {
    write(folder, "memory.max", bytes);
    write(folder, "memory.swap.max", 0);
    return { now: "memory.current", kills: () => field(folder, "memory.events", "oom_kill") };
  });
}

function make(parent, prepare) {
  const folder = join(parent, `cattocdn-attack-${process.pid}`);
  try {
    mkdirSync(folder);
  } catch {
    return null;
  }
  try {
    const { now, kills } = prepare(folder);
    return {
      kind: "held to it by a control group, without swap",
      /** Puts a process into the group. */
      hold: (pid) => write(folder, "cgroup.procs", pid),
      /** What the group has now, in bytes, without the file pages that the kernel would drop first. */
      bytes: () => Number(readFileSync(join(folder, now), "utf8")) - (field(folder, "memory.stat", "total_inactive_file") ?? field(folder, "memory.stat", "inactive_file") ?? 0),
      /** How often the kernel killed something for want of memory. */
      kills,
      remove: () => rmdirSync(folder),
    };
  } catch {
    rmdirSync(folder);
    return null;
  }
}

function write(folder, name, value) {
  writeFileSync(join(folder, name), String(value));
}

function field(folder, name, key) {
  const found = new RegExp(`^${key} (\\d+)$`, "m").exec(readFileSync(join(folder, name), "utf8"));
  return found ? Number(found[1]) : undefined;
}
