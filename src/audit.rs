//! What goes into the audit log: every change, and every refusal that matters, seen from where all requests pass.
//!
//! What always holds: recording neither delays nor fails the request, which is answered first; refusals are counted
//! together here already, so that a flood of them becomes a few requests to the Audit object.

use crate::auth;
use crate::config::Config;
use crate::durable::audit_stub;
use crate::durable::call::{Method, call, json_body};
use crate::limits;
use crate::problem::Problem;
use alloy_primitives::hex;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use streamchain_edge_core::audit_log::{Entry, Outcome, Sampler, from_where};
use streamchain_protocol::auth::AccessClaims;
use streamchain_protocol::auth::ApiKey;
use worker::{Date, Env, Error, Request, Response, console_error};

thread_local! {
    /// Of this instance of the Worker.
    static REFUSALS: RefCell<Sampler> = RefCell::default();
}

/// What a request wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A change: recorded when it is done, refused or failed.
    Change(&'static str),
    /// Recorded only when it is refused for who asks, or for how much.
    Ask(&'static str),
}

/// A request, as far as the log is interested.
pub struct Attempt {
    time: u64,
    action: Action,
    target: String,
    client: String,
    bearer: Option<String>,
}

impl Attempt {
    /// Of a request that has just come.
    pub fn new(request: &Request, path: &str, action: Action) -> Self {
        Self {
            time: Date::now().as_millis(),
            action,
            target: path.chars().take(TARGET_MAX_CHARS).collect(),
            client: limits::client(request.headers()),
            bearer: auth::bearer(request.headers()).ok().flatten(),
        }
    }

    /// The entry about how it ended; `None` when the log is not interested.
    pub fn entry(&self, config: &Config, answer: &Result<Response, Problem>) -> Option<Entry> {
        let (word, status) = match answer {
            Ok(response) => (None, response.status_code()),
            Err(problem) => {
                let (word, status) = problem.word();
                (Some(word), status)
            }
        };
        let reason = match status {
            401 => "unauthorized",
            403 => "forbidden",
            429 => "rate-limited",
            _ => word.unwrap_or("refused"),
        };
        let is_refusal = matches!(status, 401 | 403 | 429);
        let action = match self.action {
            Action::Change(action) => action,
            Action::Ask(action) if is_refusal => action,
            Action::Ask(_) => return None,
        };
        let outcome = Outcome::of_status(status);
        Some(Entry {
            time: self.time,
            actor: self.actor(config, answer.as_ref().ok().filter(|_| outcome == Outcome::Done)),
            action: action.to_owned(),
            target: self.target.clone(),
            outcome,
            reason: (outcome != Outcome::Done).then(|| reason.to_owned()),
            from: Some(from_where(&config.master.audit_key(), &self.client)),
            count: 1,
        })
    }

    /// Who it was: whom the answer names (a wallet that signed in has no token yet), or the access token; or the API
    /// key, if what it asked for was done, for only then it is known to be one.
    fn actor(&self, config: &Config, done: Option<&Response>) -> String {
        let named = done.and_then(|response| response.headers().get("streamchain-author").ok().flatten());
        if let Some(author) = named {
            return author;
        }
        let Some(bearer) = self.bearer.as_deref() else {
            return NOBODY.to_owned();
        };
        if let Some(key) = ApiKey::parse(bearer).filter(|_| done.is_some()) {
            return hex::encode_prefixed(key.key.author());
        }
        let now_s = self.time / 1_000;
        let claims = config
            .masters()
            .find_map(|master| AccessClaims::verify(bearer, &master.access_key(), now_s).ok());
        claims.map_or(NOBODY.to_owned(), |claims| hex::encode_prefixed(claims.sub))
    }
}

/// The actor of those without valid credentials.
pub const NOBODY: &str = "nobody";

/// What is kept of a path: a stream's id and a few words fit.
const TARGET_MAX_CHARS: usize = 256;

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
