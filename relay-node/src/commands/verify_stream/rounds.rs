//! What rounds say of streams: the public list of runs of each bucket of each round, held against the chain.
//!
//! What always holds: a run counts only when the list that it is in gives the bucket's leaf, and that leaf leads to the
//! root which the chain has for that round. Lists are read from round 0 on, without leaving one out: so a stream's runs
//! are all that the rounds say of it.

use super::ledger::Anchor;
use super::round_fault::RoundFault;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use streamchain_protocol::ids::StreamId;
use streamchain_protocol::proof::bucket::{BUCKET_PROOF_HASHES, bucket_leaf, bucket_of, bucket_root};
use streamchain_protocol::proof::merkle::process_proof;
use streamchain_protocol::proof::rounds_stream;
use streamchain_protocol::proof::run::{RunEntry, check_runs};
use streamchain_protocol::{Address, B256};

/// The list of a bucket of a round, as the edge gives it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct BucketList {
    /// From the bucket's leaf to the round's root.
    pub proof: Vec<B256>,
    pub entries: Vec<RunEntry>,
}

/// All that the rounds of one owner say, as far as their lists were read.
pub(super) struct Rounds {
    pub owner: Address,
    /// The stream of rounds.
    pub stream: StreamId,
    /// Whose runs are kept.
    wanted: BTreeSet<StreamId>,
    buckets: BTreeMap<u8, Bucket>,
}

/// One bucket of the rounds 0, 1, 2 …
#[derive(Default)]
struct Bucket {
    /// The root of each round whose list was read.
    roots: Vec<B256>,
    /// The runs of the streams that are wanted, each with its round.
    runs: BTreeMap<StreamId, Vec<(u64, RunEntry)>>,
}

impl Rounds {
    pub(super) fn new(owner: Address, wanted: impl IntoIterator<Item = StreamId>) -> Self {
        Self {
            owner,
            stream: rounds_stream(owner),
            wanted: wanted.into_iter().collect(),
            buckets: BTreeMap::new(),
        }
    }

    /// Returns the rounds whose lists of a bucket are still to be read. `on_chain` are the rounds that the chain has.
    pub(super) fn due<'a>(&mut self, bucket: u8, on_chain: &'a [Anchor]) -> &'a [Anchor] {
        let bucket = self.buckets.entry(bucket).or_default();
        // A reorganisation may have put another root at a round's place, whatever it should have done.
        let same = bucket.roots.iter().zip(on_chain);
        let kept = same.take_while(|(root, round)| **root == round.root).count();
        bucket.forget(kept);
        on_chain.get(kept..).unwrap_or_default()
    }

    /// Takes the list of a bucket of the first round that is due; `None` when the edge has none.
    pub(super) fn take(
        &mut self,
        bucket: u8,
        round: &Anchor,
        list: Option<BucketList>,
    ) -> Result<(), RoundFault> {
        let of_bucket = self.buckets.entry(bucket).or_default();
        let due = of_bucket.roots.len() as u64;
        if round.first.0 != due || round.count != 1 {
            return Err(RoundFault::Missing { due });
        }
        let list = list.ok_or(RoundFault::Withheld { round: due, bucket })?;
        check(due, bucket, round.root, &list)?;
        let kept = list
            .entries
            .into_iter()
            .filter(|run| self.wanted.contains(&run.stream));
        for run in kept {
            of_bucket.runs.entry(run.stream).or_default().push((due, run));
        }
        of_bucket.roots.push(round.root);
        Ok(())
    }

    fn runs(&self, stream: StreamId) -> &[(u64, RunEntry)] {
        let bucket = self.buckets.get(&bucket_of(stream));
        bucket
            .and_then(|bucket| bucket.runs.get(&stream))
            .map_or(&[], Vec::as_slice)
    }

    /// Whether a stream has runs in rounds.
    pub(super) fn has(&self, stream: StreamId) -> bool {
        !self.runs(stream).is_empty()
    }

    /// Returns a stream's runs as anchors, each where its round is on the chain.
    pub(super) fn anchors(&self, stream: StreamId, on_chain: &[Anchor]) -> Vec<Anchor> {
        let anchor = |(round, run): &(u64, RunEntry)| {
            let at = on_chain.get(usize::try_from(*round).ok()?)?;
            Some(Anchor {
                first: run.first,
                count: u64::from(run.count),
                root: run.root,
                round: Some(*round),
                ..*at
            })
        };
        self.runs(stream).iter().filter_map(anchor).collect()
    }

    /// Checks that each run of a stream names the one before it.
    pub(super) fn follow(&self, stream: StreamId) -> Result<(), RoundFault> {
        let mut expected = B256::ZERO;
        for (round, run) in self.runs(stream) {
            if run.previous != expected {
                return Err(RoundFault::Previous {
                    round: *round,
                    first: run.first,
                    given: run.previous,
                    expected,
                });
            }
            expected = run.leaf();
        }
        Ok(())
    }
}

impl Bucket {
    /// Forgets the rounds from `kept` on.
    fn forget(&mut self, kept: usize) {
        if kept < self.roots.len() {
            self.roots.truncate(kept);
            let is_kept = |round: u64| round < kept as u64;
            self.runs
                .values_mut()
                .for_each(|runs| runs.retain(|(round, _)| is_kept(*round)));
        }
    }
}

/// Checks that a list is the one that the chain's round has.
fn check(round: u64, bucket: u8, root: B256, list: &BucketList) -> Result<(), RoundFault> {
    check_runs(&list.entries).map_err(|reason| RoundFault::List {
        round,
        bucket,
        reason,
    })?;
    if let Some(run) = list.entries.iter().find(|run| bucket_of(run.stream) != bucket) {
        let stream = run.stream;
        return Err(RoundFault::Bucket {
            round,
            bucket,
            stream,
        });
    }
    let leaf = bucket_leaf(round, bucket, &bucket_root(&list.entries));
    let computed = process_proof(leaf, &list.proof);
    if computed != root || list.proof.len() != BUCKET_PROOF_HASHES {
        return Err(RoundFault::Root {
            round,
            bucket,
            computed,
            root,
        });
    }
    Ok(())
}

#[cfg(test)]
#[path = "rounds_tests.rs"]
mod tests;
