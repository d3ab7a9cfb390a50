//! What follows a webhook's cursor is read, and posted to its URL.
//!
//! What always holds: rights and credentials are looked at again for each delivery; a delivery is in the webhook's row before it
//! is sent.

use super::object::Webhooks;
use crate::api::account::{CheckCredentials, account_object};
use crate::api::call::new_request_id;
use crate::api::stream::ReadAsWebhook;
use crate::clock;
use crate::config::{Config, is_development_chain};
use crate::counters;
use crate::outbound::fetch::OutboundError;
use crate::outbound::webhook;
use crate::problem::{Kind, Problem};
use crate::random;
use crate::storage::history::History;
use crate::storage::page::{Page, read_database, shown};
use streamchain_edge_core::stream_log::{Cursor, News, Reader};
use streamchain_edge_core::webhooks::{
    Creator, Delivery, MAX_DELIVERY_ITEMS, PauseReason, Plan, Source, Target, TargetRules, Turn, Webhook,
};
use streamchain_protocol::auth::WebhookSecret;
use streamchain_protocol::ids::{Seq, WebhookId};
use streamchain_protocol::time::{UnixMs, UnixSec};
use worker::console_error;

/// Most payload bytes in one delivery: twice as much in hexadecimal.
const MAX_DELIVERY_BYTES: usize = 128 * 1024;

/// The sender's name, for the receiver's log.
const USER_AGENT: &str = concat!("StreamChain-Webhooks/", env!("CARGO_PKG_VERSION"));

/// What became of one reading.
enum Outcome {
    /// There may be more.
    GoOn,
    /// Nothing is to be done now.
    Stop,
    /// It delivers nothing more.
    Pause(PauseReason),
}

impl Webhooks {
    /// Delivers what is behind one webhook's cursor, until there is nothing, it fails or the time is over.
    pub(super) async fn deliver(&self, id: WebhookId, until: UnixMs) {
        loop {
            let now = clock::now();
            let due = self.rows.get(id).ok().flatten().map(|kept| kept.webhook);
            let Some((webhook, Turn::Read(from))) = due.map(|webhook| (webhook.clone(), webhook.turn(now)))
            else {
                return;
            };
            let outcome = match now < until {
                true => self.deliver_next(&webhook, from).await,
                false => Ok(Outcome::Stop),
            };
            let done = match outcome {
                Ok(Outcome::GoOn) => continue,
                Ok(Outcome::Stop) => Ok(()),
                Ok(Outcome::Pause(reason)) => self.rows.change(id, |one| one.pause(reason, clock::now())),
                Err(problem) => {
                    console_error!("webhook {id}: {problem}");
                    self.rows.change(id, |one| one.postpone(clock::now()))
                }
            };
            if let Err(error) = done.and_then(|()| Ok(self.rows.save(id)?)) {
                console_error!("webhook {id}: {error}");
            }
            return;
        }
    }

    async fn deliver_next(&self, webhook: &Webhook, from: Cursor) -> Result<Outcome, Problem> {
        let (id, wakes) = (webhook.id, self.wakes.get());
        let config = Config::of(&self.env).map_err(Problem::internal)?;
        let asked = ReadAsWebhook {
            reader: reader(&config, &webhook.creator),
            event: from.event,
            seq: from.seq,
        };
        let news = match self.stream(webhook.stream)?.call(asked).await {
            Ok(news) => news,
            Err(refused) if is_refusal(refused.kind()) => return Ok(Outcome::Pause(PauseReason::Rights)),
            Err(problem) => return Err(problem),
        };
        let source = self.source(webhook, from, news).await?;
        let planned = self.rows.change(id, |one| one.plan(source))?;
        match planned.map_err(Problem::internal)? {
            Plan::CaughtUp => {
                // Woken meanwhile: there may be something again.
                if self.wakes.get() == wakes {
                    self.rows.mark_caught_up(Some(id))?;
                }
                Ok(Outcome::Stop)
            }
            Plan::Passed => Ok(Outcome::GoOn),
            Plan::Send { delivery, has_more } => {
                self.rows.save(id)?;
                let sent = self.send(&config, webhook, delivery).await?;
                // What comes next gathers until the next round, unless it is there already.
                Ok(match sent {
                    Outcome::GoOn if !has_more => Outcome::Stop,
                    sent => sent,
                })
            }
        }
    }

