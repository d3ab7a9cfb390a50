// Checks a receipt, of version 1 or 2, with viem, @openzeppelin/merkle-tree and WebCrypto alone:
//
//   npm install viem @openzeppelin/merkle-tree
//   node verify-receipt.mjs receipt.json https://rpc.example 0x…contract 0x…account [--require-signature]
//
// The contract and the account are those that you believe, not those of the receipt: the account owns the stream of rounds
// (version 2), or the stream itself (version 1). Ends with code 1 and a reason when the receipt does not hold.
//
// Who the author is, the account says, unless the receipt has the author's own signature: then the script says which key signed,
// and who vouches for the key. With --require-signature the account's word for the author does not do.

import { readFileSync } from "node:fs";
import { SimpleMerkleTree, StandardMerkleTree } from "@openzeppelin/merkle-tree";
import {
  concat,
  createPublicClient,
  encodeAbiParameters,
  getAddress,
  hashMessage,
  http,
  keccak256,
  numberToHex,
  parseAbi,
  parseEventLogs,
  recoverMessageAddress,
  size,
  slice,
  toBytes,
  toHex,
} from "viem";

const [file, rpc, contract, account, option] = process.argv.slice(2);
const must = (ok, what) => {
  if (ok) return;
  console.error(`The receipt does not hold: ${what}.`);
  process.exit(1);
};
/** Every number of a receipt. A text in place of one would be joined where numbers are added. */
const NUMBERS = /^(version|chainId|seq|time|size|first|count|runs|block|producerSeq|issued|expires|revoked)$/;
const checked = (name, value) => {
  must(!NUMBERS.test(name) || (Number.isSafeInteger(value) && value >= 0), `${name} is no number`);
  return value;
};
const {
  version,
  chainId,
  stream,
  message,
  leaf,
  proof,
  root,
  round,
  anchor,
  author: part,
  ...rest
} = JSON.parse(readFileSync(file, "utf8"), checked);
const same = (one, other) => String(one).toLowerCase() === String(other).toLowerCase();
const idOf = ({ owner, name }) =>
  keccak256(encodeAbiParameters([{ type: "address" }, { type: "bytes32" }], [owner, keccak256(toHex(name))]));

must(version === (round ? 2 : 1) && same(rest.contract, contract), "another version or contract");

// The message leads to the root of its run.
must(same(stream.id, idOf(stream)), "the stream's id is not that of its owner and name");
const { seq, time, author, payload, erased } = message;
const words = ["bytes32", "uint64", "uint64", "address", "bytes32"];
// Of an erased message the hash is there, and no payload.
must(!erased || payload === "0x", "an erased message has a payload");
const hash = erased ? erased.digest : keccak256(payload);
must(same(leaf, StandardMerkleTree.of([[stream.id, seq, time, author, hash]], words).root), "the leaf");
must(SimpleMerkleTree.verify(root, leaf, proof), "the message does not lead to the root");
const { first, count } = round?.run ?? anchor;
must(seq >= first && seq < first + count, "the run does not have the message's seq");

// The run leads to the root that was anchored: in version 2 through its bucket and its round.
if (round) {
  const { stream: rounds, run, bucket } = round;
  must(rounds.name === "_rounds" && same(rounds.id, idOf(rounds)), "this is no stream of rounds");
  const runLeaf = [stream.id, run.first, run.count, root, run.previous];
  const runWords = ["bytes32", "uint64", "uint32", "bytes32", "bytes32"];
  must(StandardMerkleTree.verify(bucket.root, runWords, runLeaf, run.proof), "the run is not in the bucket");
  const bucketLeaf = [anchor.first, Number(stream.id.slice(0, 4)), bucket.runs, bucket.root];
  const bucketWords = ["uint64", "uint8", "uint32", "bytes32"];
  must(bucket.proof.length === 8 && anchor.count === 1, "a round has 256 buckets and one root");
  must(StandardMerkleTree.verify(anchor.root, bucketWords, bucketLeaf, bucket.proof), "the bucket is not in the round");
} else {
  must(same(root, anchor.root), "the root is not the anchor's");
}

