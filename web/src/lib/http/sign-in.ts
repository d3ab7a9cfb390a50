// Sign-in with Ethereum (EIP-4361): a wallet signs a text, and the edge returns a token for its account.

import { keccak } from "../chain/keccak.ts";
import { signText, type Wallet } from "../chain/wallet.ts";
import { StreamChainError } from "../errors.ts";
import { HTTP_TIMEOUT_MS } from "../limits.ts";
import { isNode, storageOf, type TextStorage } from "../platform.ts";
import { KEY_RESOURCE } from "../signed/sign-in-text.ts";
import { signerOf } from "../signed/signer.ts";
import { type Keys, webKeys } from "../web-keys.ts";
import { fromHex, type Hex, utf8Bytes } from "../wire/bytes.ts";
import { JsonObject } from "../wire/json.ts";
import { bearer } from "./bearer.ts";
import { accountKeyName, keepCertified } from "./key-ring.ts";

/** An address with its checksum in the case of its letters (EIP-55). */
export function checksumAddress(address: Hex): string {
  const digits = address.slice(2).toLowerCase();
  const hash = keccak(utf8Bytes(digits));
  const isHigh = (index: number): boolean => ((hash[index >> 1] as number) >> (index % 2 === 0 ? 4 : 0)) % 16 >= 8;
  return `0x${Array.from(digits, (digit, index) => (isHigh(index) ? digit.toUpperCase() : digit)).join("")}`;
}

/** The fields of a sign-in text. */
interface SignInText {
  readonly domain: string;
  readonly address: Hex;
  readonly statement: string;
  readonly uri: string;
  readonly chainId: number;
  readonly nonce: string;
  readonly issuedAt: Date;
  /** The public key (base64url) that is to sign messages for the account. */
  readonly key?: string;
}

/** How a sign-in is done. */
export interface SignInOptions {
  /** Where the account's key for messages is; the environment's by default, and null to sign in without one. */
  readonly keys?: Keys | null;
  /** Where it is kept that the edge has the account's certificate for the key. */
  readonly storage?: TextStorage | null;
}

/** The text to sign, in the form of EIP-4361. */
export function signInText(say: SignInText): string {
  return [
    `${say.domain} wants you to sign in with your Ethereum account:`,
    checksumAddress(say.address),
    "",
    say.statement,
    "",
    `URI: ${say.uri}`,
    "Version: 1",
    `Chain ID: ${say.chainId}`,
    `Nonce: ${say.nonce}`,
    `Issued At: ${say.issuedAt.toISOString()}`,
    ...(say.key === undefined ? [] : ["Resources:", `- ${KEY_RESOURCE}${say.key}`]),
  ].join("\n");
}

/**
 * Signs in with a wallet's account at an edge; resolves to the access token. The text that the wallet signs names a key of
 * this page as well, which signs the account's messages from then on: the wallet is asked once.
 */
export async function signIn(
  origin: string,
  wallet: Wallet,
  account: Hex,
  statement: string,
  fetcher: typeof fetch = fetch,
  options: SignInOptions = {},
): Promise<string> {
  fromHex(account, 20);
  const { keys = webKeys(), storage = isNode() ? null : storageOf("localStorage") } = options;
  // Without a key the sign-in works all the same; messages are then not signed.
  const pair = await keys?.of(accountKeyName(origin, account)).catch(() => undefined);
  const key = pair === undefined ? undefined : signerOf(pair).text;
  const challenge = await postJson(`${origin}/v1/auth/nonce`, {}, undefined, fetcher);
  const message = signInText({
    domain: challenge.text("domain"),
    address: account,
    statement,
    uri: origin,
    chainId: challenge.uint("chainId"),
    nonce: challenge.text("nonce"),
    issuedAt: new Date(),
    ...(key === undefined ? {} : { key }),
  });
  const signature = await signText(wallet, account, message);
  const answer = await postJson(`${origin}/v1/auth/wallet`, { message, signature }, undefined, fetcher);
  const isCertified = key !== undefined && (await knowsKey(origin, account, key, fetcher));
  keepCertified(storage, origin, account, isCertified ? key : undefined);
  return answer.text("token");
}

/** Whether the edge has the certificate: one of an earlier version takes the sign-in, and keeps none. */
async function knowsKey(origin: string, account: Hex, key: string, fetcher: typeof fetch): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(HTTP_TIMEOUT_MS);
    const response = await fetcher(`${origin}/v1/authors/${account}/keys/${key}`, { signal });
    const answer = new JsonObject(await response.json(), "certificate");
    return response.ok && answer.textOr("kind", "") === "wallet";
  } catch {
    return false;
  }
}

/** Posts JSON to the edge and reads its JSON answer. Rejects with `refused` and the detail of the edge's problem. */
export async function postJson(
  url: string,
  body: unknown,
  token: string | undefined,
  fetcher: typeof fetch = fetch,
): Promise<JsonObject> {
  let response: Response;
  try {
    response = await fetcher(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...bearer(token),
      },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(HTTP_TIMEOUT_MS),
    });
  } catch (cause) {
    throw new StreamChainError("edge-unreachable", `${url} does not answer`, { retryable: true, cause });
  }
  const answer = new JsonObject(await response.json().catch(() => ({})), url);
  if (response.ok) return answer;
  throw new StreamChainError("refused", answer.textOr("detail", `HTTP ${response.status}`));
}
