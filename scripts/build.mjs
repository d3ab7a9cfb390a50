// `npm run build`: the contracts, the web app, the edge Worker and the relay.

import { main } from "./lib/console.mjs";
import { setUp } from "./lib/setup/index.mjs";

await main(async () => {
  await setUp();
  const { buildAll } = await import("./lib/build/index.mjs");
  await buildAll();
});
