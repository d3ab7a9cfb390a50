//! A relay that has a stream which it shares with others: what the stream's log keeps of it.

use serde::{Deserialize, Serialize};
use streamchain_protocol::ids::RelayId;
use streamchain_protocol::limits::SESSION_TOKEN_LIFE_S;
use streamchain_protocol::time::UnixMs;

/// How often the row is written for a relay that is sent session after session, milliseconds.
pub(super) const REFRESH_MS: u64 = 60_000;

/// How long a session that was sent to a relay may still begin there, milliseconds: a relay that gave the stream back is
/// asked for it again until then.
const SENT_LIFE_MS: u64 = REFRESH_MS + SESSION_TOKEN_LIFE_S * 1_000;

/// How long a relay counts that is alive no more, milliseconds: the leader may have messages of its sessions that it did
/// not commit yet, for as long as it repeats a batch.
pub(super) const GONE_LIFE_MS: u64 = 60_000;

/// How long a relay that does not reach the leader is sent no session, milliseconds (a minute).
pub(super) const BARRED_MS: u64 = 60_000;

/// For how long reports of a relay that were wrong count together, milliseconds.
const REFUTED_LIFE_MS: u64 = 10_000;

/// So many wrong reports in that time say that it is the relay which does not reach a leader that lives: the first may have
/// crossed the leader's last sign of life.
const MAX_REFUTED: u32 = 3;

/// A relay that has the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// The relay.
    pub relay: RelayId,
    /// When a session was sent to it last, to within [`REFRESH_MS`].
    pub(super) sent: UnixMs,
    /// Whether it was told whom to follow, and did not give the stream back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follows: bool,
    /// Until when it is sent no session, since it does not reach the leader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) barred: Option<UnixMs>,
    /// How often it was wrong that the leader is lost, and since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refuted: Option<(UnixMs, u32)>,
    /// Since when it is known to be alive no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) gone: Option<UnixMs>,
}

impl Serving {
    pub(super) fn new(relay: &RelayId, now: UnixMs) -> Self {
        Self {
            relay: relay.clone(),
            sent: now,
            follows: false,
            barred: None,
            refuted: None,
            gone: None,
        }
    }

    /// Whether it has the stream, or will have it with a session that was sent to it.
    pub(super) fn is_needed(&self, now: UnixMs) -> bool {
        self.follows || now.since(self.sent) < SENT_LIFE_MS
    }

    pub(super) fn is_barred(&self, now: UnixMs) -> bool {
        self.barred.is_some_and(|until| now < until)
    }

    /// Counts a wrong report; returns whether there were too many.
    pub(super) fn refute(&mut self, now: UnixMs) -> bool {
        let (since, count) = self
            .refuted
            .filter(|(since, _)| now.since(*since) < REFUTED_LIFE_MS)
            .unwrap_or((now, 0));
        self.refuted = Some((since, count + 1));
        count + 1 >= MAX_REFUTED
    }

    /// It leads: it follows nobody, and no report of before counts.
    pub(super) fn lead(&mut self) {
        self.follows = false;
        self.barred = None;
        self.refuted = None;
        self.gone = None;
    }

    /// Sends it no session for a while.
    pub(super) fn bar(&mut self, now: UnixMs) {
        self.barred = Some(now.plus_ms(BARRED_MS));
        self.refuted = None;
    }
}
