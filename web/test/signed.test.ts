// Signed messages against the vectors that all languages share: keys, groups, and what a forger with the operator's keys
// can try.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { keccak } from "../src/lib/chain/keccak.ts";
import { checkProof, parseReceipt } from "../src/lib/chain/receipt.ts";
import { signInText } from "../src/lib/http/sign-in.ts";
import { askBy } from "../src/lib/signed/contract-wallet.ts";
import { groupLeaf, groupPreimage, groupRoot, rootOfProof } from "../src/lib/signed/group.ts";
import { authorOf, compress, decompress, keyOfText, keyText } from "../src/lib/signed/point.ts";
import { checkAuthor } from "../src/lib/signed/receipt-author.ts";
import { readUndeployed } from "../src/lib/signed/undeployed-wallet.ts";
import { webKeys } from "../src/lib/web-keys.ts";
import { fromHex, type Hex, toHex } from "../src/lib/wire/bytes.ts";
import { node, vectors } from "./support/vectors.ts";

interface Forgery {
  title: string;
  receipt: Record<string, unknown>;
  holds: boolean;
  voucher: string | null;
  wrong?: string;
  stripped?: boolean;
}

const { keys, badKeys, groups, signatures } = vectors("signed");
const { receipts } = vectors("forgeries") as { receipts: Forgery[] };
const crypto = webKeys();

/** keccak256 of the program that asks the example's wallet, which is not deployed. */
const PROGRAM_DIGEST = "0xf4278d662ead3e0564e6e9b8717f0597e9e68d361f0f59e5d58ac1bb5622228b";

describe("public keys", () => {
  test("have the compressed form, the text and the author of all", () => {
    assert.ok(keys.length > 0);
    for (const { key, base64url, x, y, author } of keys) {
      const point = decompress(fromHex(key, 33));
      assert.equal(toHex(point), `0x04${x.slice(2)}${y.slice(2)}`);
      assert.equal(toHex(compress(point)), key);
      assert.equal(keyText(fromHex(key)), base64url);
      assert.equal(toHex(keyOfText(base64url)), key);
      assert.equal(authorOf(point), author);
    }
  });

  test("that are none are refused", () => {
    assert.ok(badKeys.length > 0);
    for (const { title, key } of badKeys) assert.throws(() => decompress(fromHex(key)), title);
  });

  test("of a process stay until they are forgotten", async () => {
    const point = async (name: string): Promise<string> => toHex((await crypto?.of(name))?.point ?? new Uint8Array());
    const first = await point("a");
    assert.equal(await point("a"), first);
    assert.notEqual(await point("b"), first);
    await crypto?.forget("a");
    assert.notEqual(await point("a"), first);
  });
});

describe("groups", () => {
  test("have the root, the path, the preimage and the digest of all", async () => {
    assert.ok(groups.length > 0);
    for (const group of groups) {
      const hashes = group.payloads.map((payload: Hex) => keccak(fromHex(payload)));
      const root = groupRoot(group.first, hashes);
      assert.equal(toHex(root), group.root);
      for (const { index, proof } of group.proofs) {
        const leaf = groupLeaf(group.first + index, hashes[index]);
        assert.equal(toHex(rootOfProof(leaf, proof)), group.root, `message ${index}`);
      }
      const preimage = groupPreimage({
        stream: fromHex(group.stream, 32),
        author: fromHex(group.author, 20),
        producer: fromHex(group.producer, 16),
        first: group.first,
        count: group.count,
        previous: fromHex(group.previous, 32),
        root,
      });
      assert.equal(toHex(preimage), group.preimage);
      assert.equal(toHex((await crypto?.sha256(preimage)) as Uint8Array), group.digest);
    }
  });

  test("have the signatures that WebCrypto takes, and no others", async () => {
    assert.ok(signatures.length > 0);
    for (const { title, key, preimage, signature, holds } of signatures) {
      let point: Uint8Array = new Uint8Array(65);
      try {
        point = decompress(fromHex(key));
      } catch {
        // a key that is none verifies nothing
      }
      const taken = await crypto?.verify(point, fromHex(signature), fromHex(preimage));
      assert.equal(taken, holds, title);
    }
  });
});

describe("the text of a sign-in", () => {
  test("has the form that contracts write", () => {
    const { receipt } = receipts.find(({ title }) => title === "a wallet's message") as Forgery;
    const { key, certificate } = receipt.author as { key: Hex; certificate: { message: string } };
    const text = signInText({
      domain: "chat.example",
      address: (receipt.message as { author: Hex }).author,
      statement: "Write under your name.",
      uri: "https://chat.example",
      chainId: 31337,
      nonce: "0123456789abcdef",
      issuedAt: new Date("2026-01-01T00:00:00.000Z"),
      key: keyText(fromHex(key)),
    });
    assert.equal(text, certificate.message, "WalletProof.sol proves these vectors");
  });
});

