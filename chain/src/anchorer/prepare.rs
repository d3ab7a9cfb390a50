//! From what the contract says to a signed transaction.

use alloy_primitives::{Address, Bytes, U256};
use streamchain_protocol::ids::StreamId;

use super::emission::Emission;
use super::flight::Flight;
use super::obstacle::Obstacle;
use super::plan::{Added, Draft, Halved, MAX_SEGMENTS_COVERED, MAX_STREAMS_READ, Prepared, ToRead};
use super::spending::Payee;
use super::step::{Context, Effect, Step, Transition, Unsigned, Wait, after, fail, rest};
use super::stream::{Ready, RunPlan, StoredSegment, StreamEntry};
use crate::abi::{self, ContractError, StreamState};
use crate::ethereum::{self, FeeHistory, RpcError};
use crate::rounds::RoundMaker;

/// After how many ms a contract without rounds is asked again: the operator has to deploy another one.
const NO_ROUNDS_RETRY_MS: u64 = 600_000;

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
        match obstacle(entry.owner(), &state, context) {
            Some(obstacle) => effects.push(Effect::Block(id, obstacle)),
            None => {
                let found = ToRead {
                    stream: id,
                    next: state.next_seq,
                    is_open: state.is_open(),
                };
                effects.extend(plan_stream(&mut draft, entry, found, context));
            }
        }
    }
    draft.to_read.reverse();
    effects.extend(turns(ids, context));
    if draft.runs.is_empty() && draft.to_read.is_empty() {
        effects.push(Effect::ClearError);
    }
    after(effects, go_on(draft, context))
}

/// Puts what can be sent of a stream into the draft, as far as it has room.
fn plan_stream(draft: &mut Draft, entry: &StreamEntry, found: ToRead, context: &Context<'_>) -> Vec<Effect> {
    let ToRead { stream, next, .. } = found;
    let cover = Effect::Cover(stream, next);
    let is_rounds = context.pending.is_rounds(stream);
    match entry.run_from(stream, next, is_granted(entry, context)) {
        _ if is_rounds && entry.is_beyond(next) => {
            return vec![Effect::Block(stream, Obstacle::OtherRounds(next))];
        }
        Ready::Not(obstacle) => return vec![Effect::Block(stream, obstacle)],
        Ready::Done => return vec![cover],
        // It is only looked at, since its owner may have acted: its turn comes.
        _ if is_rounds && !context.turn.rounds => {}
        _ if !is_rounds && context.now < context.next_anchor => {}
        _ if draft.runs.len() + draft.to_read.len() >= context.limits.runs => draft.leaves_more = true,
        Ready::Read(_) if draft.to_read.len() >= MAX_STREAMS_READ => draft.leaves_more = true,
        Ready::Read(_) => draft.to_read.push(found),
        Ready::Run(plan) => add_run(draft, entry, plan, found, context),
    }
    vec![cover]
}

fn add_run(draft: &mut Draft, entry: &StreamEntry, plan: RunPlan, found: ToRead, context: &Context<'_>) {
    let plan = match context.pending.is_rounds(found.stream) {
        true => plan.into_rounds(context.limits.runs),
        false => plan,
    };
    let is_first = draft.runs.is_empty();
    if !is_first && draft.segments() + plan.segments.len() > MAX_SEGMENTS_COVERED {
        draft.leaves_more = true;
        return;
    }
    draft.leaves_more |= entry.has_more_than(&plan.run);
    draft.runs.push((plan, Emission::default()));
    if !found.is_open {
        draft.opens.push((found.stream, entry.name_hash()));
    }
}

/// Whether more than roots may go on chain for a stream.
fn is_granted(entry: &StreamEntry, context: &Context<'_>) -> bool {
    let owner = entry.owner();
    owner == context.signer.address() || context.settings.gas_owners.includes(owner)
}

