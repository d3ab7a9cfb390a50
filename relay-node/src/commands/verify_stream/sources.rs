//! What the check of a stream asks: the edge, the chain, and contract wallets.

use super::chain::{Anchors, Node};
use super::edge::EdgeReader;
use super::ledger::{Anchor, Difference};
use super::rounds::Rounds;
use super::wallets::Wallets;
use crate::commands::authors::SignatureArgs;
use std::collections::BTreeSet;
use streamchain_protocol::Address;
use streamchain_protocol::ids::StreamId;
use streamchain_protocol::proof::bucket::bucket_of;

/// How many lists of runs are asked for side by side: there is one for each round, half a million in a year.
const LISTS_AT_ONCE: usize = 16;

/// What a stream is compared with, read as far as it is needed.
pub(super) struct Sources<'a> {
    pub chain_id: u64,
    pub edge: &'a EdgeReader,
    pub node: &'a Node,
    pub anchors: &'a mut Anchors,
    /// `None`: neither the caller nor the edge says whose rounds there are.
    pub rounds: Option<&'a mut Rounds>,
    pub wallets: &'a mut Wallets,
    /// What the caller requires of authors' signatures.
    pub required: &'a SignatureArgs,
}

impl Sources<'_> {
    /// The accounts that anchored a stream, or the rounds that it has runs in.
    pub(super) fn anchorers(&self, stream: StreamId) -> BTreeSet<Address> {
        let mut all = self.anchors.anchorers(stream);
        if let Some(rounds) = self.rounds.as_ref().filter(|rounds| rounds.has(stream)) {
            all.extend(self.anchors.anchorers(rounds.stream));
        }
        all
    }

    /// All that the chain says of a stream, in order: its own anchors, and then its runs in rounds, since a stream goes from
    /// the one to the other once. Reads the lists of its bucket of all rounds that the chain has.
    pub(super) async fn on_chain(
        &mut self,
        stream: StreamId,
    ) -> Result<Result<Vec<Anchor>, Difference>, String> {
        let mut all = self.anchors.of(stream);
        let Some(rounds) = self.rounds.as_mut() else {
            return Ok(Ok(all));
        };
        let on_chain = self.anchors.of(rounds.stream);
        let bucket = bucket_of(stream);
        loop {
            let due = rounds.due(bucket, &on_chain);
            if due.is_empty() {
                break;
            }
            let numbers: Vec<u64> = due
                .iter()
                .take(LISTS_AT_ONCE)
                .map(|round| round.first.0)
                .collect();
            let lists = self.edge.bucket_lists(&numbers, bucket).await?;
            for (round, list) in due.iter().zip(lists) {
                if let Err(fault) = rounds.take(bucket, round, list) {
                    return Ok(Err(fault.into()));
                }
            }
        }
        all.extend(rounds.anchors(stream, &on_chain));
        Ok(Ok(all))
    }
}
