//! The relay without sockets, clocks or HTTP: machines that are handed datagrams, answers and the time, and say
//! what is to be done.

pub mod admission;
pub mod backlog;
pub mod counters;
pub mod dtls;
pub mod lease;
pub mod limits;
pub mod log;
pub mod outlet;
pub mod path;
pub mod producers;
pub mod rates;
pub mod retry;
pub mod session;
pub mod shard;
pub mod stream;
pub mod timers;
pub mod uplink;
pub mod withdrawals;

pub use path::Path;
pub use rates::{Rate, Rates};
pub use shard::{Command, Kept, Load, Memory, Now, Shard, ShardConfig};
pub use uplink::{Answer, Request, Ticket, UplinkError};
