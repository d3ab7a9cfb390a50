import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { encodeFunctionData, parseAbi } from "viem";
import {
  connectWallet,
  discoverWallets,
  followTransaction,
  localWallet,
  publishCalldata,
  sendPublish,
  signText,
  type TransactionState,
  useChain,
  type Wallet,
  WalletError,
} from "../src/lib/chain/wallet.ts";
import { type Hex, toHex, utf8Bytes } from "../src/lib/wire/bytes.ts";

const STREAM: Hex = `0x${"51".repeat(32)}`;
const CONTRACT: Hex = `0x${"c0".repeat(20)}`;
const ACCOUNT: Hex = `0x${"0a".repeat(20)}`;
const HASH: Hex = `0x${"7a".repeat(32)}`;

type Answer = unknown | ((params: readonly unknown[]) => unknown);

/** A wallet that answers from a table, and records its requests. */
function walletOf(
  answers: Record<string, Answer>,
): Wallet & { calls: { method: string; params: readonly unknown[] }[] } {
  const calls: { method: string; params: readonly unknown[] }[] = [];
  const request = async ({
    method,
    params = [],
  }: {
    method: string;
    params?: readonly unknown[];
  }): Promise<unknown> => {
    calls.push({ method, params });
    const answer = answers[method];
    return typeof answer === "function" ? answer(params) : answer;
  };
  return { id: "test", name: "Test wallet", provider: { request }, calls };
}

const fails = (code: number, message: string) => (): never => {
  throw Object.assign(new Error(message), { code });
};

const rejectsWith = (promise: Promise<unknown>, code: string): Promise<void> =>
  assert.rejects(promise, (error) => error instanceof WalletError && error.code === code);

