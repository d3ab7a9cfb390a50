// Everything that the library takes from its environment. The browser's is the default; tests pass their own.

import { StreamChainError } from "./errors.ts";
import { type Keys, webKeys } from "./web-keys.ts";
import type { DirectConnection, PeerConnection, RtcConfiguration, WebRtc } from "./webrtc.ts";

/** Parts of an HTTP request's time, in ms; browsers have them for the page's own origin only. */
export interface RequestTiming {
  readonly dnsMs: number;
  /** TCP and TLS; 0 on a connection that was open. */
  readonly connectMs: number;
  /** From the request to the first byte of the answer. */
  readonly waitMs: number;
}

/** Text storage that outlives the page: localStorage, or anything like it. All calls may throw. */
export interface TextStorage {
  readonly length: number;
  key(index: number): string | null;
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** Locks shared by all pages of an origin, and freed when the page that has them ends. */
export interface SharedLocks {
  /** Resolves to a function that frees the lock, or to null when another page has it for longer than `waitMs`. */
  acquire(name: string, waitMs: number): Promise<(() => void) | null>;
}

/** The environment of the library. */
export interface Platform {
  readonly fetch: typeof fetch;
  /**
   * `apart` makes it independent of how the page was loaded. Firefox gathers no candidates in a page that was loaded over
   * IPv6 once the device lost its IPv6 address; in an empty frame it does.
   */
  createPeerConnection(configuration: RtcConfiguration, apart: boolean): PeerConnection;
  createDirectConnection(configuration: RtcConfiguration): DirectConnection;
  /** Shared by all pages of the origin; null where there is none. */
  readonly storage: TextStorage | null;
  /** Of this tab only; survives a reload, copied when the tab is duplicated. */
  readonly tabStorage: TextStorage | null;
  /** Null where there are none; producers are then never shared or kept. */
  readonly locks: SharedLocks | null;
  /** The keys that messages are signed with; null where there is no cryptography, and nothing is signed. */
  readonly keys: Keys | null;
  /** ms since the Unix epoch. */
  readonly now: () => number;
  /** ms of a monotonic clock, for durations. */
  readonly clock: () => number;
  readonly setTimer: (callback: () => void, ms: number) => unknown;
  readonly clearTimer: (timer: unknown) => void;
  readonly randomBytes: (length: number) => Uint8Array;
  /** A random number, uniform in [0, 1). */
  readonly random: () => number;
  /** Calls back when the network returns or changes; the returned function stops that. */
  readonly onNetworkChange: (callback: () => void) => () => void;
  /** The kind of network, as `wifi`; empty when the browser does not say. */
  readonly networkKind: () => string;
  /** False when the browser knows that there is no network. */
  readonly online: () => boolean;
  /**
   * Whether this side begins the DTLS handshake, which costs a round trip. Firefox must: when the relay begins and ICE is
   * restarted before that, its handshake fails.
   */
  readonly beginsHandshake: boolean;
  /** The timing of the latest request to a URL. */
  readonly requestTiming: (url: string) => RequestTiming | undefined;
  /** Whether requests to this origin may wait for a free connection: not over HTTP/2 and HTTP/3, nor outside of browsers. */
  readonly queuesRequests: (origin: string) => boolean;
}

/** Web Locks (they need a secure context) as `SharedLocks`. */
function webLocks(): SharedLocks | null {
  const manager = globalThis.navigator?.locks;
  if (manager === undefined) return null;
  return {
    acquire: (name, waitMs) =>
      new Promise((resolve) => {
        const options: LockOptions = waitMs > 0 ? { signal: AbortSignal.timeout(waitMs) } : { ifAvailable: true };
        manager
          .request(name, options, (lock) => {
            if (lock === null) return resolve(null);
            return new Promise<void>((free) => resolve(free));
          })
          .catch(() => resolve(null)); // the wait timed out
      }),
  };
}

/** A storage of the browser; null where there is none, or where the user forbids it. */
export function storageOf(name: "localStorage" | "sessionStorage"): TextStorage | null {
  try {
    return globalThis[name] ?? null; // reading the property throws where the user forbids storage
  } catch {
    return null;
  }
}

/** The Network Information API, which not every browser has. */
interface NetworkInformation extends EventTarget {
  readonly type?: string;
}

function networkInformation(): NetworkInformation | undefined {
  return (globalThis.navigator as { readonly connection?: NetworkInformation } | undefined)?.connection;
}

function onNetworkChange(callback: () => void): () => void {
  if (typeof globalThis.addEventListener !== "function") return () => {};
  const connection = networkInformation();
  let kind = connection?.type;
  // `change` also comes when only the estimated bandwidth changed.
  const changed = (): void => {
    if (connection?.type === kind) return;
    kind = connection?.type;
    callback();
  };
  globalThis.addEventListener("online", callback);
  connection?.addEventListener("change", changed);
  return () => {
    globalThis.removeEventListener("online", callback);
    connection?.removeEventListener("change", changed);
  };
}

function requestTiming(url: string): RequestTiming | undefined {
  const entry = globalThis.performance?.getEntriesByName?.(url, "resource").at(-1) as
    | PerformanceResourceTiming
    | undefined;
  if (entry === undefined || entry.requestStart === 0) return undefined; // the browser hides those of another origin
  return {
    dnsMs: entry.domainLookupEnd - entry.domainLookupStart,
    connectMs: entry.connectEnd - entry.connectStart,
    waitMs: entry.responseStart - entry.requestStart,
  };
}

/** Protocols (ALPN, RFC 7301) that carry any number of requests over one connection. */
const MULTIPLEXED: readonly string[] = ["h2", "h3"];

/** A browser hides the protocol of another origin that does not allow its timing: then there may be few connections. */
function queuesRequests(origin: string): boolean {
  if (globalThis.navigator?.userAgent?.startsWith("Node.js")) return false;
  const entries = (globalThis.performance?.getEntriesByType?.("resource") ?? []) as PerformanceResourceTiming[];
  const own = entries.filter(({ name, nextHopProtocol }) => name.startsWith(`${origin}/`) && nextHopProtocol !== "");
  return !MULTIPLEXED.includes(own.at(-1)?.nextHopProtocol ?? "");
}

let emptyFrame: HTMLIFrameElement | null = null;

/** A class of peer connections; what it makes is checked by nobody. */
type PeerConnectionClass = new (configuration: RtcConfiguration) => object;

/** The class of peer connections: the caller's, the page's, or that of an empty frame in it. */
function peerConnectionClass(apart: boolean, webrtc: WebRtc | undefined): PeerConnectionClass {
  if (webrtc !== undefined) return webrtc.RTCPeerConnection as unknown as PeerConnectionClass;
  if (typeof RTCPeerConnection === "undefined") {
    throw new StreamChainError("no-webrtc", "there is no WebRTC here: RTCPeerConnection is not defined");
  }
  const body = apart ? globalThis.document?.body : null;
  if (body === null || body === undefined) return RTCPeerConnection as unknown as PeerConnectionClass;
  if (emptyFrame === null || !emptyFrame.isConnected) {
    emptyFrame = body.ownerDocument.createElement("iframe");
    emptyFrame.hidden = true;
    body.append(emptyFrame);
  }
  const frame = emptyFrame.contentWindow as (Window & { RTCPeerConnection?: typeof RTCPeerConnection }) | null;
  return (frame?.RTCPeerConnection ?? RTCPeerConnection) as unknown as PeerConnectionClass;
}

/** One function for all connections, which share their tokens by it where there is no storage. */
const fetchOfPage: typeof fetch = (input, init) => globalThis.fetch(input, init);

/** The origin of the page or worker. Throws `edge-unreachable` where there is none, as in Node and in a file's page. */
export function pageOrigin(): string {
  const { origin } = (globalThis.location as { readonly origin: string } | undefined) ?? { origin: "null" };
  if (origin !== "null") return origin;
  throw new StreamChainError("edge-unreachable", "the option `edge` is missing, and there is no origin of a page");
}

/** Node has a storage only where a flag names its file, and prints a warning when it is asked for without. */
export const isNode = (): boolean => /^Node\.js\//.test(globalThis.navigator?.userAgent ?? "");

/** The platform of the page, worker or Node process that the library runs in; `webrtc` replaces its WebRTC. */
export function browserPlatform(webrtc?: WebRtc): Platform {
  const peerConnection = (configuration: RtcConfiguration, apart: boolean): unknown =>
    new (peerConnectionClass(apart, webrtc))(configuration);
  return {
    fetch: fetchOfPage,
    createPeerConnection: (configuration, apart) => peerConnection(configuration, apart) as PeerConnection,
    createDirectConnection: (configuration) => peerConnection(configuration, false) as DirectConnection,
    storage: isNode() ? null : storageOf("localStorage"),
    tabStorage: isNode() ? null : storageOf("sessionStorage"),
    locks: webLocks(),
    keys: webKeys(),
    now: () => Date.now(),
    clock: () => performance.now(),
    setTimer: (callback, ms) => setTimeout(callback, ms),
    clearTimer: (timer) => clearTimeout(timer as number),
    randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
    random: () => Math.random(),
    onNetworkChange,
    networkKind: () => networkInformation()?.type ?? "",
    online: () => globalThis.navigator?.onLine !== false,
    beginsHandshake: /\bFirefox\//.test(globalThis.navigator?.userAgent ?? ""),
    requestTiming,
    queuesRequests,
  };
}
