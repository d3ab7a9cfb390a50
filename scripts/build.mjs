// `npm run build`: the contracts, the web app, the edge Worker and the relay.

import { helpOnly } from "./lib/choice.mjs";
import { main } from "./lib/console.mjs";
import { setUp } from "./lib/setup/index.mjs";

const HELP = `Installs missing tools and builds the contract, the web app with the client library, the edge Worker and the relay.
What did not change since the last build is not built again.`;

await main(async () => {
  if (helpOnly(process.argv.slice(2), "npm run build", HELP)) return;
  await setUp();
  const { buildAll } = await import("./lib/build/index.mjs");
  await buildAll();
});
