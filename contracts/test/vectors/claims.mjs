// Makes author-claims.json and wallet-claims.json: the receipts of forgeries.json as contracts take them.

import { encodeAbiParameters, keccak256, slice } from "viem";
import { pointOf } from "./signed.mjs";

/** @typedef {Awaited<ReturnType<typeof import("./forgeries.mjs").forgeries>>} Table */
/** @typedef {Table["receipts"][number]} Case */

/** @param {[string, string][]} fields */
const tuple = (fields) => ({ type: "tuple", components: fields.map(([name, type]) => ({ name, type })) });

const SIGNATURE = tuple([
  ["x", "bytes32"],
  ["y", "bytes32"],
  ["r", "bytes32"],
  ["s", "bytes32"],
  ["producer", "bytes16"],
  ["producerSeq", "uint64"],
  ["first", "uint64"],
  ["count", "uint32"],
  ["previous", "bytes32"],
  ["path", "bytes32[]"],
]);

const SIGN_IN = tuple([
  ["domain", "string"],
  ["statement", "string"],
  ["uri", "string"],
  ["nonce", "string"],
  ["issued", "uint64"],
  ["expires", "uint64"],
  ["signature", "bytes"],
]);

/** @param {Case["receipt"]} receipt */
const signatureOf = ({ author: { key, producer, producerSeq, group, signature } }) => {
  const { first, count, previous, proof } = group;
  const [r, s] = [slice(signature, 0, 32), slice(signature, 32)];
  const numbers = { producerSeq: BigInt(producerSeq), first: BigInt(first), count };
  return { ...pointOf(key), r, s, producer, ...numbers, previous, path: proof };
};

/** @param {Case["receipt"]["message"]} message */
const hashOf = ({ payload, erased }) => (erased ? erased.digest : keccak256(payload));

/**
 * The receipts with an author's part as what `AuthorProof` takes: abi.encode(stream, author, payloadHash, signature). Proven are those
 * that hold and whose author is the key.
 * @param {Table} table
 */
export const authorClaims = ({ receipts }) => ({
  claims: receipts
    .filter(({ receipt }) => receipt.author)
    .map(({ title, receipt, holds, voucher }) => {
      const types = [{ type: "bytes32" }, { type: "address" }, { type: "bytes32" }, SIGNATURE];
      const { message } = receipt;
      const values = [receipt.stream.id, message.author, hashOf(message), signatureOf(receipt)];
      return { title, proven: holds && voucher === "self", encoded: encodeAbiParameters(types, values) };
    }),
});

/** The lines of a sign-in; the contract's own form has no resource beside the key. */
const SIGN_IN_TEXT =
  /^(?<domain>\S+) wants you .*:\n0x\w{40}\n\n(?<statement>.*)\n\nURI: (?<uri>.*)\nVersion: 1\nChain ID: .*\nNonce: (?<nonce>.*)\nIssued At: (?<issued>.*)(?:\nExpiration Time: (?<expires>.*))?\nResources:(?<resources>(?:\n- .*)*)$/;

/** @param {string} message @param {string} signature */
const signInOf = (message, signature) => {
  const fields = SIGN_IN_TEXT.exec(message)?.groups ?? {};
  const { domain = "", statement = "", uri = "", nonce = "", issued = "1970-01-01", expires, resources = "" } = fields;
  const ms = (/** @type {string} */ time) => BigInt(Date.parse(time));
  const times = { issued: ms(issued), expires: expires ? ms(expires) : 0n };
  return {
    hasForm: resources.split("\n- ").length === 2,
    signIn: { domain, statement, uri, nonce, ...times, signature },
  };
};

/**
 * The receipts with a wallet's certificate as what `WalletProof` takes: abi.encode(stream, author, time, payloadHash, signature, signIn).
 * Proven are those that hold, by a sign-in in the contract's form; also one that the operator says was revoked, which no chain knows.
 * @param {Table} table
 */
export const walletClaims = ({ receipts, contractWallets }) => ({
  contractWallets,
  claims: receipts
    .filter(({ receipt }) => receipt.author?.certificate.kind === "wallet")
    .map(({ title, receipt, holds, wrong }) => {
      const { message, author, stream } = receipt;
      const { certificate } = author;
      const { hasForm, signIn } = signInOf(certificate.message, certificate.signature);
      const isRevoked = wrong === "time" && certificate.revoked !== undefined;
      const types = ["bytes32", "address", "uint64", "bytes32"].map((type) => ({ type }));
      const values = [stream.id, message.author, BigInt(message.time), hashOf(message), signatureOf(receipt), signIn];
      const encoded = encodeAbiParameters([...types, SIGNATURE, SIGN_IN], values);
      return { title, proven: hasForm && (holds || isRevoked), encoded };
    }),
});
