// The machine's Node may be older than what the tools want (22). The first steps of set-up run on any Node from 20;
// everything after `npm ci` runs on the Node that came with it.

import { spawn } from "node:child_process";
import { childEnv, NODE } from "./paths.mjs";

const WANTED_MAJOR = 22;

/** Names the variable that says when the command began, UNIX time in ms, to what goes on under another Node. */
const BEGAN = "STREAMCHAIN_BEGAN_MS";

/** When the command began, UNIX time in ms: before it went on under another Node. */
export const BEGAN_MS = Number(process.env[BEGAN]) || Date.now() - performance.now();
// It is this command's, and not of those that it starts.
delete process.env[BEGAN];

export const isWantedNode = () => Number(process.versions.node.split(".")[0]) === WANTED_MAJOR;

/**
 * Starts this script again under Node 22, and ends with its exit code. Signals reach the child: Ctrl-C by the terminal,
 * since both are in one process group, the others by being passed on.
 */
export const continueUnderWantedNode = () =>
  new Promise(() => {
    const child = spawn(NODE, process.argv.slice(1), {
      stdio: "inherit",
      env: { ...childEnv(), [BEGAN]: `${BEGAN_MS}` },
    });
    process.on("SIGINT", () => {});
    for (const signal of /** @type {const} */ (["SIGTERM", "SIGHUP"])) process.on(signal, () => child.kill(signal));
    child.on("error", (error) => {
      console.error(error);
      process.exit(1);
    });
    child.on("exit", (code, signal) => process.exit(signal ? 1 : code));
  });
