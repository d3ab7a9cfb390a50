//! How much of the book each owner may have.
//!
//! What always holds: what strangers have here leaves the account's own streams their part, and what one stranger has leaves
//! the others theirs. A full share delays nobody but its owner: segments above it stay in the database alone, and are
//! read there when it is their turn; a stream that has no line gets one with its next segment.

use std::collections::BTreeMap;

use alloy_primitives::Address;

/// Segments kept for the account's own streams at most: about 15 MB.
pub(super) const MAX_OWN_SEGMENTS: usize = 50_000;
/// Segments kept for the streams of all others at most.
pub(super) const MAX_FOREIGN_SEGMENTS: usize = 50_000;
/// Segments kept for the streams of one stranger at most: more than one anchor takes.
pub(super) const MAX_SEGMENTS_PER_OWNER: usize = 5_000;
/// Streams of the account itself that have a line: each takes about 500 bytes of memory.
pub(super) const MAX_OWN_STREAMS: usize = 25_000;
/// Streams of all others that have a line.
pub(super) const MAX_FOREIGN_STREAMS: usize = 25_000;
/// Streams of one stranger that have a line.
pub(super) const MAX_STREAMS_PER_OWNER: usize = 1_000;

/// What somebody has in the book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) segments: usize,
    pub(super) streams: usize,
}

/// Whose share lacks room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// That of the account itself.
    Own,
    /// That of this owner.
    Owner,
    /// That of all strangers together.
    Foreign,
}

/// What the owners have in the book.
#[derive(Debug)]
pub(super) struct Shares {
    account: Address,
    /// The account that the stream of rounds belongs to: the operator's too.
    rounds_owner: Option<Address>,
    own: Share,
    foreign: Share,
    owners: BTreeMap<Address, Share>,
}

impl Shares {
    /// Nobody has anything; `account` and `rounds_owner` are those that the others are strangers to.
    pub(super) fn new(account: Address, rounds_owner: Option<Address>) -> Self {
        Self {
            account,
            rounds_owner,
            own: Share::default(),
            foreign: Share::default(),
            owners: BTreeMap::new(),
        }
    }

    /// Whether the owner is the account itself, or the operator's account that the stream of rounds belongs to.
    pub(super) fn is_own(&self, owner: Address) -> bool {
        owner == self.account || self.rounds_owner == Some(owner)
    }

    /// Segments kept, of all owners.
    pub(super) fn segments(&self) -> usize {
        self.own.segments + self.foreign.segments
    }

    fn share(&self, owner: Address) -> Share {
        self.owners.get(&owner).copied().unwrap_or_default()
    }

    /// Whether one more segment of this owner can be kept.
    pub(super) fn has_room_for_segment(&self, owner: Address) -> bool {
        match self.is_own(owner) {
            true => self.own.segments < MAX_OWN_SEGMENTS,
            false => {
                self.foreign.segments < MAX_FOREIGN_SEGMENTS
                    && self.share(owner).segments < MAX_SEGMENTS_PER_OWNER
            }
        }
    }

    /// Whose share lacks room for so many more streams of this owner, and for how many of them.
    pub(super) fn lack(&self, owner: Address, streams: usize) -> Option<(Lack, usize)> {
        let beyond = |have: usize, max: usize| (have + streams).checked_sub(max).filter(|lack| *lack > 0);
        if self.is_own(owner) {
            return beyond(self.own.streams, MAX_OWN_STREAMS).map(|lack| (Lack::Own, lack));
        }
        let of_owner = beyond(self.share(owner).streams, MAX_STREAMS_PER_OWNER);
        let of_all = beyond(self.foreign.streams, MAX_FOREIGN_STREAMS);
        of_owner
            .map(|lack| (Lack::Owner, lack))
            .or_else(|| of_all.map(|lack| (Lack::Foreign, lack)))
    }

    /// The owner has so many more segments and streams.
    pub(super) fn add(&mut self, owner: Address, more: Share) {
        self.change(owner, |share| Share {
            segments: share.segments + more.segments,
            streams: share.streams + more.streams,
        });
    }

    /// The owner has so many segments and streams less.
    pub(super) fn take(&mut self, owner: Address, less: Share) {
        self.change(owner, |share| Share {
            segments: share.segments.saturating_sub(less.segments),
            streams: share.streams.saturating_sub(less.streams),
        });
    }

    fn change(&mut self, owner: Address, change: impl Fn(Share) -> Share) {
        if self.is_own(owner) {
            self.own = change(self.own);
            return;
        }
        self.foreign = change(self.foreign);
        let share = change(self.share(owner));
        match share == Share::default() {
            true => self.owners.remove(&owner),
            false => self.owners.insert(owner, share),
        };
    }
}
