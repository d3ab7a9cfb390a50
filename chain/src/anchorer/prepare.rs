//! From what the contract says to a signed transaction.

use alloy_primitives::{Address, Bytes, U256};
use streamchain_protocol::ids::StreamId;

use super::emission::Emission;
use super::flight::Flight;
use super::obstacle::Obstacle;
use super::plan::{Added, Draft, Halved, Prepared};
use super::spending::end_of_day;
use super::step::{Context, Effect, Step, Transition, Unsigned, Wait, after, fail, rest};
use super::stream::Ready;
use crate::abi::{self, ContractError, StreamState};
use crate::ethereum::{self, FeeHistory, Fees, RpcError};

/// The most gas one transaction may ask for: half of what EIP-7825 allows one (2^24), so that a full batch of new
/// streams still finds room in a block.
const MAX_TRANSACTION_GAS: u64 = 8_000_000;

/// A fifth more gas than estimated: the state may differ by the time the transaction is in a block.
fn with_margin(gas: u64) -> u64 {
    gas.saturating_add(gas / 5)
}

/// Plans the runs that the contract's state of these streams lets us anchor.
pub(super) fn plan(ids: &[StreamId], data: &Bytes, context: &Context<'_>) -> Transition {
    let states = match decode(ids, data, context) {
        Ok(states) => states,
        Err(reason) => return fail(reason),
    };
    let mut effects = Vec::new();
    let mut draft = Draft::default();
    for (&id, state) in ids.iter().zip(states) {
        let Some(entry) = context.pending.get(&id) else {
            continue;
        };
        let ready = match obstacle(entry.owner(), &state, context) {
            Some(obstacle) => Ready::Not(obstacle),
            None => entry.run_from(id, state.next_seq),
        };
        match ready {
            Ready::Not(obstacle) => effects.push(Effect::Block(id, obstacle)),
            Ready::Done => effects.push(Effect::Cover(id, state.next_seq)),
            Ready::Run(plan) => {
                effects.push(Effect::Cover(id, state.next_seq));
                draft.runs.push((plan, Emission::default()));
                if !state.is_open() {
                    draft.opens.push((id, entry.name_hash()));
                }
            }
        }
    }
    effects.push(Effect::SetTurn(ids.last().copied()));
    if draft.runs.is_empty() {
        effects.push(Effect::ClearError);
    }
    after(effects, go_on(draft, context))
}

/// Why the contract would not let this account anchor the stream, if it would not.
fn obstacle(owner: Address, state: &StreamState, context: &Context<'_>) -> Option<Obstacle> {
    let account = context.signer.address();
    match state.is_open() {
        true if state.anchorer != account => Some(Obstacle::Stranger(state.anchorer)),
        false if owner != account => Some(Obstacle::NotOpen),
        _ => None,
    }
}

/// Reads what is still to be read for the transaction; once all is there, writes its calldata.
fn go_on(draft: Draft, context: &Context<'_>) -> Transition {
    if draft.unread().is_some() {
        return (Step::ReadRecords(draft), Vec::new());
    }
    if draft.runs.is_empty() {
        return rest(Wait::Interval);
    }
    let prepared = draft.prepare(context.signer.address());
    (Step::ReadNonce(prepared), Vec::new())
}

/// Takes in the records of a segment.
pub(super) fn add_records(
    draft: Draft,
    outcome: Result<Vec<u8>, String>,
    context: &Context<'_>,
) -> Transition {
    let records = match outcome {
        Ok(records) => records,
        Err(reason) => return fail(format!("the messages to emit cannot be read: {reason}")),
    };
    let Some(read) = draft.unread() else {
        return go_on(draft, context);
    };
    match draft.add(&records, context.limits) {
        Added::Damaged => {
            let damaged = Effect::Block(read.stream, Obstacle::Damaged(read.first));
            after(vec![damaged], rest(Wait::Interval))
        }
        Added::Taken(draft) | Added::Full(draft) => {
            let turn = Effect::SetTurn(draft.last_read);
            after(vec![turn], go_on(draft, context))
        }
    }
}

/// Drops the segments that the contract's finalized state covers.
pub(super) fn settle(ids: &[StreamId], data: &Bytes, context: &Context<'_>) -> Transition {
    let mut effects: Vec<Effect> = ids.iter().map(|id| Effect::MarkRead(*id)).collect();
    if data.is_empty() {
        return after(effects, rest(Wait::Interval)); // the contract is younger than the finalized block
    }
    match decode(ids, data, context) {
        Ok(states) => {
            let states = ids.iter().zip(states);
            effects.extend(states.map(|(id, state)| Effect::Settle(*id, state.next_seq)));
            effects.push(Effect::ClearError);
            after(effects, rest(Wait::Interval))
        }
        Err(reason) => after(effects, fail(reason)),
    }
}

/// What a read of the contract says, or why it makes no sense.
fn decode(ids: &[StreamId], data: &Bytes, context: &Context<'_>) -> Result<Vec<StreamState>, String> {
    let contract = context.settings.contract;
    abi::decode_streams(data, ids.len()).ok_or_else(|| match data.is_empty() {
        true => format!("there is no contract at {contract}"),
        false => format!("the contract at {contract} answers in another shape"),
    })
}

