// Makes rounds.json: eleven rounds over the runs of nine streams, computed with OpenZeppelin's library.
//
// `stream` is the stream of rounds; `streams` are those whose messages are anchored, the first four of them in one
// bucket. A round lists its runs, as the bucket lists do, in the order of stream ids: `of` is the stream by its index,
// `sizes` are the sizes of the run's segments, `leaf` its leaf. `buckets` has the buckets that are not empty. `peaks` are
// those of the range after that round, by height. `receipts` are receipts of version 2; their range is the one after the
// last round. Transactions and blocks in them are made up.

import { doubleHash, keccakText, OWNER, runOf, streamOf, treeOf } from "./messages.mjs";

const OPERATOR = "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc";
const ROUNDS = 11;
const BUCKETS = 256;
const ZERO = `0x${"00".repeat(32)}`;

const bucketOf = (stream) => Number.parseInt(stream.id.slice(2, 4), 16);

/** The first streams "s0", "s1" … of the owner that are in this bucket. */
const streamsIn = (bucket, count) => {
  const found = [];
  for (let index = 0; found.length < count; index++) {
    const stream = streamOf(`s${index}`);
    if (bucketOf(stream) === bucket) found.push(stream);
  }
  return found;
};

const demo = streamOf("demo");
const STREAMS = [
  demo,
  ...streamsIn(bucketOf(demo), 3),
  streamOf("demo", "0x90f79bf6eb2c4f870365e785982e1f101e93b906"),
  ...["a-b.c_9", "sensor", "_audit", "chat"].map((name) => streamOf(name)),
];

/** The seq at which each stream's first run begins: the last one was anchored by itself before. */
const FIRST = STREAMS.map((_, index) => (index === STREAMS.length - 1 ? 100 : 0));

/** Which streams have a run in a round, and in segments of which sizes. */
const sizesOf = (round, index) => {
  if (round === 4) return index === 0 ? [1000] : undefined;
  if ((round + index) % 3 === 0) return undefined;
  return (round + index) % 4 === 0 ? [2, 3, 1] : [((3 * round + index) % 5) + 1];
};

const runLeafOf = ({ stream, first, count, root, previous }) =>
  doubleHash(["bytes32", "uint64", "uint32", "bytes32", "bytes32"], [stream.id, BigInt(first), count, root, previous]);

const bucketLeafOf = (round, bucket, { runs, root }) =>
  doubleHash(["uint64", "uint8", "uint32", "bytes32"], [BigInt(round), bucket, runs, root]);

const rangeLeafOf = (stream, round, root) =>
  doubleHash(["bytes32", "uint64", "bytes32"], [stream.id, BigInt(round), root]);

/** The next round over the runs that continue `past`: for each stream where its next run begins, and its last leaf. */
const roundOf = (round, past) => {
  const runs = STREAMS.flatMap((stream, of) => {
    const sizes = sizesOf(round, of);
    if (!sizes) return [];
    const run = { ...runOf(stream, past[of].next, sizes), stream, of, sizes, previous: past[of].leaf };
    const leaf = runLeafOf(run);
    past[of] = { next: run.first + run.count, leaf };
    return [{ ...run, leaf }];
  }).sort((a, b) => (a.stream.id < b.stream.id ? -1 : 1));
  const buckets = Array.from({ length: BUCKETS }, (_, bucket) => {
    const own = runs.filter((run) => bucketOf(run.stream) === bucket);
    const tree = own.length ? treeOf(own.map((run) => run.leaf)) : undefined;
    return { bucket, runs: own.length, root: tree?.root ?? ZERO, tree, own };
  });
  const tree = treeOf(buckets.map((bucket) => bucketLeafOf(round, bucket.bucket, bucket)));
  return { round, root: tree.root, tree, runs, buckets };
};

/** The peaks of a range over these leaves, the lowest first; each the root of the perfect tree over its rounds. */
const peaksOf = (leaves) => {
  const peaks = [];
  let begin = 0;
  for (let height = 63; height >= 0; height--) {
    const size = 2 ** height;
    if (Math.floor(leaves.length / size) % 2 === 0) continue;
    peaks.unshift({ height, begin, tree: treeOf(leaves.slice(begin, begin + size)) });
    begin += size;
  }
  return peaks;
};

const receiptOf = (stream, { round, root, tree, buckets }, run, message, leaves) => {
  const bucket = buckets[bucketOf(run.stream)];
  const peak = peaksOf(leaves)
    .reverse()
    .findLast(({ begin }) => begin <= round);
  const named = ({ id, owner, name }) => ({ id, owner, name });
  const { seq, time, author, payload } = message;
  return {
    type: "streamchain-receipt",
    version: 2,
    chainId: 31337,
    contract: `0x${"c0".repeat(20)}`,
    stream: named(run.stream),
    message: { seq, time, author, payload },
    leaf: message.leaf,
    proof: message.proof,
    root: run.root,
    round: {
      stream: named(stream),
      run: {
        first: run.first,
        count: run.count,
        previous: run.previous,
        proof: bucket.tree.getProof(bucket.own.indexOf(run)),
      },
      bucket: { runs: bucket.runs, root: bucket.root, proof: tree.getProof(bucket.bucket) },
      range: { proof: peak.tree.getProof(round - peak.begin), peak: peak.tree.root },
    },
    anchor: {
      first: round,
      count: 1,
      root,
      tx: keccakText(`transaction ${round}`),
      block: 100 + round,
      blockHash: keccakText(`block ${round}`),
      logIndex: 0,
    },
  };
};

/** What rounds.json has beside its explanation. */
export const roundVectors = () => {
  const stream = streamOf("_rounds", OPERATOR);
  const past = FIRST.map((next) => ({ next, leaf: ZERO }));
  const rounds = Array.from({ length: ROUNDS }, (_, round) => roundOf(round, past));
  const leaves = rounds.map(({ round, root }) => rangeLeafOf(stream, round, root));
  const listed = rounds.map(({ round, root, runs, buckets }) => ({
    round,
    root,
    runs: runs.map(({ of, first, count, sizes, root, previous, leaf }) => ({
      of,
      first,
      count,
      sizes,
      root,
      previous,
      leaf,
    })),
    buckets: buckets.filter(({ runs }) => runs > 0).map(({ bucket, runs, root }) => ({ bucket, runs, root })),
    peaks: peaksOf(leaves.slice(0, round + 1)).map(({ height, tree }) => ({ height, hash: tree.root })),
  }));
  const receipts = rounds.flatMap((round) =>
    round.runs
      .filter((run) => (round.round + 2 * run.of) % 3 === 1)
      .map((run) =>
        receiptOf(stream, round, run, run.messages[(7 * round.round + run.of) % run.messages.length], leaves),
      ),
  );
  const streams = STREAMS.map((one) => ({ owner: one.owner, name: one.name, id: one.id, bucket: bucketOf(one) }));
  return { stream: { owner: OPERATOR, name: "_rounds", id: stream.id }, streams, rounds: listed, receipts };
};

if (OWNER === OPERATOR) throw new Error("the operator's stream of rounds must not be one of the owner's streams");
