// `npm run build`: the contracts, the web app, the edge Worker and the relay.

import { choose } from "./lib/choice.mjs";
import { main } from "./lib/console.mjs";
import { setUp } from "./lib/setup/index.mjs";

const ABOUT = {
  command: "npm run build",
  does: `Installs missing tools and builds these parts. What did not change since the last build is not built again.
With --quick, edge and relay are compiled quickly, as npm start does, rather than small and fast.`,
  kind: "part",
};

const QUICK = "--quick";

const PARTS = [
  { name: "contracts", title: "The contract, with its interface" },
  { name: "web", title: "The web app with the client library; needs the contracts" },
  { name: "edge", title: "The edge Worker" },
  { name: "relay", title: "The relay" },
];

await main(async () => {
  const words = process.argv.slice(2);
  const parts = choose(
    words.filter((word) => word !== QUICK),
    PARTS,
    ABOUT,
  );
  if (parts === null) return;
  await setUp();
  const { buildParts } = await import("./lib/build/index.mjs");
  await buildParts(
    parts.map(({ name }) => name),
    words.includes(QUICK),
  );
});
