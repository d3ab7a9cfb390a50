//! The comparison: messages in, roots rebuilt, each held against the chain's.
//!
//! What always holds: a message counts only at the seq that is due; a segment is closed only by its last message,
//! with the root that the edge stored for it; an anchor is passed only by segments that fill it exactly, with the
//! root that the chain says.

use super::message::Message;
use super::round_fault::RoundFault;
use super::signatures::{SignatureFault, Signed};
use std::fmt;
use streamchain_protocol::ids::{Seq, StreamId, StreamName};
use streamchain_protocol::proof::LeafFields;
use streamchain_protocol::proof::merkle::{self};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::{Address, B256};

/// An anchor: of the chain, or as the edge says that the chain has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Anchor {
    pub first: Seq,
    pub count: u64,
    /// Over the roots of its segments.
    pub root: B256,
    pub block: u64,
    pub block_hash: B256,
    /// Its place among all logs of the block.
    pub log_index: u64,
    pub is_final: bool,
    /// The round that this run is in, unless it has an anchor of its own.
    pub round: Option<u64>,
}

impl Anchor {
    /// One past its last message.
    pub(super) fn end(&self) -> Seq {
        Seq(self.first.0.saturating_add(self.count))
    }

    /// What makes two of them the same one: all but how sure they are.
    fn identity(&self) -> (Seq, u64, B256, u64, B256, u64) {
        (
            self.first,
            self.count,
            self.root,
            self.block,
            self.block_hash,
            self.log_index,
        )
    }
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, end) = (self.first.0, self.end().0);
        let last = end.saturating_sub(1);
        match self.round {
            Some(round) => write!(f, "the run of messages {first} to {last} in round {round}")?,
            None => write!(f, "the anchor of messages {first} to {last}")?,
        }
        write!(f, " in block {} (event {})", self.block, self.log_index)
    }
}

/// A segment, as the edge lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub first: Seq,
    pub count: u64,
    pub root: B256,
}