describe("wallets", () => {
  test("publish has the calldata that an Ethereum library encodes", () => {
    const abi = parseAbi(["function publish(bytes32 stream, bytes payload)"]);
    for (const length of [0, 1, 31, 32, 33, 100]) {
      const payload = utf8Bytes("x".repeat(length));
      const expected = encodeFunctionData({ abi, functionName: "publish", args: [STREAM, toHex(payload)] });
      assert.equal(toHex(publishCalldata(STREAM, payload)), expected, `${length} bytes`);
    }
  });

  test("wallets are found once each; malformed ones are skipped", () => {
    const target = new EventTarget();
    const announce = (detail: unknown): boolean =>
      target.dispatchEvent(Object.assign(new Event("eip6963:announceProvider"), { detail }));
    const { provider } = walletOf({});
    const early = { info: { rdns: "org.early", name: "Early" }, provider };
    target.addEventListener("eip6963:requestProvider", () => announce(early));
    const found: string[] = [];
    const stop = discoverWallets(({ id }) => found.push(id), target);
    announce({ info: { rdns: "org.late", name: "Late" }, provider });
    announce(early);
    for (const wrong of [null, {}, { info: {}, provider }, { info: { rdns: "org.none" }, provider: {} }])
      announce(wrong);
    stop();
    announce({ info: { rdns: "org.too-late", name: "Too late" }, provider });
    assert.deepEqual(found, ["org.early", "org.late"]);
  });

  test("the account is the wallet's first; none is an error", async () => {
    assert.equal(await connectWallet(walletOf({ eth_requestAccounts: [`0x${"0A".repeat(20)}`] })), ACCOUNT);
    await rejectsWith(connectWallet(walletOf({ eth_requestAccounts: [] })), "no-account");
    const refusing = walletOf({ eth_requestAccounts: fails(4001, "User rejected the request.") });
    await rejectsWith(connectWallet(refusing), "rejected");
  });

  test("a wallet is switched to the chain, or the chain is added", async () => {
    const right = walletOf({ eth_chainId: "0x7a69" });
    await useChain(right, 31_337);
    assert.equal(right.calls.length, 1);

    let chain = "0x1";
    const move = (): null => {
      chain = "0x7a69";
      return null;
    };
    await useChain(walletOf({ eth_chainId: () => chain, wallet_switchEthereumChain: move }), 31_337);

    chain = "0x1";
    const unknowing = walletOf({
      eth_chainId: () => chain,
      wallet_switchEthereumChain: fails(4902, "Unrecognized chain"),
      wallet_addEthereumChain: move,
    });
    await useChain(unknowing, 31_337, "http://node.test");
    assert.deepEqual(unknowing.calls[2]?.params, [
      {
        chainId: "0x7a69",
        chainName: "Chain 31337",
        rpcUrls: ["http://node.test"],
        nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
      },
    ]);
  });

  const inner = { code: 4902, message: "Unrecognized chain ID" };
  const UNKNOWN: readonly [title: string, error: unknown][] = [
    ["the code of the error itself", inner],
    ["data.originalError, as MetaMask's phone app", { code: -32_603, message: "x", data: { originalError: inner } }],
    ["data alone", { code: -32_603, message: "x", data: inner }],
    ["a cause", Object.assign(new Error("x"), { cause: inner })],
    ["info.error, as ethers", { code: "UNKNOWN_ERROR", message: "x", info: { error: inner } }],
    ["a text of JSON", { code: -32_603, message: "x", data: JSON.stringify({ originalError: inner }) }],
    ["a code that is a text", { code: "4902", message: "x" }],
    ["words alone", { code: -32_603, message: 'Unrecognized chain ID "0x7a69". Try adding the chain first.' }],
  ];

  for (const [title, error] of UNKNOWN) {
    test(`an unknown chain is added when the wallet says so by ${title}`, async () => {
      let chain = "0x1";
      const wallet = walletOf({
        eth_chainId: () => chain,
        wallet_switchEthereumChain: () => {
          throw error;
        },
        wallet_addEthereumChain: () => {
          chain = "0x7a69";
          return null;
        },
      });
      await useChain(wallet, 31_337, "http://node.test");
      assert.equal(wallet.calls[2]?.method, "wallet_addEthereumChain");
    });
  }

  test("a nested rejection is one; other errors add no chain", async () => {
    const error = { code: -32_603, message: "x", data: { originalError: { code: 4001, message: "no" } } };
    const throws = (thrown: unknown) => () => {
      throw thrown;
    };
    const refusing = walletOf({ eth_chainId: "0x1", wallet_switchEthereumChain: throws(error) });
    await rejectsWith(useChain(refusing, 31_337, "http://node.test"), "rejected");
    for (const thrown of [null, "no", { data: { code: 1 } }, { message: 7, cause: null }]) {
      const wallet = walletOf({ eth_chainId: "0x1", wallet_switchEthereumChain: throws(thrown) });
      await rejectsWith(useChain(wallet, 31_337, "http://node.test"), "wrong-chain");
      assert.equal(wallet.calls.length, 2);
    }
  });

  test("a wallet that stays on another chain is an error", async () => {
    const stays = { eth_chainId: "0x1", wallet_switchEthereumChain: null };
    await rejectsWith(useChain(walletOf(stays), 31_337), "wrong-chain");
    const unable = { ...stays, wallet_switchEthereumChain: fails(-32601, "no such method") };
    await rejectsWith(useChain(walletOf(unable), 31_337), "wrong-chain");
    const refused = { ...stays, wallet_switchEthereumChain: fails(4001, "no") };
    await rejectsWith(useChain(walletOf(refused), 31_337), "rejected");
  });

  test("a message goes to the contract; refusals have their codes", async () => {
    const wallet = walletOf({ eth_sendTransaction: HASH });
    assert.equal(await sendPublish(wallet, ACCOUNT, CONTRACT, STREAM, utf8Bytes("hi")), HASH);
    const data = toHex(publishCalldata(STREAM, utf8Bytes("hi")));
    assert.deepEqual(wallet.calls, [
      { method: "eth_sendTransaction", params: [{ from: ACCOUNT, to: CONTRACT, data }] },
    ]);

    const send = (answer: Answer): Promise<Hex> =>
      sendPublish(walletOf({ eth_sendTransaction: answer }), ACCOUNT, CONTRACT, STREAM, utf8Bytes("hi"));
    await rejectsWith(send(fails(4001, "MetaMask Tx Signature: User denied transaction signature.")), "rejected");
    await rejectsWith(send(fails(-32000, "insufficient funds for gas * price + value")), "no-funds");
    await rejectsWith(send(fails(3, "execution reverted")), "reverted");
    await rejectsWith(send(fails(-32603, "something else")), "failed");
  });

  test("a text is signed as its UTF-8 bytes", async () => {
    const wallet = walletOf({ personal_sign: "0xABCD" });
    assert.equal(await signText(wallet, ACCOUNT, "xin chào"), "0xabcd");
    assert.deepEqual(wallet.calls[0]?.params, [toHex(utf8Bytes("xin chào")), ACCOUNT]);
  });
});

