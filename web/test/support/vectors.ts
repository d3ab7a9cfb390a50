// The vectors that all languages share, and the node of the chain in them.

import { readFileSync } from "node:fs";
import type { Hex } from "../../src/lib/wire/bytes.ts";

/** The vectors of a file, by its name without ending. */
export const vectors = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../../contracts/test/vectors/${name}.json`, import.meta.url), "utf8"));

const { contractWallets } = vectors("forgeries") as {
  contractWallets: { address: Hex; message: string; signature: Hex }[];
};

/** The node of the vectors: its contract wallets take what the vectors list, and nothing else. */
export const node: typeof fetch = async (_, init) => {
  const { params } = JSON.parse(String(init?.body)) as { params: [{ to?: Hex; data: Hex }] };
  const { to = "", data } = params[0];
  const wallet = contractWallets.find(({ address }) => address.toLowerCase() === to.toLowerCase());
  const isTaken = wallet !== undefined && data.includes(wallet.signature.slice(2));
  return Response.json({ jsonrpc: "2.0", id: 1, result: isTaken ? `0x1626ba7e${"00".repeat(28)}` : "0x" });
};
