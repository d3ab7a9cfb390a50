//! The batcher: gathers the runs of the streams of one group of buckets for rounds.
//!
//! What always holds:
//! - a stream has at most one run in a round, and each run begins where the one before it ended and names its leaf;
//! - a run that was frozen for a round never changes: it is in that round, or, when the round was fixed without this
//!   batcher, in a later one, and in no other;
//! - the database has a round's list before the round is sent, so nothing of a round is kept here once it is written,
//!   except until the next one is closed;
//! - what one owner has pending leaves room for the others: a share bounds it, and each round takes of every owner in turn.
//!
//! A line that has nothing pending may be dropped: the database says where the stream's next run begins.

mod freeze;
mod line;
mod machine;
mod notices;
mod offer;
mod shares;

pub use machine::{Batcher, BatcherTask, CloseError, Fixing, RoundList, Settings};
pub use notices::{NotifyStreams, RunNotice};
pub use offer::{OfferError, OfferRun, Offered, RunOffered};
pub use shares::{MAX_PENDING_STREAMS, MAX_PENDING_STREAMS_OF_OWNER, OPERATORS_RESERVE};
