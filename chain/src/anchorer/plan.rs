//! From what the contract says to a signed transaction, and from there to its end.

use alloy_primitives::{Address, B256, Bytes, U256};
use streamchain_protocol::stream_settings::Mode;

use super::emission::{Emission, MAX_EMITTED_BYTES};
use super::flight::{Attempt, Flight, FlightWatch, MAX_ATTEMPTS};
use super::pending::{Obstacle, Plan, Ready, Run};
use super::round::Step;
use super::spending::end_of_day;
use super::{Anchorer, FLIGHT_KEY, MAX_RUNS, MAX_TRANSACTION_GAS, SPENDING_KEY};
use crate::abi::{self, Anchor, ContractError, Publication, openCall};
use crate::ethereum::{self, Fees};
use crate::ethereum::{FeeHistory, Receipt, RpcError};
use crate::ethereum::{Signed, Transaction};

/// A transaction being made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draft {
    pub runs: Vec<(Plan, Emission)>,
    /// The streams that have to be opened, with the hashes of their names.
    pub opens: Vec<(B256, B256)>,
    /// The calldata; empty until all that goes into it is there.
    pub data: Bytes,
    pub nonce: u64,
    pub fees: Fees,
    pub gas_limit: u64,
}

/// A fifth more gas than estimated: the state may differ by the time the transaction is in a block.
fn with_margin(gas: u64) -> u64 {
    gas.saturating_add(gas / 5)
}

impl Anchorer {
    pub(super) fn handle_streams(&mut self, ids: &[B256], data: &Bytes, now_ms: u64) {
        let Some(states) = self.believed_streams(ids, data, now_ms) else {
            return;
        };
        let account = self.signer.address();
        let mut runs = Vec::new();
        let mut opens = Vec::new();
        for (&id, state) in ids.iter().zip(states) {
            let Some(entry) = self.pending.get(&id) else {
                continue;
            };
            let (owner, name_hash) = (entry.owner(), entry.name_hash());
            let is_open = state.anchorer != Address::ZERO;
            let obstacle = match is_open {
                true if state.anchorer != account => Some(Obstacle::Stranger(state.anchorer)),
                false if owner != account => Some(Obstacle::NotOpen),
                _ => None,
            };
            let ready = || entry.run_from(id, state.next_seq, usize::MAX);
            match obstacle.map_or_else(ready, Ready::Not) {
                Ready::Not(obstacle) => self.pending.block(id, obstacle, now_ms),
                Ready::Done => self.pending.cover(id, state.next_seq, now_ms),
                Ready::Run(plan) => {
                    self.pending.cover(id, state.next_seq, now_ms);
                    runs.push((plan, Emission::default()));
                    if !is_open {
                        opens.push((id, name_hash));
                    }
                }
            }
        }
        self.turn = ids.last().copied();
        if runs.is_empty() {
            self.succeed();
            return self.rest(now_ms);
        }
        let draft = Draft {
            runs,
            opens,
            data: Bytes::new(),
            nonce: 0,
            fees: Fees { max_fee: 0, tip: 0 },
            gas_limit: 0,
        };
        self.go_on(draft, now_ms);
    }

    /// Reads what is still to be read for the transaction; once all is there, writes its calldata.
    pub(super) fn go_on(&mut self, mut draft: Draft, now_ms: u64) {
        self.step = Step::ReadRecords(draft);
        if self.reading().is_some() {
            return;
        }
        let Step::ReadRecords(taken) = std::mem::replace(&mut self.step, Step::Idle) else {
            return;
        };
        draft = taken;
        if draft.runs.is_empty() {
            return self.rest(now_ms);
        }
        let anchorer = self.signer.address();
        let open = |&(_, name_hash): &(B256, B256)| openCall {
            nameHash: name_hash,
            anchorer,
        };
        let mut publication = Publication {
            opens: draft.opens.iter().map(open).collect(),
            ..Publication::default()
        };
        for (plan, emission) in &mut draft.runs {
            let run = &plan.run;
            let emission = std::mem::take(emission);
            publication
                .emissions
                .extend(emission.encode(run.stream, run.first));
            match plan.prove {
                true => publication.stored.push(anchor_of(run)),
                false => publication.anchors.push(anchor_of(run)),
            }
        }
        draft.data = publication.encode();
        self.step = Step::ReadNonce(draft);
    }

