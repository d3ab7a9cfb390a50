//! What people may know of the machine.

use alloy_primitives::{Address, B256};
use serde::Serialize;
use streamchain_protocol::ids::StreamId;
use streamchain_protocol::time::UnixMs;

use super::Anchorer;
use super::spending::{end_of_day, foreign_share, owner_share};
use crate::rounds::{RoundMaker, RoundsStatus};

/// Streams named as blocked at most: the status is for people.
const MAX_BLOCKED_SHOWN: usize = 20;

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
    /// What is known of rounds; absent where none are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rounds: Option<RoundsStatus>,
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

impl Anchorer {
    /// The state of the machine, for people.
    pub fn status(&self, now: UnixMs) -> Status {
        let in_flight = self.flight.as_ref().and_then(|flight| {
            Some(InFlight {
                nonce: flight.nonce,
                tx: flight.newest()?.hash,
                attempts: flight.attempts.len(),
                anchors: flight.runs.len(),
                since: flight.since,
            })
        });
        let blocked = self.pending.blocked().take(MAX_BLOCKED_SHOWN);
        let blocked = blocked.map(|(stream, obstacle)| BlockedStream {
            stream,
            reason: obstacle.to_string(),
        });
        Status {
            address: self.signer.address(),
            balance_wei: self.balance.map(|balance| balance.to_string()),
            pending_segments: self.pending.pending(),
            held_segments: self.pending.unsettled(),
            streams_in_database: self.pending.in_database(),
            in_flight,
            gas_budget: self.settings.daily_gas.map(|daily| GasBudget {
                daily,
                used: self.spending.gas(now),
                owner_share: owner_share(daily),
                foreign_share: foreign_share(daily),
                foreign_used: self.spending.foreign_gas(now),
                resets_at: end_of_day(now),
                waiting: self.next_pass == end_of_day(now) || self.next_anchor == end_of_day(now),
            }),
            rounds: self.rounds.as_ref().map(RoundMaker::status),
            blocked_streams: blocked.collect(),
            last_error: self.last_error.as_ref().map(|(text, _)| text.clone()),
            last_error_at: self.last_error.as_ref().map(|(_, at)| *at),
        }
    }
}
