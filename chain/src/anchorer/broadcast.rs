//! From the first broadcast of a transaction to its end.

use alloy_primitives::B256;

use super::flight::{Flight, MAX_ATTEMPTS};
use super::step::{Context, Effect, Step, Transition, Wait, after, distrust, fail, rest};
use crate::ethereum::{self, FeeHistory, Fees, Receipt, RpcError};

/// How long a nonce may be taken without a receipt of ours before the transaction is given up, in ms: nodes
/// behind one address are not always at the same block.
const MISFIT_GRACE_MS: u64 = 15_000;
/// How long the account's nonce may be below the transaction's, in ms. A reorganisation took an older transaction
/// back, and ours can never be mined before the gap is closed; the wait is for a node that lags.
const GAP_GRACE_MS: u64 = 4_000;
/// Refusals in a row after which a transaction is given up. Each but the last doubles the fee, within the cap: a node
/// whose words are not recognised may mean the fee.
const MAX_REFUSALS: u32 = 6;
/// By how much the fee grows after a refusal in words that are not recognised.
const REFUSED_FEE_FACTOR: u128 = 2;

/// The node accepted a transaction with this hash.
pub(super) fn sent(hash: B256, context: &Context<'_>) -> Transition {
    let newest = context.flight.and_then(Flight::newest);
    match newest.is_some_and(|attempt| attempt.hash == hash) {
        true => accepted(),
        false => distrust("it names another hash for the transaction it was sent"),
    }
}

fn accepted() -> Transition {
    after(vec![Effect::Accept], rest(Wait::Interval))
}

/// The broadcast failed. Words that are recognised save questions; otherwise receipts, nonce and pool tell what the refusal
/// means.
pub(super) fn refused(error: &RpcError, context: &Context<'_>) -> Transition {
    let mut watch = context.watch;
    watch.tried = true;
    let note = Effect::Note(error.to_string());
    let (effects, next) = if error.is_already_known() {
        (Vec::new(), accepted())
    } else if error.is_nonce_too_low() {
        // Perhaps an attempt of ours has the nonce: the receipts say so.
        watch.accepted_at = Some(context.now);
        (Vec::new(), ask_receipts(context))
    } else if error.is_fee_too_low() {
        (vec![note], (Step::ReadFeesToBump, Vec::new()))
    } else if error.is_insufficient_funds() {
        let note = format!("account {}: {error}", context.signer.address());
        (vec![Effect::Note(note)], ask_receipts(context))
    } else if !matches!(error, RpcError::Node { .. }) || error.is_rate_limited() {
        (Vec::new(), fail(error.to_string()))
    } else {
        watch.refusals += 1;
        (vec![note], ask_receipts(context))
    };
    after(vec![Effect::SetWatch(watch)], after(effects, next))
}

fn ask_receipts(context: &Context<'_>) -> Transition {
    let newest = context.flight.map_or(0, Flight::newest_index);
    (Step::AskReceipt(newest), Vec::new())
}

/// The node gave the receipt of the attempt with this index, or has none.
pub(super) fn receipt(index: usize, receipt: Option<&Receipt>, context: &Context<'_>) -> Transition {
    let Some(receipt) = receipt else {
        let next = match index.checked_sub(1) {
            Some(older) => Step::AskReceipt(older),
            None => Step::CheckNonce,
        };
        return (next, Vec::new());
    };
    let asked = context
        .flight
        .and_then(|flight| Some((flight, flight.attempts.get(index)?)));
    let Some((flight, _)) = asked.filter(|(_, attempt)| attempt.hash == receipt.transaction_hash) else {
        return distrust("it gives the receipt of another transaction");
    };
    let unused = flight.gas_limit.saturating_sub(receipt.gas_used);
    let mut effects = vec![Effect::GiveBackGas(unused, flight.since)];
    if receipt.succeeded() {
        let limits = context.limits.widened();
        effects.extend([Effect::Land, Effect::SetLimits(limits), Effect::ClearError]);
        after(effects, rest(Wait::Interval))
    } else {
        effects.extend((!flight.runs.is_empty()).then(|| Effect::Suspect(flight.runs.clone())));
        effects.push(Effect::GiveUp);
        let hash = receipt.transaction_hash;
        after(effects, fail(format!("transaction {hash} reverted on the chain")))
    }
}

