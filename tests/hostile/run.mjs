#!/usr/bin/env node
// Attacks a running deployment, one's own. `--help` explains.

import { parseArgs } from "node:util";
import { Failure, main, messageOf } from "../../scripts/lib/console.mjs";
import { ATTACKS } from "./attacks.mjs";
import { runAttacks } from "./lib/run.mjs";
import { isLoopback, Target } from "./lib/target.mjs";

const HELP = `Attacks a running deployment as a stranger would, and prints what was tried and what got through.

  node tests/hostile/run.mjs --edge http://127.0.0.1:8787 [options] [NAME…]

  --edge URL               the edge (default http://127.0.0.1:8787)
  --rpc URL                a JSON-RPC endpoint of its chain, for attacks by way of the chain: development chains only
                           (default http://127.0.0.1:8545 for an edge on this machine)
  --list                   the attacks, and what each needs
  --i-own-this-deployment  allow an edge that is not on this machine. The attacks make streams, messages and load there
  --help                   this text

Without a NAME all attacks run. A NAME may be the beginning of one: "A5" runs all attacks on point A5.
The environment variable MASTER_SECRET, the edge's, lets attacks speak as a relay that was given a key, and look at the
audit log as the operator (OPERATOR, an address, if that is not the anchoring account).
The exit code is 0 when nothing got through.`;

const DEFAULT_EDGE = "http://127.0.0.1:8787";
const DEFAULT_RPC = "http://127.0.0.1:8545";

const readArguments = () => {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        edge: { type: "string", default: DEFAULT_EDGE },
        rpc: { type: "string" },
        list: { type: "boolean", default: false },
        "i-own-this-deployment": { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    throw new Failure(messageOf(error), ["`node tests/hostile/run.mjs --help` lists the options."]);
  }
};

/** @param {string[]} names */
const chosen = (names) => {
  const unknown = names.filter((name) => !ATTACKS.some((attack) => attack.name.startsWith(name)));
  if (unknown.length > 0) throw new Failure(`There is no attack ${unknown.join(", ")}.`, ["--list lists them."]);
  return names.length === 0 ? ATTACKS : ATTACKS.filter(({ name }) => names.some((wanted) => name.startsWith(wanted)));
};

/** @param {string} text */
const hostOf = (text) => {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) throw new Failure(`${text} is no HTTP URL.`);
  return new URL(text).hostname;
};

await main(async () => {
  const { values, positionals } = readArguments();
  if (values.help) return console.log(HELP);
  const attacks = chosen(positionals);
  if (values.list) {
    for (const { name, title, needs } of attacks) {
      console.log(`${name.padEnd(22)} ${title}${needs.length > 0 ? ` (needs ${needs.join(", ")})` : ""}`);
    }
    return;
  }
  const isLocal = isLoopback(hostOf(values.edge));
  const rpc = values.rpc ?? (isLocal ? DEFAULT_RPC : null);
  if (!(isLocal && (rpc === null || isLoopback(hostOf(rpc)))) && !values["i-own-this-deployment"]) {
    throw new Failure("This target is not on this machine.", [
      "Attack only what is yours: --i-own-this-deployment says that it is.",
    ]);
  }
  const target = await Target.at({
    edge: values.edge,
    rpc,
    master: process.env.MASTER_SECRET ?? null,
    operator: process.env.OPERATOR,
  }).catch((error) => {
    throw new Failure(`The edge at ${values.edge} does not answer: ${messageOf(error)}`);
  });
  const { through, left } = await runAttacks(attacks, target, console.log);
  console.log(`\n${attacks.length - left} attacks, ${left} left out. Got through: ${through}`);
  process.exit(through === 0 ? 0 : 1);
});
