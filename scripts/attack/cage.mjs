// Limits the memory of a process, including its file caches and its sockets, by a Linux control
// group of its own (version 1 or 2) without swap. Where the system does not allow that, the process
// is not limited.

import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Makes a control group with this many bytes of memory; null if that is not possible here. */
export function makeCage(bytes) {
  return version1(bytes) ?? version2(bytes);
}

function version1(bytes) {
  return make("/sys/fs/cgroup/memory", (folder) => {
    write(folder, "memory.limit_in_bytes", bytes);
    write(folder, "memory.swappiness", 0);
    return {
      now: "memory.usage_in_bytes",
      kills: () => field(folder, "memory.oom_control", "oom_kill"),
    };
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
      /**
       * The memory that the group takes now, in bytes, without the file pages that the kernel would
       * drop first.
       */
      bytes: () =>
        Number(readFileSync(join(folder, now), "utf8")) -
        (field(folder, "memory.stat", "total_inactive_file") ??
          field(folder, "memory.stat", "inactive_file") ??
          0),
      /** How often the kernel killed a process of the group for lack of memory. */
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