    /// What of the stream follows the cursor.
    async fn source(&self, webhook: &Webhook, from: Cursor, news: News) -> Result<Source, Problem> {
        let state = &news.tail.state;
        let mut messages = Vec::new();
        if webhook.reads_messages() {
            let most = Seq(from.seq.0.saturating_add(MAX_DELIVERY_ITEMS as u64));
            let end = webhook.messages_end(state.head).min(most);
            let mut page = Page::new(from.seq, end, MAX_DELIVERY_BYTES);
            read_database(&History::of(&self.env)?, &news.tail, &mut page).await?;
            if !page.is_full() {
                page.take(news.tail.first, &news.tail.records)?;
            }
            messages.extend(page.messages.iter().map(|one| (one.0, shown(one).to_string())));
        }
        Ok(Source {
            head: state.head,
            range: state.events,
            messages,
            events: news.events,
        })
    }

    /// Sends a delivery, unless it may no longer be sent, and notes what became of it.
    async fn send(&self, config: &Config, webhook: &Webhook, delivery: Delivery) -> Result<Outcome, Problem> {
        if !self.counts(&webhook.creator).await? {
            return Ok(Outcome::Pause(PauseReason::Credentials));
        }
        let rules = TargetRules {
            is_development: is_development_chain(config.chain_id),
            own_host: None,
        };
        let Ok(target) = Target::parse(&webhook.url, rules) else {
            return Ok(Outcome::Pause(PauseReason::Url));
        };
        let now = clock::now();
        let Some(signatures) = signatures(config, webhook, &delivery, now) else {
            return Ok(Outcome::Pause(PauseReason::Secret));
        };
        let timestamp = now.to_sec().0.to_string();
        let headers = [
            ("content-type", "application/json"),
            ("user-agent", USER_AGENT),
            ("webhook-id", delivery.id.as_str()),
            ("webhook-timestamp", &timestamp),
            ("webhook-signature", &signatures),
        ];
        let posted = webhook::post(target.as_str(), &headers, &delivery.body).await;
        let (id, now, bits) = (webhook.id, clock::now(), u64::from_le_bytes(random::bytes()?));
        let failure = match posted {
            Ok(200..=299) => None,
            Ok(status) => Some(format!("the receiver answered {status}")),
            Err(OutboundError::Timeout(ms)) => Some(format!("the receiver did not answer within {ms} ms")),
            Err(_) => Some("the receiver could not be reached".to_owned()),
        };
        counters::count_delivery(failure.is_none());
        let Some(failure) = failure else {
            self.rows.change(id, |one| one.delivered(&delivery, now))?;
            return Ok(Outcome::GoOn);
        };
        self.rows.change(id, |one| one.failed(&failure, now, bits))?;
        match posted {
            Ok(410) => Ok(Outcome::Pause(PauseReason::Gone)),
            _ => Ok(Outcome::Stop),
        }
    }

    /// Whether the credentials still count that the webhook was made with.
    async fn counts(&self, creator: &Creator) -> Result<bool, Problem> {
        if creator.end.is_some_and(|end| clock::now().to_sec() > end) {
            return Ok(false);
        }
        let asked = CheckCredentials {
            issued: Some(creator.issued),
            key: creator.key,
            hash: None,
        };
        let account = account_object(&self.env, &new_request_id(), creator.account)?;
        Ok(account.call(asked).await?.refused.is_none())
    }
}

/// How the stream's object knows whoever made a webhook.
fn reader(config: &Config, creator: &Creator) -> Reader {
    let account = creator.account;
    Reader {
        account: Some(account),
        operator: creator.operator && (config.is_operator(account) || account == config.operator),
        limit: creator.limit,
    }
}

/// Whether a stream refuses for who asks.
fn is_refusal(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Unauthorized | Kind::Forbidden | Kind::Hidden | Kind::NoSuchStream
    )
}

/// The header's signatures, one for each secret that counts; `None` when no master secret gives the newest any more.
fn signatures(config: &Config, webhook: &Webhook, delivery: &Delivery, now: UnixMs) -> Option<String> {
    let timestamp: UnixSec = now.to_sec();
    let mut signatures = Vec::new();
    for (place, secret) in webhook.secrets(now).enumerate() {
        let mut derived = config
            .masters()
            .map(|master| WebhookSecret::of(master, webhook.id, secret.version));
        match derived.find(|derived| derived.fingerprint() == secret.fingerprint) {
            Some(derived) => signatures.push(derived.sign(&delivery.id, timestamp, &delivery.body)),
            None if place == 0 => return None,
            None => {}
        }
    }
    Some(signatures.join(" "))
}
