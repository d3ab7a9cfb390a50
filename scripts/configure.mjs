#!/usr/bin/env node
// Makes wrangler.production.toml. `--help` explains.

import { join, resolve } from "node:path";
import { codeOf, Failure, main } from "./lib/console.mjs";
import { ROOT } from "./lib/paths.mjs";

const load = async () => {
  try {
    const [{ configure }, options] = await Promise.all([
      import("./lib/configure/index.mjs"),
      import("./lib/configure/options.mjs"),
    ]);
    return { configure, ...options };
  } catch (cause) {
    if (codeOf(cause) !== "ERR_MODULE_NOT_FOUND") throw cause;
    throw new Failure("The npm packages are not installed.", ["Run `npm ci` (or `npm start`, which does it)."]);
  }
};

/** @param {string} settings */
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

${settings}`;

await main(async () => {
  const { configure, readOptions, settingsHelp, withPerson } = await load();
  const { values, given } = readOptions("npm run configure", {
    overwrite: { type: /** @type {const} */ ("boolean"), default: false },
  });
  if (values.help) return console.log(help(settingsHelp()));
  await withPerson(!values["no-input"], async (ask) => {
    await configure({
      given,
      answers: values.answers && resolve(values.answers),
      template: join(ROOT, "wrangler.toml"),
      out: resolve(values.out),
      overwrite: values.overwrite,
      dryRun: values["dry-run"],
      offline: values.offline,
      ask,
      env: process.env,
      log: console.log,
    });
    return true;
  });
});
