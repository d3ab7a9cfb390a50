// Who signed the message of a receipt: the message is in the group, the group is signed by the key, and somebody vouches
// for the key.
//
// What always holds: a receipt without the author's part is no error; it says that the operator attests the author.

import type { ReceiptAuthor } from "../chain/author-part.ts";
import { type CheckResult, type CheckStep, checkResult } from "../chain/check.ts";
import { keccak } from "../chain/keccak.ts";
import type { Receipt } from "../chain/receipt.ts";
import { StreamChainError } from "../errors.ts";
import { type Keys, webKeys } from "../web-keys.ts";
import { type Bytes, fromHex, toHex } from "../wire/bytes.ts";
import { type CheckedCertificate, checkCertificate, type Voucher } from "./certificate.ts";
import { askBy } from "./contract-wallet.ts";
import { groupLeaf, groupPreimage, rootOfProof } from "./group.ts";
import { decompress } from "./point.ts";

/** What the check of an author needs from its caller. */
export interface AuthorCheckOptions {
  /** A node of the chain, to ask wallets that are contracts. */
  readonly rpcUrl?: string;
  readonly fetch?: typeof fetch;
  /** The cryptography; the environment's by default. */
  readonly keys?: Keys;
}

/** The outcome of the check of an author. */
export interface AuthorResult extends CheckResult {
  /** Who vouches for the author; undefined when a step failed. */
  readonly voucher: Voucher | undefined;
}

/** How many hashes lead from a leaf to the root of a tree of so many leaves, from the leaf's place in it. */
function proofLength(count: number, index: number): number {
  let length = 0;
  for (let node = 2 * count - 2 - index; node > 0; node = (node - 1) >> 1) length++;
  return length;
}

function placeStep({ producerSeq, group }: ReceiptAuthor): CheckStep {
  const { first, count, previous, proof } = group;
  const index = producerSeq - first;
  const isFirst = fromHex(previous, 32).every((byte) => byte === 0);
  const isInside = index >= 0 && index < count && proof.length === proofLength(count, index);
  return {
    id: "author-place",
    ok: isInside && isFirst === (first === 0),
    values: [
      ["producer-seq", String(producerSeq)],
      ["first", String(first)],
      ["count", String(count)],
      ["hashes", String(proof.length)],
    ],
  };
}

function groupStep({ message }: Receipt, { producerSeq, group }: ReceiptAuthor): CheckStep {
  const hash = message.erased === undefined ? keccak(fromHex(message.payload)) : fromHex(message.erased.digest, 32);
  const leaf = groupLeaf(producerSeq, hash);
  const computed = toHex(rootOfProof(leaf, group.proof));
  return {
    id: "author-group",
    ok: computed === group.root,
    values: [
      ["payload-hash", toHex(hash)],
      ["leaf", toHex(leaf)],
      ["computed", computed],
      ["receipt", group.root],
    ],
  };
}

async function signatureStep(receipt: Receipt, author: ReceiptAuthor, point: Bytes, keys: Keys): Promise<CheckStep> {
  const { group, producer, key, signature } = author;
  const preimage = groupPreimage({
    stream: fromHex(receipt.stream.id, 32),
    author: fromHex(receipt.message.author, 20),
    producer: fromHex(producer, 16),
    first: group.first,
    count: group.count,
    previous: fromHex(group.previous, 32),
    root: fromHex(group.root, 32),
  });
  return {
    id: "author-signature",
    ok: await keys.verify(point, fromHex(signature, 64), preimage),
    values: [
      ["producer", producer],
      ["previous-group", group.previous],
      ["group", toHex(await keys.sha256(preimage))],
      ["key", key],
    ],
  };
}

/** Who vouches for the key. Rejects with `rpc` where a wallet must be asked and there is no node to ask it by. */
async function certified(
  { message, stream, chainId }: Receipt,
  { key, certificate }: ReceiptAuthor,
  point: Bytes,
  { rpcUrl, fetch }: AuthorCheckOptions,
): Promise<Exclude<CheckedCertificate, { state: "not-asked" }>> {
  const { author, time } = message;
  const claim = { author, key: fromHex(key, 33), point, time, stream, chainId };
  const ask = rpcUrl === undefined ? undefined : askBy({ rpcUrl, ...(fetch === undefined ? {} : { fetch }) });
  const checked = await checkCertificate(certificate, claim, ask);
  if (checked.state !== "not-asked") return checked;
  throw new StreamChainError("rpc", "whether the author's wallet signed for the key must be asked on the chain");
}

function keyStep(receipt: Receipt, { key, certificate }: ReceiptAuthor, checked: CheckedCertificate): CheckStep {
  const domain = certificate.message?.split("\n")[0]?.split(" ")[0];
  const date = (value: number): string => new Date(value * 1_000).toISOString();
  const { issued, expires, revoked } = certificate;
  return {
    id: "author-key",
    ok: checked.state === "holds",
    values: [
      ["author", receipt.message.author],
      ["key", key],
      ...(domain === undefined ? [] : [["signed-in-at", domain] as const]),
      ...(issued === undefined ? [] : [["issued", date(issued)] as const]),
      ...(expires === undefined ? [] : [["expires", date(expires)] as const]),
      ...(revoked === undefined ? [] : [["revoked", date(revoked)] as const]),
      ...(checked.state === "holds" ? [["vouched-by", checked.voucher] as const] : []),
      ...(checked.state === "refused" ? [["reason", checked.reason] as const] : []),
    ],
  };
}

const pointOf = (key: Bytes): Bytes | undefined => {
  try {
    return decompress(key);
  } catch {
    return undefined;
  }
};

/**
 * Checks who signed the message of a receipt. Without an author's part the only step is `author-operator`, which holds: the
 * operator attests the author. Rejects with `rpc` when a wallet that is a contract cannot be asked, also for want of `rpcUrl`,
 * and with `bad-signature` where there is no WebCrypto to check a signature by.
 */
export async function checkAuthor(receipt: Receipt, options: AuthorCheckOptions = {}): Promise<AuthorResult> {
  const { author } = receipt;
  if (author === undefined) {
    const step: CheckStep = { id: "author-operator", ok: true, values: [["author", receipt.message.author]] };
    return { ...checkResult([step]), voucher: "operator" };
  }
  const keys = options.keys ?? webKeys();
  if (keys === null) throw new StreamChainError("bad-signature", "there is no WebCrypto here to check signatures by");
  const steps = [placeStep(author), groupStep(receipt, author)];
  const point = pointOf(fromHex(author.key, 33));
  if (point === undefined) {
    steps.push({ id: "author-signature", ok: false, values: [["key", author.key]] });
    return { ...checkResult(steps), voucher: undefined };
  }
  steps.push(await signatureStep(receipt, author, point, keys));
  const before = checkResult(steps);
  if (!before.ok) return { ...before, voucher: undefined };
  const checked = await certified(receipt, author, point, options);
  const result = checkResult([...steps, keyStep(receipt, author, checked)]);
  return { ...result, voucher: result.ok && checked.state === "holds" ? checked.voucher : undefined };
}
