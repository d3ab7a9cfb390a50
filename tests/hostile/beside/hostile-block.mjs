// Nine events of 1,000,000 bytes in one block, for a stream that nobody has.

import { keccak256, toBytes, toHex } from "viem";
import { chainOf } from "../lib/chain.mjs";

const EVENTS = 9;
const EVENT_BYTES = 1_000_000;
/** All events go into one block. */
const BLOCK_GAS = 400_000_000;
/** A call's gas; above the limit that some chains have for one transaction none of them would be taken. */
const CALL_GAS = 16_000_000n;
/** `PUSH3 65536`, the contract's bound, and one of 16 MB: as the contracts of earlier versions, which had none. */
const BOUND = /62010000/g;
const NO_BOUND = "62ffffff";

const word = (/** @type {string} */ hex) => hex.padStart(64, "0");

/**
 * The code of a contract that calls `publish(stream, length zeros)`: so large a payload fits no request to a node, and a
 * contract makes it from nothing. It takes the contract, the stream and the length, 32 bytes each.
 */
const maker = () => {
  const selector = keccak256(toBytes("publish(bytes32,bytes)")).slice(2, 10);
  const code = [
    `7f${selector}${"00".repeat(28)}5f52`, // memory[0] = selector
    "602035600452", // memory[4] = the stream
    "6040602452", // memory[36] = where the payload begins
    "604035604452", // memory[68] = its length
    "5f5f", // no return data
    "604035608301", // all of it: the length and what stands before it, and room for padding
    "5f5f", // from memory[0], no value
    "5f355af1", // call the contract with all gas
    "60", // if it failed, revert
  ].join("");
  const jump = code.length / 2 + 5;
  const runtime = `${code}${jump.toString(16).padStart(2, "0")}575f5ffd5b00`;
  const size = (runtime.length / 2).toString(16).padStart(2, "0");
  return /** @type {`0x${string}`} */ (`0x60${size}80600a5f395ff300${runtime}`);
};

/** @type {import("../beside.mjs").Beside} */
export const hostileBlock = {
  name: "hostile-block",
  run: async ({ system, target }) => {
    const chain = chainOf(target, 0);
    const contract = target.config.contract;
    const code = String(await system.system.rpc("eth_getCode", [contract, "latest"]));
    if (!BOUND.test(code)) throw new Error("the contract's bound is not where this script looks for it");
    await system.system.rpc("anvil_setCode", [contract, code.replace(BOUND, NO_BOUND)]);
    await system.system.rpc("evm_setBlockGasLimit", [toHex(BLOCK_GAS)]);
    const { contractAddress } = await chain.receipt({ data: maker() });
    if (!contractAddress) throw new Error("the maker of events was not deployed");
    const stream = keccak256(toBytes("nobody's"));
    const data = /** @type {`0x${string}`} */ (
      `0x${word(contract.slice(2))}${stream.slice(2)}${word(EVENT_BYTES.toString(16))}`
    );
    const sent = Array.from({ length: EVENTS }, () => chain.receipt({ to: contractAddress, data, gas: CALL_GAS }));
    const receipts = await Promise.all(sent);
    const good = receipts.filter(({ status, logs }) => status === "success" && logs.length > 0);
    if (good.length === 0) throw new Error("no event of 1,000,000 bytes came onto the chain");
    const blocks = new Set(good.map(({ blockNumber }) => blockNumber));
    return [`${good.length} events of ${EVENT_BYTES} bytes in ${blocks.size} block(s), the first ${[...blocks][0]}`];
  },
  after: async ({ target }) => {
    const { chain } = await target.status();
    return chain.ok && chain.lag < 10 ? [] : [`the Listener is behind: ${JSON.stringify(chain)}`];
  },
};
