//! The steps of a round: which call comes next, and what its outcome means.

use alloy_primitives::{B256, Bytes};

use super::flight::FlightWatch;
use super::plan::Draft;
use super::{Anchorer, MAX_RUNS};
use crate::abi;
use crate::ethereum::{Answer, BlockId, Request, RpcError};

/// How long a nonce may be taken without a receipt of ours before the transaction is given up, in ms: nodes
/// behind one address are not always at the same block.
const MISFIT_GRACE_MS: u64 = 15_000;
/// How long the account's nonce may be below the transaction's, in ms. A reorganisation took an older transaction
/// back, and ours can never be mined before the gap is closed; only a node that lags gets the benefit of the doubt.
const GAP_GRACE_MS: u64 = 4_000;
/// Refusals in a row after which a transaction is made anew.
const MAX_REFUSALS: u32 = 3;

/// Where the round is. Each step but `Idle` is one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Idle,
    /// Read the contract for these streams.
    ReadStreams(Vec<B256>),
    /// Read what the transaction is to emit.
    ReadRecords(Draft),
    ReadNonce(Draft),
    ReadFees(Draft),
    Estimate(Draft),
    ReadBalance(Draft),
    Broadcast,
    /// Ask for the receipt of the attempt with this index; they are asked newest first.
    AskReceipt(usize),
    CheckNonce,
    ReadFeesToBump,
    /// Read the contract's finalized state for these streams.
    ReadFinal(Vec<B256>),
}

impl Anchorer {
    pub(super) fn begin_round(&mut self, now_ms: u64) {
        self.watch.tried = false;
        self.step = if let Some(flight) = &self.flight {
            match self.watch.accepted_ms {
                None => Step::Broadcast,
                Some(_) => Step::AskReceipt(flight.attempts.len().saturating_sub(1)),
            }
        } else {
            let wanting = self.pending.wanting(self.turn, self.batch_limit, now_ms);
            let stale = now_ms.saturating_sub(self.settings.recheck_after_ms);
            if wanting.is_empty() {
                match self.pending.unread_since(stale, MAX_RUNS) {
                    unread if unread.is_empty() => Step::Idle,
                    unread => Step::ReadFinal(unread),
                }
            } else {
                Step::ReadStreams(wanting)
            }
        };
    }

    pub(super) fn request(&self) -> Option<Request> {
        let account = self.signer.address();
        let to = self.settings.contract;
        Some(match &self.step {
            Step::Idle | Step::ReadRecords(_) => return None,
            Step::ReadStreams(ids) => Request::Call {
                to,
                data: abi::read_streams(ids),
                at: BlockId::Latest,
            },
            Step::ReadFinal(ids) => Request::Call {
                to,
                data: abi::read_streams(ids),
                at: BlockId::Finalized,
            },
            Step::ReadNonce(_) | Step::CheckNonce => Request::TransactionCount(account),
            Step::ReadFees(_) | Step::ReadFeesToBump => Request::FeeHistory,
            Step::Estimate(draft) => Request::EstimateGas {
                from: account,
                to,
                data: draft.data.clone(),
            },
            Step::ReadBalance(_) => Request::Balance(account),
            Step::Broadcast => Request::Send(self.flight.as_ref()?.raw.clone()),
            Step::AskReceipt(index) => Request::Receipt(self.flight.as_ref()?.attempts.get(*index)?.hash),
        })
    }