// The contract emitted that root, in the stream of the account that you believe.
const { id, owner } = round?.stream ?? stream;
must(same(owner, account), `the account is ${owner}`);
const client = createPublicClient({ transport: http(rpc) });
must((await client.getChainId()) === chainId, "another chain");
const transaction = await client.getTransactionReceipt({ hash: anchor.tx });
const abi = parseAbi([
  "event Anchored(bytes32 indexed stream, address indexed anchorer, uint64 firstSeq, uint32 count, bytes32 root)",
]);
const event = parseEventLogs({ abi, logs: transaction.logs }).find(
  ({ address, args }) =>
    same(address, contract) &&
    same(args.stream, id) &&
    Number(args.firstSeq) === anchor.first &&
    args.count === anchor.count &&
    same(args.root, anchor.root),
);
must(transaction.status === "success" && event, "the transaction has no such event");

// The author signed the group of messages that this one is in, and somebody vouches for the key.

/** The point of a compressed P-256 key, uncompressed: y is a root of x³ - 3x + b. */
function pointOf(key) {
  const p = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
  const b = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
  const x = BigInt(slice(key, 1));
  const square = ((((x * x - 3n) * x + b) % p) + p) % p;
  let [y, base] = [1n, square];
  for (let power = (p + 1n) / 4n; power > 0n; power >>= 1n) {
    if (power & 1n) y = (y * base) % p;
    base = (base * base) % p;
  }
  must(/^0x0[23][0-9a-f]{64}$/i.test(key) && x < p && (y * y) % p === square, "the key is no point of P-256");
  if ((y & 1n) !== BigInt(slice(key, 0, 1)) - 2n) y = p - y;
  return concat(["0x04", slice(key, 1), numberToHex(y, { size: 32 })]);
}

async function checkGroup({ key, producer, producerSeq, group, signature }) {
  const { first, count, previous, root, proof } = group;
  must(count >= 1 && count <= 256 && proof.length <= 8, "author: a group has 1 to 256 messages");
  must(producerSeq >= first && producerSeq < first + count, "author: the group does not have the message's number");
  must((first === 0) === (BigInt(previous) === 0n), "author: the group before it");
  const words = ["uint64", "bytes32"];
  must(StandardMerkleTree.verify(root, words, [producerSeq, hash], proof), "author: the message is not in the group");
  const numbers = [numberToHex(first, { size: 8 }), numberToHex(count, { size: 4 })];
  const signed = concat([toHex("streamchain/group/v1"), stream.id, author, producer, ...numbers, previous, root]);
  const curve = { name: "ECDSA", namedCurve: "P-256" };
  const publicKey = await crypto.subtle.importKey("raw", toBytes(pointOf(key)), curve, false, ["verify"]);
  const how = { name: "ECDSA", hash: "SHA-256" };
  const holds = await crypto.subtle.verify(how, publicKey, toBytes(signature), toBytes(signed));
  must(holds, "author: the signature is not the key's");
}

/** A sign-in (EIP-4361), exactly. */
const SIGN_IN =
  /^(?:[a-z][\w+.-]*:\/\/)?(?<domain>\S+) wants you to sign in with your Ethereum account:\n(?<address>0x[\da-fA-F]{40})\n\n(?:[^\n]+\n)?\nURI: (?<uri>\S+)\nVersion: 1\nChain ID: (?<chain>\d+)\nNonce: [\da-zA-Z]{8,}\nIssued At: (?<issued>\S+)(?:\nExpiration Time: (?<expires>\S+))?(?:\nNot Before: (?<begins>\S+))?(?:\nRequest ID: \S*)?(?:\nResources:(?<resources>(?:\n- \S+)*))?$/;

/** A time of RFC 3339 in ms. `Date.parse` takes days that there are not, as the 30th of February. */
function timeOf(text) {
  const [, day, hour] = /^(\d{4}-\d\d-\d\d)T(\d\d):\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/i.exec(text) ?? [];
  const midnight = new Date(`${day}T00:00:00Z`);
  const isDay = !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(day) && hour !== "24";
  must(isDay, "author: a time of the certificate is none");
  return Date.parse(text);
}

