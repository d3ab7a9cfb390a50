//! The index of a pack: what a reader needs before it reads a segment by its range.

use super::{
    HEADER_BYTES, INDEX_HEAD_BYTES, MAGIC, MAX_PACK_BYTES, MAX_PACK_RUNS, MAX_PACK_SEGMENTS, RUN_BYTES,
    SEGMENT_BYTES, TRAILER_BYTES, VERSION,
};
use crate::ids::{Seq, StreamId};
use crate::limits::{MAX_EXACT_INTEGER, MAX_SEGMENT_BYTES};
use crate::stream_settings::{Anchoring, Mode};
use alloy_primitives::{B256, keccak256};

/// A segment of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedSegment {
    /// The first message's seq.
    pub first: Seq,
    /// How many messages it has.
    pub count: u32,
    /// What went on chain for it beside the root.
    pub mode: Mode,
    /// Whether its anchor is kept on chain.
    pub prove: bool,
    /// How it got its anchor.
    pub anchor: Anchoring,
    /// The Merkle root over its messages' leaves.
    pub root: B256,
    /// Where its records begin in the pack.
    pub offset: u64,
    /// How many bytes its records have.
    pub length: u32,
    /// keccak256 of those bytes.
    pub digest: B256,
}

impl PackedSegment {
    /// Returns the seq behind the last message.
    pub fn end(&self) -> Seq {
        Seq(self.first.0.saturating_add(self.count.into()))
    }
}

/// A run of a round over messages of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedRun {
    /// The first message's seq.
    pub first: Seq,
    /// How many messages it has.
    pub count: u32,
    /// The Merkle root over the roots of its segments.
    pub root: B256,
    /// The leaf of the stream's run before it.
    pub previous: B256,
    /// The round that it is in.
    pub round: u64,
}

impl PackedRun {
    /// Returns the seq behind the last message.
    pub fn end(&self) -> Seq {
        Seq(self.first.0.saturating_add(self.count.into()))
    }
}

/// Why bytes are not the end of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPack {
    /// The bytes do not end as a pack does.
    #[error("the bytes are not the end of a pack")]
    Shape,
    /// The pack is of a later version, or is no pack.
    #[error("the pack has another header than version 1")]
    Header,
    /// A number in the index is out of its bounds.
    #[error("{0} in the index of a pack is out of its bounds")]
    Bounds(&'static str),
    /// The digest is another one.
    #[error("the index of the pack has digest {computed}: expected {given}")]
    Digest {
        /// The digest in the pack.
        given: B256,
        /// What the bytes give.
        computed: B256,
    },
    /// The bytes of a segment are not those that were packed.
    #[error("the bytes of the segment at {0} are not those that were packed")]
    Segment(Seq),
}

/// What a pack holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackIndex {
    /// The stream.
    pub stream: StreamId,
    /// The first message's seq.
    pub first: Seq,
    /// The segments, in order, without a gap.
    pub segments: Vec<PackedSegment>,
    /// The runs of rounds over its messages, in order.
    pub runs: Vec<PackedRun>,
}

impl PackIndex {
    /// Reads the index and the digest from the last bytes of a pack of this stream: index and trailer, or more.
    pub fn decode(stream: StreamId, tail: &[u8]) -> Result<(Self, B256), BadPack> {
        let (rest, trailer) = tail.split_last_chunk::<TRAILER_BYTES>().ok_or(BadPack::Shape)?;
        let mut trailer = Fields(trailer);
        let length = trailer.u32().ok_or(BadPack::Shape)? as usize;
        let given = trailer.hash().ok_or(BadPack::Shape)?;
        if trailer.0 != MAGIC {
            return Err(BadPack::Shape);
        }
        let start = rest.len().checked_sub(length).ok_or(BadPack::Shape)?;
        let index = rest.get(start..).ok_or(BadPack::Shape)?;
        let computed = digest(stream, index);
        if computed != given {
            return Err(BadPack::Digest { given, computed });
        }
        Ok((Self::read(stream, index)?, given))
    }

    fn read(stream: StreamId, index: &[u8]) -> Result<Self, BadPack> {
        let mut fields = Fields(index);
        let first = Seq(fields.u64().ok_or(BadPack::Shape)?);
        let segments = fields.u32().ok_or(BadPack::Shape)? as usize;
        let runs = fields.u32().ok_or(BadPack::Shape)? as usize;
        if segments == 0 || segments > MAX_PACK_SEGMENTS || runs > MAX_PACK_RUNS {
            return Err(BadPack::Bounds("a count"));
        }
        if index.len() != INDEX_HEAD_BYTES + segments * SEGMENT_BYTES + runs * RUN_BYTES {
            return Err(BadPack::Shape);
        }
        let mut next = (first, HEADER_BYTES as u64);
        let segments = (0..segments).map(|_| {
            let segment = fields.segment(next)?;
            next = (segment.end(), segment.offset + u64::from(segment.length));
            Ok(segment)
        });
        let segments: Vec<PackedSegment> = segments.collect::<Result<_, BadPack>>()?;
        if next.0.0 > MAX_EXACT_INTEGER {
            return Err(BadPack::Bounds("a seq"));
        }
        if next.1 > (HEADER_BYTES + MAX_PACK_BYTES) as u64 {
            return Err(BadPack::Bounds("the length of the records"));
        }
        let runs = (0..runs).map(|_| fields.run().ok_or(BadPack::Shape));
        let runs: Vec<PackedRun> = runs.collect::<Result<_, _>>()?;
        let ordered = runs.is_sorted_by(|one, next| one.end() <= next.first);
        let within = |run: &PackedRun| run.count > 0 && run.first < next.0 && run.end() > first;
        if !ordered || !runs.iter().all(within) {
            return Err(BadPack::Bounds("a run"));
        }
        Ok(Self {
            stream,
            first,
            segments,
            runs,
        })
    }

