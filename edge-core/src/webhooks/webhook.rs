//! One webhook: what is kept of it, and what becomes of it.

use super::gather::{Found, Item, Source, Unready};
use super::kinds::Kinds;
use crate::stream_log::Cursor;
use alloy_primitives::Address;
use serde::{Deserialize, Serialize};
use streamchain_protocol::auth::Rights;
use streamchain_protocol::ids::{KeyId, Seq, ShortId, WebhookId};
use streamchain_protocol::limits::MAX_EXACT_INTEGER;
use streamchain_protocol::time::{UnixMs, UnixSec};
use streamchain_protocol::util::BackoffBounds;

/// How long a webhook may fail before it is paused, milliseconds: a receiver that is down over a weekend loses nothing.
pub(super) const MAX_FAILING_MS: u64 = 3 * 24 * 3_600_000;

/// The waits after failures: the first soon, for a receiver that restarts; the longest an hour, for one that is gone.
const RETRIES: BackoffBounds = BackoffBounds {
    first_ms: 5_000,
    max_ms: 3_600_000,
};

/// How long to wait where the failure is on our side, milliseconds.
const POSTPONE_MS: u64 = 5_000;

/// How long deliveries are signed with the secret before as well, once there is a new one, milliseconds.
pub(super) const OLD_SECRET_LIFE_MS: u64 = 24 * 3_600_000;

/// Longest text that is kept of a failure, characters.
const MAX_ERROR_CHARS: usize = 120;

/// Whose rights a webhook reads the stream with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Creator {
    /// The account.
    pub account: Address,
    /// Whether the credentials were an operator's.
    #[serde(default)]
    pub operator: bool,
    /// The API key that the webhook was made with; it ends with that key.
    pub key: Option<KeyId>,
    /// When the token was issued that it was made with: it ends when the account's tokens are revoked.
    pub issued: UnixSec,
    /// When the credentials end, where they have an end.
    pub end: Option<UnixSec>,
    /// What the credentials were limited to on this stream.
    pub limit: Rights,
}

/// Which secret is in use, without the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretRef {
    /// The version that it is derived with.
    pub version: u64,
    /// Shows whether the master secret still gives the same one.
    pub fingerprint: String,
}

/// Why nothing is delivered until somebody resumes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PauseReason {
    /// Somebody asked for it.
    Asked,
    /// It failed for [`MAX_FAILING_MS`].
    Failing,
    /// The receiver answered 410 Gone.
    Gone,
    /// Whoever made it may no longer read and manage the stream.
    Rights,
    /// The credentials that it was made with were revoked, or are over.
    Credentials,
    /// The master secret was changed, and gives another secret than its owner has: a new one has to be made.
    Secret,
    /// The deployment no longer allows the URL.
    Url,
}

/// Where a webhook is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// It is not yet counted for its account: it goes again unless that follows.
    Adding,
    /// It delivers.
    Active,
    /// It delivers nothing.
    Paused(PauseReason),
    /// It is to be taken off its account's count, and then goes.
    Removing,
}

/// A delivery that is fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Flight {
    to: Cursor,
    kinds: Kinds,
}

/// A webhook to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewWebhook {
    /// Its id.
    pub id: WebhookId,
    /// The stream.
    pub stream: ShortId,
    /// Where its deliveries go.
    pub url: String,
    /// Which events it is for.
    pub kinds: Kinds,
    /// Who made it.
    pub creator: Creator,
    /// Its first secret.
    pub secret: SecretRef,
    /// Where it begins.
    pub cursor: Cursor,
}

/// What is kept of a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// The stream.
    pub stream: ShortId,
    /// Where its deliveries go.
    pub url: String,
    /// Which events it is for.
    pub kinds: Kinds,
    /// Who made or resumed it last.
    pub creator: Creator,
    /// When it was made.
    pub created: UnixMs,
    /// Its secret.
    pub secret: SecretRef,
    /// The secret before, and until when it signs too.
    #[serde(default)]
    old_secret: Option<(SecretRef, UnixMs)>,
    /// Where it is in its life.
    pub stage: Stage,
    /// Since when it is in this stage.
    pub since: UnixMs,
    /// Everything up to here is delivered.
    pub cursor: Cursor,
    #[serde(default)]
    flight: Option<Flight>,
    /// Failures in a row.
    pub failures: u32,
    /// Since when it fails.
    failing_since: Option<UnixMs>,
    /// Nothing is tried before.
    pub retry_at: UnixMs,
    /// What went wrong last, until something succeeds.
    pub last_error: Option<String>,
    /// When a delivery succeeded last.
    pub last_success: Option<UnixMs>,
}

/// What a webhook is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nothing, until somebody changes it.
    Rest,
    /// Nothing before this time.
    Wait(UnixMs),
    /// The stream is read from here on.
    Read(Cursor),
}

/// A request to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The same for each time that it is sent.
    pub id: String,
    /// The event behind which it ends.
    pub to: Cursor,
    /// The JSON text.
    pub body: String,
}

/// What follows from what was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Nothing is behind the cursor.
    CaughtUp,
    /// Only events of other kinds were there: it may be read on.
    Passed,
    /// The webhook is saved first, then this is sent.
    Send {
        /// What is sent.
        delivery: Delivery,
        /// Whether the stream was further than that when it was read: else the next delivery gathers for a while.
        has_more: bool,
    },
}

impl Webhook {
    /// Returns a webhook whose account is not asked yet.
    pub fn new(new: NewWebhook, now: UnixMs) -> Self {
        Self {
            id: new.id,
            stream: new.stream,
            url: new.url,
            kinds: new.kinds,
            creator: new.creator,
            created: now,
            secret: new.secret,
            old_secret: None,
            stage: Stage::Adding,
            since: now,
            cursor: new.cursor,
            flight: None,
            failures: 0,
            failing_since: None,
            retry_at: now,
            last_error: None,
            last_success: None,
        }
    }