/// No attempt has a receipt: the account's nonce shows whether one can still be mined.
pub(super) fn compare_nonce(nonce: u64, context: &Context<'_>) -> Transition {
    let Some(flight) = context.flight else {
        return rest(Wait::Interval);
    };
    if nonce != flight.nonce {
        return misfit(nonce, flight, context);
    }
    let mut watch = context.watch;
    watch.misfit_since = None;
    let effects = vec![Effect::SetWatch(watch)];
    let now = context.now;
    if watch.refusals >= MAX_REFUSALS {
        let given_up = give_up("the node refuses the transaction");
        return after(effects, after(given_up, rest(Wait::Failure)));
    }
    if watch.refusals > 0 {
        return after(effects, (Step::AskKnown, Vec::new()));
    }
    let signed_at = flight.newest().map_or(now, |attempt| attempt.signed_at);
    let is_stuck = now.since(signed_at) >= context.settings.bump_after_ms;
    let next = match watch.accepted_at {
        Some(_) if is_stuck && now >= watch.capped_until => (Step::ReadFeesToBump, Vec::new()),
        Some(accepted_at) if watch.tried || now.since(accepted_at) < context.settings.resend_after_ms => {
            rest(Wait::Interval)
        }
        None if watch.tried => rest(Wait::Others),
        _ => (Step::Broadcast, Vec::new()),
    };
    after(effects, next)
}

/// The node refused the newest attempt, no attempt is in a block, and the nonce is free: the attempt is in the pool
/// already, or it may be too cheap.
pub(super) fn known(is_known: bool, context: &Context<'_>) -> Transition {
    match is_known {
        true => accepted(),
        false if context.now >= context.watch.capped_until => (Step::ReadFeesToBump, Vec::new()),
        false => rest(Wait::Others),
    }
}

/// The account's nonce is not the transaction's. Above: another transaction has our nonce, or the receipt is late.
/// Below: a reorganisation made a gap.
fn misfit(nonce: u64, flight: &Flight, context: &Context<'_>) -> Transition {
    let grace_ms = match nonce < flight.nonce {
        true => GAP_GRACE_MS,
        false => MISFIT_GRACE_MS,
    };
    let mut watch = context.watch;
    let since = *watch.misfit_since.get_or_insert(context.now);
    let mut effects = vec![Effect::SetWatch(watch)];
    if context.now.since(since) >= grace_ms {
        let own = flight.nonce;
        effects.extend(give_up(&format!(
            "the account's nonce is {nonce}, the transaction's {own}"
        )));
    }
    after(effects, rest(Wait::Interval))
}

/// Forgets the transaction. This is safe whatever becomes of it: the contract takes each run once, and the next plan
/// reads the contract first.
fn give_up(reason: &str) -> Vec<Effect> {
    let note = format!("transaction given up: {reason}");
    vec![Effect::Note(note), Effect::GiveUp]
}

/// Raises the fee of the transaction under way, if the cap leaves room for that.
pub(super) fn bump(history: &FeeHistory, context: &Context<'_>) -> Transition {
    let Some(flight) = context.flight else {
        return rest(Wait::Interval);
    };
    let policy = context.settings.fees;
    let previous = flight.newest().map_or(Fees::default(), |attempt| attempt.fees);
    let mut fresh = ethereum::estimate_fees(history, policy).unwrap_or(previous);
    let is_refused = context.watch.refusals > 0;
    if is_refused {
        let raised = |fee: u128| fee.saturating_mul(REFUSED_FEE_FACTOR);
        fresh.max_fee = fresh.max_fee.max(raised(previous.max_fee)).min(policy.cap);
        fresh.tip = fresh.tip.max(raised(previous.tip)).min(fresh.max_fee);
    }
    let raised = ethereum::bump_fees(previous, fresh, policy);
    let Some(fees) = raised.filter(|_| flight.attempts.len() < MAX_ATTEMPTS) else {
        return capped(context);
    };
    let signed = flight.clone();
    match signed.signed(fees, context.settings, context.signer, context.now) {
        Ok(flight) => {
            let replaced = vec![Effect::Replace(Box::new(flight))];
            match is_refused {
                // Whatever it refuses, it is not asked in a burst.
                true => after(replaced, rest(Wait::Others)),
                false => (Step::Broadcast, replaced),
            }
        }
        Err(_) => fail("the transaction could not be signed".into()),
    }
}

/// A higher fee is above the cap. The attempts that were sent may still be mined.
fn capped(context: &Context<'_>) -> Transition {
    let mut watch = context.watch;
    watch.capped_until = context.now.plus_ms(context.settings.bump_after_ms);
    let cap = context.settings.fees.cap;
    let note = format!("the transaction waits: a higher fee is above the cap of {cap} wei");
    let effects = vec![Effect::Note(note), Effect::SetWatch(watch)];
    let next = match watch.tried {
        true => ask_receipts(context),
        false => (Step::Broadcast, Vec::new()),
    };
    after(effects, next)
}