describe("the table of forgeries", () => {
  for (const { title, receipt, holds, voucher, stripped } of receipts) {
    test(title.slice(0, 60), async () => {
      let result: { ok: boolean; voucher?: string | undefined };
      try {
        const parsed = parseReceipt(receipt);
        const proof = checkProof(parsed);
        const author = await checkAuthor(parsed, { rpcUrl: "https://node.test", fetch: node });
        result = { ok: proof.ok && author.ok, voucher: author.voucher };
      } catch {
        result = { ok: false };
      }
      assert.equal(result.ok, holds || stripped === true, JSON.stringify(receipt.author));
      if (result.ok) assert.equal(result.voucher, voucher ?? "operator");
    });
  }

  test("is not passed for want of a node to ask a wallet by", async () => {
    const forgers = receipts.filter(
      ({ receipt }) => (receipt.author as { certificate?: object } | undefined)?.certificate,
    );
    for (const { title, receipt, holds, voucher, stripped } of forgers) {
      const check = async () => checkAuthor(parseReceipt(receipt));
      const result = await check().catch((error) => error.code as string);
      if (voucher === "contract-wallet") assert.equal(result, "rpc", title);
      else if (holds || stripped) assert.equal(typeof result === "object" && result.voucher, voucher, title);
      else assert.ok(typeof result === "string" || !result.ok, title);
    }
  });
});

describe("a wallet that is not deployed yet", () => {
  const [account, factory] = [`0x${"77".repeat(20)}` as Hex, "fa".repeat(20)];
  const word = (value: number): string => value.toString(16).padStart(64, "0");
  const bytes = (byte: string, count: number): string =>
    word(count) + byte.repeat(count).padEnd(64 * Math.ceil(count / 32), "0");
  const encoded = `${factory.padStart(64, "0")}${word(96)}${word(224)}${bytes("ca", 70)}${bytes("51", 65)}`;
  const suffix = "6492".repeat(16);

  test("is asked by a program that deploys it first", async () => {
    const asked: Record<string, string>[] = [];
    const ask = askBy({
      rpcUrl: "https://node.test",
      fetch: async (_, init) => {
        asked.push(JSON.parse(String(init?.body)).params[0]);
        return Response.json({ jsonrpc: "2.0", id: 1, result: `0x1626ba7e${"00".repeat(28)}` });
      },
    });
    const hash = new Uint8Array(32);
    assert.equal(await ask(account, hash, fromHex(`0x${encoded}${suffix}`)), true);
    const [{ to, from, data = "" } = {}] = asked;
    assert.equal(to, undefined, "it is run as creation code");
    assert.notEqual(from, undefined, "not by the zero address, from which some wallets take everything");
    // The same bytes as in chain/src/ethereum/eip6492.rs.
    assert.equal(toHex(keccak(fromHex(data as Hex))), PROGRAM_DIGEST);
    await ask(account, hash, fromHex(`0x${"51".repeat(65)}`));
    assert.equal(asked[1]?.to, account, "one that is deployed is asked itself");
  });

  test("has a signature that is well-formed, or is asked as any", () => {
    const read = (hex: string) => readUndeployed(fromHex(`0x${hex}`));
    const whole = read(encoded + suffix);
    assert.deepEqual([whole?.calldata.length, whole?.signature.length], [70, 65]);
    const wrong = [encoded, suffix, encoded.slice(2) + suffix, `${encoded.slice(0, 64)}${"ff".repeat(64)}${suffix}`];
    for (const hex of [...wrong, encoded.slice(0, 64 * 3) + suffix, `ff${encoded.slice(2)}${suffix}`])
      assert.equal(read(hex), undefined, hex);
  });

  test("says yes by the magic word alone", async () => {
    const answers = [
      "0x",
      `0x1626ba7e${"00".repeat(27)}`,
      `0x1626ba7e${"00".repeat(27)}01`,
      `0x1626ba7e${"00".repeat(60)}`,
    ];
    for (const result of answers) {
      const ask = askBy({
        rpcUrl: "https://node.test",
        fetch: async () => Response.json({ jsonrpc: "2.0", id: 1, result }),
      });
      assert.equal(await ask(account, new Uint8Array(32), new Uint8Array(65)), false, result);
    }
  });
});
