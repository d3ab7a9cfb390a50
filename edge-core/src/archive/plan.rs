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

impl PackRules {
    /// Returns whether so many segments with so many bytes are worth a pack.
    ///
    /// Of all segments that a stream has in the database, final or not (or of the oldest [`MAX_PACK_SEGMENTS`]), a `false`
    /// says that [`plan`] finds nothing to do: what is final is a part of them.
    pub fn is_worth(
        &self,
        segments: usize,
        bytes: u64,
        oldest: UnixMs,
        fullness: Fullness,
        now: UnixMs,
    ) -> bool {
        let (target, max_age_ms) = match fullness {
            Fullness::Low => (self.target_bytes, self.max_age_ms),
            Fullness::Filling => (
                self.target_bytes / FILLING_DIVISOR,
                self.max_age_ms / FILLING_DIVISOR,
            ),
            Fullness::High | Fullness::Full => (0, 0),
        };
        segments >= MAX_PACK_SEGMENTS
            || bytes >= target.min(MAX_PACK_BYTES as u64)
            || now.since(oldest) >= max_age_ms
    }
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
    let is_due = is_cut || rules.is_worth(segments, bytes, oldest, fullness, now);
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULES: PackRules = PackRules {
        target_bytes: 1_000,
        max_age_ms: 60_000,
    };

    proptest! {
        /// A stream whose segments together are not worth a pack is passed over without looking for what is final.
        #[test]
        fn what_is_not_worth_a_pack_has_nothing_to_pack(
            sizes in prop::collection::vec(1_u64..600, 1..6), finals in 0_u64..6, age_ms in 0_u64..70_000, fullness in 0_usize..4,
        ) {
            let fullness = [Fullness::Low, Fullness::Filling, Fullness::High, Fullness::Full][fullness];
            let row = |(first, bytes): (usize, &u64)| RowSize { first: Seq(first as u64), count: 1, bytes: *bytes };
            let rows: Vec<RowSize> = sizes.iter().enumerate().map(row).collect();
            let finals = [FinalRange { first: Seq(0), end: Seq(finals) }];
            let (oldest, now) = (UnixMs(1_000), UnixMs(1_000 + age_ms));
            if plan(&rows, &finals, oldest, RULES, fullness, now).is_some() {
                prop_assert!(RULES.is_worth(rows.len(), sizes.iter().sum(), oldest, fullness, now));
            }
        }
    }
}
