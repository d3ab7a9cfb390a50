// docs/verify-receipt.mjs on the table of forgeries (contracts/test/vectors/forgeries.mjs), with a chain that says what the table says.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { pathToFileURL } from "node:url";
import {
  encodeAbiParameters,
  encodeEventTopics,
  encodeFunctionData,
  type Hex,
  hashMessage,
  parseAbi,
  toHex,
} from "viem";
import { ROOT } from "../../scripts/lib/paths.mjs";

const SCRIPT = join(ROOT, "docs", "verify-receipt.mjs");
const table = JSON.parse(readFileSync(join(ROOT, "contracts/test/vectors/forgeries.json"), "utf8"));
const ANCHORED = parseAbi([
  "event Anchored(bytes32 indexed stream, address indexed anchorer, uint64 firstSeq, uint32 count, bytes32 root)",
]);
const WALLET = parseAbi(["function isValidSignature(bytes32, bytes) view returns (bytes4)"]);
/** What stands for the end of the script where it calls for the end of the process. */
class Exit extends Error {}

// biome-ignore lint/suspicious/noExplicitAny: receipts are read and written as they come.
type Json = any;

/** The transaction in which the operator anchored what a receipt's anchor says. */
const transactionOf = ({ stream, anchor }: Json) => {
  const place = { blockNumber: toHex(anchor.block), blockHash: anchor.blockHash, transactionHash: anchor.tx };
  const types = [{ type: "uint64" }, { type: "uint32" }, { type: "bytes32" }];
  const log = {
    ...place,
    address: table.contract,
    topics: encodeEventTopics({ abi: ANCHORED, args: { stream: stream.id, anchorer: table.operator } }),
    data: encodeAbiParameters(types, [BigInt(anchor.first), anchor.count, anchor.root]),
    logIndex: toHex(anchor.logIndex),
    transactionIndex: "0x0",
    removed: false,
  };
  const from = table.operator;
  return { ...place, from, to: table.contract, status: "0x1", type: "0x2", transactionIndex: "0x0", logs: [log] };
};

/** A call without an address runs a program, as for wallets that are not deployed: there are none here. */
const called = ({ to = "", data }: { to?: string; data: Hex }) => {
  const asks = ({ message, signature }: Json) =>
    encodeFunctionData({ abi: WALLET, functionName: "isValidSignature", args: [hashMessage(message), signature] });
  const accepts = (wallet: Json) => wallet.address === to.toLowerCase() && asks(wallet) === data;
  return table.contractWallets.some(accepts) ? `0x1626ba7e${"00".repeat(28)}` : "0x";
};

const answer = (method: string, params: Json[]) => {
  if (method === "eth_chainId") return toHex(table.chainId);
  if (method === "eth_call") return called(params[0]);
  if (method !== "eth_getTransactionReceipt") throw new Error(`${method} was not expected`);
  return transactionOf(table.receipts.find(({ receipt }: Json) => receipt.anchor.tx === params[0]).receipt);
};

suite("the script of the documents against forgeries", () => {
  const dir = mkdtempSync(join(tmpdir(), "streamchain-forgeries-"));
  let chain: Server;

  before(async () => {
    chain = createServer(async (request, response) => {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part);
      const { id, method, params } = JSON.parse(Buffer.concat(parts).toString());
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ jsonrpc: "2.0", id, result: answer(method, params) }));
    });
    await new Promise<void>((resolve) => chain.listen(0, "127.0.0.1", resolve));
  });
  after(() => chain.close());

  /** Runs the script in this process, as a module of its own each time: a process for each would load its libraries again. */
  const verify = async ({ receipt }: Json, run: string, ...options: string[]) => {
    const file = join(dir, `${run}.json`);
    writeFileSync(file, JSON.stringify(receipt));
    const rpc = `http://127.0.0.1:${(chain.address() as AddressInfo).port}`;
    const { argv, exit } = process;
    const { log, error } = console;
    let [code, said] = [0, ""];
    const write = (text: string) => {
      said += `${text}\n`;
    };
    process.argv = [argv[0] ?? "", SCRIPT, file, rpc, table.contract, table.owner, ...options];
    process.exit = (given) => {
      code = Number(given);
      throw new Exit();
    };
    [console.log, console.error] = [write, write];
    try {
      await import(`${pathToFileURL(SCRIPT)}?${run}`);
    } catch (thrown) {
      if (!(thrown instanceof Exit)) throw thrown;
    } finally {
      process.argv = argv;
      process.exit = exit;
      [console.log, console.error] = [log, error];
    }
    return { code, said };
  };

  test("every forged receipt is found", async () => {
    for (const [index, one] of table.receipts.entries()) {
      const { code, said } = await verify(one, `${index}`);
      assert.equal(code, one.holds ? 0 : 1, `${one.title}: ${said}`);
      if (!one.holds) assert.match(said, /does not hold: (author:|the key is no point)/, one.title);
      else assert.equal(said.includes("signed it"), one.voucher !== null, `${one.title}: ${said}`);
    }
  });

  test("what the operator alone attests can be refused", async () => {
    for (const [index, one] of table.receipts.entries()) {
      if (!one.holds) continue;
      const { code, said } = await verify(one, `strict-${index}`, "--require-signature");
      assert.equal(code, one.stripped ? 1 : 0, `${one.title}: ${said}`);
    }
  });
});
