//! What people may know of the machine.

use super::holes::Gap;
use serde::Serialize;
use streamchain_protocol::time::UnixMs;

/// The state of the machine at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Whether the last pass went well.
    pub ok: bool,
    /// The chain's id.
    pub id: u64,
    /// The height of the newest block, as a node last showed it.
    pub head: Option<u64>,
    /// The finalized block's height, as far as read.
    pub finalized: Option<u64>,
    /// The next block to read.
    pub cursor: u64,
    /// The number of blocks that are not read yet.
    pub lag: u64,
    /// Events seen that are not final yet.
    pub held_events: usize,
    /// Blocks of which events are missing for certain; they are read again until they are found.
    pub gaps: Vec<Gap>,
    /// Blocks without events whose headers say that there may be some; they are read again as well.
    pub doubtful_blocks: u64,
    /// Blocks that were read far behind the head, and whose headers are yet to be compared with that.
    pub unchecked_blocks: u64,
    /// What went wrong, for people.
    pub error: Option<String>,
    /// When the last pass began, in Unix ms.
    #[serde(rename = "lastPollAt")]
    pub last_poll: Option<UnixMs>,
}
