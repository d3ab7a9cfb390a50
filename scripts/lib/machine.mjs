// Describes the machine that figures are measured on.

import { execFileSync } from "node:child_process";
import { cpus, loadavg, release, totalmem, type } from "node:os";

const GIB = 2 ** 30;

/** @param {string} path */
const browserVersion = (path) =>
  execFileSync(path, ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
    .replace(/ built.*/s, "")
    .trim();

/**
 * `load` is the number of processes that wanted a core in the minute before. Much above 0 means that other programs
 * influenced the figures.
 * @param {string} browser its path
 */
export const machine = (browser) => {
  const [first] = cpus();
  const [lastMinute = 0] = loadavg();
  return {
    cpu: first?.model.trim() || "unknown processor",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / GIB),
    system: `${type()} ${release().split("-")[0]} ${process.arch}`,
    node: process.version,
    browser: browserVersion(browser),
    load: Number(lastMinute.toFixed(1)),
  };
};

/** @param {ReturnType<typeof machine>} figures */
export const describeMachine = ({ cpu, cores, memoryGiB, system, node, browser, load }) =>
  `${cpu}, ${cores} cores, ${memoryGiB} GiB; ${system}; Node ${node}; ${browser}; load ${load} before the run`;
