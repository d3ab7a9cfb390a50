//! The Webhooks object: adds, changes and removes the webhooks of one stream, and delivers what happens there. A shell over
//! [`streamchain_edge_core::webhooks`].
//!
//! What always holds: a webhook is in a row before its account is asked for room, and after its account was given it back; so
//! whatever dies between, the alarm ends what was begun. Where nothing happens there is no alarm.

use super::rows::{Rows, no_such_webhook};
use crate::api::call::{new_request_id, reply, serve};
use crate::api::side_by_side::side_by_side;
use crate::api::stream::{SetWatch, stream_object};
use crate::api::webhooks::*;
use crate::clock;
use crate::objects::to_error;
use crate::problem::{Kind, Problem};
use crate::storage::alarm::{Alarm, MAX_ROUND_MS};
use crate::storage::d1;
use std::cell::Cell;
use streamchain_edge_core::webhooks::{
    MAX_WEBHOOKS_PER_ACCOUNT, MAX_WEBHOOKS_PER_STREAM, PauseReason, Stage, Turn, Webhook, watch_of,
};
use streamchain_protocol::ids::{ShortId, WebhookId};
use streamchain_protocol::time::UnixMs;
use worker::{DurableObject, Env, Error, Request, Response, State, console_error, durable_object};

/// How long adding and removing may take before the alarm ends it, milliseconds.
const SETTLE_MS: u64 = 30_000;

/// How long to wait before a removal is tried again, milliseconds.
const RETRY_MS: u64 = 5_000;

/// Least time between two rounds, milliseconds: what is published meanwhile shares a delivery.
const PACE_MS: u64 = 1_000;

/// How long a round goes on with those that have more, milliseconds; with the last delivery it stays below what an alarm may take.
const ROUND_MS: u64 = 15_000;

/// The webhooks of one stream.
#[durable_object(alarm)]
pub struct Webhooks {
    pub(super) state: State,
    pub(super) env: Env,
    pub(super) rows: Rows,
    alarm: Alarm,
    /// How often it was woken.
    pub(super) wakes: Cell<u64>,
}

impl DurableObject for Webhooks {
    fn new(state: State, env: Env) -> Self {
        let rows = Rows::new(state.storage().sql());
        Self {
            state,
            env,
            rows,
            alarm: Alarm::default(),
            wakes: Cell::new(0),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        serve(request, async |asked, _| match asked {
            WebhooksRequest::AddWebhook(asked) => reply::<AddWebhook>(self.add(asked).await),
            WebhooksRequest::ListWebhooks(_) => reply::<ListWebhooks>(self.list()),
            WebhooksRequest::ChangeWebhook(asked) => reply::<ChangeWebhook>(self.change(asked).await),
            WebhooksRequest::RemoveWebhook(asked) => reply::<RemoveWebhook>(self.remove(asked.id).await),
            WebhooksRequest::WakeWebhooks(_) => reply::<WakeWebhooks>(self.wake().await),
        })
        .await
    }

    async fn alarm(&self) -> worker::Result<Response> {
        let storage = self.state.storage();
        self.alarm.begin_once(&storage, MAX_ROUND_MS).await;
        let round = self.round().await;
        if let Err(error) = &round {
            console_error!("webhooks: {error}");
        }
        let next = match self.next_round() {
            Ok(next) => next,
            Err(_) => Some(clock::now().plus_ms(MAX_ROUND_MS)),
        };
        self.alarm.end(&storage, next).await;
        Response::empty()
    }
}

impl Webhooks {
    fn list(&self) -> Result<Vec<Webhook>, Problem> {
        let all = self.rows.all()?.into_iter().map(|kept| kept.webhook);
        Ok(all.filter(|webhook| webhook.stage != Stage::Removing).collect())
    }

    /// Sets the alarm. Called in the same turn as the write that needs it.
    async fn arm(&self, wait_ms: u64) -> Result<(), Error> {
        let due = clock::now().plus_ms(wait_ms);
        self.alarm.arm(&self.state.storage(), Some(due)).await
    }

    async fn add(&self, asked: AddWebhook) -> Result<Webhook, Problem> {
        if self.rows.all()?.len() >= MAX_WEBHOOKS_PER_STREAM {
            let detail = format!("the stream has {MAX_WEBHOOKS_PER_STREAM} webhooks: remove one first");
            return Err(Problem::new(Kind::Full, detail));
        }
        let webhook = Webhook::new(asked.new, clock::now());
        let id = webhook.id;
        self.rows.add(webhook.clone())?;
        self.arm(SETTLE_MS).await?;
        if !d1::webhooks::claim(&self.env.d1("DB")?, &webhook).await? {
            self.rows.remove(id)?;
            self.clear_if_empty().await?;
            let detail = format!("the account has {MAX_WEBHOOKS_PER_ACCOUNT} webhooks: remove one first");
            return Err(Problem::new(Kind::Full, detail));
        }
        self.set_watch().await?;
        let is_added = self.rows.change(id, |webhook| {
            let is_adding = webhook.stage == Stage::Adding;
            if is_adding {
                webhook.enter(Stage::Active, clock::now());
            }
            is_adding
        })?;
        if !is_added {
            return Err(Problem::internal("adding the webhook took too long"));
        }
        self.saved(id).await
    }

