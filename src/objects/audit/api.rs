//! What the Audit object is asked, and the recording of entries from wherever something happens.
//!
//! What always holds: recording neither delays nor fails the request, which is answered first; refusals are counted
//! together here already, so that a flood of them becomes a few requests to the Audit object.

use crate::config::Config;
use crate::objects::audit_stub;
use crate::objects::call::{Method, call, json_body};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use streamchain_edge_core::audit_log::{Entry, Outcome, Sampler};
use worker::{Date, Env, Error, console_error};

thread_local! {
    /// Of this instance of the Worker.
    static REFUSALS: RefCell<Sampler> = RefCell::default();
}

/// The actor of those without valid credentials.
pub const NOBODY: &str = "nobody";

/// How often an entry is sent to the Audit object again, should that fail.
const TRIES: usize = 3;

/// `POST /entries` on the Audit object.
#[derive(Debug, Serialize, Deserialize)]
pub struct Posted {
    time: u64,
    actor: String,
    action: String,
    target: String,
    outcome: String,
    reason: Option<String>,
    from: Option<String>,
    count: u64,
}

impl Posted {
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
        }
    }

    /// The entry. An outcome that is not known counts as a failure.
    pub fn into_entry(self) -> Entry {
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
        }
    }
}

/// An entry about what an object did itself.
pub fn done(actor: String, action: &str, target: String) -> Entry {
    Entry {
        time: Date::now().as_millis(),
        actor,
        action: action.to_owned(),
        target,
        outcome: Outcome::Done,
        reason: None,
        from: None,
        count: 1,
    }
}

/// Records an entry. For `wait_until`: the answer is on its way.
pub async fn record(env: Env, config: std::rc::Rc<Config>, mut entry: Entry) {
    if entry.outcome != Outcome::Done {
        let kind = format!(
            "{} {} {}",
            entry.actor,
            entry.action,
            entry.reason.as_deref().unwrap_or_default()
        );
        let admitted = REFUSALS.with(|sampler| sampler.borrow_mut().admit(&kind, entry.time));
        let Some(count) = admitted else { return };
        entry.count = count;
    }
    let posted = Posted::new(&entry);
    for attempt in 1..=TRIES {
        match post(&env, &config, &posted).await {
            Ok(()) => return,
            Err(error) => console_error!(
                "audit, attempt {attempt} of {TRIES}: {error}: {}",
                entry.to_json()
            ),
        }
    }
}

async fn post(env: &Env, config: &Config, posted: &Posted) -> Result<(), Error> {
    let stub = audit_stub(env, config)?;
    let mut taken = call(&stub, Method::Post, "/entries", json_body(posted)?).await?;
    match taken.status_code() {
        200 => taken.bytes().await.map(drop),
        status => Err(Error::RustError(format!(
            "status {status}: {}",
            taken.text().await?
        ))),
    }
}
