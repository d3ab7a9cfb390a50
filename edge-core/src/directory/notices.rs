//! The notices that wait for relays, and the answers to renewals.
//!
//! What always holds: a notice is handed out until its relay acknowledges it, so at least once; withdrawn rights are never
//! dropped before: too many of them become one notice that withdraws more; the renewal of a relay for which nothing waits
//! reads and writes no row.

use alloy_primitives::Address;
use streamchain_protocol::ids::{RelayId, ShortId};
use streamchain_protocol::limits::{NOTICES_PER_ANSWER, RENEW_BUSY_MS, RENEW_IDLE_MS};
use streamchain_protocol::time::{UnixMs, UnixSec};
use streamchain_protocol::util::SortedMap;
use streamchain_protocol::wire::{Notice, NoticeEvent, Renewed};

/// Most notices kept for one relay, beside withdrawals: at 256 an answer, a relay that comes back fetches them in 20 s.
pub(crate) const NOTICES_PER_RELAY: usize = 10_000;

/// How long a notice is kept, milliseconds (ten minutes). What a relay misses, its clients find by HTTP. Withdrawals are
/// kept until they are acknowledged, or the relay is forgotten.
pub(crate) const NOTICE_LIFE_MS: u64 = 10 * 60 * 1_000;

/// Most withdrawals of one stream kept for one relay: the share of a stream. Beyond it all sessions on the stream begin
/// again.
pub(crate) const WITHDRAWALS_PER_STREAM: usize = 64;

/// Most withdrawals kept for one relay. Beyond it all of its sessions begin again.
pub(crate) const WITHDRAWALS_PER_RELAY: usize = 4_096;

/// A relay with more notices waiting renews this soon, milliseconds.
pub(super) const RENEW_MORE_MS: u64 = 50;

/// A notice with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// Its number; grows from notice to notice and is never given twice.
    pub number: u64,
    /// The notice.
    pub notice: Notice,
}

/// Whose rights a notice withdraws: a later one of the same takes the place of an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawn {
    /// The stream; [`ShortId::EVERY`] for all.
    pub stream: ShortId,
    /// The authors, as text; empty for everybody.
    pub whose: String,
}

impl Withdrawn {
    /// Returns whose rights a notice withdraws; `None` when it is about something else.
    pub fn of(notice: &Notice) -> Option<Self> {
        let NoticeEvent::Withdrawn { author, authors, .. } = &notice.event else {
            return None;
        };
        let mut authors: Vec<String> = author.iter().chain(authors).map(Address::to_string).collect();
        authors.sort_unstable();
        Some(Self {
            stream: notice.stream,
            whose: authors.join(" "),
        })
    }
}

/// The notice that everybody's sessions on a stream ([`ShortId::EVERY`]: on all) begin again.
fn everybody(stream: ShortId, before: UnixSec) -> Notice {
    let event = NoticeEvent::Withdrawn {
        author: None,
        authors: Vec::new(),
        before,
        again: true,
    };
    Notice { stream, event }
}

/// Where notices wait for their relay.
pub trait NoticeStore {
    /// Why a row could not be read or written.
    type Error;

    /// Keeps a notice under the next number. One that withdraws rights takes the place of an earlier one of the same.
    fn add(
        &self,
        relay: &RelayId,
        notice: &Notice,
        withdrawn: Option<&Withdrawn>,
        now: UnixMs,
    ) -> Result<(), Self::Error>;
    /// Returns how many withdrawals wait for a relay: of one stream, or of all.
    fn withdrawals(&self, relay: &RelayId, stream: Option<ShortId>) -> Result<usize, Self::Error>;
    /// Drops the withdrawals that wait for a relay: of one stream, or of all.
    fn drop_withdrawals(&self, relay: &RelayId, stream: Option<ShortId>) -> Result<(), Self::Error>;
    /// Returns the highest number given so far, 0 before the first.
    fn last_number(&self) -> Result<u64, Self::Error>;
    /// Returns up to `rows` notices of a relay above `cursor`, in order.
    fn after(&self, relay: &RelayId, cursor: u64, rows: usize) -> Result<Vec<Numbered>, Self::Error>;
    /// Drops a relay's notices up to `cursor`.
    fn drop_through(&self, relay: &RelayId, cursor: u64) -> Result<(), Self::Error>;
    /// Drops of a relay's notices, withdrawals apart, those added before `before`, and all but the `keep` newest.
    fn prune(&self, relay: &RelayId, before: UnixMs, keep: usize) -> Result<(), Self::Error>;
}

