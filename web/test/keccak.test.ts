// keccak256 in JavaScript and in WebAssembly: the same hashes, and one hash leaves nothing in the next.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { keccak } from "../src/lib/chain/keccak.ts";
import { toHex, utf8Bytes } from "../src/lib/wire/bytes.ts";

const MODULE = "../src/lib/chain/fast-keccak.ts";

/** The module anew, as a page of its own has it. */
const freshly = (page: string): Promise<typeof import("../src/lib/chain/fast-keccak.ts")> =>
  import(`${MODULE}?${page}`);

const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 167 + length) & 0xff);

function isEthereums(): void {
  assert.equal(toHex(keccak(new Uint8Array())), "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
  assert.equal(toHex(keccak(utf8Bytes("abc"))), "0x4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45");
}

describe("keccak256", () => {
  test("goes on in JavaScript where WebAssembly is refused", async () => {
    const { instantiate } = WebAssembly;
    const refuse = () => Promise.reject(new WebAssembly.CompileError("refused by the page's policy"));
    WebAssembly.instantiate = refuse as typeof instantiate;
    try {
      const { hashFaster } = await freshly("refused");
      assert.equal(await hashFaster(), false);
    } finally {
      WebAssembly.instantiate = instantiate;
    }
    isEthereums();
  });

  test("is in WebAssembly where that may be", async () => {
    const { hashFaster } = await freshly("allowed");
    assert.equal(await hashFaster(), true);
    isEthereums();
  });

  test("is the library's at every length around its blocks", () => {
    for (let length = 0; length <= 600; length++) {
      const input = bytes(length);
      assert.deepEqual(keccak(input), new Uint8Array(keccak_256(input)), `${length} bytes`);
    }
    assert.deepEqual(keccak(bytes(262_144)), new Uint8Array(keccak_256(bytes(262_144))));
  });

  test("reads a part of a buffer alone, and changes nothing of it", () => {
    const all = bytes(300);
    const part = all.subarray(7, 150);
    assert.deepEqual(keccak(part), keccak(part.slice()));
    assert.deepEqual(all, bytes(300));
  });

  test("gives each caller bytes of its own", () => {
    const first = keccak(utf8Bytes("a"));
    const kept = toHex(first);
    keccak(utf8Bytes("b"));
    assert.equal(toHex(first), kept);
    first.fill(0);
    assert.equal(toHex(keccak(utf8Bytes("a"))), kept);
  });
});
