// JSON-RPC of an Ethereum node, over plain fetch.

import { malformed, StreamChainError } from "../errors.ts";
import { HTTP_TIMEOUT_MS, MAX_JSON_BYTES } from "../limits.ts";
import { JsonObject } from "../wire/json.ts";

/** A field that is a JSON-RPC quantity, as a number. Throws `malformed`. */
export function readQuantity(json: JsonObject, key: string): number {
  return parseQuantity(json.text(key));
}

/** A JSON-RPC quantity (`0x…`) as a number. Throws `malformed`. */
export function parseQuantity(text: unknown): number {
  if (typeof text !== "string" || !/^0x[0-9a-fA-F]{1,14}$/.test(text)) throw malformed("not a JSON-RPC quantity");
  const value = Number.parseInt(text.slice(2), 16);
  if (!Number.isSafeInteger(value)) throw malformed("JSON-RPC quantity of 2^53 or more");
  return value;
}

/** Makes one JSON-RPC call. Rejects with `rpc` when the node cannot be reached or answers with an error. */
export async function rpcCall(
  url: string,
  method: string,
  params: readonly unknown[],
  fetcher: typeof fetch = fetch,
): Promise<unknown> {
  let text: string;
  try {
    const response = await fetcher(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
      signal: AbortSignal.timeout(HTTP_TIMEOUT_MS),
    });
    text = await response.text();
  } catch (cause) {
    throw new StreamChainError("rpc", `${method}: the node cannot be reached`, { retryable: true, cause });
  }
  if (text.length > MAX_JSON_BYTES)
    throw malformed(`${method}: answer of ${text.length} characters, limit ${MAX_JSON_BYTES}`);
  const answer = parseAnswer(text, method);
  if (answer.has("error")) {
    throw new StreamChainError("rpc", `${method}: ${answer.object("error").textOr("message", "error")}`);
  }
  return (JSON.parse(text) as { result?: unknown }).result ?? null;
}

function parseAnswer(text: string, method: string): JsonObject {
  try {
    return new JsonObject(JSON.parse(text), "answer");
  } catch (cause) {
    throw new StreamChainError("rpc", `${method}: the answer is not JSON-RPC`, { cause });
  }
}
