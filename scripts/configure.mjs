#!/usr/bin/env node
// Makes wrangler.production.toml. `--help` explains.

import { join, resolve } from "node:path";
import { createInterface } from "node:readline/promises";
import { parseArgs } from "node:util";
import { codeOf, Failure, main, messageOf } from "./lib/console.mjs";
import { ROOT } from "./lib/paths.mjs";

const load = async () => {
  try {
    const [{ configure }, { SETTINGS }] = await Promise.all([
      import("./lib/configure/index.mjs"),
      import("./lib/configure/settings.mjs"),
    ]);
    return { configure, SETTINGS };
  } catch (cause) {
    if (codeOf(cause) !== "ERR_MODULE_NOT_FOUND") throw cause;
    throw new Failure("The npm packages are not installed.", ["Run `npm ci` (or `npm start`, which does it)."]);
  }
};

/** @typedef {Awaited<ReturnType<typeof load>>["SETTINGS"]} Settings */

/** @param {Settings} settings */
const help = (
  settings,
) => `Makes the configuration of a deployment, wrangler.production.toml, from wrangler.toml and your answers.

  npm run configure                          asks for each value
  npm run configure -- --no-input --NAME VALUE …
  npm run configure -- --no-input --answers FILE

Every value is checked, and the RPC endpoints are asked whether they serve the chain and have the contract. Values of
development chains (their contract, accounts, addresses of this machine) are refused for other chains; so are
MASTER_SECRET and ANCHORER_KEY, where the environment holds them. A file that is there is replaced only after a question.

  --answers FILE   JSON with values by the names below, such as {"chain-id": 11155111}
  --no-input       ask nothing: what is missing is an error
  --out FILE       the file to write (default wrangler.production.toml, which git ignores)
  --overwrite      replace the file without asking; the old one stays as FILE.before
  --dry-run        print the file instead of writing it
  --offline        do not ask the RPC endpoints
  --help           this text

Values (an option goes before the answers file, that before the file of the time before):

${settings.map(({ name, question }) => `  --${name}\n      ${question}`).join("\n")}`;

/** @param {Settings} settings */
const readOptions = (settings) => {
  const ofSettings = Object.fromEntries(settings.map(({ name }) => [name, { type: /** @type {const} */ ("string") }]));
  try {
    return parseArgs({
      options: {
        ...ofSettings,
        answers: { type: "string" },
        "no-input": { type: "boolean", default: false },
        out: { type: "string", default: join(ROOT, "wrangler.production.toml") },
        overwrite: { type: "boolean", default: false },
        "dry-run": { type: "boolean", default: false },
        offline: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    }).values;
  } catch (cause) {
    throw new Failure(messageOf(cause), ["`npm run configure -- --help` lists the options."]);
  }
};

await main(async () => {
  const { configure, SETTINGS } = await load();
  const options = readOptions(SETTINGS);
  if (options.help) return console.log(help(SETTINGS));
  const given = Object.fromEntries(
    SETTINGS.flatMap(({ name }) => {
      const value = /** @type {Record<string, unknown>} */ (options)[name];
      return typeof value === "string" ? [[name, value.trim()]] : [];
    }),
  );
  const isAsked = !options["no-input"] && process.stdin.isTTY === true;
  const lines = isAsked ? createInterface({ input: process.stdin, output: process.stdout }) : null;
  // At the end of the input (Ctrl-D) nothing goes on below.
  process.exitCode = 1;
  try {
    await configure({
      given,
      answers: options.answers && resolve(options.answers),
      template: join(ROOT, "wrangler.toml"),
      out: resolve(options.out),
      overwrite: options.overwrite,
      dryRun: options["dry-run"],
      offline: options.offline,
      ask: lines === null ? null : (question) => lines.question(question),
      env: process.env,
      log: console.log,
    });
    process.exitCode = 0;
  } finally {
    lines?.close();
  }
});
