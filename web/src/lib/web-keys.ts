// Signing keys: P-256 key pairs that WebCrypto makes and that no script can read, kept in IndexedDB.
//
// What always holds: a name stands for one key pair in all pages of the origin, also when two pages ask for it for the
// first time at once; where nothing can be kept, it stands for one key pair for the life of the page.

import { KEY_STORE_TIMEOUT_MS } from "./limits.ts";

/** The public half of a key pair, and what its private half does. */
export interface SigningKey {
  /** The point of the public key, uncompressed (SEC1): 65 bytes. */
  readonly point: Uint8Array<ArrayBuffer>;
  /** Signs SHA-256 of these bytes; the signature is r ‖ s, 64 bytes. */
  sign(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
}

/** The signing keys of an origin, and the cryptography around them. */
export interface Keys {
  /** The key pair of this name; makes one when there is none. */
  of(name: string): Promise<SigningKey>;
  /** Forgets the key pair of this name, so that the next one is new. What was signed with it stays valid. */
  forget(name: string): Promise<void>;
  /** Whether this is the signature of these bytes by the key with this point (65 bytes). */
  verify(point: Uint8Array, signature: Uint8Array, bytes: Uint8Array): Promise<boolean>;
  sha256(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>>;
}

const CURVE = { name: "ECDSA", namedCurve: "P-256" };
const ALGORITHM = { name: "ECDSA", hash: "SHA-256" };
const DATABASE = "streamchain";
const STORE = "keys";

/** A key pair of WebCrypto as a signing key. */
export async function signingKey(pair: CryptoKeyPair): Promise<SigningKey> {
  const { subtle } = globalThis.crypto;
  const point = new Uint8Array(await subtle.exportKey("raw", pair.publicKey));
  return {
    point,
    sign: async (bytes) => new Uint8Array(await subtle.sign(ALGORITHM, pair.privateKey, bytes)),
  };
}

const generate = (): Promise<CryptoKeyPair> =>
  globalThis.crypto.subtle.generateKey(CURVE, false, ["sign", "verify"]) as Promise<CryptoKeyPair>;

const done = <Value>(request: IDBRequest<Value>): Promise<Value> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** Runs `act` on the store of keys. Rejects where the browser has no IndexedDB, forbids it, or never answers. */
async function withStore<Value>(act: (store: IDBObjectStore) => Promise<Value>): Promise<Value> {
  let timer: unknown;
  const silent = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("IndexedDB does not answer")), KEY_STORE_TIMEOUT_MS);
  });
  const acted = (async () => {
    const opening = globalThis.indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    const database = await done(opening);
    try {
      return await act(database.transaction(STORE, "readwrite").objectStore(STORE));
    } finally {
      database.close();
    }
  })();
  acted.catch(() => {}); // a late failure of what was given up
  return Promise.race([acted, silent]).finally(() => clearTimeout(timer as number));
}

/** The pair that the origin keeps under a name. The transaction orders pages that make one at the same time. */
async function keptPair(name: string): Promise<CryptoKeyPair> {
  const kept = await withStore((store) => done<CryptoKeyPair | undefined>(store.get(name)));
  if (kept !== undefined) return kept;
  const made = await generate();
  return withStore(async (store) => {
    const first = await done<CryptoKeyPair | undefined>(store.get(name));
    if (first === undefined) await done(store.put(made, name));
    return first ?? made;
  });
}

/** The pairs of this page: each is looked up once, and the page's own where nothing is kept. */
const pairs = new Map<string, Promise<SigningKey>>();

async function verify(point: Uint8Array, signature: Uint8Array, bytes: Uint8Array): Promise<boolean> {
  const { subtle } = globalThis.crypto;
  try {
    const key = await subtle.importKey("raw", point.slice(), CURVE, false, ["verify"]);
    return await subtle.verify(ALGORITHM, key, signature.slice(), bytes.slice());
  } catch {
    return false; // no point of the curve
  }
}

/** The keys of the page, worker or process; null where there is no WebCrypto, as in a page without a secure context. */
export function webKeys(): Keys | null {
  if (globalThis.crypto?.subtle === undefined) return null;
  return {
    of: (name) => {
      const known = pairs.get(name);
      if (known !== undefined) return known;
      const key = keptPair(name).catch(generate).then(signingKey);
      pairs.set(name, key);
      key.catch(() => pairs.delete(name));
      return key;
    },
    forget: async (name) => {
      pairs.delete(name);
      await withStore((store) => done(store.delete(name))).catch(() => {}); // nothing is kept
    },
    verify,
    sha256: async (bytes) => new Uint8Array(await globalThis.crypto.subtle.digest("SHA-256", bytes.slice())),
  };
}
