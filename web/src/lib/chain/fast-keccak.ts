// keccak256 in WebAssembly. A module of its own: what only checks receipts goes without it.

import { createKeccak } from "hash-wasm";
import { hashBy } from "./keccak.ts";

let loading: Promise<boolean> | undefined;

async function load(): Promise<boolean> {
  try {
    const hasher = await createKeccak(256);
    hashBy((bytes) => hasher.init().update(bytes).digest("binary"));
    return true;
  } catch {
    return false; // the page's policy forbids it, or the browser has none
  }
}

/** Has the page hash in WebAssembly, as soon as that is there. Resolves to whether it does; never rejects. */
export function hashFaster(): Promise<boolean> {
  loading ??= load();
  return loading;
}
