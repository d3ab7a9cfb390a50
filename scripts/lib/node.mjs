// The machine's Node may be older than what the tools want (22). The first steps of set-up run on any Node from 20;
// everything after `npm ci` runs on the Node that came with it.

import { spawn } from "node:child_process";
import { childEnv, NODE } from "./paths.mjs";

const WANTED_MAJOR = 22;

export const isWantedNode = () => Number(process.versions.node.split(".")[0]) === WANTED_MAJOR;

/**
 * Starts this script again under Node 22, and ends with its exit code. Signals reach the child: Ctrl-C by the terminal,
 * since both are in one process group, the others by being passed on.
 */
export const continueUnderWantedNode = () =>
  new Promise(() => {
    const child = spawn(NODE, process.argv.slice(1), { stdio: "inherit", env: childEnv() });
    process.on("SIGINT", () => {});
    for (const signal of /** @type {const} */ (["SIGTERM", "SIGHUP"])) process.on(signal, () => child.kill(signal));
    child.on("error", (error) => {
      console.error(error);
      process.exit(1);
    });
    child.on("exit", (code, signal) => process.exit(signal ? 1 : code));
  });
