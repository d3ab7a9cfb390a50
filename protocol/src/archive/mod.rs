//! Packs: files that hold a stretch of one stream's messages once their anchors are final.
//!
//! What always holds: a pack's digest, which the database keeps, covers its index, and the index has the hash of each
//! segment's bytes; so what is read of a pack by range is known to be what was written, without reading the rest.
//!
//! ```text
//! header   "SCPK", version 1, three zero bytes, the stream's id                             40 bytes
//! records  of each segment, one segment after the other
//! index    first seq 8, segments 4, runs 4
//!          for each segment: count 4, mode 1, flags 1, length 4, root 32, keccak256 of its bytes 32
//!          for each run: first 8, count 4, root 32, previous leaf 32, round 8
//! trailer  length of the index 4, keccak256 of header and index 32, "SCPK"                  40 bytes
//! ```
//!
//! Numbers are big-endian. Flags: 1, the anchor is kept on chain; 2, the segment is in a round. Segments follow each other without a gap, beginning at the first seq. The runs are those of the
//! rounds over the pack's messages; they may reach beyond the pack at both ends.

mod index;
mod pack;

pub use index::{BadPack, PackIndex, PackedRun, PackedSegment};
pub use pack::{PackBuilder, PackError, SegmentToPack};

/// What a pack begins and ends with.
const MAGIC: [u8; 4] = *b"SCPK";
/// The only version so far.
const VERSION: u8 = 1;
/// Bytes before the first record.
const HEADER_BYTES: usize = 40;
/// Bytes behind the index.
pub const TRAILER_BYTES: usize = 40;
/// Bytes of the index before its entries.
const INDEX_HEAD_BYTES: usize = 16;
/// Bytes of a segment's entry.
const SEGMENT_BYTES: usize = 74;
/// Bytes of a run's entry.
const RUN_BYTES: usize = 84;

/// Most bytes of records in one pack: an object builds a pack in its memory, which it shares with others (128 MB).
pub const MAX_PACK_BYTES: usize = 8 * 1024 * 1024;
/// Most segments in one pack: who wants one message reads the whole index, 300 KB at most.
pub const MAX_PACK_SEGMENTS: usize = 4_096;
/// Most runs that one pack lists, for the same reason.
pub const MAX_PACK_RUNS: usize = 4_096;
/// Most bytes of the index and the trailer.
pub const MAX_TAIL_BYTES: usize =
    INDEX_HEAD_BYTES + MAX_PACK_SEGMENTS * SEGMENT_BYTES + MAX_PACK_RUNS * RUN_BYTES + TRAILER_BYTES;