    /// Takes in the outcome of the last [`Command::Call`](super::Command::Call).
    pub fn handle_answer(&mut self, outcome: Result<Answer, RpcError>, now_ms: u64) {
        if !self.asked {
            return; // an answer to a call that was given up
        }
        self.asked = false;
        let step = std::mem::replace(&mut self.step, Step::Idle);
        match (step, outcome) {
            (Step::Broadcast, Ok(Answer::Sent(hash))) => self.handle_sent(hash, now_ms),
            (Step::Broadcast, Err(error)) => self.handle_send_error(error, now_ms),
            (Step::Estimate(draft), Err(error)) => self.handle_estimate_error(draft, error, now_ms),
            (_, Err(error)) => self.fail(error.to_string(), now_ms),
            (Step::ReadStreams(ids), Ok(Answer::Returned(data))) => self.handle_streams(&ids, &data, now_ms),
            (Step::ReadFinal(ids), Ok(Answer::Returned(data))) => self.handle_finalized(&ids, &data, now_ms),
            (Step::ReadNonce(draft), Ok(Answer::TransactionCount(nonce))) => {
                self.step = Step::ReadFees(Draft { nonce, ..draft });
            }
            (Step::ReadFees(draft), Ok(Answer::FeeHistory(history))) => self.price(draft, &history, now_ms),
            (Step::Estimate(draft), Ok(Answer::Gas(gas))) => self.handle_gas(draft, gas, now_ms),
            (Step::ReadBalance(draft), Ok(Answer::Balance(balance))) => {
                self.balance = Some(balance);
                self.launch(draft, balance, now_ms);
            }
            (Step::AskReceipt(index), Ok(Answer::Receipt(receipt))) => {
                self.handle_receipt(index, receipt, now_ms)
            }
            (Step::CheckNonce, Ok(Answer::TransactionCount(nonce))) => self.handle_nonce(nonce, now_ms),
            (Step::ReadFeesToBump, Ok(Answer::FeeHistory(history))) => self.bump(&history, now_ms),
            (_, Ok(_)) => self.disbelieve("the answer belongs to another question", now_ms),
        }
    }

    fn handle_sent(&mut self, hash: B256, now_ms: u64) {
        let ours = self
            .flight
            .as_ref()
            .and_then(|flight| flight.newest())
            .map(|attempt| attempt.hash);
        if ours != Some(hash) {
            return self.disbelieve("it names another hash for the transaction it was sent", now_ms);
        }
        self.note_accepted(now_ms);
    }

    fn note_accepted(&mut self, now_ms: u64) {
        self.watch.accepted_ms = Some(now_ms);
        self.watch.refusals = 0;
        self.backoff.succeed();
        if now_ms >= self.watch.capped_until_ms {
            self.last_error = None; // else it still waits for lower fees
        }
        self.rest(now_ms);
    }

    fn handle_send_error(&mut self, error: RpcError, now_ms: u64) {
        self.watch.tried = true;
        if error.is_already_known() {
            self.note_accepted(now_ms);
        } else if error.is_nonce_too_low() {
            // Perhaps by ours: the receipts tell.
            self.watch.accepted_ms = Some(now_ms);
            self.ask_receipts();
        } else if error.is_fee_too_low() {
            self.note(error.to_string(), now_ms);
            self.step = Step::ReadFeesToBump;
        } else if error.is_insufficient_funds() {
            self.note(format!("account {}: {error}", self.signer.address()), now_ms);
            self.ask_receipts();
        } else if error.is_nodes_fault() {
            self.fail(error.to_string(), now_ms);
        } else {
            self.watch.refusals += 1;
            self.note(error.to_string(), now_ms);
            self.ask_receipts();
        }
    }

    fn ask_receipts(&mut self) {
        let attempts = self.flight.as_ref().map_or(0, |flight| flight.attempts.len());
        self.step = Step::AskReceipt(attempts.saturating_sub(1));
    }

