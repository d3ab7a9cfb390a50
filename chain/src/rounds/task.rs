//! What the maker of rounds asks its owner to do, and what it says of itself.

use serde::Serialize;
use streamchain_protocol::proof::range::RangeNode;
use streamchain_protocol::time::UnixMs;

use super::message::{FixedRound, GroupRoots};

/// What the maker asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoundTask {
    /// Read the newest round from the database; `Anchorer::handle_newest` takes the outcome.
    ReadNewest,
    /// Ask batchers what they have; `Anchorer::handle_closed` takes the answers.
    Close(CloseRound),
    /// Notify batchers how the round is fixed; `Anchorer::handle_fixed` takes the answers.
    Fix(FixRound),
    /// Write the round to the database; `Anchorer::handle_round_stored` takes the outcome.
    Store(StoreRound),
}

/// A round for which batchers are asked side by side. Those that do not answer in time are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseRound {
    /// The round.
    pub round: u64,
    /// The first bucket of each batcher that has something.
    pub groups: Vec<u8>,
    /// The round before it, as it was fixed.
    pub previous: Option<FixedRound>,
    /// The batchers that rounds were fixed without after they had frozen their runs for them, and these rounds.
    pub left_out: Vec<(u8, u64)>,
}

impl CloseRound {
    /// Returns how the round was fixed for which the batcher whose group begins with `first_bucket` may have frozen its runs
    /// last.
    pub fn previous_of(&self, first_bucket: u8, buckets_each: u16) -> Option<GroupRoots> {
        let mut left_out = self.left_out.iter();
        match left_out.find(|(group, _)| *group == first_bucket) {
            Some((_, round)) => Some(GroupRoots {
                round: *round,
                first_bucket,
                roots: Vec::new(),
            }),
            None => self
                .previous
                .as_ref()
                .map(|previous| previous.of_group(first_bucket, buckets_each)),
        }
    }
}

/// A round of which batchers are notified side by side. Each answers once it has written its list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixRound {
    /// How it is fixed: each batcher is sent its part ([`FixedRound::of_group`]).
    pub fixed: FixedRound,
    /// The first bucket of each batcher that is to be notified.
    pub groups: Vec<u8>,
}

/// What the database is to have of a round, in the place of what it has under the same keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreRound {
    /// The round.
    pub fixed: FixedRound,
    /// The nodes that it adds to the range of rounds.
    pub nodes: Vec<RangeNode>,
    /// When it was fixed.
    pub fixed_at: UnixMs,
}

/// What the database has of the newest round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewestRound {
    /// The round.
    pub fixed: FixedRound,
    /// The peaks of the range with this round in it: the nodes that `range::peaks(round + 1)` names.
    pub peaks: Vec<RangeNode>,
    /// When it was fixed.
    pub fixed_at: UnixMs,
}

/// The state of the maker at one time, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoundsStatus {
    /// The number of the next round; absent until the newest one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// How many batchers have said that runs wait.
    pub waiting_batchers: usize,
    /// The first buckets of the batchers whose lists the fixed round waits for.
    pub unwritten: Vec<u8>,
    /// The first buckets of the batchers that the last rounds were made without, since they did not write their lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<u8>,
    /// Why no rounds are made, or why the fixed one is not handed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
