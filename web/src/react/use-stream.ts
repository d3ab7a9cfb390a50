// The hook that connects a component to a stream.

import { useEffect, useMemo, useRef, useSyncExternalStore } from "react";
import { type StreamOptions, StreamStore, type StreamView } from "./stream-store.ts";

/** What makes another connection when it changes. A function for the token may change with each render. */
function identityOf({ webrtc: _webrtc, platform: _platform, token, ...plain }: StreamOptions): string {
  return JSON.stringify([plain, typeof token === "function" ? null : [token]]);
}

/**
 * Connects while the component is mounted, and renders it again with each change. Another stream, edge, token or other
 * plain option makes another connection; `webrtc`, `platform` and a function as `token` are taken as they are then, and
 * the function of the latest render is called.
 */
export function useStream(options: StreamOptions): StreamView {
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });
  const identity = identityOf(options);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `identity` is what of the options makes another connection.
  const store = useMemo(() => {
    const { token } = options;
    if (typeof token !== "function") return new StreamStore(options);
    const current = (): string | Promise<string> => {
      const now = latest.current.token;
      return typeof now === "function" ? now() : token();
    };
    return new StreamStore({ ...options, token: current });
  }, [identity]);
  return useSyncExternalStore(store.subscribe, store.read, store.read);
}