    pub(super) fn handle_finalized(&mut self, ids: &[B256], data: &Bytes, now_ms: u64) {
        for id in ids {
            if let Some(entry) = self.pending.get_mut(id) {
                entry.read_ms = now_ms;
                entry.covered = None; // and have the latest state read as well
            }
        }
        if data.is_empty() {
            return self.rest(now_ms); // the contract is younger than the finalized block
        }
        let Some(states) = self.believed_streams(ids, data, now_ms) else {
            return;
        };
        for (&id, state) in ids.iter().zip(states) {
            self.pending.settle(id, state.next_seq, &mut self.journal);
        }
        self.succeed();
        self.rest(now_ms);
    }

    pub(super) fn price(&mut self, draft: Draft, history: &FeeHistory, now_ms: u64) {
        match ethereum::estimate_fees(history, self.settings.fees) {
            Ok(fees) => self.step = Step::Estimate(Draft { fees, ..draft }),
            Err(error) => self.fail(error.to_string(), now_ms),
        }
    }

    pub(super) fn handle_gas(&mut self, draft: Draft, gas: u64, now_ms: u64) {
        let gas_limit = with_margin(gas);
        if gas_limit > MAX_TRANSACTION_GAS {
            return self.shrink(&draft, format!("it would need {gas} gas"), now_ms);
        }
        if let Some(left) = self.gas_left(now_ms)
            && gas_limit > left
        {
            return self.await_budget(&Draft { gas_limit, ..draft }, left, now_ms);
        }
        self.step = Step::ReadBalance(Draft { gas_limit, ..draft });
    }

    pub(super) fn handle_estimate_error(&mut self, draft: Draft, error: RpcError, now_ms: u64) {
        if error.is_insufficient_funds() {
            self.note(format!("account {}: {error}", self.signer.address()), now_ms);
            return self.rest_unfunded(now_ms);
        }
        let Some(revert) = error.revert() else {
            // Neither a revert nor the node's fault: perhaps the call is too large for it.
            if error.is_nodes_fault() {
                return self.fail(error.to_string(), now_ms);
            }
            return self.shrink(&draft, error.to_string(), now_ms);
        };
        for (plan, _) in &draft.runs {
            self.pending.forget_coverage(&plan.run.stream);
        }
        match abi::decode_revert(&revert) {
            // The stream changed between two calls: read again.
            Some(ContractError::Gap(_) | ContractError::Overlap(_) | ContractError::StreamAlreadyOpen(_)) => {
                self.fail("a stream changed while its anchor was prepared".into(), now_ms);
            }
            _ => self.shrink(&draft, error.to_string(), now_ms),
        }
    }

    /// The batch is refused as a whole: smaller ones find the stream that is to blame, and leave it out.
    fn shrink(&mut self, draft: &Draft, reason: String, now_ms: u64) {
        if !self.halve(draft) {
            if let [(plan, _)] = draft.runs.as_slice() {
                self.pending
                    .block(plan.run.stream, Obstacle::Refused(reason), now_ms);
            }
            return self.rest(now_ms);
        }
        self.note(reason, now_ms);
        self.step = Step::Idle;
        self.next_round_ms = now_ms;
    }

    /// Makes the next transaction smaller than this one; `false` when it is as small as can be.
    fn halve(&mut self, draft: &Draft) -> bool {
        self.turn = None;
        if let [(plan, _)] = draft.runs.as_slice() {
            let emits = plan.mode != Mode::Root && plan.segments.len() > 1;
            self.emission_limit = draft.data.len() / 2;
            return emits;
        }
        self.batch_limit = (draft.runs.len() / 2).max(1);
        true
    }

    /// The gas that the day's budget has left; `None` without a budget.
    pub(super) fn gas_left(&self, now_ms: u64) -> Option<u64> {
        let daily = self.settings.daily_gas?;
        Some(daily.saturating_sub(self.spending.gas(now_ms)))
    }

    /// The day's budget does not hold the transaction: a smaller one perhaps, or tomorrow.
    fn await_budget(&mut self, draft: &Draft, left: u64, now_ms: u64) {
        if self.halve(draft) {
            self.step = Step::Idle;
            self.next_round_ms = now_ms;
            return;
        }
        let needed = draft.gas_limit;
        self.note(
            format!("the day's gas budget has {left} left, {needed} needed: anchoring goes on at 00:00 UTC"),
            now_ms,
        );
        self.step = Step::Idle;
        self.next_round_ms = end_of_day(now_ms);
    }

