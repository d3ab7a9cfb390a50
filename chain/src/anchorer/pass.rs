//! The transitions of a pass: `(step, event) -> (step, effects)`.
//!
//! What always holds: a transition changes nothing by itself; all that it means to change is in its effects.

use super::plan::MAX_RUNS;
use super::step::{Context, Effect, Event, Step, Transition, after, distrust, fail};
use super::{broadcast, gas, prepare};
use crate::ethereum::{Answer, RpcError};
use crate::rounds::RoundMaker;

impl Step {
    /// What follows from an event in this step.
    pub(super) fn transition(self, event: Event, context: &Context<'_>) -> Transition {
        let (step, outcome) = match (self, event) {
            (_, Event::Begin) => return begin(context),
            (Step::ReadRecords(draft), Event::Records(outcome)) => {
                return prepare::add_records(draft, outcome, context);
            }
            (Step::ReadSegments(draft), Event::Segments(outcome)) => {
                return prepare::add_segments(draft, outcome, context);
            }
            (_, Event::Records(_) | Event::Segments(_)) => return (Step::Idle, Vec::new()),
            (step, Event::Answer(outcome)) => (step, outcome),
        };
        match (step, outcome) {
            (Step::Broadcast, Ok(Answer::Sent(hash))) => broadcast::sent(hash, context),
            (Step::Broadcast, Err(error)) => broadcast::refused(&error, context),
            (Step::Estimate(prepared, ..), Err(error)) => prepare::not_estimated(&prepared, &error, context),
            // A chain without a finalized block, or one whose node does not have it any more: nothing waits for it.
            (Step::ReadFinal(ids) | Step::ReadDeep(ids, _), Err(RpcError::Node { .. })) => {
                prepare::settle_nothing(&ids)
            }
            (Step::ReadRounds, Err(error @ RpcError::Node { .. })) if !error.is_rate_limited() => {
                prepare::note_rounds(&[], context)
            }
            // A node without the method: then it is as if it did not know the transaction.
            (Step::AskKnown, Err(error)) if !error.is_of_whole_node() => broadcast::known(false, context),
            (_, Err(error)) => fail(error.to_string()),
            (Step::ReadHead(ids, depth), Ok(Answer::Block(Some(head)))) => {
                (Step::ReadDeep(ids, head.number.saturating_sub(depth)), Vec::new())
            }
            (Step::ReadDeep(ids, _), Ok(Answer::Returned(data))) => prepare::settle(&ids, &data, context),
            (Step::ReadRounds, Ok(Answer::Returned(data))) => prepare::note_rounds(&data, context),
            (Step::ReadStreams(ids), Ok(Answer::Returned(data))) => prepare::plan(&ids, &data, context),
            (Step::ReadFinal(ids), Ok(Answer::Returned(data))) => prepare::settle(&ids, &data, context),
            (Step::ReadNonce(prepared), Ok(Answer::TransactionCount(nonce))) => {
                (Step::ReadFees(prepared, nonce), Vec::new())
            }
            (Step::ReadFees(prepared, nonce), Ok(Answer::FeeHistory(history))) => {
                prepare::price(prepared, nonce, &history, context)
            }
            (Step::Estimate(prepared, nonce, fees), Ok(Answer::Gas(gas))) => {
                gas::limit_gas(prepared, nonce, fees, gas, context)
            }
            (Step::ReadBalance(unsigned), Ok(Answer::Balance(balance))) => {
                prepare::launch(unsigned, balance, context)
            }
            (Step::AskReceipt(index), Ok(Answer::Receipt(receipt))) => {
                broadcast::receipt(index, receipt.as_ref(), context)
            }
            (Step::CheckNonce, Ok(Answer::TransactionCount(nonce))) => {
                broadcast::compare_nonce(nonce, context)
            }
            (Step::AskKnown, Ok(Answer::Known(is_known))) => broadcast::known(is_known, context),
            (Step::ReadFeesToBump, Ok(Answer::FeeHistory(history))) => broadcast::bump(&history, context),
            (_, Ok(_)) => distrust("the answer belongs to another question"),
        }
    }
}

/// Streams whose owners may have acted that are read together with those that are to be anchored.
const MAX_WAITING_READ: usize = 50;

/// Goes on with the transaction under way; without one, looks for streams to anchor, then for streams whose owners may
/// have acted, and then for streams whose segments may be final.
fn begin(context: &Context<'_>) -> Transition {
    let mut watch = context.watch;
    watch.tried = false;
    let set_watch = vec![Effect::SetWatch(watch)];
    match (context.flight, watch.accepted_at) {
        (Some(_), None) => (Step::Broadcast, set_watch),
        (Some(flight), Some(_)) => (Step::AskReceipt(flight.newest_index()), set_watch),
        (None, _) => after(set_watch, begin_anew(context)),
    }
}

fn begin_anew(context: &Context<'_>) -> Transition {
    let (pending, now) = (context.pending, context.now);
    let reads_rounds = |rounds: &RoundMaker| rounds.contract_read_at(pending.has_all_rounds());
    if context
        .rounds
        .and_then(reads_rounds)
        .is_some_and(|due| due <= now)
    {
        return (Step::ReadRounds, Vec::new());
    }
    let mut ids = match now >= context.next_anchor {
        true => pending.wanting(context.turn, context.limits.runs, now),
        false => Vec::new(),
    };
    ids.extend(pending.waiting(MAX_WAITING_READ, now));
    // Rounds and other streams take turns by trying, so that neither has to wait until the other succeeds.
    if let Some(rounds) = pending.wanting_rounds(now)
        && (!context.turn.rounds || ids.is_empty())
    {
        return (Step::ReadStreams(vec![rounds]), vec![Effect::SetRoundsTurn(true)]);
    }
    if !ids.is_empty() {
        return (Step::ReadStreams(ids), vec![Effect::SetRoundsTurn(false)]);
    }
    let step = match (pending.unread(now, MAX_RUNS), context.settings.finality_depth) {
        (unread, _) if unread.is_empty() => Step::Idle,
        (unread, None) => Step::ReadFinal(unread),
        (unread, Some(depth)) => Step::ReadHead(unread, depth),
    };
    (step, Vec::new())
}
