//! From the database to the archive: which segments are packed next, and how a pack comes to be, crash or no crash.
//!
//! What always holds:
//! - only segments whose anchors are final are packed, the oldest of a stream first, so a stream's packs touch and its
//!   segments in the database follow them;
//! - a message is readable from the database or from a pack at every moment: the object is put first, and one transaction
//!   then enters the pack's row and deletes the segments' rows;
//! - what was erased stays erased: a note of it is kept until no pack has the payload;
//! - a final round's buckets and lists are put before the database drops them, and only what leads to its root is put;
//! - an object that no row names is one that the job at work put, or is about to delete.

mod failures;
mod fullness;
mod job;
mod packing;
mod plan;
mod rounds;

pub use failures::{Failures, Work};
pub use fullness::Fullness;
pub use job::{Job, Source, Step};
pub use packing::{Built, PackRow, Packer, PackingError, rewrite};
pub use plan::{FinalRange, PackRules, RowSize, plan};
pub use rounds::{
    BUCKET_MAP_BYTES, BUCKETS_OBJECT_BYTES, RoundError, StoredBuckets, bucket_map, buckets_object,
    has_runs_sql, read_buckets_object, runs_in_round, whole_list,
};

#[cfg(test)]
mod tests;
