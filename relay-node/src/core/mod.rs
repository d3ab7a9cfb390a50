//! The relay without sockets, clocks or HTTP: machines that are handed datagrams, answers and the time, and say
//! what is to be done.

pub(crate) mod admission;
pub(crate) mod backlog;
mod commit_clock;
pub(crate) mod counters;
pub(crate) mod dtls;
pub(crate) mod early;
pub(crate) mod edge_requests;
pub(crate) mod fan;
pub(crate) mod fresh;
pub(crate) mod group_key;
pub(crate) mod handshakes;
pub(crate) mod keys;
pub(crate) mod leadership;
pub(crate) mod lease;
pub(crate) mod limits;
pub(crate) mod link;
pub(crate) mod offer;
pub(crate) mod path;
pub(crate) mod peer_connection;
pub(crate) mod presence;
pub(crate) mod producers;
pub(crate) mod publication;
pub(crate) mod rates;
pub(crate) mod reach;
pub(crate) mod replay_buffer;
pub(crate) mod reply;
pub(crate) mod retry;
pub(crate) mod sctp_opening;
pub(crate) mod send_queue;
pub(crate) mod session;
pub(crate) mod shard;
pub(crate) mod shares;
pub(crate) mod signer;
#[cfg(test)]
mod simulation;
pub(crate) mod stream;
pub(crate) mod stun;
pub(crate) mod timers;
pub(crate) mod withdrawals;

pub use edge_requests::{Answer, EdgeError, Lookup, Request, Ticket};
pub(crate) use edge_requests::{Loss, LostLeader};
pub use group_key::GroupKey;
pub use link::{LinkMessage, LinkPeer};
pub use path::Path;
pub use rates::{Rate, Rates};
pub use shard::{Command, Kept, Load, Memory, Now, Shard, ShardConfig};
