//! The Stream object's part in webhooks: it wakes the Webhooks object once there is something behind what that has read.
//!
//! What always holds: what is committed or noticed arms the alarm in the same turn, and the alarm wakes; so nothing is forgotten,
//! whatever dies. A Webhooks object that is awake is not woken again before it found nothing. A stream without webhooks does
//! none of this.

use super::object::Stream;
use crate::api::call::new_request_id;
use crate::api::stream::{ReadAsWebhook, SetWatch};
use crate::api::webhooks::{WakeWebhooks, webhooks_object};
use crate::clock;
use crate::problem::{Problem, need_right_on};
use std::cell::Cell;
use streamchain_edge_core::stream_log::{Cursor, GATHER_MS, News, Watch};
use streamchain_protocol::auth::Right;
use streamchain_protocol::time::UnixMs;
use worker::console_error;

/// How long to wait before the Webhooks object is woken again that could not be reached, milliseconds.
const RETRY_MS: u64 = 5_000;

/// Most bytes of messages, and of events, in one answer.
const MAX_NEWS_BYTES: usize = 256 * 1024;

/// What this instance knows of the Webhooks object.
#[derive(Default)]
pub(super) struct Wakening {
    /// Whether it was woken, and has not found nothing since.
    is_awake: Cell<bool>,
    /// How far the stream was when it found nothing; an instance that begins does not know.
    seen: Cell<Option<Cursor>>,
    /// When to try again, after a failure.
    retry_at: Cell<UnixMs>,
}

impl Stream {
    /// Sets what the Webhooks object is woken for. It reads by itself first.
    pub(super) fn set_watch(&self, asked: &SetWatch) -> Result<(), Problem> {
        self.step(|log| log.set_watch(asked.watch))?;
        self.wakening.is_awake.set(asked.watch.is_some());
        Ok(())
    }

    /// What is behind a webhook's cursor, for somebody who may read and manage the stream at this moment.
    pub(super) fn read_as_webhook(&self, asked: &ReadAsWebhook) -> Result<News, Problem> {
        let (account, operator) = (asked.reader.account, asked.reader.operator);
        let access = self.access(account)?;
        let rights = access.rights(account, operator).and(asked.reader.limit);
        need_right_on(&access, true, rights, Right::Manage)?;
        let cursor = Cursor {
            event: asked.event,
            seq: asked.seq,
        };
        let news = self.step(|log| log.news(&asked.reader, cursor, MAX_NEWS_BYTES))?;
        let has_news = !news.is_empty(cursor);
        self.wakening.is_awake.set(has_news);
        if !has_news {
            let (event, seq) = (news.tail.state.events.next - 1, news.tail.state.head);
            self.wakening.seen.set(Some(Cursor { event, seq }));
        }
        Ok(news)
    }

    /// When the Webhooks object is to be woken; `None` when it is not.
    pub(super) fn wake_due(&self, now: UnixMs) -> Option<UnixMs> {
        let (watch, here) = self.step(|log| log.watched()).ok().flatten()?;
        let Wakening {
            is_awake,
            seen,
            retry_at,
        } = &self.wakening;
        let is_new = seen.get().is_none_or(|seen| match watch {
            Watch::Events => here.event > seen.event,
            Watch::All => here.event > seen.event || here.seq > seen.seq,
        });
        (is_new && !is_awake.get()).then(|| now.plus_ms(GATHER_MS).max(retry_at.get()))
    }

    /// The alarm's part.
    pub(super) async fn wake_webhooks(&self) {
        let now = clock::now();
        if self.wake_due(now).is_none() || self.wakening.retry_at.get() > now {
            return;
        }
        let Ok(state) = self.state() else { return };
        // Before the call: what comes meanwhile finds it awake, and it reads until there is nothing.
        self.wakening.is_awake.set(true);
        let id = new_request_id();
        let woken = async {
            webhooks_object(&self.env, &id, state.id.short())?
                .call(WakeWebhooks {})
                .await
        };
        if let Err(error) = woken.await {
            console_error!("request {id}: waking webhooks: {error}");
            self.wakening.is_awake.set(false);
            self.wakening.retry_at.set(clock::now().plus_ms(RETRY_MS));
        }
    }
}
