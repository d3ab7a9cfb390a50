//! One pack on its way: made of segments, or of a pack of which payloads have to go.
//!
//! The job is saved before each of its steps, and each step may be done again:
//! 1. *Build* the pack and put it under a name that no other content ever has or had a row for;
//! 2. *Enter* its row, in one transaction with what it replaces: the rows of its segments, or the pack's row before it;
//! 3. *Drop* the object that is no longer named.

use super::packing::{PackRow, key};
use serde::{Deserialize, Serialize};
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::time::UnixMs;

/// What a pack is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// Segments of the database.
    Segments,
    /// The pack of this generation, without the payloads that were erased or are older than `before`.
    Pack {
        /// Its generation.
        generation: u64,
        /// Payloads of messages before this time go, whatever was erased beside them.
        before: UnixMs,
    },
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// Build the pack and put it.
    Build,
    /// Enter the row in the place of what the pack is made of.
    Enter {
        /// The row.
        row: PackRow,
        /// The notes of erased messages up to this number are in the pack.
        noted: u64,
    },
    /// Delete the object of this name.
    Drop {
        /// Its name.
        key: String,
    },
}

/// One pack on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The stream.
    pub stream: StreamId,
    /// The first message's seq.
    pub first: Seq,
    /// The seq behind the last message.
    pub end: Seq,
    /// What it is made of.
    pub source: Source,
    /// What is to be done next.
    pub step: Step,
}

impl Job {
    /// Packs the segments that fill `first..end`.
    pub fn pack(stream: StreamId, first: Seq, end: Seq) -> Self {
        Self {
            stream,
            first,
            end,
            source: Source::Segments,
            step: Step::Build,
        }
    }

    /// Rewrites a pack without what was erased, and without payloads older than `before`.
    pub fn rewrite(row: &PackRow, before: UnixMs) -> Self {
        Self {
            stream: row.stream,
            first: row.first,
            end: row.end,
            source: Source::Pack {
                generation: row.generation,
                before,
            },
            step: Step::Build,
        }
    }

    /// Returns the generation of the pack that is built.
    pub fn generation(&self) -> u64 {
        match self.source {
            Source::Segments => 0,
            Source::Pack { generation, .. } => generation + 1,
        }
    }

    /// Returns the name of the object that is put.
    pub fn key(&self) -> String {
        key(self.stream, self.first, self.end, self.generation())
    }

    /// Returns whether a pack with this message was built that is perhaps not entered: what is erased now is not in it.
    pub fn has_built(&self, seq: Seq) -> bool {
        matches!(self.step, Step::Enter { .. }) && self.first <= seq && seq < self.end
    }

    /// The object was put: next, its row is entered.
    #[must_use]
    pub fn handle_put(self, row: PackRow, noted: u64) -> Self {
        let step = Step::Enter { row, noted };
        Self { step, ..self }
    }

    /// The row was entered: next, the object that it replaced is deleted, if there was one.
    pub fn handle_entered(self) -> Option<Self> {
        let Source::Pack { generation, .. } = self.source else {
            return None;
        };
        let step = Step::Drop {
            key: key(self.stream, self.first, self.end, generation),
        };
        Some(Self { step, ..self })
    }

    /// The pack can't be built: next, an object that may have been put is deleted. `None` when the step at work has to
    /// succeed first, since what it changes may be changed already.
    pub fn abandon(&self) -> Option<Self> {
        let step = Step::Drop { key: self.key() };
        let can = self.step == Step::Build;
        can.then(|| Self { step, ..self.clone() })
    }
}
