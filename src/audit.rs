//! What goes into the audit log of requests, seen from where all of them pass.

use crate::auth::bearer::bearer;
use crate::clock;
use crate::config::Config;
use crate::problem::Problem;
use crate::rate_limit;
use alloy_primitives::hex;
use streamchain_edge_core::attempt::{self, Action, Answered, NOBODY};
use streamchain_edge_core::audit_log::{Entry, from_where};
use streamchain_protocol::auth::{AccessClaims, ApiKey};
use streamchain_protocol::time::UnixMs;
use worker::{Request, Response};

/// A request, as far as the log is interested.
pub(crate) struct Attempt {
    time: UnixMs,
    action: Action,
    target: String,
    client: String,
    bearer: Option<String>,
}

impl Attempt {
    /// Of a request that has just come.
    pub(crate) fn new(request: &Request, config: &Config, path: &str, action: Action) -> Self {
        Self {
            time: clock::now(),
            action,
            target: path.to_owned(),
            client: rate_limit::client(request.headers(), config),
            bearer: bearer(request.headers()).ok().flatten(),
        }
    }

    /// The entry about how it ended; `None` when the log is not interested.
    pub(crate) fn entry(&self, config: &Config, answer: &Result<Response, Problem>) -> Option<Entry> {
        let answered = match answer {
            Ok(response) => Answered {
                status: response.status_code(),
                problem: None,
            },
            Err(problem) => {
                let (word, status) = problem.word();
                Answered {
                    status,
                    problem: Some(word),
                }
            }
        };
        let action = self.action.to_record(answered)?;
        let done = answer.as_ref().ok().filter(|_| answered.status < 400);
        let from = from_where(&config.master.audit_key(), &self.client);
        let actor = self.actor(config, done);
        Some(attempt::entry(
            self.time,
            actor,
            action,
            &self.target,
            answered,
            Some(from),
        ))
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
        let now = self.time.to_sec();
        let claims = config
            .masters()
            .find_map(|master| AccessClaims::verify(bearer, &master.access_key(), now).ok());
        claims.map_or(NOBODY.to_owned(), |claims| hex::encode_prefixed(claims.sub))
    }
}
