// JSON-RPC of an Ethereum node, over plain fetch.

import { malformed, StreamChainError } from "../errors.ts";
import { HTTP_TIMEOUT_MS, MAX_JSON_BYTES } from "../limits.ts";

/** Makes one JSON-RPC call. Rejects with `rpc` when the node cannot be reached or answers with an error. */
export async function rpcCall(
  url: string,
  method: string,
  params: readonly unknown[],
  fetcher: typeof fetch = fetch,
): Promise<unknown> {
  let text: string;
  let response: Response;
  try {
    response = await fetcher(url, {
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
  const answer = parseAnswer(text);
  const fail = (reason: string): StreamChainError => new StreamChainError("rpc", `${method}: ${reason}`);
  if (answer?.error !== undefined && answer.error !== null) throw fail(reasonOf(answer.error));
  if (!response.ok) throw fail(`HTTP ${response.status}`);
  if (answer === undefined) throw fail("the answer is not JSON-RPC");
  if (answer.result === undefined) throw fail("the answer has neither result nor error");
  return answer.result;
}

/** The object of an answer; undefined for anything else. */
function parseAnswer(text: string): { readonly error?: unknown; readonly result?: unknown } | undefined {
  try {
    const answer: unknown = JSON.parse(text);
    return typeof answer === "object" && answer !== null && !Array.isArray(answer) ? answer : undefined;
  } catch {
    return undefined;
  }
}

/** The words of an error, which nodes write in several forms. */
function reasonOf(error: unknown): string {
  if (typeof error === "string") return error;
  const { message, data, code } = error as { message?: unknown; data?: unknown; code?: unknown };
  const words = [message, data].filter((part) => typeof part === "string" && part !== "");
  return words.length > 0 ? words.join(": ") : `error ${typeof code === "number" ? code : ""}`.trim();
}
