// An edge whose chain and relays run elsewhere, such as in other containers: the contract on that chain, the migrated database,
// and the Worker under `wrangler dev`.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { CONTRACT_ARTIFACT } from "../build/contracts.mjs";
import { deployContract } from "../deploy.mjs";
import { CHAIN_ID, developmentAccount } from "./chain.mjs";
import { edgePart, edgeReady, startCron, writeVars } from "./edge.mjs";
import { localEdgeVars } from "./edge-vars.mjs";
import { migrate } from "./migrations.mjs";
import { freePort, LOCALHOST } from "./ports.mjs";
import { masterSecret } from "./state.mjs";

/**
 * Starts it and resolves when it serves.
 * @param {{ dir: string, host: string, port: number, rpc: string, publicRpc: string, log: (line: string) => void }} how `rpc`: the
 *   local chain as the edge reaches it, `publicRpc`: as pages do
 * @param {import("./part.mjs").OnDeath} onDeath
 */
export const startEdgeAlone = async ({ dir, host, port, rpc, publicRpc, log }, onDeath) => {
  const master = masterSecret(dir);
  const { key } = developmentAccount(0);
  const out = join(dir, "contract.json");
  const contract = await deployContract({ rpc, key, chainId: CHAIN_ID, out, artifact: CONTRACT_ARTIFACT, log });
  await migrate({ dir, log: join(dir, "logs", "migrations.log") });
  const vars = join(dir, "edge", "vars");
  mkdirSync(join(dir, "edge"), { recursive: true });
  writeVars(vars, localEdgeVars({ rpc, publicRpc, contract, master, anchorer: developmentAccount(1) }));
  const how = { dir, host, port, inspectorPort: await freePort("tcp"), vars, tunnel: false };
  const part = edgePart({ ...how, log: join(dir, "logs", "edge.log") }, onDeath);
  part.start();
  const url = `http://${LOCALHOST}:${port}`;
  await edgeReady(part, url);
  startCron(url);
  return { part, master };
};
