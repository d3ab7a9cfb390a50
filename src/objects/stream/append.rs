//! Messages that come by HTTP: written here when the stream has no leader, else fetched by the relay that is the leader.
//!
//! While any of them waits the alarm runs: it notifies the relay, and writes them itself once that relay is dead.

use super::object::Stream;
use crate::api::call::new_request_id;
use crate::api::relays::RelayNotice;
use crate::api::stream::{Append, Appended, MAX_APPEND_WAIT_MS, Publisher};
use crate::clock;
use crate::problem::{Kind, Problem, need_right_on};
use futures_util::future::{Either, select};
use std::pin::pin;
use std::time::Duration;
use streamchain_edge_core::publication::Publication;
use streamchain_edge_core::request_id::RequestId;
use streamchain_edge_core::stream_log::{self, StreamLog};
use streamchain_protocol::auth::Right;
use streamchain_protocol::ids::{RelayId, StreamId};
use streamchain_protocol::wire::{Notice, NoticeEvent, Record};
use worker::{Delay, console_error};

/// How often the relay is notified, milliseconds: as often as it renews.
const NOTIFY_INTERVAL_MS: u64 = 2_000;

impl Stream {
    /// What can be refused is, before anything is written: first by size and the publisher's own rate; then by its right, so that
    /// a stream which is hidden from it answers as one that is not there, and outsiders use up none of the stream's rate; last by
    /// the signature, which costs some milliseconds.
    pub(super) async fn append(&self, id: &RequestId, asked: Append) -> Result<Appended, Problem> {
        let publication = Publication {
            time: clock::now(),
            author: asked.author,
            producer: asked.producer,
            producer_seq: asked.producer_seq,
            payloads: asked.payloads,
            signed: asked.signed,
        };
        publication.check_size()?;
        if let Some(publisher) = &asked.publisher {
            let (count, now) = (publication.payloads.len() as u32, publication.time);
            self.limit_publisher(publisher, publication.author, count, now)?;
            let is_made_here = asked.create.is_some() && self.is_new();
            if !is_made_here {
                self.check_publisher(publisher)?;
            }
            self.limit_stream_messages(count, now)?;
        }
        let digest = match (&publication.signed, &asked.create) {
            (None, _) => None,
            (Some(_), Some(new)) => publication.verify(StreamId::of(new.owner, &new.name))?,
            (Some(_), None) => publication.verify(self.state()?.id)?,
        };
        match (&asked.create, &asked.publisher) {
            (Some(new), Some(one)) => {
                self.create_limited(id, new, &one.client, Some(one.account))
                    .await?;
            }
            (Some(new), None) => {
                self.create(id, new).await?;
            }
            (None, _) => {}
        }
        // Again, in one turn with the step: the making of a stream waits for others.
        if let Some(publisher) = &asked.publisher {
            self.check_publisher(publisher)?;
        }
        let client = asked.publisher.map(|one| one.client);
        let wait_ms = asked.wait_ms.min(MAX_APPEND_WAIT_MS);
        let records = publication.into_records();
        let appended = self
            .append_records(id, &records, client.as_deref(), wait_ms)
            .await?;
        let (stored, seq) = match appended {
            stream_log::Appended::Committed(seq) => (true, seq),
            stream_log::Appended::Waits(_) => (false, None),
        };
        Ok(Appended { stored, seq, digest })
    }

    /// Stores records, or keeps them for the relay and waits until they are stored: not where the network of `client` has
    /// its share of those who wait.
    async fn append_records(
        &self,
        id: &RequestId,
        records: &[Record],
        client: Option<&str>,
        wait_ms: u64,
    ) -> Result<stream_log::Appended, Problem> {
        let mut appended = self.step(|log| match client {
            Some(client) => self.inbox_shares.borrow_mut().append(log, records, client),
            None => log.append(records),
        })?;
        self.waiters.notify();
        // No await since the step: the alarm is set with it or not at all.
        self.arm().await?;
        let stream_log::Appended::Waits(relay) = &appended else {
            return Ok(appended);
        };
        let relay = relay.clone();
        let mut seen = self.waiters.changes();
        if let Err(error) = self.notify_leader(id, &relay).await {
            console_error!("request {id}: append: {error}"); // the alarm tries again
        }
        appended = self.step(|log| log.appended(records))?;
        let waiting = client.and_then(|client| self.waiters.enter_publisher(client));
        if client.is_some() && waiting.is_none() {
            return Ok(appended);
        }
        let mut timeout = pin!(Delay::from(Duration::from_millis(wait_ms)));
        while wait_ms > 0 && matches!(appended, stream_log::Appended::Waits(_)) {
            let changed = pin!(self.waiters.changed(seen));
            if let Either::Right(_) = select(changed, timeout.as_mut()).await {
                break;
            }
            seen = self.waiters.changes();
            appended = self.step(|log| log.appended(records))?;
        }
        Ok(appended)
    }

    /// Decided here, where the step is: a right that was revoked before is not used.
    fn check_publisher(&self, publisher: &Publisher) -> Result<(), Problem> {
        if self.state()?.name.is_system() {
            let detail = "streams whose name begins with _ are written by the system alone";
            return Err(Problem::new(Kind::Forbidden, detail));
        }
        let account = Some(publisher.account);
        let access = self.access(account)?;
        let rights = access.rights(account, publisher.operator).and(publisher.limit);
        need_right_on(&access, true, rights, Right::Write)
    }

    /// Notifies the leader that messages wait, unless it was notified just now; writes them here if that relay is dead.
    async fn notify_leader(&self, id: &RequestId, relay: &RelayId) -> Result<(), Problem> {
        let now = clock::now();
        if now.since(self.notified.get()) < NOTIFY_INTERVAL_MS {
            return Ok(());
        }
        self.notified.set(now);
        let notice = Notice {
            stream: self.state()?.id.short(),
            event: NoticeEvent::Append,
        };
        let notice = RelayNotice {
            relay: relay.clone(),
            notice,
        };
        let posted = self.post_notices(id, vec![notice]).await?;
        if posted.dead.contains(relay) {
            self.step(|log| log.take_over(relay))?;
            self.waiters.notify();
        }
        Ok(())
    }

    /// The alarm's part: whatever waits is fetched or written in the end.
    pub(super) async fn serve_inbox(&self) -> Result<(), Problem> {
        let state = self.state()?;
        if state.inbox.messages == 0 {
            return Ok(());
        }
        match state.relay_leader() {
            Some(relay) => self.notify_leader(&new_request_id(), relay).await,
            None => {
                self.step(StreamLog::commit_waiting)?;
                self.waiters.notify();
                Ok(())
            }
        }
    }
}