    /// Returns the seq behind the last message.
    pub fn end(&self) -> Seq {
        self.segments.last().map_or(self.first, PackedSegment::end)
    }

    /// Returns the segments with messages of `from..to`, in order: the first, and more until their bytes would be above
    /// `max_bytes`.
    pub fn within(&self, from: Seq, to: Seq, max_bytes: usize) -> &[PackedSegment] {
        let start = self.segments.partition_point(|segment| segment.end() <= from);
        let rest = self.segments.get(start..).unwrap_or_default();
        let mut bytes = 0;
        let fits = |(index, segment): (usize, &PackedSegment)| {
            bytes += segment.length as usize;
            segment.first < to && (index == 0 || bytes <= max_bytes)
        };
        let count = rest.iter().enumerate().map(fits).take_while(|fits| *fits).count();
        rest.get(..count).unwrap_or_default()
    }

    /// Returns the run over a message.
    pub fn run_over(&self, seq: Seq) -> Option<&PackedRun> {
        let run = self.runs.get(self.runs.partition_point(|run| run.end() <= seq))?;
        (run.first <= seq).then_some(run)
    }
}

impl PackedSegment {
    /// Returns the segment's records out of `bytes`, which begin at `offset` of the pack: only if they are those that were
    /// packed.
    pub fn records<'a>(&self, offset: u64, bytes: &'a [u8]) -> Result<&'a [u8], BadPack> {
        let wrong = BadPack::Segment(self.first);
        let start = self.offset.checked_sub(offset).ok_or(wrong)?;
        let start = usize::try_from(start).map_err(|_| wrong)?;
        let end = start.checked_add(self.length as usize).ok_or(wrong)?;
        let records = bytes.get(start..end).ok_or(wrong)?;
        (keccak256(records) == self.digest)
            .then_some(records)
            .ok_or(wrong)
    }
}

/// Returns the header of a stream's packs.
pub(super) fn header(stream: StreamId) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let (magic, rest) = header.split_at_mut(MAGIC.len());
    magic.copy_from_slice(&MAGIC);
    let (version, id) = rest.split_at_mut(4);
    version.copy_from_slice(&[VERSION, 0, 0, 0]);
    id.copy_from_slice(&stream.0);
    header
}

/// Returns the digest of a pack with this index.
pub(super) fn digest(stream: StreamId, index: &[u8]) -> B256 {
    keccak256([header(stream).as_slice(), index].concat())
}

/// What is left to read of fields of fixed lengths.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn hash(&mut self) -> Option<B256> {
        self.take().map(B256::new)
    }

    /// The next segment, which begins at this seq and offset.
    fn segment(&mut self, (first, offset): (Seq, u64)) -> Result<PackedSegment, BadPack> {
        let shape = BadPack::Shape;
        let count = self.u32().ok_or(shape)?;
        let mode = mode_of(self.u8().ok_or(shape)?).ok_or(BadPack::Bounds("a mode"))?;
        let flags = self.u8().ok_or(shape)?;
        if flags & !(PROVE | SHARED) != 0 {
            return Err(BadPack::Bounds("a flag"));
        }
        let length = self.u32().ok_or(shape)?;
        if count == 0 || length as usize > MAX_SEGMENT_BYTES {
            return Err(BadPack::Bounds("a segment"));
        }
        Ok(PackedSegment {
            first,
            count,
            mode,
            prove: flags & PROVE != 0,
            anchor: match flags & SHARED {
                0 => Anchoring::Own,
                _ => Anchoring::Shared,
            },
            root: self.hash().ok_or(shape)?,
            offset,
            length,
            digest: self.hash().ok_or(shape)?,
        })
    }

    fn run(&mut self) -> Option<PackedRun> {
        Some(PackedRun {
            first: Seq(self.u64()?),
            count: self.u32()?,
            root: self.hash()?,
            previous: self.hash()?,
            round: self.u64()?,
        })
    }
}

/// The flag of a segment whose anchor is kept on chain.
const PROVE: u8 = 1;
/// The flag of a segment that is in a round.
const SHARED: u8 = 2;

/// Returns a segment's flags in the index.
pub(super) fn flags(segment: &PackedSegment) -> u8 {
    let prove = if segment.prove { PROVE } else { 0 };
    match segment.anchor {
        Anchoring::Own => prove,
        Anchoring::Shared => prove | SHARED,
    }
}

const MODES: [Mode; 3] = [Mode::Root, Mode::Hash, Mode::Payload];

fn mode_of(byte: u8) -> Option<Mode> {
    MODES.get(usize::from(byte)).copied()
}

/// Returns a mode's number in the index.
pub(super) fn mode_byte(mode: Mode) -> u8 {
    MODES
        .iter()
        .position(|one| *one == mode)
        .map_or(0, |place| place as u8)
}