    fn handle_nonce(&mut self, nonce: u64, now_ms: u64) {
        let Some(flight) = &self.flight else {
            return self.rest(now_ms);
        };
        if nonce != flight.nonce {
            // Above: another transaction has our nonce, or the receipt is late. Below: a reorganisation made a gap.
            let grace_ms = if nonce < flight.nonce {
                GAP_GRACE_MS
            } else {
                MISFIT_GRACE_MS
            };
            let since = *self.watch.misfit_since_ms.get_or_insert(now_ms);
            if now_ms.saturating_sub(since) >= grace_ms {
                self.give_up(
                    format!(
                        "the account's nonce is {nonce}, the transaction's {}",
                        flight.nonce
                    ),
                    now_ms,
                );
            }
            return self.rest(now_ms);
        }
        self.watch.misfit_since_ms = None;
        let signed_ms = flight.newest().map_or(now_ms, |attempt| attempt.signed_ms);
        if self.watch.refusals >= MAX_REFUSALS {
            self.give_up("the node refuses the transaction".into(), now_ms);
            return self.fail_quietly(now_ms);
        }
        let resend = match self.watch.accepted_ms {
            None => true,
            Some(accepted) => now_ms.saturating_sub(accepted) >= self.settings.resend_after_ms,
        };
        let stuck = now_ms.saturating_sub(signed_ms) >= self.settings.bump_after_ms;
        let accepted = self.watch.accepted_ms.is_some();
        if accepted && stuck && now_ms >= self.watch.capped_until_ms {
            self.step = Step::ReadFeesToBump;
        } else if resend && !self.watch.tried {
            self.step = Step::Broadcast;
        } else if accepted {
            self.rest(now_ms);
        } else {
            self.rest_unfunded(now_ms);
        }
    }

    /// Forgets the transaction. Safe whatever becomes of it: the contract takes each run once, and the next plan
    /// reads the contract first.
    fn give_up(&mut self, reason: String, now_ms: u64) {
        self.note(format!("transaction given up: {reason}"), now_ms);
        self.land(None);
    }

    /// The transaction is done with. `covered`: the runs are on the chain now.
    pub(super) fn land(&mut self, covered_ms: Option<u64>) {
        let Some(flight) = self.flight.take() else { return };
        self.journal.remove(super::FLIGHT_KEY.to_owned());
        self.watch = FlightWatch::default();
        if covered_ms.is_some() {
            self.latest = flight.runs.last().map(|run| (run.stream, run.end()));
        }
        for run in &flight.runs {
            match covered_ms {
                Some(now_ms) => self.pending.cover(run.stream, run.end(), now_ms),
                None => self.pending.forget_coverage(&run.stream),
            }
        }
    }

    /// Until the next round.
    pub(super) fn rest(&mut self, now_ms: u64) {
        self.step = Step::Idle;
        self.next_round_ms = now_ms + self.settings.interval_ms;
    }

    /// Until money may have come.
    pub(super) fn rest_unfunded(&mut self, now_ms: u64) {
        self.step = Step::Idle;
        self.next_round_ms = now_ms + self.settings.retry_after_ms.max(self.settings.interval_ms);
    }

    pub(super) fn succeed(&mut self) {
        self.backoff.succeed();
        self.last_error = None;
    }

    pub(super) fn note(&mut self, error: String, now_ms: u64) {
        self.last_error = Some((error, now_ms));
    }

    pub(super) fn fail(&mut self, error: String, now_ms: u64) {
        self.note(error, now_ms);
        self.fail_quietly(now_ms);
    }

    pub(super) fn fail_quietly(&mut self, now_ms: u64) {
        self.step = Step::Idle;
        self.next_round_ms = now_ms + self.backoff.fail().max(self.settings.interval_ms);
    }

    /// The node's answer cannot be true.
    pub(super) fn disbelieve(&mut self, reason: &str, now_ms: u64) {
        self.distrust = Some(reason.to_owned());
        self.fail(format!("the node is not believed: {reason}"), now_ms);
    }

    /// What a read of the contract says, or `None` after noting that it makes no sense.
    pub(super) fn believed_streams(
        &mut self,
        ids: &[B256],
        data: &Bytes,
        now_ms: u64,
    ) -> Option<Vec<abi::StreamState>> {
        let states = abi::decode_streams(data, ids.len());
        if states.is_none() {
            let contract = self.settings.contract;
            let reason = if data.is_empty() {
                format!("there is no contract at {contract}")
            } else {
                format!("the contract at {contract} answers in another shape")
            };
            self.fail(reason, now_ms);
        }
        states
    }
}
