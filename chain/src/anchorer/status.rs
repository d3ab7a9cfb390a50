//! What people may know of the sender.

use alloy_primitives::{Address, B256};
use serde::Serialize;

use super::Anchorer;
use super::spending::end_of_day;

/// Streams named as blocked at most: the status is for people.
const MAX_BLOCKED_SHOWN: usize = 20;

/// A look at the sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The signing account.
    pub address: Address,
    /// Its balance when it was last asked for, in wei, as decimal text.
    pub balance_wei: Option<String>,
    /// Segments not on the chain yet, as far as known.
    pub pending_segments: usize,
    /// Segments not final yet, the pending ones included.
    pub held_segments: usize,
    /// The transaction under way.
    pub in_flight: Option<InFlight>,
    /// What the day's transactions may use; absent without a budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gas_budget: Option<GasBudget>,
    /// Streams that cannot be anchored now.
    pub blocked_streams: Vec<BlockedStream>,
    /// What went wrong last, until something goes right.
    pub last_error: Option<String>,
    /// When that was, in Unix ms.
    pub last_error_at: Option<u64>,
}

/// The transaction under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InFlight {
    /// Its nonce.
    pub nonce: u64,
    /// The newest attempt's hash.
    pub tx: B256,
    /// How many forms it has had.
    pub attempts: usize,
    /// How many anchors it carries.
    pub anchors: usize,
    /// Since when it is under way, in Unix ms.
    pub since_ms: u64,
}

/// What the day's transactions may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GasBudget {
    /// Gas for a UTC day.
    pub daily: u64,
    /// Gas used today, with all that the transaction under way may use.
    pub used: u64,
    /// When the next day begins, in Unix ms.
    pub resets_at: u64,
    /// Whether anchoring waits for that.
    pub waiting: bool,
}

/// A stream that cannot be anchored now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockedStream {
    /// Its id.
    pub stream: B256,
    /// Why, for people.
    pub reason: String,
}

impl Anchorer {
    /// A look at the sender.
    pub fn status(&self, now_ms: u64) -> Status {
        let in_flight = self.flight.as_ref().and_then(|flight| {
            Some(InFlight {
                nonce: flight.nonce,
                tx: flight.newest()?.hash,
                attempts: flight.attempts.len(),
                anchors: flight.runs.len(),
                since_ms: flight.since_ms,
            })
        });
        let blocked = self.pending.blocked().take(MAX_BLOCKED_SHOWN);
        Status {
            address: self.signer.address(),
            balance_wei: self.balance.map(|balance| balance.to_string()),
            pending_segments: self.pending.pending(),
            held_segments: self.pending.held(),
            in_flight,
            gas_budget: self.settings.daily_gas.map(|daily| GasBudget {
                daily,
                used: self.spending.gas(now_ms),
                resets_at: end_of_day(now_ms),
                waiting: self.next_round_ms == end_of_day(now_ms),
            }),
            blocked_streams: blocked
                .map(|(stream, obstacle)| BlockedStream {
                    stream,
                    reason: obstacle.to_string(),
                })
                .collect(),
            last_error: self.last_error.as_ref().map(|(text, _)| text.clone()),
            last_error_at: self.last_error.as_ref().map(|(_, at)| *at),
        }
    }
}
