//! What the directory knows of a relay that leads a stream, for the stream's own object.

use super::lost_reports::Belief;
use serde::{Deserialize, Serialize};
use streamchain_protocol::ids::{RelayId, RelayKeyId};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::LinkReach;

/// The leader of a stream, as another relay that asks for the stream would find it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaderView {
    /// The leader.
    pub leader: RelayId,
    /// How it is.
    pub standing: Standing,
    /// SHA-256 of the link certificate of the relay that asks; `None` for one that has no links.
    pub follower: Option<[u8; 32]>,
    /// Whether a report of that relay that the leader is lost is acted on.
    #[serde(default)]
    pub belief: Belief,
}

/// How a leader is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Standing {
    /// Its lease is over, or it said goodbye.
    Dead,
    /// It lives, and shares no streams.
    NoLinks,
    /// It lives, and can be followed.
    Alive {
        /// When it renewed last.
        heard: UnixMs,
        /// When its present run registered first, as far as the directory knows.
        run_since: Option<UnixMs>,
        /// How its links are reached.
        link: LinkReach,
        /// The key that it has: tickets for it are signed with this key.
        key: Option<RelayKeyId>,
    },
}
