//! What people may know of the listener.

use serde::Serialize;

use super::Listener;

/// A look at the listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Whether the last round went well.
    pub ok: bool,
    /// The chain's id.
    pub id: u64,
    /// The newest block's height, when a node was last believed.
    pub head: Option<u64>,
    /// The finalized block's height, as far as read.
    pub finalized: Option<u64>,
    /// The next block to read.
    pub cursor: u64,
    /// Blocks that are there and not read yet.
    pub lag: u64,
    /// Events seen that are not final yet.
    pub held_events: usize,
    /// What is wrong, for people.
    pub error: Option<String>,
    /// When the last round began, in Unix ms.
    pub last_poll_at: Option<u64>,
}

impl Listener {
    /// A look at the listener.
    pub fn status(&self) -> Status {
        let head = self.head.map(|head| head.number);
        Status {
            ok: self.last_error.is_none() && head.is_some(),
            id: self.settings.chain_id,
            head,
            finalized: self.cursor.finalized.map(|mark| mark.number),
            cursor: self.cursor.next,
            lag: head.map_or(0, |head| (head + 1).saturating_sub(self.cursor.next)),
            held_events: self.held.len(),
            error: self.last_error.clone(),
            last_poll_at: self.last_poll_ms,
        }
    }
}
