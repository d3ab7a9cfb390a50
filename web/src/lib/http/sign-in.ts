// Sign-in with Ethereum (EIP-4361): a wallet signs a text, and the edge returns a token for its account.

import { keccak } from "../chain/merkle.ts";
import { signText, type Wallet } from "../chain/wallet.ts";
import { StreamChainError } from "../errors.ts";
import { HTTP_TIMEOUT_MS } from "../limits.ts";
import { fromHex, type Hex, utf8Bytes } from "../wire/bytes.ts";
import { JsonObject } from "../wire/json.ts";
import { bearer } from "./bearer.ts";

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
  ].join("\n");
}

/** Signs in with a wallet's account at an edge; resolves to the access token. */
export async function signIn(
  origin: string,
  wallet: Wallet,
  account: Hex,
  statement: string,
  fetcher: typeof fetch = fetch,
): Promise<string> {
  fromHex(account, 20);
  const challenge = await postJson(`${origin}/v1/auth/nonce`, {}, undefined, fetcher);
  const message = signInText({
    domain: challenge.text("domain"),
    address: account,
    statement,
    uri: origin,
    chainId: challenge.uint("chainId"),
    nonce: challenge.text("nonce"),
    issuedAt: new Date(),
  });
  const signature = await signText(wallet, account, message);
  const answer = await postJson(`${origin}/v1/auth/wallet`, { message, signature }, undefined, fetcher);
  return answer.text("token");
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
