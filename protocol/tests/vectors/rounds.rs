//! Rounds, buckets, ranges and receipts of version 2 equal what OpenZeppelin's library computed
//! (contracts/test/vectors/rounds.mjs explains the file).

use crate::leaf_at;
use serde::Deserialize;
use std::collections::BTreeMap;
use streamchain_protocol::B256;
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::proof::bucket::{
    BUCKETS, BucketRoot, Buckets, bucket_of, bucket_proof, bucket_root, round_root,
};
use streamchain_protocol::proof::merkle::{Tree, root};
use streamchain_protocol::proof::range::{append, path, peaks, range_leaf};
use streamchain_protocol::proof::run::{RunEntry, decode_runs, encode_runs, run_proof};
use streamchain_protocol::proof::{Receipt, ReceiptStream, rounds_stream};

#[derive(Deserialize)]
struct Vectors {
    stream: ReceiptStream,
    streams: Vec<Stream>,
    rounds: Vec<Round>,
    receipts: Vec<Receipt>,
}

#[derive(Deserialize)]
struct Stream {
    id: StreamId,
    bucket: u8,
}

#[derive(Deserialize)]
struct Round {
    round: u64,
    root: B256,
    runs: Vec<Run>,
    buckets: Vec<Bucket>,
    peaks: Vec<Peak>,
}

#[derive(Deserialize)]
struct Run {
    of: usize,
    first: Seq,
    count: u32,
    sizes: Vec<u64>,
    root: B256,
    previous: B256,
    leaf: B256,
}

#[derive(Deserialize)]
struct Bucket {
    bucket: u8,
    runs: u32,
    root: B256,
}

#[derive(Deserialize)]
struct Peak {
    height: u8,
    hash: B256,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../contracts/test/vectors/rounds.json"))
        .expect("the vectors' shape")
}

impl Vectors {
    fn entry(&self, run: &Run) -> RunEntry {
        RunEntry {
            stream: self.streams[run.of].id,
            first: run.first,
            count: run.count,
            root: run.root,
            previous: run.previous,
        }
    }

    /// The runs of a bucket of a round.
    fn list(&self, round: &Round, bucket: u8) -> Vec<RunEntry> {
        let all = round.runs.iter().map(|run| self.entry(run));
        all.filter(|run| bucket_of(run.stream) == bucket).collect()
    }

    fn buckets(&self, round: &Round) -> Buckets {
        let mut buckets = [BucketRoot::default(); BUCKETS];
        for bucket in 0..=u8::MAX {
            buckets[usize::from(bucket)] = bucket_root(&self.list(round, bucket));
        }
        buckets
    }
}

#[test]
fn ids_and_buckets_equal_the_vectors() {
    let vectors = vectors();
    assert_eq!(rounds_stream(vectors.stream.owner), vectors.stream.id);
    for stream in &vectors.streams {
        assert_eq!(bucket_of(stream.id), stream.bucket);
    }
}

#[test]
fn run_leaves_follow_one_another_as_the_vectors() {
    let vectors = vectors();
    let mut last: BTreeMap<usize, (Seq, B256)> = BTreeMap::new();
    for run in vectors.rounds.iter().flat_map(|round| &round.runs) {
        let mut first = run.first.0;
        let segments = run.sizes.iter().map(|size| {
            let seqs = first..first + size;
            first += size;
            let leaves: Vec<B256> = seqs.map(|seq| leaf_at(vectors.streams[run.of].id, seq)).collect();
            root(&leaves).unwrap()
        });
        let entry = vectors.entry(run);
        assert_eq!(root(&segments.collect::<Vec<_>>()), Some(run.root));
        assert_eq!(entry.leaf(), run.leaf);
        if let Some(before) = last.insert(run.of, (entry.end(), run.leaf)) {
            assert_eq!(before, (run.first, run.previous));
        } else {
            assert_eq!(run.previous, B256::ZERO);
        }
    }
}

#[test]
fn bucket_and_round_roots_equal_the_vectors() {
    let vectors = vectors();
    for round in &vectors.rounds {
        for bucket in &round.buckets {
            let list = vectors.list(round, bucket.bucket);
            let expected = BucketRoot {
                runs: bucket.runs,
                root: bucket.root,
            };
            assert_eq!(bucket_root(&list), expected);
            assert_eq!(decode_runs(&encode_runs(&list)), Ok(list));
        }
        assert_eq!(round_root(round.round, &vectors.buckets(round)), round.root);
    }
}

/// All nodes of the range of the vectors' rounds.
fn nodes(vectors: &Vectors) -> BTreeMap<(u8, u64), B256> {
    let mut nodes: BTreeMap<(u8, u64), B256> = BTreeMap::new();
    for (round, of) in (0..).zip(&vectors.rounds) {
        let leaf = range_leaf(vectors.stream.id, round, of.root);
        let made = append(round, leaf, |height| {
            nodes.get(&(height, (round >> height) - 1)).copied()
        });
        nodes.extend(
            made.unwrap()
                .iter()
                .map(|node| ((node.height, node.index), node.hash)),
        );
        let hashes = peaks(round + 1).into_iter().map(|at| (at.0, nodes[&at]));
        let expected = of.peaks.iter().map(|peak| (peak.height, peak.hash));
        assert_eq!(
            hashes.collect::<Vec<_>>(),
            expected.collect::<Vec<_>>(),
            "after round {round}"
        );
    }
    nodes
}

#[test]
fn receipts_hold_and_their_paths_equal_ours() {
    let vectors = vectors();
    let nodes = nodes(&vectors);
    assert_eq!(vectors.receipts.len(), 22);
    for receipt in &vectors.receipts {
        assert_eq!(receipt.check(), Ok(()));
        let part = receipt.round.as_ref().unwrap();
        let round = &vectors.rounds[receipt.anchor.first.0 as usize];
        let (stream, bucket) = (receipt.stream.id, bucket_of(receipt.stream.id));
        let list = vectors.list(round, bucket);
        let index = list.iter().position(|run| run.stream == stream).unwrap();
        assert_eq!(part.run_entry(stream, receipt.root), list[index]);
        assert_eq!(run_proof(&list, index).as_ref(), Some(&part.run.proof));
        assert_eq!(
            bucket_proof(round.round, bucket, &vectors.buckets(round)),
            part.bucket.proof
        );
        let range = part.range.as_ref().unwrap();
        let siblings = path(round.round, vectors.rounds.len() as u64).unwrap();
        assert_eq!(
            siblings.iter().map(|at| nodes[at]).collect::<Vec<_>>(),
            range.proof
        );
    }
}

#[test]
fn a_receipt_is_read_and_written_without_a_change() {
    let text = include_str!("../../../contracts/test/vectors/rounds.json");
    let file: serde_json::Value = serde_json::from_str(text).unwrap();
    for (given, receipt) in file["receipts"]
        .as_array()
        .unwrap()
        .iter()
        .zip(vectors().receipts)
    {
        assert_eq!(&serde_json::to_value(receipt).unwrap(), given);
    }
}

#[test]
fn a_bucket_of_many_runs_has_the_tree_over_their_leaves() {
    let vectors = vectors();
    let list = vectors.list(&vectors.rounds[7], vectors.streams[0].bucket);
    let leaves: Vec<B256> = list.iter().map(RunEntry::leaf).collect();
    assert_eq!(bucket_root(&list).root, Tree::new(&leaves).unwrap().root());
    assert_eq!(leaves.len(), 3);
}
