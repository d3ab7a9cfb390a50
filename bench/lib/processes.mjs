// CPU time of child processes, from /proc (Linux).

import { readdirSync, readFileSync } from "node:fs";

/** Clock ticks a second, as the kernel counts for user space. */
const TICKS_PER_SECOND = 100;
/** Fields of /proc/{pid}/stat behind the command's name: parent, user ticks, system ticks, and those of children that ended. */
const [PARENT, USER, SYSTEM, ENDED_USER, ENDED_SYSTEM] = [1, 11, 12, 13, 14];

/** @param {string} pid @returns {{ command: string, fields: string[] } | null} */
const stat = (pid) => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const end = text.lastIndexOf(")");
    return { command: text.slice(text.indexOf("(") + 1, end), fields: text.slice(end + 2).split(" ") };
  } catch {
    return null; // it ended
  }
};

/** The processes that this one started, and those that they did. @returns {string[]} */
const descendants = (root = process.pid) => {
  /** @type {Map<string, string[]>} */
  const children = new Map();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const parent = stat(pid)?.fields[PARENT];
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const found = [];
  const left = [`${root}`];
  for (let pid = left.pop(); pid !== undefined; pid = left.pop()) {
    const own = children.get(pid) ?? [];
    found.push(...own);
    left.push(...own);
  }
  return found;
};

/** Milliseconds of CPU that the processes of this command among our descendants have used. @param {string} command */
export const cpuMilliseconds = (command) => {
  let ticks = 0;
  for (const pid of descendants()) {
    const found = stat(pid);
    if (found?.command === command) ticks += Number(found.fields[USER]) + Number(found.fields[SYSTEM]);
  }
  return (ticks * 1_000) / TICKS_PER_SECOND;
};

/** Milliseconds of CPU that a process has used with all that it started, whether it runs or has ended. @param {number} pid */
export const cpuMillisecondsOfTree = (pid) => {
  const fields = [USER, SYSTEM, ENDED_USER, ENDED_SYSTEM];
  const ticks = [`${pid}`, ...descendants(pid)].flatMap((one) => {
    const found = stat(one);
    return found ? fields.map((field) => Number(found.fields[field])) : [];
  });
  return (ticks.reduce((sum, count) => sum + count, 0) * 1_000) / TICKS_PER_SECOND;
};