    /// Returns what is to be done at `now`.
    pub fn turn(&self, now: UnixMs) -> Turn {
        match self.stage {
            Stage::Active if self.retry_at > now => Turn::Wait(self.retry_at),
            Stage::Active => Turn::Read(self.asked_from()),
            Stage::Adding | Stage::Paused(_) | Stage::Removing => Turn::Rest,
        }
    }

    /// Where the stream is read from: behind all messages where they are not wanted.
    fn asked_from(&self) -> Cursor {
        let seq = match self.reads_messages() {
            true => self.cursor.seq,
            false => Seq(MAX_EXACT_INTEGER),
        };
        Cursor { seq, ..self.cursor }
    }

    /// Returns whether the stream's messages are needed for what is next.
    pub fn reads_messages(&self) -> bool {
        self.flight
            .map_or(self.kinds, |flight| flight.kinds)
            .has_messages()
    }

    /// Returns the first message that is not needed: of a delivery that is fixed, the one behind its last.
    pub fn messages_end(&self, head: Seq) -> Seq {
        self.flight.map_or(head, |flight| flight.to.seq)
    }

    /// Fixes the next delivery from what was read behind the cursor.
    pub fn plan(&mut self, source: Source) -> Result<Plan, Unready> {
        let kinds = self.flight.map_or(self.kinds, |flight| flight.kinds);
        let until = self.flight.map(|flight| flight.to);
        let here = (source.head, source.range.next - 1);
        let Found { to, mut items } = Found::gather(self.cursor, until, kinds.has_messages(), source)?;
        if to == self.cursor {
            return Ok(Plan::CaughtUp);
        }
        items.retain(|item| kinds.has(&item.name));
        if items.is_empty() {
            let is_behind_messages = to.event == self.cursor.event && !kinds.has_messages();
            self.cursor = to;
            // Messages alone, which are not read, are no reason to look again.
            return Ok(if is_behind_messages {
                Plan::CaughtUp
            } else {
                Plan::Passed
            });
        }
        self.flight = Some(Flight { to, kinds });
        let delivery = self.delivery(to, &items);
        let has_more = (to.seq, to.event) != here;
        Ok(Plan::Send { delivery, has_more })
    }

    fn delivery(&self, to: Cursor, items: &[Item]) -> Delivery {
        let (id, stream, from) = (self.id, self.stream, self.cursor);
        let events = items.iter().map(|item| {
            let Item { id, name, json } = item;
            format!(r#"{{"id":"{id}","type":"{name}","data":{json}}}"#)
        });
        let events = events.collect::<Vec<_>>().join(",");
        Delivery {
            id: format!("{id}_{from}"),
            to,
            body: format!(
                r#"{{"type":"stream.events","data":{{"webhook":"{id}","stream":"{stream}","from":"{from}","to":"{to}","events":[{events}]}}}}"#
            ),
        }
    }

    /// Notes that a delivery succeeded. One that is no longer under way changes nothing.
    pub fn delivered(&mut self, delivery: &Delivery, now: UnixMs) {
        if self.flight.map(|flight| flight.to) != Some(delivery.to) {
            return;
        }
        self.flight = None;
        self.cursor = delivery.to;
        self.last_success = Some(now);
        self.recover(now);
    }

    fn recover(&mut self, now: UnixMs) {
        self.failures = 0;
        self.failing_since = None;
        self.last_error = None;
        self.retry_at = now;
    }

    /// Notes that a delivery failed, and why; `bits` are random. It is tried again, or paused after a long time.
    pub fn failed(&mut self, error: &str, now: UnixMs, bits: u64) {
        let since = *self.failing_since.get_or_insert(now);
        self.last_error = Some(error.chars().take(MAX_ERROR_CHARS).collect());
        self.retry_at = now.plus_ms(RETRIES.jittered_ms(self.failures, bits));
        self.failures = self.failures.saturating_add(1);
        if now.since(since) >= MAX_FAILING_MS && self.stage == Stage::Active {
            self.pause(PauseReason::Failing, now);
        }
    }

    /// Tries again in a while: the reason lies with the deployment, and is no failure of the receiver.
    pub fn postpone(&mut self, now: UnixMs) {
        self.retry_at = now.plus_ms(POSTPONE_MS);
    }

    /// Delivers nothing more until it is resumed. What comes meanwhile follows then.
    pub fn pause(&mut self, reason: PauseReason, now: UnixMs) {
        self.enter(Stage::Paused(reason), now);
    }

    /// Goes on where it was, with the rights of whoever asks for it.
    pub fn resume(&mut self, creator: Creator, now: UnixMs) {
        self.creator = creator;
        self.recover(now);
        self.enter(Stage::Active, now);
    }

    /// Changes the stage.
    pub fn enter(&mut self, stage: Stage, now: UnixMs) {
        if self.stage != stage {
            self.since = now;
        }
        self.stage = stage;
    }

    /// Takes a new secret. The one before signs deliveries too for a while.
    pub fn rotate(&mut self, secret: SecretRef, now: UnixMs) {
        let old = std::mem::replace(&mut self.secret, secret);
        self.old_secret = Some((old, now.plus_ms(OLD_SECRET_LIFE_MS)));
    }

    /// Returns the secrets that a delivery is signed with, the newest first.
    pub fn secrets(&self, now: UnixMs) -> impl Iterator<Item = &SecretRef> {
        let old = self.old_secret.as_ref().filter(|(_, until)| now < *until);
        std::iter::once(&self.secret).chain(old.map(|(secret, _)| secret))
    }
}
