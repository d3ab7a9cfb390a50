// Transactions of a stranger on a development chain.

import { createPublicClient, createWalletClient, defineChain, http } from "viem";

/** Above any fee of a development chain. */
const GAS_PRICE_WEI = 100_000_000_000n;
const RECEIPT_TIMEOUT_MS = 30_000;
const POLLING_MS = 100;
/** What a call takes beside its data. */
const BASE_GAS = 500_000n;
/** The most that a byte takes: as calldata (EIP-7623) and again in an event. */
const GAS_PER_BYTE = 50n;

/**
 * @param {import("./target.mjs").Target} target
 * @param {number} index which of the chain's accounts sends
 */
export const chainOf = (target, index) => {
  const url = target.rpc ?? "";
  const chain = defineChain({
    id: target.config.chainId,
    name: "the target's chain",
    nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
    rpcUrls: { default: { http: [url] } },
  });
  const { account } = target.rich(index);
  const transport = http(url);
  const client = createPublicClient({ chain, transport, pollingInterval: POLLING_MS });
  const wallet = createWalletClient({ chain, transport, account });
  /** @type {Promise<number> | null} */
  let nonce = null;
  const nextNonce = async () => {
    nonce = (
      nonce ?? client.getTransactionCount({ address: account.address, blockTag: "pending" }).then((n) => n - 1)
    ).then((last) => last + 1);
    return nonce;
  };
  /** @param {{ to?: `0x${string}`, data: `0x${string}`, gas?: bigint }} what */
  const receipt = async ({ to, data, gas = BASE_GAS + (GAS_PER_BYTE * BigInt(data.length)) / 2n }) => {
    const fees = { gas, maxFeePerGas: GAS_PRICE_WEI, maxPriorityFeePerGas: 1_000_000_000n, nonce: await nextNonce() };
    const hash = await wallet.sendTransaction({ ...(to ? { to } : {}), data, ...fees });
    return client.waitForTransactionReceipt({ hash, timeout: RECEIPT_TIMEOUT_MS });
  };
  return {
    client,
    account,
    receipt,
    /** @param {Parameters<typeof receipt>[0]} what */
    send: async (what) => (await receipt(what)).status,
    head: async () => Number(await client.getBlockNumber()),
  };
};