/// Chooses the fees of the transaction.
pub(super) fn price(
    prepared: Prepared,
    nonce: u64,
    history: &FeeHistory,
    context: &Context<'_>,
) -> Transition {
    match ethereum::estimate_fees(history, context.settings.fees) {
        Ok(fees) => (Step::Estimate(prepared, nonce, fees), Vec::new()),
        Err(error) => fail(error.to_string()),
    }
}

/// Chooses the gas limit of the transaction, or makes it smaller.
pub(super) fn limit_gas(
    prepared: Prepared,
    nonce: u64,
    fees: Fees,
    gas: u64,
    context: &Context<'_>,
) -> Transition {
    let gas_limit = with_margin(gas);
    if gas_limit > MAX_TRANSACTION_GAS {
        return shrink(&prepared, format!("it would need {gas} gas"), context);
    }
    match context.gas_left() {
        Some(left) if gas_limit > left => await_budget(&prepared, gas_limit, left, context),
        _ => {
            let unsigned = Unsigned {
                prepared,
                nonce,
                fees,
                gas_limit,
            };
            (Step::ReadBalance(unsigned), Vec::new())
        }
    }
}

/// The node could not estimate the transaction: finds out whose fault that is.
pub(super) fn not_estimated(prepared: &Prepared, error: &RpcError, context: &Context<'_>) -> Transition {
    if error.is_insufficient_funds() {
        let note = format!("account {}: {error}", context.signer.address());
        return after(vec![Effect::Note(note)], rest(Wait::Others));
    }
    let Some(revert) = error.revert() else {
        return match error.is_nodes_fault() {
            true => fail(error.to_string()),
            // Perhaps the call is too large for the node.
            false => shrink(prepared, error.to_string(), context),
        };
    };
    let streams = prepared.runs.iter().map(|plan| plan.run.stream);
    let forget = streams.map(Effect::ForgetCoverage).collect();
    let next = match abi::decode_revert(&revert) {
        // The stream changed between two calls: it is read again.
        Some(ContractError::Gap(_) | ContractError::Overlap(_) | ContractError::StreamAlreadyOpen(_)) => {
            fail("a stream changed while its anchor was prepared".into())
        }
        _ => shrink(prepared, error.to_string(), context),
    };
    after(forget, next)
}

/// The batch is refused as a whole: smaller ones find the stream that is to blame, and leave it out.
fn shrink(prepared: &Prepared, reason: String, context: &Context<'_>) -> Transition {
    let (limits, effect, wait) = match prepared.halved(context.limits) {
        Halved::Smaller(limits) => (limits, Effect::Note(reason), Wait::Until(context.now)),
        Halved::Smallest(stream, limits) => {
            let refused = Effect::Block(stream, Obstacle::Refused(reason));
            (limits, refused, Wait::Interval)
        }
    };
    let effects = vec![Effect::SetTurn(None), Effect::SetLimits(limits), effect];
    after(effects, rest(wait))
}

/// The day's budget does not hold the transaction: tries a smaller one, or waits for the next day.
fn await_budget(prepared: &Prepared, needed: u64, left: u64, context: &Context<'_>) -> Transition {
    let now = context.now;
    let (limits, note, wait) = match prepared.halved(context.limits) {
        Halved::Smaller(limits) => (limits, None, Wait::Until(now)),
        Halved::Smallest(_, limits) => {
            let note = format!(
                "the day's gas budget has {left} left, {needed} needed: anchoring goes on at 00:00 UTC"
            );
            (limits, Some(note), Wait::Until(end_of_day(now)))
        }
    };
    let mut effects = vec![Effect::SetTurn(None), Effect::SetLimits(limits)];
    effects.extend(note.map(Effect::Note));
    after(effects, rest(wait))
}

/// Signs the transaction, if the account can pay for it.
pub(super) fn launch(unsigned: Unsigned, balance: U256, context: &Context<'_>) -> Transition {
    let Unsigned {
        prepared,
        nonce,
        fees,
        gas_limit,
    } = unsigned;
    let mut effects = vec![Effect::SetBalance(balance)];
    let cost = U256::from(gas_limit) * U256::from(fees.max_fee);
    if balance < cost {
        let account = context.signer.address();
        effects.push(Effect::Note(format!(
            "account {account} has insufficient funds: {balance} wei, {cost} needed"
        )));
        return after(effects, rest(Wait::Others));
    }
    let flight = Flight {
        nonce,
        gas_limit,
        data: prepared.data,
        runs: prepared.runs.into_iter().map(|plan| plan.run).collect(),
        attempts: Vec::new(),
        raw: Bytes::new(),
        since: context.now,
    };
    match flight.signed(fees, context.settings, context.signer, context.now) {
        Ok(flight) => {
            effects.push(Effect::Launch(Box::new(flight)));
            (Step::Broadcast, effects)
        }
        Err(_) => after(effects, fail("the transaction could not be signed".into())),
    }
}
