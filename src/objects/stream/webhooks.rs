//! The Stream object's part in webhooks: it wakes the Webhooks object once there is something behind what that has read.
//!
//! What always holds: what is committed or noticed arms the alarm in the same turn, and the alarm wakes; so nothing is forgotten,
//! whatever dies. A stream without webhooks does none of this.

use super::object::Stream;
use crate::api::call::new_request_id;
use crate::api::stream::{ReadAsWebhook, SetWatch};
use crate::api::webhooks::{WakeWebhooks, webhooks_object};
use crate::clock;
use crate::problem::{Problem, need_right_on};
use streamchain_edge_core::stream_log::{Cursor, News};
use streamchain_protocol::auth::Right;
use streamchain_protocol::time::UnixMs;
use worker::console_error;

/// Most bytes of messages, and of events, in one answer.
const MAX_NEWS_BYTES: usize = 256 * 1024;

impl Stream {
    /// Sets what the Webhooks object is woken for. It reads by itself first.
    pub(super) fn set_watch(&self, asked: &SetWatch) -> Result<(), Problem> {
        self.step(|log| log.set_watch(asked.watch))?;
        self.wakening.borrow_mut().handle_wake();
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
        let news = self.look(|log| log.news(&asked.reader, cursor, MAX_NEWS_BYTES))?;
        let (event, seq) = (news.tail.state.events.next - 1, news.tail.state.head);
        let has_news = !news.is_empty(cursor);
        self.wakening
            .borrow_mut()
            .handle_read(Cursor { event, seq }, has_news);
        Ok(news)
    }

    /// When the Webhooks object is to be woken; `None` when it is not.
    pub(super) fn wake_due(&self, now: UnixMs) -> Option<UnixMs> {
        let (watch, here) = self.look(|log| log.watched()).ok().flatten()?;
        self.wakening.borrow().due(watch, here, now)
    }

    /// The alarm's part.
    pub(super) async fn wake_webhooks(&self) {
        let now = clock::now();
        let (Ok(Some((watch, here))), Ok(state)) = (self.look(|log| log.watched()), self.state()) else {
            return;
        };
        if !self.wakening.borrow().is_due(watch, here, now) {
            return;
        }
        self.wakening.borrow_mut().handle_wake();
        let id = new_request_id();
        let woken = async {
            webhooks_object(&self.env, &id, state.id.short())?
                .call(WakeWebhooks {})
                .await
        };
        if let Err(error) = woken.await {
            console_error!("request {id}: waking webhooks: {error}");
            self.wakening.borrow_mut().handle_failure(clock::now());
        }
    }
}
