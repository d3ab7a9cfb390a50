// Runs the relay's load clients, which print their figures as JSON.

import { spawnSync } from "node:child_process";
import { relayTestkitPath } from "../../scripts/lib/build/relay.mjs";

/**
 * @param {string} command of `relay-testkit`
 * @param {readonly (string | number)[]} args
 * @returns {any}
 */
export const testkit = (command, args) => {
  const { status, stdout, stderr } = spawnSync(relayTestkitPath(), [command, ...args.map(String)], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`relay-testkit ${command}: exit code ${status}\n${stderr}`);
  return JSON.parse(stdout.slice(stdout.indexOf("{")));
};
