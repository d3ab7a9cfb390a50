// The variables of an edge on a local chain.

import { CHAIN_ID } from "./chain.mjs";

/**
 * @param {object} what
 * @param {string} what.rpc the chain as the edge reaches it
 * @param {string} what.publicRpc the chain as pages reach it
 * @param {import("../deploy.mjs").Deployment} what.contract
 * @param {string} what.master the master secret
 * @param {{ address: string, key: string }} what.anchorer the account that signs, which is also the operator
 * @returns {Record<string, string>}
 */
export const localEdgeVars = ({ rpc, publicRpc, contract, master, anchorer }) => ({
  CHAIN_RPC_URLS: rpc,
  PUBLIC_RPC_URL: publicRpc,
  CHAIN_ID: `${CHAIN_ID}`,
  CONTRACT_ADDRESS: contract.address,
  CONTRACT_BLOCK: `${contract.block}`,
  MASTER_SECRET: master,
  ANCHORER_KEY: anchorer.key,
  OPERATORS: anchorer.address,
});