    pub(super) fn launch(&mut self, draft: Draft, balance: U256, now_ms: u64) {
        let cost = U256::from(draft.gas_limit) * U256::from(draft.fees.max_fee);
        if balance < cost {
            let account = self.signer.address();
            self.note(
                format!("account {account} has insufficient funds: {balance} wei, {cost} needed"),
                now_ms,
            );
            return self.rest_unfunded(now_ms);
        }
        let mut flight = Flight {
            nonce: draft.nonce,
            gas_limit: draft.gas_limit,
            data: draft.data,
            runs: draft.runs.into_iter().map(|(plan, _)| plan.run).collect(),
            attempts: Vec::new(),
            raw: Bytes::new(),
            since_ms: now_ms,
        };
        self.watch = FlightWatch::default();
        if self.attempt(&mut flight, draft.fees, now_ms) {
            self.spending.reserve(flight.gas_limit, now_ms);
            self.save_spending();
            self.flight = Some(flight);
            self.step = Step::Broadcast;
        }
    }

    /// Signs a form of the transaction, saves it, and gives whether that worked.
    fn attempt(&mut self, flight: &mut Flight, fees: Fees, now_ms: u64) -> bool {
        let transaction = Transaction {
            chain_id: self.settings.chain_id,
            nonce: flight.nonce,
            fees,
            gas_limit: flight.gas_limit,
            to: self.settings.contract,
            data: flight.data.clone(),
        };
        let Ok(Signed { hash, raw }) = transaction.sign(&self.signer) else {
            self.fail("the transaction could not be signed".into(), now_ms);
            return false;
        };
        flight.attempts.push(Attempt {
            hash,
            fees,
            signed_ms: now_ms,
        });
        flight.raw = raw;
        self.journal.put(FLIGHT_KEY.to_owned(), flight);
        true
    }

    pub(super) fn bump(&mut self, history: &FeeHistory, now_ms: u64) {
        let Some(mut flight) = self.flight.take() else {
            return self.rest(now_ms);
        };
        let previous = flight
            .newest()
            .map_or(Fees { max_fee: 0, tip: 0 }, |attempt| attempt.fees);
        let fresh = ethereum::estimate_fees(history, self.settings.fees).unwrap_or(previous);
        let raised = ethereum::bump_fees(previous, fresh, self.settings.fees)
            .filter(|_| flight.attempts.len() < MAX_ATTEMPTS);
        match raised {
            Some(fees) => {
                if self.attempt(&mut flight, fees, now_ms) {
                    self.watch.accepted_ms = None;
                    self.step = Step::Broadcast;
                }
            }
            None => {
                let cap = self.settings.fees.cap;
                self.note(
                    format!("the transaction waits: a higher fee is above the cap of {cap} wei"),
                    now_ms,
                );
                self.watch.capped_until_ms = now_ms + self.settings.bump_after_ms;
                // What is out may still be mined.
                self.step = match self.watch.tried {
                    true => Step::AskReceipt(flight.attempts.len().saturating_sub(1)),
                    false => Step::Broadcast,
                };
            }
        }
        self.flight = Some(flight);
    }

    pub(super) fn handle_receipt(&mut self, index: usize, receipt: Option<Receipt>, now_ms: u64) {
        let asked = self
            .flight
            .as_ref()
            .and_then(|flight| flight.attempts.get(index))
            .map(|it| it.hash);
        let Some(receipt) = receipt else {
            self.step = match index.checked_sub(1) {
                Some(older) => Step::AskReceipt(older),
                None => Step::CheckNonce,
            };
            return;
        };
        if asked != Some(receipt.transaction_hash) {
            return self.disbelieve("it gives the receipt of another transaction", now_ms);
        }
        self.settle_gas(receipt.gas_used);
        if receipt.succeeded() {
            self.land(Some(now_ms));
            self.batch_limit = (self.batch_limit * 2).min(MAX_RUNS);
            self.emission_limit = (self.emission_limit * 2).min(MAX_EMITTED_BYTES);
            self.succeed();
            self.rest(now_ms);
        } else {
            self.land(None);
            self.fail(
                format!("transaction {} reverted on the chain", receipt.transaction_hash),
                now_ms,
            );
        }
    }
}

impl Anchorer {
    /// The transaction under way has used so much: the rest of what was reserved is free again.
    fn settle_gas(&mut self, used: u64) {
        let Some(flight) = &self.flight else { return };
        let unused = flight.gas_limit.saturating_sub(used);
        self.spending.give_back(unused, flight.since_ms);
        self.save_spending();
    }

    fn save_spending(&mut self) {
        if self.settings.daily_gas.is_some() {
            self.journal.put(SPENDING_KEY.to_owned(), &self.spending);
        }
    }
}

fn anchor_of(run: &Run) -> Anchor {
    Anchor {
        stream: run.stream,
        firstSeq: run.first,
        count: run.count,
        root: run.root,
    }
}
