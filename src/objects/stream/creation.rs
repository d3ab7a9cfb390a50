//! The Stream object's part in rate limits: what goes to it anyway is counted here, exactly.

use super::api::{Append, OpenSession};
use super::object::Stream;
use crate::config::Config;
use crate::objects::audit::api as audit;
use crate::objects::limits::api as limits;
use crate::problem::Problem;
use crate::response::Answer;
use streamchain_edge_core::audit_log::from_where;
use streamchain_edge_core::rate_policy::Policy;
use streamchain_edge_core::stream_log::{LogError, NewStream, Refusal, StreamLog};
use streamchain_protocol::ids::StreamId;
use worker::Response;

impl Stream {
    /// One more session, for its client, its author and the stream.
    pub(super) fn limit_sessions(&self, asked: &OpenSession, now_ms: u64) -> Result<(), Problem> {
        let config = Config::of(&self.env).map_err(Problem::internal)?;
        let gate = &self.gate;
        gate.take(&config, Policy::SessionsAddress, &asked.client, now_ms)?;
        // Of those without an account each has an author of its own.
        if asked.account.is_some() {
            gate.take(&config, Policy::SessionsAuthor, &asked.author.to_string(), now_ms)?;
        }
        gate.take(&config, Policy::SessionsStream, "", now_ms)
    }

    /// One more message by HTTP, for its client, its author and the stream.
    pub(super) fn limit_messages(&self, asked: &Append, now_ms: u64) -> Result<(), Problem> {
        let config = Config::of(&self.env).map_err(Problem::internal)?;
        let gate = &self.gate;
        gate.take(&config, Policy::MessagesAddress, &asked.client, now_ms)?;
        gate.take(&config, Policy::MessagesAuthor, &asked.author.to_string(), now_ms)?;
        gate.take(&config, Policy::MessagesStream, "", now_ms)
    }

    /// Makes the stream, should it not be there, and records who did.
    pub(super) async fn create_for(
        &self,
        new: &NewStream,
        client: Option<&str>,
        account: Option<&str>,
    ) -> Answer {
        let is_new = self.is_new();
        let response = self.create(new).await?;
        if is_new {
            let config = Config::of(&self.env).map_err(Problem::internal)?;
            let actor = account.map_or_else(|| audit::NOBODY.to_owned(), str::to_ascii_lowercase);
            let target = format!("/v1/streams/{}", StreamId::of(new.owner, &new.name));
            let mut entry = audit::done(actor, "stream.create", target);
            entry.from = client.map(|client| from_where(&config.master.audit_key(), client));
            self.state
                .wait_until(audit::record(self.env.clone(), config, entry));
        }
        Ok(response)
    }

    fn is_new(&self) -> bool {
        matches!(
            self.step(StreamLog::state),
            Err(LogError::Refused(Refusal::NoSuchStream))
        )
    }

    /// If this makes the stream: one more for its client and its account. The only case that asks another object.
    pub(super) async fn limit_creation(
        &self,
        client: Option<&str>,
        account: Option<&str>,
    ) -> Result<Option<Response>, Problem> {
        self.log.rows().prepare()?;
        if !self.is_new() {
            return Ok(None);
        }
        let config = Config::of(&self.env).map_err(Problem::internal)?;
        let who = [
            (Policy::StreamsAddress, client),
            (Policy::StreamsAccount, account),
        ];
        for (policy, key) in who {
            if let Some(key) = key
                && let Some(refused) = limits::take(&self.env, &config, policy, key).await?
            {
                return Ok(Some(refused));
            }
        }
        Ok(None)
    }
}
