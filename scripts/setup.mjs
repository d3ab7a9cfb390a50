// `npm run setup`: installs everything that start, build and test need, and nothing else.

import { helpOnly } from "./lib/choice.mjs";
import { main } from "./lib/console.mjs";
import { setUp } from "./lib/setup/index.mjs";

const HELP = `Installs the tools that npm start, npm run build, npm run check and npm test need, and builds nothing.`;

await main(async () => {
  if (helpOnly(process.argv.slice(2), "npm run setup", HELP)) return;
  await setUp({ checks: true, browser: true });
  const { installNetworkTools } = await import("./lib/setup/network.mjs");
  await installNetworkTools();
  console.log("Everything is set up.");
});
