// The hook that fetches and checks the receipt of a message of a stream of `useStream`.

import { useMemo, useSyncExternalStore } from "react";
import { type ReceiptChecks, ReceiptStore, type ReceiptView } from "./receipt-store.ts";
import type { StreamView } from "./stream-store.ts";

/** What of the checks is compared between renders; a payload has no JSON of its own. */
function identityOf(checks: ReceiptChecks | undefined): string {
  return JSON.stringify(checks, (_, value) => (value instanceof Uint8Array ? [...value] : value)) ?? "";
}

/**
 * Fetches the receipt of a message once it is anchored. With `checks` it is checked in this page: against itself, against
 * the deployment that the caller expects, and against a node. `seq` is null for no message.
 */
export function useReceipt(
  { connection }: Pick<StreamView, "connection">,
  seq: number | null,
  checks?: ReceiptChecks,
): ReceiptView {
  const identity = identityOf(checks);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `identity` is what the checks say.
  const store = useMemo(() => new ReceiptStore(connection, seq, checks), [connection, seq, identity]);
  return useSyncExternalStore(store.subscribe, store.read, store.read);
}
