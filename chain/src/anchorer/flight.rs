//! The one transaction under way.
//!
//! One at a time, because every run of a stream builds on the one before it: a second transaction would only fail
//! when the first is dropped. What waits meanwhile goes out together with the next one.
//!
//! What always holds: every hash that may ever have reached a node is in `attempts`, and all attempts do the same at
//! the same nonce, so at most one of them is ever mined.

use alloy_primitives::{B256, Bytes};
use serde::{Deserialize, Serialize};

use super::pending::Run;
use crate::ethereum::Fees;

/// Attempts of one transaction at most: each raises the fee by 12.5 %, so 40 of them raise it a hundredfold.
pub(super) const MAX_ATTEMPTS: usize = 40;

/// One signed form of the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attempt {
    /// Its hash.
    pub hash: B256,
    /// What it offers.
    pub fees: Fees,
    /// When it was signed, in Unix ms.
    pub signed_ms: u64,
}

/// A transaction that was signed and saved, and may have been sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Flight {
    /// The account's transaction number.
    pub nonce: u64,
    /// The most gas it may use.
    pub gas_limit: u64,
    /// The calldata.
    pub data: Bytes,
    /// What it anchors.
    pub runs: Vec<Run>,
    /// All signed forms, oldest first; never empty.
    pub attempts: Vec<Attempt>,
    /// The newest attempt's bytes.
    pub raw: Bytes,
    /// When the first attempt was signed, in Unix ms.
    pub since_ms: u64,
}

impl Flight {
    /// The newest attempt.
    pub(super) fn newest(&self) -> Option<&Attempt> {
        self.attempts.last()
    }
}

/// What is known of the flight since this machine was made; not saved, so that after a crash it is sent again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FlightWatch {
    /// When a node last took the newest attempt in.
    pub accepted_ms: Option<u64>,
    /// A broadcast was tried in this round.
    pub tried: bool,
    /// Since when the account's nonce has not fitted, while no receipt was found.
    pub misfit_since_ms: Option<u64>,
    /// Refusals in a row that are not about fees, nonce or funds.
    pub refusals: u32,
    /// No attempt to raise the fee before this time: the cap leaves no room.
    pub capped_until_ms: u64,
}
