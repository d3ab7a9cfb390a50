// One relay-node, whose key comes from the edge's master secret.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { relayPath } from "../build/relay.mjs";
import { Failure } from "../console.mjs";
import { Part } from "./part.mjs";
import { LOCALHOST } from "./ports.mjs";

const START_TIMEOUT_MS = 30_000;

/** @param {string} program @param {string} master @param {string} id */
const relayKey = (program, master, id) => {
  const { status, stdout, stderr } = spawnSync(program, ["key", "--master", master, "--id", id], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Failure(`relay-node key failed: ${stderr}`);
  return stdout.trim();
};

/**
 * @param {{ dir: string, id: string, port: number, edge: string, master: string, advertise?: string | undefined,
 *   extraArgs?: string[], log: string, program?: string | undefined }} how
 *   `advertise`: the address that other machines reach this one at; without it the relay serves this machine only;
 *   `program`: the executable, unless it is the one that is shipped
 * @param {import("./part.mjs").OnDeath} onDeath
 */
export const relayPart = (
  { dir, id, port, edge, master, advertise, extraArgs = [], log, program = relayPath() },
  onDeath,
) => {
  if (!existsSync(program)) throw new Failure("The relay is not built.", ["npm run build"]);
  const args = ["run", "--id", id, "--edge", edge, "--state", join(dir, "relay", id)];
  args.push("--listen", `${advertise ? "0.0.0.0" : LOCALHOST}:${port}`);
  if (advertise) args.push("--advertise", advertise);
  args.push(...extraArgs);
  const env = { STREAMCHAIN_RELAY_KEY: relayKey(program, master, id) };
  return new Part("relay", { command: program, args, env, log }, onDeath);
};

/**
 * Resolves when the edge says that the relay is alive.
 * @param {import("./part.mjs").Part} part
 * @param {string} edge
 * @param {string} id
 */
export const relayReady = (part, edge, id) =>
  part.until(
    async () => {
      /** @type {{ relays?: { id: string, alive: boolean }[] }} */
      const status = await (await fetch(`${edge}/v1/status`)).json();
      return status.relays?.some((relay) => relay.id === id && relay.alive);
    },
    { what: "registered with the edge", timeoutMs: START_TIMEOUT_MS },
  );
