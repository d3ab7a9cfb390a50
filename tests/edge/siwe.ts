// Sign-in with Ethereum as a wallet and a page do it, with viem: its messages, its signatures.

import { randomBytes } from "node:crypto";
import { type PrivateKeyAccount, privateKeyToAccount } from "viem/accounts";
import { createSiweMessage } from "viem/siwe";
import type { Answer, Edge } from "./harness.ts";

/** What a message says beside account and nonce. */
export type Changes = Partial<Parameters<typeof createSiweMessage>[0]>;

/** A new wallet. */
export const newWallet = (): PrivateKeyAccount => privateKeyToAccount(`0x${randomBytes(32).toString("hex")}`);

/** A nonce of the edge's. */
export const newNonce = async (edge: Edge): Promise<string> =>
  (await edge.send("POST", "/v1/auth/nonce")).json.nonce as string;

/** The message that a page of this edge would have the account sign. */
export const messageOf = (edge: Edge, address: `0x${string}`, nonce: string, changes: Changes = {}): string =>
  createSiweMessage({
    address,
    nonce,
    domain: edge.host,
    uri: `http://${edge.host}/`,
    version: "1",
    chainId: 31_337,
    ...changes,
  });

export const postSigned = (edge: Edge, message: string, signature: string): Promise<Answer> =>
  edge.postJson("/v1/auth/wallet", { message, signature });

/** Signs a message in, as it is. */
export const signInWith = async (edge: Edge, wallet: PrivateKeyAccount, message: string): Promise<Answer> =>
  postSigned(edge, message, await wallet.signMessage({ message }));

/** Signs in, and gives the access token. */
export const signIn = async (edge: Edge, wallet: PrivateKeyAccount, changes: Changes = {}): Promise<string> => {
  const answer = await signInWith(edge, wallet, messageOf(edge, wallet.address, await newNonce(edge), changes));
  if (answer.status !== 201) throw new Error(`sign-in: ${answer.status} ${answer.text}`);
  return answer.json.token as string;
};
