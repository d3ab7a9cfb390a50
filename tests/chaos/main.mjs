// `npm run chaos`: the whole system under load while its parts are killed. See `npm run chaos -- --help`.

import { randomInt } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { elapsed, Failure, green, heading, main, messageOf, red } from "../../scripts/lib/console.mjs";
import { setUp } from "../../scripts/lib/setup/index.mjs";
import { MAX_SEED } from "./random.mjs";

const HELP = `npm run chaos [-- options]

Runs the whole system under load, with three relays of two threads each, and ends its parts at random moments: relays that
lead a stream or follow one (killed, or told to stop), workerd (the process that the Worker runs in; kill -9), and the local
chain (kill -9). Each is started again after a while. At the end it checks the following, and prints the counts:
  - every message that was reported as stored is stored exactly once, with the seq that was reported;
  - every publisher's messages are in its order, and the seqs have no gap;
  - every subscriber got each stored message once, in order, and those who ask for signatures find their messages signed;
  - no client of a relay that went on has opened another session because another relay ended;
  - every message is in a signed group, each group is whole and its signature holds, and each producer's follow each other;
  - relay-node verify-stream agrees: every root on the chain equals that of the stored messages;
  - after relay-node rebuild, which reads the anchors from the chain again, receipts are the same as before.
The clients use the client library in Chromium.

  --kills N         number of kills, divided among leaders, followers, workerd, chain (default 40)
  --minutes N       time over which the kills are spread                 (default 8)
  --publishers N    number of publishers                                 (default 40)
  --subscribers N   number of subscribers                                (default 400)
  --streams N       number of streams that they share                    (default 5)
  --rate N          messages a second of all publishers together         (default 500)
  --seed N          seed of an earlier run, for the same kills           (default: a new one, which is printed)
  --keep            keep the system's folder with its logs, and print its path
  --help            print this text

EXIT CODES
  0  every check passed
  1  a check failed; each fault is printed`;

/** @satisfies {import("node:util").ParseArgsOptionsConfig} */
const OPTIONS = {
  kills: { type: "string", default: "40" },
  minutes: { type: "string", default: "8" },
  publishers: { type: "string", default: "40" },
  subscribers: { type: "string", default: "400" },
  streams: { type: "string", default: "5" },
  rate: { type: "string", default: "500" },
  seed: { type: "string", default: `${randomInt(1, MAX_SEED)}` },
  keep: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
};

const flags = () => {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    throw new Failure(messageOf(error), ["npm run chaos -- --help"]);
  }
};

/**
 * @param {ReturnType<typeof flags>} given
 * @param {"kills" | "minutes" | "publishers" | "subscribers" | "streams" | "rate" | "seed"} name
 */
const number = (given, name, { whole = true } = {}) => {
  const value = Number(given[name]);
  if (value > 0 && value <= MAX_SEED && (!whole || Number.isInteger(value))) return value;
  throw new Failure(`--${name} must be a number above 0: ${given[name]}`);
};

/** @param {ReturnType<typeof flags>} given */
const read = (given) => ({
  kills: number(given, "kills"),
  minutes: number(given, "minutes", { whole: false }),
  publishers: number(given, "publishers"),
  subscribers: number(given, "subscribers"),
  streams: number(given, "streams"),
  rate: number(given, "rate"),
  seed: number(given, "seed"),
});

/** @param {Awaited<ReturnType<typeof import("./run.mjs").runChaos>>} result */
const print = ({ faults, counts, kills, mesh, audit }) => {
  heading("Counts");
  console.log(
    `  ended                   leader ${kills.leader}, follower ${kills.follower}, workerd ${kills.worker}, chain ${kills.chain}`,
  );
  console.log(`  published               ${counts.published}`);
  console.log(`  reported stored         ${counts.reported}`);
  console.log(`  stored                  ${counts.stored}`);
  console.log(`  signed groups           ${counts.groups}`);
  console.log(`  delivered               ${counts.delivered}`);
  console.log(`  authors checked         ${counts.checked}, by readers while it went on`);
  console.log(`  live messages taken back before they were stored, and sent again: ${counts.retractions} times`);
  console.log(`  relays                  ${mesh}`);
  heading("relay-node verify-stream");
  console.log(audit.replace(/^/gm, "  "));
  heading(faults.length === 0 ? green("✓ Everything held.") : red(`✗ ${faults.length} faults`));
  for (const fault of faults) console.log(`  ${fault}`);
};

await main(async () => {
  const given = flags();
  if (given.help) return console.log(HELP);
  const options = read(given);
  await setUp({ browser: true });
  const { buildAll } = await import("../../scripts/lib/build/index.mjs");
  const { runChaos } = await import("./run.mjs");
  await buildAll();
  const dir = mkdtempSync(join(tmpdir(), "streamchain-chaos-"));
  const start = Date.now();
  /** @param {string} line */
  const log = (line) => console.log(`  ${elapsed(start).padStart(12)}  ${line}`);
  heading(`Chaos with seed ${options.seed}: ${options.kills} kills in ${options.minutes} min`);
  try {
    const result = await runChaos({ ...options, dir, log });
    print(result);
    console.log(`\nThe same kills again: npm run chaos -- --seed ${options.seed}`);
    return result.faults.length === 0 ? 0 : 1;
  } finally {
    if (given.keep) console.log(`\nThe system's folder: ${dir}`);
    else rmSync(dir, { recursive: true, force: true });
  }
});
