// Checks a receipt, of version 1 or 2, with viem and @openzeppelin/merkle-tree alone:
//
//   npm install viem @openzeppelin/merkle-tree
//   node verify-receipt.mjs receipt.json https://rpc.example 0x…contract 0x…account
//
// The contract and the account are those that you believe, not those of the receipt: the account owns the stream of rounds
// (version 2), or the stream itself (version 1). Ends with code 1 and a reason when the receipt does not hold.

import { readFileSync } from "node:fs";
import { SimpleMerkleTree, StandardMerkleTree } from "@openzeppelin/merkle-tree";
import { createPublicClient, encodeAbiParameters, http, keccak256, parseAbi, parseEventLogs, toHex } from "viem";

const [file, rpc, contract, account] = process.argv.slice(2);
const { version, chainId, stream, message, leaf, proof, root, round, anchor, ...rest } = JSON.parse(
  readFileSync(file, "utf8"),
);
const must = (ok, what) => {
  if (ok) return;
  console.error(`The receipt does not hold: ${what}.`);
  process.exit(1);
};
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
console.log(
  `The receipt holds: ${event.args.anchorer} anchored message ${seq} of ${author} in stream "${stream.name}" of ` +
    `${stream.owner}, in block ${event.blockNumber}.`,
);