impl Segment {
    fn end(&self) -> Seq {
        Seq(self.first.0.saturating_add(self.count))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Difference {
    /// The edge gives a stream an id that is not that of its owner and name.
    #[error("the edge says that it is \"{name}\" of {owner}, whose id is {computed}")]
    Identity {
        owner: Address,
        name: StreamName,
        computed: StreamId,
    },
    /// Rounds, or what the edge shows of them.
    #[error(transparent)]
    Round(#[from] RoundFault),
    /// An author's signature, or a producer's chain of groups.
    #[error(transparent)]
    Signature(Box<SignatureFault>),
    /// The stream, its owner or an anchorer is not the one that the caller requires.
    #[error("{0}")]
    Another(String),
    /// On the chain, messages between two anchors are not covered.
    #[error("on the chain, {anchor} leaves out messages from {due} on")]
    ChainGap { anchor: Box<Anchor>, due: Seq },
    /// On the chain, two anchors cover one message.
    #[error("on the chain, {anchor} overlaps the one before, which ends before {due}")]
    ChainOverlap { anchor: Box<Anchor>, due: Seq },
    /// On the chain, an anchor covers nothing.
    #[error("on the chain, {0} is empty")]
    ChainEmpty(Anchor),
    /// The edge lists an anchor that the chain does not have.
    #[error("the edge lists {0} with root {root}, and the chain has no such event", root = .0.root)]
    NotOnChain(Anchor),
    /// The edge says that more is anchored than the chain's anchors cover.
    #[error("the edge says that {claimed} messages are anchored, the chain's anchors cover {covered}")]
    OverClaimed { claimed: Seq, covered: Seq },
    #[error("a segment begins at message {first}: expected one that begins at {due}")]
    SegmentPlace { first: Seq, due: Seq },
    #[error("the segment at message {0} is empty")]
    SegmentEmpty(Seq),
    /// The messages of an anchor are there, and not all in segments: its root can't be rebuilt.
    #[error("the segments end before {0} does")]
    SegmentsEnd(Anchor),
    /// A segment lies across the end of an anchor.
    #[error("the segment of messages {first} to {last} goes beyond {anchor}")]
    SegmentAcross {
        first: Seq,
        last: Seq,
        anchor: Box<Anchor>,
    },
    /// A message is missing, or there twice.
    #[error("the edge sent message {seq}: expected {due}")]
    MessagePlace { seq: Seq, due: Seq },
    #[error("the stored messages end at {stored}, and {needed} are in segments or anchored")]
    MessagesMissing { stored: Seq, needed: Seq },
    /// A segment's messages have another root than the edge stored for it: one of them was changed.
    #[error("the messages {first} to {last} have root {computed}, their segment has {stored}")]
    SegmentRoot {
        first: Seq,
        last: Seq,
        computed: B256,
        stored: B256,
    },
    /// An anchor's messages have another root than the chain says.
    #[error("{anchor}: the chain says root {root}, the stored messages give {computed}", root = .anchor.root)]
    AnchorRoot { anchor: Box<Anchor>, computed: B256 },
}

impl From<SignatureFault> for Difference {
    fn from(fault: SignatureFault) -> Self {
        Self::Signature(Box::new(fault))
    }
}

/// What a stream that agrees amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Summary {
    pub messages: u64,
    pub segments: u64,
    pub anchors: u64,
    /// Those in blocks that are final.
    pub final_anchors: u64,
    /// Those that are runs in rounds.
    pub in_rounds: u64,
    pub anchored: u64,
    /// Messages whose payload was erased: only their hashes were compared.
    pub erased: u64,
    /// What the authors signed.
    pub signed: Signed,
}

impl Summary {
    /// Messages that are stored, and not on the chain yet.
    pub(super) fn waiting(&self) -> u64 {
        self.messages - self.anchored
    }
}

#[derive(Debug)]
pub(super) struct Ledger {
    stream: StreamId,
    anchors: Vec<Anchor>,
    passed: usize,
    segments: u64,
    erased: u64,
    next: Seq,
    open: Option<Segment>,
    leaves: Vec<B256>,
    /// Of the segments under the anchor that is due.
    roots: Vec<B256>,
}

impl Ledger {
    /// Of a stream with these anchors, in the order of the chain.
    pub(super) fn new(stream: StreamId, anchors: Vec<Anchor>) -> Result<Self, Difference> {
        let mut due = Seq(0);
        for anchor in &anchors {
            let anchor = *anchor;
            if anchor.count == 0 {
                return Err(Difference::ChainEmpty(anchor));
            }
            if anchor.first != due {
                let (is_late, anchor) = (anchor.first > due, Box::new(anchor));
                return Err(match is_late {
                    true => Difference::ChainGap { anchor, due },
                    false => Difference::ChainOverlap { anchor, due },
                });
            }
            due = anchor.end();
        }
        Ok(Self {
            stream,
            anchors,
            passed: 0,
            segments: 0,
            erased: 0,
            next: Seq(0),
            open: None,
            leaves: Vec::new(),
            roots: Vec::new(),
        })
    }

    pub(super) fn messages(&self) -> Seq {
        self.next
    }

    /// How many anchors were passed, of how many.
    pub(super) fn anchors(&self) -> (usize, usize) {
        (self.passed, self.anchors.len())
    }

    /// Whether a segment waits for messages.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub(super) fn begin(&mut self, segment: Segment) -> Result<(), Difference> {
        let (first, due) = (segment.first, self.next);
        if first != due {
            return Err(Difference::SegmentPlace { first, due });
        }
        if segment.count == 0 {
            return Err(Difference::SegmentEmpty(first));
        }
        if let Some(anchor) = self.anchors.get(self.passed)
            && segment.end() > anchor.end()
        {
            let (last, anchor) = (Seq(segment.end().0 - 1), Box::new(*anchor));
            return Err(Difference::SegmentAcross { first, last, anchor });
        }
        self.open = Some(segment);
        Ok(())
    }

    pub(super) fn take(&mut self, message: &Message) -> Result<(), Difference> {
        let (seq, due) = (message.seq, self.next);
        if seq != due {
            return Err(Difference::MessagePlace { seq, due });
        }
        self.next = seq.next();
        self.erased += u64::from(message.is_erased);
        let Some(segment) = self.open else {
            return Ok(()); // in no segment yet
        };
        let leaf = LeafFields {
            stream: self.stream,
            seq,
            time: UnixMs(message.time),
            author: message.author,
            payload_hash: message.payload_hash,
        };
        self.leaves.push(leaf.leaf());
        match self.next == segment.end() {
            true => self.close(segment),
            false => Ok(()),
        }
    }

    fn close(&mut self, segment: Segment) -> Result<(), Difference> {
        let computed = merkle::root(&self.leaves).unwrap_or_default();
        if computed != segment.root {
            return Err(Difference::SegmentRoot {
                first: segment.first,
                last: Seq(segment.end().0 - 1),
                computed,
                stored: segment.root,
            });
        }
        self.leaves.clear();
        self.open = None;
        self.segments += 1;
        let Some(anchor) = self.anchors.get(self.passed).copied() else {
            return Ok(()); // not on the chain yet
        };
        self.roots.push(computed);
        if self.next < anchor.end() {
            return Ok(());
        }
        let computed = merkle::root(&self.roots).unwrap_or_default();
        if computed != anchor.root {
            let anchor = Box::new(anchor);
            return Err(Difference::AnchorRoot { anchor, computed });
        }
        self.roots.clear();
        self.passed += 1;
        Ok(())
    }

    /// Of messages that end while a segment is open.
    pub(super) fn ended(&self) -> Difference {
        let segments = self.open.map_or(self.next, |segment| segment.end());
        Difference::MessagesMissing {
            stored: self.next,
            needed: segments.max(self.covered()),
        }
    }

    fn covered(&self) -> Seq {
        self.anchors.last().map_or(Seq(0), Anchor::end)
    }

    /// All messages were taken: `head` of them, the edge says.
    pub(super) fn finish(&self, head: Seq) -> Result<Summary, Difference> {
        let needed = head.max(self.covered());
        if self.is_open() {
            return Err(self.ended());
        }
        if self.next < needed {
            let stored = self.next;
            return Err(Difference::MessagesMissing { stored, needed });
        }
        if let Some(anchor) = self.anchors.get(self.passed) {
            return Err(Difference::SegmentsEnd(*anchor));
        }
        Ok(Summary {
            messages: self.next.0,
            segments: self.segments,
            anchors: self.anchors.len() as u64,
            final_anchors: self.anchors.iter().filter(|anchor| anchor.is_final).count() as u64,
            in_rounds: self
                .anchors
                .iter()
                .filter(|anchor| anchor.round.is_some())
                .count() as u64,
            anchored: self.covered().0,
            erased: self.erased,
            signed: Signed::default(),
        })
    }
}

/// What the edge says that the chain has, and the chain has not. (The other way round is no difference: the edge may
/// not have looked yet.)
pub(super) fn claims(on_chain: &[Anchor], claimed: &[Anchor], mark: Seq) -> Option<Difference> {
    let is_there = |claim: &&Anchor| on_chain.iter().any(|found| found.identity() == claim.identity());
    if let Some(missing) = claimed.iter().find(|claim| !is_there(claim)) {
        return Some(Difference::NotOnChain(*missing));
    }
    let covered = on_chain.last().map_or(Seq(0), Anchor::end);
    (mark > covered).then_some(Difference::OverClaimed {
        claimed: mark,
        covered,
    })
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
