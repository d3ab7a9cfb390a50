//! Writing a pack, and reading a whole one.

use super::index::{BadPack, PackIndex, PackedRun, PackedSegment, digest, flags, header, mode_byte};
use super::{HEADER_BYTES, MAGIC, MAX_PACK_BYTES, MAX_PACK_RUNS, MAX_PACK_SEGMENTS, TRAILER_BYTES};
use crate::ids::{Seq, StreamId};
use crate::limits::MAX_SEGMENT_BYTES;
use crate::stream_settings::{Anchoring, Mode};
use alloy_primitives::{B256, keccak256};

/// Why something can't be put into a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// A segment does not begin where the one before ends, or has no messages.
    #[error("the segment at {first} can't follow: the pack ends at {end}")]
    Place {
        /// Where the segment begins.
        first: Seq,
        /// Where the pack ends.
        end: Seq,
    },
    /// The pack has no more room.
    #[error("the pack has no room for the segment or run at {0}")]
    Full(Seq),
    /// The pack has no segment.
    #[error("the pack has no segment")]
    Empty,
}

/// A segment on its way into a pack.
#[derive(Debug, Clone, Copy)]
pub struct SegmentToPack<'a> {
    /// The first message's seq.
    pub first: Seq,
    /// How many messages it has.
    pub count: u32,
    /// The Merkle root over its messages' leaves.
    pub root: B256,
    /// What goes on chain for it beside the root.
    pub mode: Mode,
    /// Whether its anchor is kept on chain.
    pub prove: bool,
    /// How it got its anchor.
    pub anchor: Anchoring,
    /// Its records.
    pub records: &'a [u8],
}

/// A pack that is being written.
#[derive(Debug, Clone)]
pub struct PackBuilder {
    bytes: Vec<u8>,
    index: PackIndex,
}

impl PackBuilder {
    /// Makes an empty pack of a stream's messages from `first` on.
    pub fn new(stream: StreamId, first: Seq) -> Self {
        Self {
            bytes: header(stream).to_vec(),
            index: PackIndex {
                stream,
                first,
                segments: Vec::new(),
                runs: Vec::new(),
            },
        }
    }

    /// Adds the segment that follows.
    pub fn push(&mut self, segment: &SegmentToPack<'_>) -> Result<(), PackError> {
        let SegmentToPack { first, records, .. } = *segment;
        let end = self.index.end();
        if first != end || segment.count == 0 {
            return Err(PackError::Place { first, end });
        }
        let length = u32::try_from(records.len()).map_err(|_| PackError::Full(first))?;
        let is_full = self.index.segments.len() == MAX_PACK_SEGMENTS
            || records.len() > MAX_SEGMENT_BYTES
            || self.bytes.len() - HEADER_BYTES + records.len() > MAX_PACK_BYTES;
        if is_full {
            return Err(PackError::Full(first));
        }
        self.index.segments.push(PackedSegment {
            first,
            count: segment.count,
            mode: segment.mode,
            prove: segment.prove,
            anchor: segment.anchor,
            root: segment.root,
            offset: self.bytes.len() as u64,
            length,
            digest: keccak256(records),
        });
        self.bytes.extend_from_slice(records);
        Ok(())
    }

    /// Lists the next run of a round over messages of this pack, after its segments were added.
    pub fn push_run(&mut self, run: PackedRun) -> Result<(), PackError> {
        let end = self.index.end();
        let before = self.index.runs.last().map_or(Seq(0), PackedRun::end);
        let overlaps = run.first < end && run.end() > self.index.first;
        if run.count == 0 || run.first < before || !overlaps {
            return Err(PackError::Place {
                first: run.first,
                end,
            });
        }
        if self.index.runs.len() == MAX_PACK_RUNS {
            return Err(PackError::Full(run.first));
        }
        self.index.runs.push(run);
        Ok(())
    }

    /// Returns the pack's bytes, its index, how many bytes index and trailer have, and its digest.
    pub fn finish(self) -> Result<(Vec<u8>, PackIndex, u64, B256), PackError> {
        let Self { mut bytes, index } = self;
        if index.segments.is_empty() {
            return Err(PackError::Empty);
        }
        let encoded = encode(&index);
        let digest = digest(index.stream, &encoded);
        let length = encoded.len() as u32; // bounded by the numbers of entries
        bytes.extend_from_slice(&encoded);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(digest.as_slice());
        bytes.extend_from_slice(&MAGIC);
        Ok((bytes, index, (encoded.len() + TRAILER_BYTES) as u64, digest))
    }
}

fn encode(index: &PackIndex) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&index.first.0.to_be_bytes());
    out.extend_from_slice(&(index.segments.len() as u32).to_be_bytes());
    out.extend_from_slice(&(index.runs.len() as u32).to_be_bytes());
    for segment in &index.segments {
        out.extend_from_slice(&segment.count.to_be_bytes());
        out.extend_from_slice(&[mode_byte(segment.mode), flags(segment)]);
        out.extend_from_slice(&segment.length.to_be_bytes());
        out.extend_from_slice(segment.root.as_slice());
        out.extend_from_slice(segment.digest.as_slice());
    }
    for run in &index.runs {
        out.extend_from_slice(&run.first.0.to_be_bytes());
        out.extend_from_slice(&run.count.to_be_bytes());
        out.extend_from_slice(run.root.as_slice());
        out.extend_from_slice(run.previous.as_slice());
        out.extend_from_slice(&run.round.to_be_bytes());
    }
    out
}

impl PackIndex {
    /// Reads a whole pack: its index, once header, digest and every segment's bytes are found to be right.
    pub fn of_pack(stream: StreamId, pack: &[u8]) -> Result<Self, BadPack> {
        if !pack.starts_with(&header(stream)) {
            return Err(BadPack::Header);
        }
        let (index, _) = Self::decode(stream, pack)?;
        for segment in &index.segments {
            segment.records(0, pack)?;
        }
        // Nothing lies between records, index and trailer.
        let records: u64 = index.segments.iter().map(|one| u64::from(one.length)).sum();
        let whole = HEADER_BYTES as u64 + records + (encode(&index).len() + TRAILER_BYTES) as u64;
        (whole == pack.len() as u64)
            .then_some(index)
            .ok_or(BadPack::Shape)
    }
}

#[cfg(test)]
#[path = "pack_tests.rs"]
mod tests;
