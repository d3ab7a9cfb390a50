#!/usr/bin/env node
// Deploys everything. `--help` explains.

import { join, resolve } from "node:path";
import { Failure, main } from "./lib/console.mjs";
import { ROOT, STATE } from "./lib/paths.mjs";
import { setUp } from "./lib/setup/index.mjs";

/** @param {string} settings */
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

  --metrics        have a METRICS_TOKEN, by which Prometheus reads /v1/metrics; it is written to metrics-token beside keys.json
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

${settings}`;

const OWN = {
  metrics: { type: /** @type {const} */ ("boolean"), default: false },
  relay: {
    type: /** @type {const} */ ("string"),
    multiple: /** @type {const} */ (true),
    default: /** @type {string[]} */ ([]),
  },
  url: { type: /** @type {const} */ ("string") },
  folder: { type: /** @type {const} */ ("string"), default: join(STATE, "production") },
};

/** @param {string} id */
const relayId = (id) => {
  if (/^[a-z0-9][a-z0-9-]{0,31}$/.test(id) && id !== "edge") return id;
  throw new Failure(`--relay ${id}: an id has 1 to 32 of a-z 0-9 -, and is not \`edge\`.`);
};

await main(async () => {
  await setUp();
  const { readOptions, settingsHelp, withPerson } = await import("./lib/configure/options.mjs");
  const { values, given } = readOptions("npm run deploy", OWN);
  if (values.help) return console.log(help(settingsHelp()));
  const [{ deploy }, { wranglerWith }, { buildContracts }] = await Promise.all([
    import("./lib/deployment/index.mjs"),
    import("./lib/deployment/cloudflare.mjs"),
    import("./lib/build/contracts.mjs"),
  ]);
  const relays = values.relay.map(relayId);
  if (!values["dry-run"]) await buildContracts();
  await withPerson(!values["no-input"], (ask) =>
    deploy({
      given,
      relays,
      answers: values.answers && resolve(values.answers),
      template: join(ROOT, "wrangler.toml"),
      out: resolve(values.out),
      folder: resolve(values.folder),
      url: values.url,
      metrics: values.metrics,
      dryRun: values["dry-run"],
      offline: values.offline,
      ask,
      env: process.env,
      log: console.log,
      wrangler: wranglerWith(),
    }),
  );
});
