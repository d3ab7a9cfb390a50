//! The Stream object's part in rate limits: what goes to it anyway is counted here, exactly; and the making of streams,
//! which is counted and recorded.

use super::object::Stream;
use crate::api::audit;
use crate::api::limits;
use crate::api::stream::{Create, Created, OpenSession, Publisher};
use crate::config::Config;
use crate::problem::{Kind, Problem, need_gas};
use crate::storage::d1;
use alloy_primitives::{Address, hex};
use streamchain_edge_core::archive::Fullness;
use streamchain_edge_core::attempt::NOBODY;
use streamchain_edge_core::audit_log::from_where;
use streamchain_edge_core::rate_policy::Policy;
use streamchain_edge_core::request_id::RequestId;
use streamchain_edge_core::stream_log::{LogError, NewStream, Refusal, StreamLog};
use streamchain_protocol::ids::StreamId;
use streamchain_protocol::stream_settings::StreamSettings;
use streamchain_protocol::time::UnixMs;

impl Stream {
    /// One more session, for its client and its author.
    pub(super) fn limit_session_opener(&self, asked: &OpenSession, now: UnixMs) -> Result<(), Problem> {
        let config = Config::of(&self.env).map_err(Problem::internal)?;
        let gate = &self.gate;
        gate.take(&config, Policy::SessionsAddress, &asked.client, now)?;
        // Of those without an account each has an author of its own.
        if asked.account.is_some() {
            gate.take(&config, Policy::SessionsAuthor, &asked.author.to_string(), now)?;
        }
        Ok(())
    }

    /// One more session, for the stream.
    pub(super) fn limit_stream_sessions(&self, now: UnixMs) -> Result<(), Problem> {
        let config = Config::of(&self.env).map_err(Problem::internal)?;
        self.gate.take(&config, Policy::SessionsStream, "", now)
    }

    /// So many more messages by HTTP, for their client and their author.
    pub(super) fn limit_publisher(
        &self,
        publisher: &Publisher,
        author: Address,
        count: u32,
        now: UnixMs,
    ) -> Result<(), Problem> {
        let config = Config::of(&self.env).map_err(Problem::internal)?;
        let gate = &self.gate;
        gate.take_many(&config, Policy::MessagesAddress, &publisher.client, count, now)?;
        gate.take_many(&config, Policy::MessagesAuthor, &author.to_string(), count, now)
    }

    /// So many more messages by HTTP, for the stream.
    pub(super) fn limit_stream_messages(&self, count: u32, now: UnixMs) -> Result<(), Problem> {
        let config = Config::of(&self.env).map_err(Problem::internal)?;
        self.gate
            .take_many(&config, Policy::MessagesStream, "", count, now)
    }

    pub(super) async fn create_for(&self, id: &RequestId, asked: &Create) -> Result<Created, Problem> {
        self.create_limited(id, &asked.stream, &asked.client, asked.account)
            .await
    }

    /// Makes the stream, should it not be there: one more for its client and its account, and an entry in the audit
    /// log. The only case that asks another object.
    pub(super) async fn create_limited(
        &self,
        id: &RequestId,
        new: &NewStream,
        client: &str,
        account: Option<Address>,
    ) -> Result<Created, Problem> {
        // Nothing is written before the limits have let it pass: the tables are made with the stream.
        if !self.is_new() {
            return self.create(id, new).await;
        }
        let config = Config::of(&self.env).map_err(Problem::internal)?;
        let without = StreamSettings::of_version_before();
        new.settings.check(&without).map_err(Refusal::from)?;
        need_gas(&config.gas_owners, new.owner, &without, &new.settings)?;
        limits::take(&self.env, id, &config, Policy::StreamsAddress, client).await?;
        if let Some(account) = account {
            let account = account.to_string();
            limits::take(&self.env, id, &config, Policy::StreamsAccount, &account).await?;
        }
        self.refuse_when_full(&config, new).await?;
        let is_new = self.is_new(); // another request may have made it meanwhile
        let created = self.create(id, new).await?;
        if is_new {
            let actor = account.map_or_else(|| NOBODY.to_owned(), hex::encode_prefixed);
            let target = format!("/v1/streams/{}", StreamId::of(new.owner, &new.name));
            let mut entry = audit::done(actor, "stream.create", target);
            entry.from = Some(from_where(&config.master.audit_key(), client));
            self.state
                .wait_until(audit::record(self.env.clone(), id.clone(), config, entry));
        }
        Ok(created)
    }

    /// Refuses a stream when the database is nearly full: what is left is for the messages of those that exist. A database
    /// that does not answer refuses nobody.
    async fn refuse_when_full(&self, config: &Config, new: &NewStream) -> Result<(), Problem> {
        let bytes = match self.env.d1("DB") {
            Ok(db) => d1::size(&db).await.unwrap_or(0),
            Err(_) => 0,
        };
        let is_full = Fullness::of(bytes, config.archive.database_bytes) == Fullness::Full;
        match is_full && !new.name.is_system() {
            true => {
                let detail = "the deployment's database is nearly full: no streams are created until its operator makes room";
                Err(Problem::new(Kind::StorageFull, detail))
            }
            false => Ok(()),
        }
    }

    pub(super) fn is_new(&self) -> bool {
        matches!(
            self.look(StreamLog::state),
            Err(LogError::Refused(Refusal::NoSuchStream))
        )
    }
}
