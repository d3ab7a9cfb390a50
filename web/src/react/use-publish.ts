// The hook that publishes to a stream of `useStream`.

import { useCallback, useMemo, useSyncExternalStore } from "react";
import type { Publication } from "../lib/publish/publication.ts";
import { PublishStore, type Unstored } from "./publish-store.ts";
import type { StreamView } from "./stream-store.ts";

/** What `usePublish` returns. */
export interface Publishing extends Unstored {
  /** Publishes a message. Throws `too-large`, `queue-full` or `closed`; call it from an event handler or an effect. */
  readonly publish: (payload: Uint8Array | string) => Publication;
  /** Takes a message out of `failed`. */
  readonly dismiss: (publication: Publication) => void;
}

/** Publishes to a stream, and renders the component again when a message is stored or fails. */
export function usePublish({ connection }: Pick<StreamView, "connection">): Publishing {
  const store = useMemo(() => new PublishStore(connection), [connection]);
  const unstored = useSyncExternalStore(store.subscribe, store.read, store.read);
  const publish = useCallback((payload: Uint8Array | string) => store.publish(payload), [store]);
  const dismiss = useCallback((publication: Publication) => store.dismiss(publication), [store]);
  return { ...unstored, publish, dismiss };
}