/** Checks what a wallet's sign-in delegates; returns where it signed in. */
function checkSignIn(key, { message: text, issued, expires }) {
  const found = SIGN_IN.exec(text)?.groups;
  must(found, "author: the certificate is no sign-in");
  must(found.address === getAddress(author), "author: the certificate is another account's");
  must(Number(found.chain) === chainId, "author: the certificate is for another chain");
  const resources = (found.resources ?? "").split("\n- ").slice(1);
  const keys = resources.filter((resource) => /^urn:streamchain:/i.test(resource));
  const urn = `urn:streamchain:key:p256:${Buffer.from(toBytes(key)).toString("base64url")}`;
  must(keys.length === 1 && keys[0] === urn, "author: the certificate does not delegate to the key");
  // Resources at the sign-in's own hosts are streams: the delegation is for these alone.
  const hosts = [new URL(`https://${found.domain}`), new URL(found.uri)].map((url) => url.hostname);
  const streams = resources.filter((resource) => URL.canParse(resource) && hosts.includes(new URL(resource).hostname));
  const places = [`https://${found.domain}`, found.uri].map((url) => `${new URL(url).host}/v1/streams/`);
  const nameOf = (resource) => {
    const { host, pathname, search, hash } = new URL(resource);
    const place = places.find((place) => `${host}${pathname}`.startsWith(place));
    must(place && !search && !hash, "author: a resource of the certificate is no stream");
    return `${host}${pathname}`.slice(place.length);
  };
  const names = streams.map(nameOf);
  const isFor = [stream.name, stream.id, slice(stream.id, 0, 20)].some((name) => names.includes(name));
  must(names.length === 0 || isFor, "author: the certificate is for other streams");
  // The key signs from a minute before the sign-in on, since clocks differ, until its end or for 30 days.
  const begins = Math.max(timeOf(found.issued), timeOf(found.begins ?? found.issued));
  const from = Math.floor(begins / 1000) - 60;
  const until = found.expires ? Math.floor(timeOf(found.expires) / 1000) : from + 30 * 86_400;
  must(issued === from && expires === until, "author: the certificate's times are not the sign-in's");
  return found.domain;
}

/** Whether the account signed a text, itself or by its contract (EIP-1271, EIP-6492). */
async function isSignedBy(address, text, signature) {
  // Of the two values of s that verify, wallets make the lower one (EIP-2).
  const half = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n;
  const isLow = size(signature) === 65 && BigInt(slice(signature, 32, 64)) <= half;
  const recovered = isLow && (await recoverMessageAddress({ message: text, signature }).catch(() => undefined));
  if (recovered && same(recovered, address)) return true;
  const abi = parseAbi(["function isValidSignature(bytes32, bytes) view returns (bytes4)"]);
  const question = { address, abi, functionName: "isValidSignature", args: [hashMessage(text), signature] };
  if ((await client.readContract(question).catch(() => undefined)) === "0x1626ba7e") return true;
  return signature.endsWith("6492".repeat(16)) && client.verifyMessage({ address, message: text, signature });
}

/** Checks who vouches for the key; returns it in words, and whether it is the operator alone. */
async function checkCertificate({ key, certificate }) {
  const { kind, issued, expires = Infinity, revoked = Infinity, signature } = certificate;
  if (kind === "self") {
    const own = slice(keccak256(concat([toHex("streamchain/author/v1"), slice(pointOf(key), 1)])), 12);
    must(same(own, author), `author: the key is author ${own}`);
    return ["the key is the author itself", false];
  }
  const domain = kind === "wallet" && checkSignIn(key, certificate);
  const second = Math.floor(time / 1000);
  must(second >= issued && second <= Math.min(expires, revoked), "author: the key was not valid at the message's time");
  if (kind !== "wallet") return ["the account vouches for the key", true];
  must(await isSignedBy(author, certificate.message, signature), "author: the certificate is not the wallet's");
  return [`the author's wallet delegated to the key when it signed in at ${domain}`, false];
}

if (part) await checkGroup(part);
const [voucher, isByOperator] = part ? await checkCertificate(part) : ["", true];
must(!isByOperator || option !== "--require-signature", "a signature of the author is required");
console.log(
  `The receipt holds: ${event.args.anchorer} anchored message ${seq} of ${author} in stream "${stream.name}" of ` +
    `${stream.owner}, in block ${event.blockNumber}.`,
);
console.log(part ? `Key ${part.key} signed it: ${voucher}.` : "It has no signature: the account attests the author.");
