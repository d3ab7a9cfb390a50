//! What goes into the audit log: every change, and every refusal that matters, seen from where all requests pass.
//!
//! What always holds: recording neither delays nor fails the request, which is answered first; refusals are counted
//! together here already, so that a flood of them becomes a few requests to the Audit object.

use crate::auth::bearer::bearer;
use crate::config::Config;
use crate::objects::audit::api::NOBODY;
use crate::problem::Problem;
use crate::rate_limit;
use alloy_primitives::hex;
use streamchain_edge_core::audit_log::{Entry, Outcome, from_where};
use streamchain_protocol::auth::AccessClaims;
use streamchain_protocol::auth::ApiKey;
use worker::{Date, Request, Response};

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
            client: rate_limit::client(request.headers()),
            bearer: bearer(request.headers()).ok().flatten(),
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

/// What is kept of a path: a stream's id and a few words fit.
const TARGET_MAX_CHARS: usize = 256;
