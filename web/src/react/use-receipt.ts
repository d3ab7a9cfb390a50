// The hook that fetches and checks the receipt of a message of a stream of `useStream`.

import { useMemo, useSyncExternalStore } from "react";
import { toHex } from "../lib/wire/bytes.ts";
import type { StreamMessage } from "../lib/wire/records.ts";
import { type ReceiptChecks, ReceiptStore, type ReceiptView } from "./receipt-store.ts";
import type { StreamView } from "./stream-store.ts";

/** Payloads as texts, since a component renders often and payloads may be large. */
const texts = new WeakMap<Uint8Array, string>();

function textOf(payload: Uint8Array): string {
  const text = texts.get(payload) ?? toHex(payload);
  texts.set(payload, text);
  return text;
}

/** What is compared between renders: a message and checks that say the same are the same. */
function identityOf(message: StreamMessage | number | null, checks: ReceiptChecks | undefined): string {
  return JSON.stringify([message, checks], (_, value) => (value instanceof Uint8Array ? textOf(value) : value));
}

/**
 * Fetches the receipt of a message once it is anchored. With `checks` it is checked in this page: against itself, against
 * the deployment that the caller expects, and against a node. A message, instead of its seq, is compared with the receipt
 * too. Null is for no message.
 */
export function useReceipt(
  { connection }: Pick<StreamView, "connection">,
  message: StreamMessage | number | null,
  checks?: ReceiptChecks,
): ReceiptView {
  const identity = identityOf(message, checks);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `identity` is what message and checks say.
  const store = useMemo(() => new ReceiptStore(connection, message, checks), [connection, identity]);
  return useSyncExternalStore(store.subscribe, store.read, store.read);
}