/// The account's own streams had their turn up to the last of these, and so had those of others.
fn turns(ids: &[StreamId], context: &Context<'_>) -> Vec<Effect> {
    let is_own = |id: &StreamId| {
        let entry = context.pending.get(id);
        entry.is_some_and(|entry| context.pending.shares.is_own(entry.owner()))
    };
    let had_turn = |id: &&StreamId| {
        let entry = context.pending.get(id);
        entry.is_some_and(|entry| !entry.about.waiting) && !context.pending.is_rounds(**id)
    };
    let own = ids.iter().filter(had_turn).rfind(|id| is_own(id));
    let foreign = ids.iter().filter(had_turn).rfind(|id| !is_own(id));
    let last = own.into_iter().chain(foreign);
    last.map(|id| Effect::SetTurn(Some(*id))).collect()
}

/// Takes in the segments of the stream that was to be read.
pub(super) fn add_segments(
    mut draft: Draft,
    outcome: Result<Vec<StoredSegment>, String>,
    context: &Context<'_>,
) -> Transition {
    let Some(found) = draft.to_read.pop() else {
        return go_on(draft, context);
    };
    let ToRead { stream, next, .. } = found;
    let Some(entry) = context.pending.get(&stream) else {
        return go_on(draft, context);
    };
    let ready = match &outcome {
        Ok(stored) => entry.run_of(stream, next, stored, is_granted(entry, context)),
        Err(reason) => Ready::Not(Obstacle::Unreadable(reason.clone())),
    };
    let mut effects = Vec::new();
    match ready {
        Ready::Run(plan) => add_run(&mut draft, entry, plan, found, context),
        Ready::Not(obstacle) => effects.push(Effect::Block(stream, obstacle)),
        Ready::Done | Ready::Read(_) => {
            effects.extend([Effect::EndAt(stream, next), Effect::Cover(stream, next)]);
        }
    }
    effects.extend(outcome.err().map(Effect::Note));
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
    if !draft.to_read.is_empty() {
        return (Step::ReadSegments(draft), Vec::new());
    }
    if draft.unread().is_some() {
        return (Step::ReadRecords(draft), Vec::new());
    }
    if draft.runs.is_empty() {
        return rest(Wait::Interval);
    }
    let account = context.signer.address();
    let owner = |stream: StreamId| context.pending.get(&stream).map(StreamEntry::owner);
    let is_own = |owner: &Address| context.pending.shares.is_own(*owner);
    let strangers = |stream| owner(stream).filter(|owner| !is_own(owner)).map(Payee::Owner);
    let prepared = draft.prepare(account, strangers);
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

/// The finalized state cannot be had: it is asked for again later.
pub(super) fn settle_nothing(ids: &[StreamId]) -> Transition {
    let effects = ids.iter().map(|id| Effect::MarkRead(*id)).collect();
    after(effects, rest(Wait::Interval))
}

/// The contract said which round is next, or that it has none.
pub(super) fn note_rounds(data: &[u8], context: &Context<'_>) -> Transition {
    let again = context.now.plus_ms(NO_ROUNDS_RETRY_MS);
    let found = abi::decode_rounds(data);
    let judge = |maker: &RoundMaker| Effect::SetContract(maker.judge(found, context.now, again));
    let effects = context.rounds.map(judge).into_iter().collect();
    after(effects, rest(Wait::Until(context.now)))
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

/// The node could not estimate the transaction: finds out whose fault that is.
pub(super) fn not_estimated(prepared: &Prepared, error: &RpcError, context: &Context<'_>) -> Transition {
    if error.is_insufficient_funds() {
        let note = format!("account {}: {error}", context.signer.address());
        return after(vec![Effect::Note(note)], rest(Wait::Others));
    }
    let Some(revert) = error.revert() else {
        return match error {
            // Perhaps the call is too large for the node, whatever it says.
            RpcError::Node { .. } | RpcError::TooLarge(_) | RpcError::Http(413)
                if !error.is_rate_limited() =>
            {
                shrink(prepared, error.to_string(), context)
            }
            _ => fail(error.to_string()),
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
pub(super) fn shrink(prepared: &Prepared, reason: String, context: &Context<'_>) -> Transition {
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

/// Signs the transaction, if the account can pay for it.
pub(super) fn launch(unsigned: Unsigned, balance: U256, context: &Context<'_>) -> Transition {
    let Unsigned {
        prepared,
        nonce,
        fees,
        gas_limit,
        gas_parts,
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
        runs: prepared.runs.iter().flat_map(RunPlan::anchored).collect(),
        gas_parts,
        leaves_more: prepared.leaves_more,
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
