//! How much gas a transaction may use: by what it needs, what one transaction may have, and what the day's budget and the
//! shares of it have left.
//!
//! What always holds: nothing is signed that the budget or a share does not hold whole.

use streamchain_protocol::stream_settings::Mode;

use super::obstacle::Obstacle;
use super::plan::{Halved, Limits, Prepared};
use super::prepare::shrink;
use super::spending::{GasPart, Payee, divide, end_of_day};
use super::step::{Context, Effect, Step, Transition, Unsigned, Wait, after, rest};
use super::stream::StreamEntry;
use crate::ethereum::Fees;

/// The most gas one transaction may ask for: half of what EIP-7825 allows one (2^24), so that a full batch of new
/// streams still finds room in a block.
const MAX_TRANSACTION_GAS: u64 = 8_000_000;

/// A fifth more gas than estimated: the state may differ by the time the transaction is in a block.
fn with_margin(gas: u64) -> u64 {
    gas.saturating_add(gas / 5)
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
    match context.gas_left(prepared.has_rounds()) {
        Some(left) if gas_limit > left => await_budget(&prepared, gas_limit, left, context),
        Some(_) => within_shares(prepared, nonce, fees, gas_limit, context),
        None => {
            let unsigned = Unsigned {
                prepared,
                nonce,
                fees,
                gas_limit,
                gas_parts: Vec::new(),
            };
            (Step::ReadBalance(unsigned), Vec::new())
        }
    }
}

/// Goes on with a transaction that the day's budget holds, if the shares of those it is for hold it as well.
fn within_shares(
    prepared: Prepared,
    nonce: u64,
    fees: Fees,
    gas_limit: u64,
    context: &Context<'_>,
) -> Transition {
    let gas_parts = divide(gas_limit, &prepared.weights);
    let daily = context.settings.daily_gas.unwrap_or(u64::MAX);
    let opened = prepared.opened.len() as u64;
    let beyond = context.spending.beyond(&gas_parts, opened, daily, context.now);
    if !beyond.is_empty() {
        return leave_out(&prepared, &gas_parts, &beyond, context);
    }
    let unsigned = Unsigned {
        prepared,
        nonce,
        fees,
        gas_limit,
        gas_parts,
    };
    (Step::ReadBalance(unsigned), Vec::new())
}

/// Shares of the day's gas do not hold their parts of the transaction. Less is emitted first; streams for which that is not
/// possible, and those that cannot be opened, wait for the next day.
fn leave_out(
    prepared: &Prepared,
    gas_parts: &[GasPart],
    beyond: &[(Payee, &'static str)],
    context: &Context<'_>,
) -> Transition {
    let until = end_of_day(context.now);
    let mut effects = Vec::new();
    let opened = prepared.opened.len() as u64;
    let for_opening = gas_parts.iter().find(|part| part.payee == Payee::Openings);
    let each = for_opening.map_or(0, |part| part.gas) / opened.max(1);
    let daily = context.settings.daily_gas.unwrap_or(u64::MAX);
    let left = context.spending.openings_left(each, daily, context.now);
    let left = usize::try_from(left).unwrap_or(usize::MAX);
    let not_opened = prepared.opened.get(left..).unwrap_or_default();
    for plan in &prepared.runs {
        let stream = plan.run.stream;
        let owner = context.pending.get(&stream).map(StreamEntry::owner);
        let is_beyond = |payee: &Payee| match payee {
            Payee::Openings => not_opened.contains(&stream),
            Payee::Rounds => false,
            Payee::Owner(payee) => owner == Some(*payee),
        };
        let Some((_, share)) = beyond.iter().find(|(payee, _)| is_beyond(payee)) else {
            continue;
        };
        if plan.mode != Mode::Root && plan.segments.len() > 1 {
            let limits = Limits {
                emitted_bytes: context.limits.emitted_bytes.min(prepared.data.len()) / 2,
                ..context.limits
            };
            let effects = vec![Effect::SetTurn(None), Effect::SetLimits(limits)];
            return after(effects, rest(Wait::Until(context.now)));
        }
        effects.push(Effect::Block(stream, Obstacle::GasShare { share, until }));
    }
    after(effects, rest(Wait::Until(context.now)))
}

/// The day's budget does not hold the transaction: tries a smaller one, or waits for the next day.
fn await_budget(prepared: &Prepared, needed: u64, left: u64, context: &Context<'_>) -> Transition {
    let now = context.now;
    let limits = match prepared.halved(context.limits) {
        Halved::Smaller(limits) => {
            let effects = vec![Effect::SetTurn(None), Effect::SetLimits(limits)];
            return after(effects, rest(Wait::Until(now)));
        }
        Halved::Smallest(_, limits) => limits,
    };
    let note =
        format!("the day's gas budget has {left} left, {needed} needed: anchoring goes on at 00:00 UTC");
    let effects = vec![
        Effect::SetTurn(None),
        Effect::SetLimits(limits),
        Effect::Note(note),
    ];
    let until = end_of_day(now);
    // Rounds may have gas when other streams have none left.
    match context.rounds.is_some() && !prepared.has_rounds() {
        true => after(
            effects,
            after(vec![Effect::HoldStreams(until)], rest(Wait::Interval)),
        ),
        false => after(effects, rest(Wait::Until(until))),
    }
}
