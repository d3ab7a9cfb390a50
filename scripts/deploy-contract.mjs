#!/usr/bin/env node
// Deploys the contract to any chain and tells the edge where it is. `--help` explains.

import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { codeOf, Failure, main, messageOf } from "./lib/console.mjs";
import { ROOT } from "./lib/paths.mjs";

const HELP = `Deploys the StreamChain contract and writes its address to where the edge reads it.

  node scripts/deploy-contract.mjs --rpc URL [options]

  --rpc URL        JSON-RPC endpoint of the chain, http or https (or the variable RPC_URL)
  --chain-id N     fail unless the endpoint serves this chain
  --key HEX        private key of the account that pays. Use the variable DEPLOYER_KEY instead where other users of
                   this machine could read it. A local chain (31337) needs none: its node signs for its own accounts
  --out FILE       where the deployment is recorded as JSON: chainId, address, block, transaction
                   (default .streamchain/deployments/<chain id>.json)
  --vars FILE      dotenv file that gets CHAIN_RPC_URLS, CHAIN_ID, CONTRACT_ADDRESS, CONTRACT_BLOCK; its other lines
                   stay as they are (default .dev.vars)
  --no-vars        do not write the dotenv file
  --artifact FILE  the compiled contract (default contracts/out/StreamChain.sol/StreamChain.json)
  --help           print this text

Running it again is safe: when the recorded address has the same code on that chain, nothing is sent.
The account that pays gets no rights, since the contract has no owner.

  node scripts/deploy-contract.mjs --rpc http://127.0.0.1:8545
  DEPLOYER_KEY=0x… node scripts/deploy-contract.mjs --rpc https://rpc.example --chain-id 11155111`;

const readOptions = () => {
  try {
    return parseArgs({
      options: {
        rpc: { type: "string", default: process.env.RPC_URL },
        "chain-id": { type: "string" },
        key: { type: "string", default: process.env.DEPLOYER_KEY },
        out: { type: "string" },
        vars: { type: "string", default: join(ROOT, ".dev.vars") },
        "no-vars": { type: "boolean", default: false },
        artifact: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    }).values;
  } catch (cause) {
    throw new Failure(messageOf(cause), ["`node scripts/deploy-contract.mjs --help` lists the options."]);
  }
};

/** @param {string | undefined} text */
const chainIdFrom = (text) => {
  if (text === undefined) return undefined;
  const id = Number(text);
  if (Number.isSafeInteger(id) && id > 0) return id;
  throw new Failure(`${text} is no chain id.`, ["A chain id is a whole number, such as 11155111."]);
};

const loadLibrary = async () => {
  try {
    return await import("./lib/deploy.mjs");
  } catch (cause) {
    if (codeOf(cause) !== "ERR_MODULE_NOT_FOUND") throw cause;
    throw new Failure("The npm packages are not installed.", ["Run `npm ci` (or `npm start`, which does it)."]);
  }
};

await main(async () => {
  const options = readOptions();
  if (options.help) return console.log(HELP);
  if (!options.rpc) throw new Failure("Which chain? Give --rpc URL.", ["`--help` lists the options."]);

  const { deployContract, deploymentFile, writeEdgeVars } = await loadLibrary();
  const deployment = await deployContract({
    rpc: options.rpc,
    key: options.key,
    chainId: chainIdFrom(options["chain-id"]),
    out: options.out ? resolve(options.out) : deploymentFile,
    artifact: options.artifact && resolve(options.artifact),
  });
  if (options["no-vars"]) return;
  const file = resolve(options.vars);
  await writeEdgeVars(file, deployment, options.rpc);
  console.log(`${relative(process.cwd(), file) || file} names it for the edge.`);
});
