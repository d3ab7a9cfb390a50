//! Rounds: one anchor over the runs of all streams that have something new.
//!
//! What always holds:
//! - a round's buckets and root are saved before any batcher or the database is notified of them. Until the database has
//!   them, they change at most by leaving out batchers that do not write their lists; from then on never, whatever becomes
//!   of its transaction;
//! - when a round is handed over to be sent, each batcher that has runs in it has written them to the database, and so is
//!   the round itself;
//! - the next round is not begun before that, nor before the chain has this one.

mod maker;
mod message;
mod recovery;
mod rows;
mod task;

pub use maker::Settings;
pub(crate) use maker::{Contract, RoundMaker};
pub use message::{Closed, FixedRound, GroupRoots, RoundAnchor};
pub use task::{CloseRound, FixRound, NewestRound, RoundTask, RoundsStatus, StoreRound};