describe("following a transaction", () => {
  test("reports every state, and when a reorganisation takes it back", async () => {
    const receipts = [null, { blockNumber: "0x5" }, null, { blockNumber: "0x6" }, { blockNumber: "0x6" }];
    const finalized = ["0x1", "0x2", "0x9"];
    const wallet = walletOf({
      eth_getTransactionReceipt: () => receipts.shift() ?? null,
      eth_getBlockByNumber: () => ({ number: finalized.shift() }),
    });
    const states: TransactionState[] = [];
    await followTransaction(wallet, HASH, (state) => states.push(state), new AbortController().signal, 1);
    assert.deepEqual(states, [
      { state: "waiting" },
      { state: "in-block", block: 5 },
      { state: "taken-back" },
      { state: "in-block", block: 6 },
      { state: "final", block: 6 },
    ]);
  });

  test("reads odd receipts, and leaves finality open where unknown", async () => {
    const receipts = [
      { blockNumber: null, status: "0x1" },
      { blockNumber: 5, status: "0x01" },
      { blockNumber: "0x5", status: 0 },
    ];
    const wallet = walletOf({
      eth_getTransactionReceipt: () => receipts.shift() ?? [],
      eth_getBlockByNumber: fails(-32_602, "unknown block tag finalized"),
    });
    const states: TransactionState[] = [];
    await followTransaction(wallet, HASH, (state) => states.push(state), new AbortController().signal, 1);
    assert.deepEqual(states, [{ state: "waiting" }, { state: "in-block", block: 5 }, { state: "reverted", block: 5 }]);
    await rejectsWith(useChain(walletOf({ eth_chainId: [] }), 31_337), "failed");
  });

  test("asks a failing node again, and ends with failure or signal", async () => {
    let asked = 0;
    const failing = walletOf({
      eth_getTransactionReceipt: () => {
        if (asked++ === 0) throw new Error("the node is away");
        return { blockNumber: "0x5", status: "0x0" };
      },
    });
    const states: TransactionState[] = [];
    await followTransaction(failing, HASH, (state) => states.push(state), new AbortController().signal, 1);
    assert.deepEqual(states, [{ state: "reverted", block: 5 }]);

    const stop = new AbortController();
    stop.abort();
    await followTransaction(failing, HASH, () => assert.fail("states"), stop.signal, 1);
  });
});

describe("accounts of a node", () => {
  test("only the local development chain has accounts of its own", async () => {
    const accounts = Array.from({ length: 10 }, (_, index) => `0x${`0${index}`.repeat(20)}`);
    const node: typeof fetch = async (_, init) => {
      const { method } = JSON.parse(String(init?.body)) as { method: string };
      return Response.json({ jsonrpc: "2.0", id: 1, result: method === "eth_accounts" ? accounts : "0x7a69" });
    };
    const wallet = await localWallet("http://node.test", 31_337, node);
    assert.ok(wallet);
    assert.equal(await connectWallet(wallet), accounts[5]);
    await useChain(wallet, 31_337);
    assert.equal(await localWallet("http://node.test", 1, node), undefined);
    const none: typeof fetch = async () => Response.json({ jsonrpc: "2.0", id: 1, result: [] });
    assert.equal(await localWallet("http://node.test", 31_337, none), undefined);
  });
});
