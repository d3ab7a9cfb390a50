//! What the Audit object is asked, and the recording of entries from wherever something happens.
//!
//! What always holds: recording neither delays nor fails the request, which is answered first; refusals are counted
//! together here already, so that a flood of them becomes a few requests to the Audit object.

use crate::api::call::{Handle, requests, wire_by_field};
use crate::clock;
use crate::config::Config;
use alloy_primitives::hex;
use std::cell::RefCell;
use std::rc::Rc;
use streamchain_edge_core::attempt::refusal_kind;
use streamchain_edge_core::audit_log::{ActorClass, Entry, LeftOut, Outcome, Sampler};
use streamchain_edge_core::request_id::RequestId;
use streamchain_protocol::time::UnixMs;
use worker::{Env, console_error};

thread_local! {
    /// Of this instance of the Worker.
    static REFUSALS: RefCell<Sampler> = RefCell::default();
}

/// How often an entry is sent to the Audit object, should that fail.
const MAX_TRIES: usize = 3;

requests! {
    /// What an Audit object is asked.
    AuditRequest {
        /// Takes an entry.
        AddEntry -> (),
        /// Takes the counts of refusals that were left out before the object.
        AddLeftOut -> (),
    }
}

wire_by_field! {
    AddEntry { time, actor, action, target, outcome, reason, from, count, class }
    AddLeftOut { left_out }
}

/// An entry on its way to the log.
#[derive(Debug, Clone)]
pub(crate) struct AddEntry {
    time: UnixMs,
    actor: String,
    action: String,
    target: String,
    outcome: String,
    reason: Option<String>,
    from: Option<String>,
    count: u64,
    class: ActorClass,
}

/// Counts of refusals that were left out.
#[derive(Debug, Clone)]
pub(crate) struct AddLeftOut {
    /// The counts.
    pub left_out: Vec<LeftOut>,
}

impl AddEntry {
    fn new(entry: &Entry) -> Self {
        Self {
            time: entry.time,
            actor: entry.actor.clone(),
            action: entry.action.clone(),
            target: entry.target.clone(),
            outcome: entry.outcome.as_str().to_owned(),
            reason: entry.reason.clone(),
            from: entry.from.clone(),
            count: entry.count,
            class: entry.class,
        }
    }

    /// The entry. An outcome that is not known counts as a failure.
    pub(crate) fn into_entry(self) -> Entry {
        let outcomes = [Outcome::Done, Outcome::Refused, Outcome::Failed];
        let outcome = outcomes.into_iter().find(|one| one.as_str() == self.outcome);
        Entry {
            time: self.time,
            actor: self.actor,
            action: self.action,
            target: self.target,
            outcome: outcome.unwrap_or(Outcome::Failed),
            reason: self.reason,
            from: self.from,
            count: self.count,
            class: self.class,
            left_out: Vec::new(),
        }
    }
}

/// The way into the audit log: one for each operator, as its stream is.
fn audit_object(env: &Env, id: &RequestId, config: &Config) -> worker::Result<Handle<AuditRequest>> {
    let name = hex::encode_prefixed(config.operator);
    Ok(Handle::new(env.durable_object("AUDIT")?.get_by_name(&name)?, id))
}

/// An entry about what an object did itself.
pub(crate) fn done(actor: String, action: &str, target: String) -> Entry {
    Entry {
        time: clock::now(),
        actor,
        class: ActorClass::Operator,
        action: action.to_owned(),
        target,
        outcome: Outcome::Done,
        reason: None,
        from: None,
        count: 1,
        left_out: Vec::new(),
    }
}

/// How long refusals that were left out gather in this instance, milliseconds: the Audit object sums up once a minute what
/// all instances send it.
const PASS_ON_MS: u64 = 5_000;

/// Records an entry. For `wait_until`: the answer is on its way.
pub(crate) async fn record(env: Env, id: RequestId, config: Rc<Config>, mut entry: Entry) {
    if entry.outcome != Outcome::Done {
        let kind = refusal_kind(&entry);
        let admitted = REFUSALS.with(|sampler| sampler.borrow_mut().admit(&kind, &entry, entry.time));
        let Some(count) = admitted else { return };
        entry.count = count;
    }
    let asked = AddEntry::new(&entry);
    for attempt in 1..=MAX_TRIES {
        let added = async { audit_object(&env, &id, &config)?.call(asked.clone()).await };
        match added.await {
            Ok(()) => return,
            Err(error) => console_error!(
                "request {id}: audit, attempt {attempt} of {MAX_TRIES}: {error}: {}",
                entry.to_json()
            ),
        }
    }
}

/// Whether this instance has left out refusals that the Audit object is to know of. Asked with every request, for it may
/// be that no more is refused.
pub(crate) fn has_left_out(now: UnixMs) -> bool {
    REFUSALS.with(|sampler| sampler.borrow().has_left_out(now, PASS_ON_MS))
}

/// Sends the Audit object what this instance left out. Should that fail, the counts are lost: they are of refusals alone.
/// For `wait_until`.
pub(crate) async fn pass_on_left_out(env: Env, id: RequestId, config: Rc<Config>) {
    let taken = REFUSALS.with(|sampler| sampler.borrow_mut().take_left_out(clock::now(), PASS_ON_MS));
    let Some(left_out) = taken else { return };
    let asked = AddLeftOut { left_out };
    let added = async { audit_object(&env, &id, &config)?.call(asked).await };
    if let Err(error) = added.await {
        console_error!("request {id}: audit, counts of refusals: {error}");
    }
}
