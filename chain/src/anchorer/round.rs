//! The transitions of a round: `(step, event) -> (step, effects)`.
//!
//! What always holds: a transition changes nothing by itself; all that it means to change is in its effects.

use super::plan::MAX_RUNS;
use super::step::{Context, Effect, Event, Step, Transition, distrust, fail};
use super::{broadcast, prepare};
use crate::ethereum::Answer;

impl Step {
    /// What follows from an event in this step.
    pub(super) fn transition(self, event: Event, context: &Context<'_>) -> Transition {
        let (step, outcome) = match (self, event) {
            (_, Event::Begin) => return begin(context),
            (Step::ReadRecords(draft), Event::Records(outcome)) => {
                return prepare::add_records(draft, outcome, context);
            }
            (_, Event::Records(_)) => return (Step::Idle, Vec::new()),
            (step, Event::Answer(outcome)) => (step, outcome),
        };
        match (step, outcome) {
            (Step::Broadcast, Ok(Answer::Sent(hash))) => broadcast::sent(hash, context),
            (Step::Broadcast, Err(error)) => broadcast::refused(&error, context),
            (Step::Estimate(prepared, ..), Err(error)) => prepare::not_estimated(&prepared, &error, context),
            (_, Err(error)) => fail(error.to_string()),
            (Step::ReadStreams(ids), Ok(Answer::Returned(data))) => prepare::plan(&ids, &data, context),
            (Step::ReadFinal(ids), Ok(Answer::Returned(data))) => prepare::settle(&ids, &data, context),
            (Step::ReadNonce(prepared), Ok(Answer::TransactionCount(nonce))) => {
                (Step::ReadFees(prepared, nonce), Vec::new())
            }
            (Step::ReadFees(prepared, nonce), Ok(Answer::FeeHistory(history))) => {
                prepare::price(prepared, nonce, &history, context)
            }
            (Step::Estimate(prepared, nonce, fees), Ok(Answer::Gas(gas))) => {
                prepare::limit_gas(prepared, nonce, fees, gas, context)
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
            (Step::ReadFeesToBump, Ok(Answer::FeeHistory(history))) => broadcast::bump(&history, context),
            (_, Ok(_)) => distrust("the answer belongs to another question"),
        }
    }
}

/// Goes on with the transaction under way; without one, looks for streams to anchor, and then for streams whose
/// segments may be final.
fn begin(context: &Context<'_>) -> Transition {
    let mut watch = context.watch;
    watch.tried = false;
    let step = match (context.flight, watch.accepted_at) {
        (Some(_), None) => Step::Broadcast,
        (Some(flight), Some(_)) => Step::AskReceipt(flight.newest_index()),
        (None, _) => begin_anew(context),
    };
    (step, vec![Effect::SetWatch(watch)])
}

fn begin_anew(context: &Context<'_>) -> Step {
    let (pending, now) = (context.pending, context.now);
    let wanting = pending.wanting(context.turn, context.limits.runs, now);
    if !wanting.is_empty() {
        return Step::ReadStreams(wanting);
    }
    let stale = now.minus_ms(context.settings.recheck_after_ms);
    match pending.unread_since(stale, MAX_RUNS) {
        unread if unread.is_empty() => Step::Idle,
        unread => Step::ReadFinal(unread),
    }
}
