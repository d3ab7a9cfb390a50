// Runs a test group in a process of its own, so that its output can be kept together while another group runs.

import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { elapsed } from "../console.mjs";
import { childEnv } from "../paths.mjs";

/** How often it is said that the group still runs. */
const HEARTBEAT_MS = 60_000;

const PROGRAM = fileURLToPath(new URL("run-group.mjs", import.meta.url));

/**
 * Runs the group `name`; its output is given back whole. A process that ends without counts counts as a failure.
 * @param {string} name
 * @param {string} program what is run: it is given the name, and sends the counts to its parent
 * @returns {Promise<{ counts: import("./counts.mjs").Outcome, output: string }>}
 */
export const inProcess = (name, program = PROGRAM) =>
  new Promise((resolve, reject) => {
    const start = Date.now();
    const child = fork(program, [name], { env: childEnv(), stdio: ["ignore", "pipe", "pipe", "ipc"] });
    /** @type {import("./counts.mjs").Outcome} */
    let counts = { passed: 0, failed: 1 };
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8");
      stream?.on("data", (/** @type {string} */ text) => {
        output += text;
      });
    }
    const heartbeat = setInterval(() => console.log(`  … ${name} (${elapsed(start)})`), HEARTBEAT_MS);
    child.on("message", (/** @type {import("./counts.mjs").Outcome} */ sent) => {
      counts = sent;
    });
    child.on("error", reject);
    child.on("close", (code) => {
      clearInterval(heartbeat);
      if (code !== 0 && counts.failed === 0) counts.failed = 1;
      resolve({ counts, output });
    });
  });
