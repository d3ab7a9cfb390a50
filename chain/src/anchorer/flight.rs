//! The transaction under way.
//!
//! There is one at a time, because every run of a stream builds on the run before it: a second transaction would only
//! fail when the first is dropped. What waits meanwhile goes out with the next one.
//!
//! What always holds: every hash that may have reached a node is in `attempts`, and all attempts do the same at the
//! same nonce, so at most one of them is ever mined.

use alloy_primitives::{B256, Bytes};
use serde::{Deserialize, Serialize};

use super::segment::Run;
use super::settings::Settings;
use super::spending::GasPart;
use crate::ethereum::{BadKey, Fees, Signed, Signer, Transaction};
use streamchain_protocol::time::UnixMs;

/// Attempts of one transaction at most: each raises the fee by 12.5 %, so 40 of them raise it a hundredfold.
pub(super) const MAX_ATTEMPTS: usize = 40;

/// One signed form of the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attempt {
    /// The hash of the signed form.
    pub(super) hash: B256,
    /// The fees that it offers.
    pub(super) fees: Fees,
    /// When it was signed, in Unix ms.
    #[serde(rename = "signedMs")]
    pub(super) signed_at: UnixMs,
}

/// A transaction that was signed and saved, and may have been sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Flight {
    /// The account's transaction number.
    pub(super) nonce: u64,
    /// The most gas it may use.
    pub(super) gas_limit: u64,
    /// The calldata.
    pub(super) data: Bytes,
    /// What it anchors.
    pub(super) runs: Vec<Run>,
    /// The parts of its gas that count against shares; they have a row of their own.
    #[serde(skip)]
    pub(super) gas_parts: Vec<GasPart>,
    /// Whether more waited when it was made than it carries.
    #[serde(skip)]
    pub(super) leaves_more: bool,
    /// All signed forms, oldest first; never empty.
    pub(super) attempts: Vec<Attempt>,
    /// The newest attempt's bytes.
    pub(super) raw: Bytes,
    /// When the first attempt was signed, in Unix ms.
    #[serde(rename = "sinceMs")]
    pub(super) since: UnixMs,
}

impl Flight {
    /// The newest attempt.
    pub(super) fn newest(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// The index of the newest attempt.
    pub(super) fn newest_index(&self) -> usize {
        self.attempts.len().saturating_sub(1)
    }

    /// The transaction with one more signed form, which offers `fees`.
    pub(super) fn signed(
        mut self,
        fees: Fees,
        settings: &Settings,
        signer: &Signer,
        now: UnixMs,
    ) -> Result<Self, BadKey> {
        let transaction = Transaction {
            chain_id: settings.chain_id,
            nonce: self.nonce,
            fees,
            gas_limit: self.gas_limit,
            to: settings.contract,
            data: self.data.clone(),
        };
        let Signed { hash, raw } = transaction.sign(signer)?;
        self.attempts.push(Attempt {
            hash,
            fees,
            signed_at: now,
        });
        self.raw = raw;
        Ok(self)
    }
}

/// What is known of the transaction since this machine was made. It is not saved, so that the transaction is sent again
/// after a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FlightWatch {
    /// When a node last accepted the newest attempt.
    pub(super) accepted_at: Option<UnixMs>,
    /// Whether a broadcast was tried in this pass.
    pub(super) tried: bool,
    /// Since when the account's nonce has differed from the transaction's, without a receipt.
    pub(super) misfit_since: Option<UnixMs>,
    /// How many times in a row a node refused it for a reason other than fees, nonce or funds.
    pub(super) refusals: u32,
    /// No attempt to raise the fee before this time: the cap leaves no room.
    pub(super) capped_until: UnixMs,
}