    async fn change(&self, asked: ChangeWebhook) -> Result<Webhook, Problem> {
        let (id, now) = (asked.id, clock::now());
        let kept = self.rows.get(id)?.ok_or_else(|| no_such_webhook(id))?;
        if !matches!(kept.webhook.stage, Stage::Active | Stage::Paused(_)) {
            return Err(no_such_webhook(id));
        }
        self.rows.change(id, |webhook| {
            if let Some(url) = asked.url {
                webhook.url = url;
            }
            if let Some(kinds) = asked.kinds {
                webhook.kinds = kinds;
            }
            if let Some(secret) = asked.secret {
                webhook.rotate(secret, now);
            }
            if let Some(creator) = asked.resume {
                webhook.resume(creator, now);
            }
            if asked.pause {
                webhook.pause(PauseReason::Asked, now);
            }
        })?;
        let changed = self.saved(id).await?;
        self.set_watch().await?;
        Ok(changed)
    }

    /// Saves what was changed, and looks soon what follows from it.
    async fn saved(&self, id: WebhookId) -> Result<Webhook, Problem> {
        self.rows.save(id)?;
        self.arm(0).await?;
        let kept = self.rows.get(id)?.ok_or_else(|| no_such_webhook(id))?;
        Ok(kept.webhook)
    }

    async fn remove(&self, id: WebhookId) -> Result<(), Problem> {
        self.rows
            .change(id, |webhook| webhook.enter(Stage::Removing, clock::now()))?;
        self.rows.save(id)?;
        self.arm(SETTLE_MS).await?;
        self.finish_removal(id).await
    }

    /// Gives the account its room back, then drops the row.
    async fn finish_removal(&self, id: WebhookId) -> Result<(), Problem> {
        d1::webhooks::release(&self.env.d1("DB")?, id).await?;
        self.set_watch().await?;
        self.rows.remove(id)?;
        self.clear_if_empty().await
    }

    /// An object without webhooks leaves nothing behind.
    async fn clear_if_empty(&self) -> Result<(), Problem> {
        if self.rows.all()?.is_empty() {
            self.rows.forget();
            self.alarm.rest();
            self.state.storage().delete_alarm().await?;
            self.state.storage().delete_all().await?;
        }
        Ok(())
    }

    async fn set_watch(&self) -> Result<(), Problem> {
        let webhooks: Vec<Webhook> = self.rows.all()?.into_iter().map(|kept| kept.webhook).collect();
        let Some(stream) = webhooks.first().map(|webhook| webhook.stream) else {
            return Ok(());
        };
        let watch = watch_of(&webhooks);
        self.stream(stream)?.call(SetWatch { watch }).await
    }

    pub(super) fn stream(
        &self,
        stream: ShortId,
    ) -> worker::Result<crate::api::call::Handle<crate::api::stream::StreamRequest>> {
        stream_object(&self.env, &new_request_id(), stream)
    }

    async fn wake(&self) -> Result<(), Problem> {
        self.wakes.set(self.wakes.get() + 1);
        if self.rows.all()?.is_empty() {
            return Ok(());
        }
        self.rows.mark_caught_up(None)?;
        Ok(self.arm(0).await?)
    }

    /// One round of the alarm: ends what was begun, and delivers. A slow receiver holds up its own webhook alone.
    async fn round(&self) -> Result<(), Error> {
        let begun = clock::now();
        for kept in self.rows.all()? {
            let Webhook { id, stage, since, .. } = kept.webhook;
            let is_late = stage == Stage::Adding && begun.since(since) >= SETTLE_MS;
            if is_late {
                let leave = |webhook: &mut Webhook| webhook.enter(Stage::Removing, begun);
                self.rows.change(id, leave).map_err(to_error)?;
                self.rows.save(id)?;
            }
            if is_late || stage == Stage::Removing {
                if let Err(error) = self.finish_removal(id).await {
                    console_error!("webhook {id} is not removed yet: {error}");
                }
            }
        }
        let ids: Vec<WebhookId> = self.rows.all()?.iter().map(|kept| kept.webhook.id).collect();
        let until = begun.plus_ms(ROUND_MS);
        let work = ids.into_iter().map(|id| self.deliver(id, until));
        side_by_side(work, MAX_WEBHOOKS_PER_STREAM).await;
        Ok(())
    }

    /// When there is something to do again; `None` until somebody asks for it.
    fn next_round(&self) -> Result<Option<UnixMs>, Error> {
        let now = clock::now();
        let dues = self.rows.all()?.into_iter().filter_map(|kept| {
            let Webhook { stage, since, .. } = &kept.webhook;
            match (stage, kept.webhook.turn(now)) {
                (Stage::Adding | Stage::Removing, _) => {
                    Some(since.plus_ms(SETTLE_MS).max(now.plus_ms(RETRY_MS)))
                }
                (_, Turn::Rest) => None,
                (_, Turn::Wait(until)) => Some(until),
                (_, Turn::Read(_)) => (!kept.is_caught_up).then(|| now.plus_ms(PACE_MS)),
            }
        });
        Ok(dues.min())
    }
}
