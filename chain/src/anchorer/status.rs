//! What people may know of the machine.

use alloy_primitives::{Address, B256};
use serde::Serialize;
use streamchain_protocol::ids::StreamId;
use streamchain_protocol::time::UnixMs;

/// Streams named as blocked at most: the status is for people.
pub(super) const MAX_BLOCKED_SHOWN: usize = 20;

/// The state of the machine at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The signing account.
    pub address: Address,
    /// Its balance when it was last asked for, in wei, as decimal text.
    pub balance_wei: Option<String>,
    /// Segments not on the chain yet, as far as known, without those of `streamsInDatabase` that are in the database alone.
    pub pending_segments: usize,
    /// Segments not final yet, the pending ones included.
    pub held_segments: usize,
    /// Streams of which the database has more segments than are kept here: they wait for their owners, or are above a
    /// share of the room.
    pub streams_in_database: usize,
    /// The transaction under way.
    pub in_flight: Option<InFlight>,
    /// What the day's transactions may use; absent without a budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gas_budget: Option<GasBudget>,
    /// Streams that cannot be anchored now.
    pub blocked_streams: Vec<BlockedStream>,
    /// What went wrong last, until something goes right.
    pub last_error: Option<String>,
    /// When it went wrong, in Unix ms.
    #[serde(rename = "lastErrorAt")]
    pub last_error_at: Option<UnixMs>,
}

/// The transaction under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InFlight {
    /// The account's transaction number.
    pub nonce: u64,
    /// The newest attempt's hash.
    pub tx: B256,
    /// How many forms it has had.
    pub attempts: usize,
    /// How many anchors it carries.
    pub anchors: usize,
    /// Since when it is under way, in Unix ms.
    #[serde(rename = "sinceMs")]
    pub since: UnixMs,
}

/// What the day's transactions may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GasBudget {
    /// Gas for a UTC day.
    pub daily: u64,
    /// Gas used today, with all that the transaction under way may use.
    pub used: u64,
    /// Gas of that which one owner's streams may use, for owners other than the account.
    pub owner_share: u64,
    /// Gas of that which the streams of all those owners may use.
    pub foreign_share: u64,
    /// Gas used today for their streams.
    pub foreign_used: u64,
    /// When the next day begins, in Unix ms.
    #[serde(rename = "resetsAt")]
    pub resets_at: UnixMs,
    /// Whether anchoring waits for that.
    pub waiting: bool,
}

/// A stream that cannot be anchored now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockedStream {
    /// The stream's id.
    pub stream: StreamId,
    /// The reason, for people.
    pub reason: String,
}
