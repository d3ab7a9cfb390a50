// A stranger opens a stream on the contract once; what it publishes goes on chain at the operator's cost.

import { encodeFunctionData, keccak256, parseAbi, toBytes } from "viem";
import { chainOf } from "../lib/chain.mjs";
import { newAddress, newName } from "../lib/target.mjs";

const ABI = parseAbi(["function open(bytes32 nameHash, address anchorer)"]);
/** The day's gas: the honest stream needs a fraction of it, the stranger would take all in a minute. */
const DAILY_GAS = 12_000_000;
const PAYLOAD_BYTES = 20_000;
const EVERY_MS = 150;

/** @type {import("../beside.mjs").Beside} */
export const gasDrain = {
  name: "gas-drain",
  // The stranger is even one of the owners that the operator lists: its share of the budget is what stops it.
  before: async () => ({ options: { vars: { DAILY_GAS_BUDGET: `${DAILY_GAS}`, GAS_OWNERS: "*" } } }),
  run: async ({ target, system }, signal) => {
    const chain = chainOf(target, 2);
    const owner = target.rich(2);
    const token = await target.signIn(owner);
    const name = newName("drain");
    const json = { name, owner: owner.address, mode: "payload" };
    const made = await target.send("POST", "/v1/streams", { token, json, address: newAddress() });
    const anchorer = target.config.anchorer ?? target.config.operator;
    const args = /** @type {const} */ ([keccak256(toBytes(name)), anchorer]);
    await chain.send({ to: target.config.contract, data: encodeFunctionData({ abi: ABI, args }) });
    const before = await used(system);
    let published = 0;
    while (!signal.aborted && made.status === 201) {
      const { status } = await target.publish(made.json.id, "z".repeat(PAYLOAD_BYTES), { token });
      if (status === 201 || status === 202) published += 1;
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
    const gas = (await used(system)) - before;
    return [
      `the stream was made with ${made.status}; ${published} messages of ${PAYLOAD_BYTES} bytes; ${gas} gas of a day's ${DAILY_GAS} used`,
    ];
  },
};

/** The gas that the anchoring account's transactions used so far. */
/** @param {import("../../harness/system.ts").TestSystem} system */
const used = async (system) => {
  const operator = system.system.operator.address.toLowerCase();
  const head = Number(await system.system.rpc("eth_blockNumber"));
  let gas = 0;
  for (let number = 1; number <= head; number += 1) {
    const block = await system.system.rpc("eth_getBlockByNumber", [`0x${number.toString(16)}`, true]);
    for (const { from, hash } of block.transactions) {
      if (from.toLowerCase() !== operator) continue;
      gas += Number((await system.system.rpc("eth_getTransactionReceipt", [hash])).gasUsed);
    }
  }
  return gas;
};
