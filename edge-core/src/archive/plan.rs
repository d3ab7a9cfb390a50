//! Which segments of a stream make the next pack.

use super::fullness::Fullness;
use streamchain_protocol::archive::{MAX_PACK_BYTES, MAX_PACK_SEGMENTS};
use streamchain_protocol::ids::Seq;
use streamchain_protocol::time::UnixMs;

/// By how much a pack may be smaller, and made sooner, while the database fills.
const FILLING_DIVISOR: u64 = 16;

/// When a pack is worth its object and its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackRules {
    /// So many bytes of records make a pack, while there is room in the database.
    pub target_bytes: u64,
    /// A pack is made of what there is once its oldest message is that old, milliseconds.
    pub max_age_ms: u64,
}

/// A segment in the database, without its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowSize {
    /// Its first message.
    pub first: Seq,
    /// How many messages.
    pub count: u64,
    /// Length of its records.
    pub bytes: u64,
}

impl RowSize {
    fn end(&self) -> Seq {
        Seq(self.first.0.saturating_add(self.count))
    }
}

/// Messages under one anchor that is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FinalRange {
    /// The first message.
    pub first: Seq,
    /// The seq behind the last message.
    pub end: Seq,
}

/// Returns the range of messages that the next pack of a stream has; `None` when there is nothing to do yet.
///
/// `rows` are the oldest segments that the database has of the stream, in order; `oldest` is the time of their first
/// message; `finals` are the ranges of final anchors, in any order.
pub fn plan(
    rows: &[RowSize],
    finals: &[FinalRange],
    oldest: UnixMs,
    rules: PackRules,
    fullness: Fullness,
    now: UnixMs,
) -> Option<(Seq, Seq)> {
    let first = rows.first()?.first;
    let finalized = final_end(first, finals);
    let (mut end, mut bytes, mut segments, mut is_cut) = (first, 0, 0, false);
    for row in rows {
        if row.first != end || row.count == 0 || row.end() > finalized {
            break;
        }
        if bytes + row.bytes > MAX_PACK_BYTES as u64 || segments == MAX_PACK_SEGMENTS {
            is_cut = true;
            break;
        }
        (end, bytes, segments) = (row.end(), bytes + row.bytes, segments + 1);
    }
    let (target, max_age_ms) = match fullness {
        Fullness::Low => (rules.target_bytes, rules.max_age_ms),
        Fullness::Filling => (
            rules.target_bytes / FILLING_DIVISOR,
            rules.max_age_ms / FILLING_DIVISOR,
        ),
        Fullness::High | Fullness::Full => (0, 0),
    };
    let is_due = is_cut
        || segments == MAX_PACK_SEGMENTS
        || bytes >= target.min(MAX_PACK_BYTES as u64)
        || now.since(oldest) >= max_age_ms;
    (segments > 0 && is_due).then_some((first, end))
}

/// Returns how far final anchors cover the messages from `first` on without a gap.
fn final_end(first: Seq, finals: &[FinalRange]) -> Seq {
    let mut finals = finals.to_vec();
    finals.sort_unstable();
    finals.iter().fold(first, |end, range| match range.first <= end {
        true => end.max(range.end),
        false => end,
    })
}
