// `npm run setup`: installs everything that start, build and test need, and nothing else.

import { main } from "./lib/console.mjs";
import { setUp } from "./lib/setup/index.mjs";

await main(async () => {
  await setUp({ checks: true, browser: true });
  const { installNetworkTools } = await import("./lib/setup/network.mjs");
  await installNetworkTools();
  console.log("Everything is set up.");
});
