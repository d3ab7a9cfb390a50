#!/usr/bin/env node
// Deploys everything. `--help` explains.

import { join, resolve } from "node:path";
import { createInterface } from "node:readline/promises";
import { parseArgs } from "node:util";
import { Failure, main, messageOf } from "./lib/console.mjs";
import { ROOT, STATE } from "./lib/paths.mjs";
import { setUp } from "./lib/setup/index.mjs";

/** @typedef {typeof import("./lib/configure/settings.mjs").SETTINGS} Settings */

/** @param {Settings} settings */
const help = (
  settings,
) => `Deploys StreamChain: keys, D1 database, R2 bucket, contract, configuration, migrations, Worker, secrets, and an
environment file for each relay. It looks first and makes only what is missing, so it can be run again after a failure, with a
changed value, or to update. It ends with a report of the deployed edge.

  npm run deploy                       asks for what it needs
  npm run deploy -- --no-input --answers FILE
  npm run deploy -- --dry-run          looks, and says what it would do

Before it: \`wrangler login\`, or CLOUDFLARE_API_TOKEN (and CLOUDFLARE_ACCOUNT_ID) in the environment; DEPLOYER_KEY, the private key of
an account with some ether, where there is no contract yet. MASTER_SECRET and ANCHORER_KEY are taken from the environment, from
the file of keys, or made. A secret that the Worker has is never replaced by a new one.

  --relay ID       write the environment file of this relay; several times for several relays
  --url URL        where the edge is served, if not at the address that wrangler prints
  --answers FILE   JSON with values by the names below
  --no-input       ask nothing: what is missing is an error
  --out FILE       the configuration (default wrangler.production.toml, which git ignores)
  --folder FOLDER  where keys.json and the relays' files are kept (default .streamchain/production, which git ignores)
  --dry-run        write nothing, and deploy nothing
  --offline        neither ask the RPC endpoints nor look at the deployed edge
  --help           this text

Values, as of \`npm run configure\`:

${settings.map(({ name, question }) => `  --${name}\n      ${question}`).join("\n")}`;

/** @param {Settings} settings */
const readOptions = (settings) => {
  const ofSettings = Object.fromEntries(settings.map(({ name }) => [name, { type: /** @type {const} */ ("string") }]));
  try {
    return parseArgs({
      options: {
        ...ofSettings,
        relay: { type: "string", multiple: true, default: [] },
        url: { type: "string" },
        answers: { type: "string" },
        "no-input": { type: "boolean", default: false },
        out: { type: "string", default: join(ROOT, "wrangler.production.toml") },
        folder: { type: "string", default: join(STATE, "production") },
        "dry-run": { type: "boolean", default: false },
        offline: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    }).values;
  } catch (cause) {
    throw new Failure(messageOf(cause), ["`npm run deploy -- --help` lists the options."]);
  }
};

/** @param {string} id */
const relayId = (id) => {
  if (/^[a-z0-9][a-z0-9-]{0,31}$/.test(id) && id !== "edge") return id;
  throw new Failure(`--relay ${id}: an id has 1 to 32 of a-z 0-9 -, and is not \`edge\`.`);
};

await main(async () => {
  await setUp();
  const { SETTINGS } = await import("./lib/configure/settings.mjs");
  const options = readOptions(SETTINGS);
  if (options.help) return console.log(help(SETTINGS));
  const [{ deploy }, { wranglerWith }, { buildContracts }] = await Promise.all([
    import("./lib/deployment/index.mjs"),
    import("./lib/deployment/cloudflare.mjs"),
    import("./lib/build/contracts.mjs"),
  ]);
  const given = Object.fromEntries(
    SETTINGS.flatMap(({ name }) => {
      const value = /** @type {Record<string, unknown>} */ (options)[name];
      return typeof value === "string" ? [[name, value.trim()]] : [];
    }),
  );
  const relays = /** @type {string[]} */ (options.relay).map(relayId);
  const isAsked = !options["no-input"] && process.stdin.isTTY === true;
  const lines = isAsked ? createInterface({ input: process.stdin, output: process.stdout }) : null;
  if (!options["dry-run"]) await buildContracts();
  // At the end of the input (Ctrl-D) nothing goes on below.
  process.exitCode = 1;
  try {
    const works = await deploy({
      given,
      relays,
      answers: options.answers && resolve(options.answers),
      template: join(ROOT, "wrangler.toml"),
      out: resolve(options.out),
      folder: resolve(options.folder),
      url: options.url,
      dryRun: options["dry-run"],
      offline: options.offline,
      ask: lines === null ? null : (question) => lines.question(question),
      env: process.env,
      log: console.log,
      wrangler: wranglerWith(),
    });
    process.exitCode = works ? 0 : 1;
  } finally {
    lines?.close();
  }
});