/// Keeps notices for their relays, and no more than the bounds allow.
pub fn post<S: NoticeStore>(store: &S, notices: &[(RelayId, Notice)], now: UnixMs) -> Result<(), S::Error> {
    for (relay, notice) in notices {
        match Withdrawn::of(notice) {
            None => store.add(relay, notice, None, now)?,
            Some(withdrawn) => post_withdrawal(store, relay, notice, &withdrawn, now)?,
        }
    }
    let mut relays: Vec<&RelayId> = notices.iter().map(|(relay, _)| relay).collect();
    relays.sort_unstable();
    relays.dedup();
    let before = now.minus_ms(NOTICE_LIFE_MS);
    relays
        .into_iter()
        .try_for_each(|relay| store.prune(relay, before, NOTICES_PER_RELAY))
}

/// Keeps a withdrawal, or in the place of too many one that withdraws more.
fn post_withdrawal<S: NoticeStore>(
    store: &S,
    relay: &RelayId,
    notice: &Notice,
    withdrawn: &Withdrawn,
    now: UnixMs,
) -> Result<(), S::Error> {
    store.add(relay, notice, Some(withdrawn), now)?;
    let stream = withdrawn.stream;
    let is_over = |of: Option<ShortId>, most: usize| Ok(store.withdrawals(relay, of)? > most);
    let wider = if is_over(None, WITHDRAWALS_PER_RELAY)? {
        store.drop_withdrawals(relay, None)?;
        ShortId::EVERY
    } else if stream != ShortId::EVERY && is_over(Some(stream), WITHDRAWALS_PER_STREAM)? {
        store.drop_withdrawals(relay, Some(stream))?;
        stream
    } else {
        return Ok(());
    };
    let notice = everybody(wider, now.to_sec());
    store.add(relay, &notice, Withdrawn::of(&notice).as_ref(), now)
}

/// Keeps for a relay that was forgotten, and comes back with streams or a cursor of before, that all its sessions begin
/// again: what was withdrawn meanwhile waited for nobody.
pub fn post_forgotten<S: NoticeStore>(store: &S, relay: &RelayId, now: UnixMs) -> Result<(), S::Error> {
    let notice = everybody(ShortId::EVERY, now.to_sec());
    store.add(relay, &notice, Withdrawn::of(&notice).as_ref(), now)
}

/// Returns the answer to a renewal: the relay acknowledges the notices up to its cursor, and gets those that follow.
pub fn renew<S: NoticeStore>(
    store: &S,
    relay: &RelayId,
    cursor: u64,
    sessions: u64,
) -> Result<Renewed, S::Error> {
    // A cursor from before the object's storage was cleared does not count.
    let cursor = if cursor > store.last_number()? { 0 } else { cursor };
    store.drop_through(relay, cursor)?;
    let waiting = store.after(relay, cursor, NOTICES_PER_ANSWER)?;
    let renew_after_ms = match waiting.len() < NOTICES_PER_ANSWER {
        false => RENEW_MORE_MS,
        true => usual_interval(sessions),
    };
    let cursor = waiting.last().map_or(cursor, |last| last.number);
    let notices = waiting.into_iter().map(|numbered| numbered.notice).collect();
    Ok(Renewed {
        renew_after_ms,
        cursor,
        notices,
    })
}

/// The relays for which notices may wait, in memory: the others' renewals need no row. By default it is not known of any, and
/// the rows are read for each.
#[derive(Debug, Default)]
pub struct Mail {
    waiting: Option<SortedMap<RelayId, ()>>,
}

impl Mail {
    /// Returns the mail of an object whose rows name these relays.
    pub fn of(relays: impl IntoIterator<Item = RelayId>) -> Self {
        let mut waiting = SortedMap::default();
        for relay in relays {
            waiting.insert(relay, ());
        }
        Self {
            waiting: Some(waiting),
        }
    }

    /// Notes that notices were kept for a relay.
    pub fn note(&mut self, relay: &RelayId) {
        if let Some(waiting) = self.waiting.as_mut().filter(|one| one.get(relay).is_none()) {
            waiting.insert(relay.clone(), ());
        }
    }

    /// Forgets a relay whose notices were dropped.
    pub fn forget(&mut self, relay: &RelayId) {
        if let Some(waiting) = &mut self.waiting {
            waiting.remove(relay);
        }
    }

    /// Returns the answer to the renewal of a relay for which nothing waits; `None` where the rows have to be read.
    pub fn idle_answer(&self, relay: &RelayId, cursor: u64, sessions: u64) -> Option<Renewed> {
        let waiting = self.waiting.as_ref()?;
        waiting.get(relay).is_none().then(|| Renewed {
            renew_after_ms: usual_interval(sessions),
            cursor,
            notices: Vec::new(),
        })
    }

    /// Notes what [`renew`] answered: a relay that acknowledged all notices is read for no more.
    pub fn note_answer(&mut self, relay: &RelayId, renewed: &Renewed) {
        if renewed.notices.is_empty() {
            self.forget(relay);
        }
    }
}

/// How often a relay renews for which nothing waits, milliseconds.
fn usual_interval(sessions: u64) -> u64 {
    match sessions {
        0 => RENEW_IDLE_MS,
        _ => RENEW_BUSY_MS,
    }
}
