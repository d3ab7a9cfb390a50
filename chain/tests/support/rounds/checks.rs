//! What must hold of rounds, whatever happened.

use std::collections::BTreeMap;

use alloy_primitives::B256;
use alloy_sol_types::SolEvent;
use streamchain_chain::abi::Anchored;
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::proof::bucket::{BUCKETS, BucketRoot, bucket_of, bucket_root, round_root};
use streamchain_protocol::proof::range::{self, range_leaf};
use streamchain_protocol::proof::run::RunEntry;

use super::super::anchoring::BLOCK_MS;
use super::World;

/// Until then all must be in rounds and on the chain, whatever happened: back-offs are at most half a minute, and a batcher
/// announces again after a minute, and a contract without rounds is asked again after ten.
const MAX_BLOCKS_TO_SETTLE: u32 = 80;

impl World {
    /// Lets everything come to its end, and checks what must hold.
    pub fn settle(&mut self) {
        self.away.clear();
        self.unwriting.clear();
        (self.database_is_away, self.node_is_away) = (false, false);
        self.pass(4_000);
        self.deliver_late();
        for _ in 0..MAX_BLOCKS_TO_SETTLE {
            self.pass(BLOCK_MS);
            if self.is_settled() {
                break;
            }
        }
        self.check();
        for (id, stream) in &self.streams {
            assert_eq!(self.end(*id), stream.head(), "{id} is in rounds up to its head");
        }
    }

    /// Up to where a stream is in rounds.
    fn end(&self, id: StreamId) -> Seq {
        self.database.newest_run(id).map_or(Seq(0), |run| run.end())
    }

    fn is_settled(&self) -> bool {
        let mut streams = self.streams.iter();
        let is_on_chain = self.anchored() == self.lost + self.database.rounds.len() as u64;
        is_on_chain && streams.all(|(id, stream)| self.end(*id) == stream.head())
    }

    /// What must hold at any time.
    pub fn check(&self) {
        let status = self.anchorer.status(self.now);
        let all = self.lost + self.database.rounds.len() as u64;
        assert_eq!(self.anchored(), all, "{status:?}");
        let mut standing = 0;
        for log in self.chain.logs() {
            let event = Anchored::decode_raw_log(log.topics.iter().copied(), &log.data);
            let Some(event) = event.ok().filter(|event| event.stream == self.rounds_id().word()) else {
                continue;
            };
            assert_eq!(
                (event.firstSeq, event.count),
                (standing, 1),
                "rounds follow each other"
            );
            if standing >= self.lost {
                assert_eq!(event.root, self.database.rounds[&standing].fixed.root);
            }
            standing += 1;
        }
        let mut ends: BTreeMap<StreamId, (Seq, B256)> = BTreeMap::new();
        for round in self.database.rounds.keys() {
            let runs = self.check_round(*round);
            assert!(!runs.is_empty(), "round {round} has runs");
            for run in runs {
                let (end, previous) = ends.get(&run.stream).copied().unwrap_or_default();
                assert_eq!(run.first, end, "runs of {} touch: round {round}", run.stream);
                assert_eq!(run.previous, previous, "a run names the one before it");
                let stream = &self.streams[&run.stream];
                assert_eq!(
                    run.root,
                    stream.root(run.first, run.end()),
                    "its root is over its messages"
                );
                assert_eq!(self.database.runs[&(run.stream, run.first)], (run, *round));
                ends.insert(run.stream, (run.end(), run.leaf()));
            }
        }
        self.check_range();
    }

    fn check_round(&self, round: u64) -> Vec<RunEntry> {
        let fixed = &self.database.rounds[&round].fixed;
        let runs = self.database.runs_of(round);
        let mut buckets = [BucketRoot::default(); BUCKETS];
        for (bucket, root) in buckets.iter_mut().enumerate() {
            let of_bucket = runs
                .iter()
                .copied()
                .filter(|run| usize::from(bucket_of(run.stream)) == bucket);
            *root = bucket_root(&of_bucket.collect::<Vec<_>>());
        }
        assert_eq!(
            *fixed.buckets, buckets,
            "the lists of round {round} give its buckets"
        );
        assert_eq!(fixed.root, round_root(round, &buckets));
        runs
    }

    fn check_range(&self) {
        let before = range::peaks(self.lost).into_iter();
        let before = before.filter_map(|at| Some((at, *self.database.nodes.get(&at)?)));
        let mut nodes: BTreeMap<(u8, u64), B256> = before.collect();
        for (round, stored) in &self.database.rounds {
            let leaf = range_leaf(self.rounds_id(), *round, stored.fixed.root);
            let peak = |height| nodes.get(&(height, (round >> height) - 1)).copied();
            let made = range::append(*round, leaf, peak).unwrap();
            nodes.extend(made.iter().map(|node| ((node.height, node.index), node.hash)));
        }
        assert_eq!(self.database.nodes, nodes, "the range is that of the rounds");
        for (height, index) in range::peaks(self.anchored()) {
            let peak = self.chain.peak(self.rounds_id(), height);
            assert_eq!(
                nodes.get(&(height, index)),
                Some(&peak),
                "the contract's peak of height {height}"
            );
        }
    }
}
