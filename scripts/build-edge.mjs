// The Worker's build command (wrangler.toml): what `wrangler dev` and `wrangler deploy` run first.

import { main } from "./lib/console.mjs";
import { setUp } from "./lib/setup/index.mjs";

await main(async () => {
  // `npm start` and the tests have just built it, and run several Workers from one build.
  if (process.env.STREAMCHAIN_EDGE_BUILT === "1") return;
  await setUp();
  const { buildEdge } = await import("./lib/build/edge.mjs");
  const { buildWeb } = await import("./lib/build/web.mjs");
  await buildWeb();
  await buildEdge();
});
