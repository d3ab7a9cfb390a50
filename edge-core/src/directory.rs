//! The directory of relays: the machine of the Relays object.
//!
//! What always holds: a session is sent only to a relay that renewed within the lease ([`placement`]); a notice is handed out until its relay acknowledges it, so at least once; withdrawn rights
//! are never dropped before: too many of them become one notice that withdraws more.

mod choices;
mod leader_view;
mod placement;

pub use choices::{Choice, Choices};
pub use leader_view::{LeaderView, Standing};
pub(crate) use placement::MAX_SERVING;
pub use placement::{Chosen, Placed, Reason, Wanted, Why};

use alloy_primitives::Address;
use placement::Point;
use streamchain_protocol::ids::{Incarnation, RelayId, RelayKeyId, ShortId};
use streamchain_protocol::limits::{NOTICES_PER_ANSWER, RELAY_LEASE_MS, RENEW_BUSY_MS, RENEW_IDLE_MS};
use streamchain_protocol::time::{UnixMs, UnixSec};
use streamchain_protocol::util::SortedMap;
use streamchain_protocol::webrtc::parse_fingerprint;
use streamchain_protocol::wire::{
    Notice, NoticeEvent, Registration, RegistrationError, RelayStatus, Renewed,
};

/// Most relays known at a time, the dead ones included. Bounds the object's memory.
pub(crate) const MAX_RELAYS: usize = 1_000;

/// How long a relay that no longer renews is still listed (as dead), milliseconds (an hour).
pub(crate) const DEAD_LISTED_MS: u64 = 3_600 * 1_000;

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
const RENEW_MORE_MS: u64 = 50;

/// Why a registration was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// The registration is malformed.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    /// As many relays are registered as may be.
    #[error("{MAX_RELAYS} relays are registered, the most that are accepted")]
    Full,
}

#[derive(Debug)]
struct Lease {
    registration: Registration,
    last_seen: UnixMs,
    /// When its present run registered first; `None` when that was before the directory was restarted.
    run_since: Option<UnixMs>,
    /// Where it is, as far as that is known.
    place: Option<Point>,
    /// Sessions sent to the relay since its last renewal, which says how many it has.
    sent: u64,
}

impl Lease {
    fn new(registration: Registration, now: UnixMs, run_since: Option<UnixMs>) -> Self {
        Self {
            place: registration.location.map(Point::from),
            registration,
            last_seen: now,
            run_since,
            sent: 0,
        }
    }

    fn is_alive(&self, now: UnixMs) -> bool {
        now.since(self.last_seen) < RELAY_LEASE_MS
    }
}

/// All relays, by id. In memory: what must survive is given back by [`Directory::register`] and comes in again
/// by [`Directory::restore`].
#[derive(Debug, Default)]
pub struct Directory {
    relays: SortedMap<RelayId, Lease>,
}

impl Directory {
    /// Takes a relay back from storage. Its lease begins anew, since it could not renew while the directory restarted.
    pub fn restore(&mut self, relay: RelayId, registration: Registration, now: UnixMs) {
        self.relays.insert(relay, Lease::new(registration, now, None));
    }

    /// Registers or renews a relay; returns whether anything but load and cursor is new, so that it must be stored.
    pub fn register(
        &mut self,
        relay: &RelayId,
        registration: Registration,
        now: UnixMs,
    ) -> Result<bool, DirectoryError> {
        registration.check()?;
        if self.relays.get(relay).is_none() && self.relays.entries().len() >= MAX_RELAYS {
            return Err(DirectoryError::Full);
        }
        let before = self.relays.get(relay);
        let is_same_run = |lease: &&Lease| lease.registration.incarnation == registration.incarnation;
        let run_since = match before.filter(is_same_run) {
            Some(lease) => lease.run_since,
            None => Some(now),
        };
        let lease = Lease::new(registration, now, run_since);
        let identity = |lease: &Lease| {
            let Registration {
                incarnation,
                fingerprint,
                region,
                shards,
                turn,
                session_ends,
                joins,
                key,
                spreads,
                mesh,
                location,
                capacity,
                ..
            } = &lease.registration;
            (
                *incarnation,
                *key,
                (*session_ends, *joins, *spreads, *location, *capacity),
                mesh.clone(),
                fingerprint.clone(),
                region.clone(),
                shards.clone(),
                turn.clone(),
            )
        };
        let now = identity(&lease);
        let before = self.relays.insert(relay.clone(), lease);
        Ok(before.is_none_or(|before| identity(&before) != now))
    }

    /// Returns whether a relay that registers ran before, and was forgotten meanwhile: it leads streams, or read notices,
    /// and is not known.
    pub fn was_forgotten(&self, relay: &RelayId, registration: &Registration) -> bool {
        self.relays.get(relay).is_none() && (registration.streams > 0 || registration.cursor > 0)
    }

    /// Removes a relay that leaves; returns whether it was removed. The goodbye of a run that was replaced meanwhile
    /// changes nothing.
    pub fn goodbye(&mut self, relay: &RelayId, incarnation: Option<Incarnation>) -> bool {
        let meant = |lease: &Lease| incarnation.is_none_or(|run| run == lease.registration.incarnation);
        self.relays.get(relay).is_some_and(meant) && self.relays.remove(relay).is_some()
    }

    /// Returns whether a relay renewed within the lease.
    pub fn is_alive(&self, relay: &RelayId, now: UnixMs) -> bool {
        self.relays.get(relay).is_some_and(|lease| lease.is_alive(now))
    }

    /// Returns what a stream's object has to know of the relay that leads it, when `follower` asks for the stream.
    pub fn leader_view(&self, leader: &RelayId, follower: &RelayId, now: UnixMs) -> LeaderView {
        let standing = match self.relays.get(leader).filter(|lease| lease.is_alive(now)) {
            None => Standing::Dead,
            Some(lease) => match &lease.registration.mesh {
                None => Standing::NoLinks,
                Some(link) => Standing::Alive {
                    heard: lease.last_seen,
                    run_since: lease.run_since,
                    link: link.clone(),
                    key: lease.registration.key,
                },
            },
        };
        let follower = self.relays.get(follower);
        let link = follower.and_then(|lease| lease.registration.mesh.as_ref());
        LeaderView {
            leader: leader.clone(),
            standing,
            follower: link.and_then(|link| parse_fingerprint(&link.fingerprint)),
        }
    }

    /// Drops the relays that have been dead for [`DEAD_LISTED_MS`]; returns their ids.
    pub fn forget_dead(&mut self, now: UnixMs) -> Vec<RelayId> {
        let long_dead = |lease: &Lease| now.since(lease.last_seen) > DEAD_LISTED_MS;
        let dead = self.relays.entries().iter().filter(|(_, lease)| long_dead(lease));
        let dead: Vec<_> = dead.map(|(relay, _)| relay.clone()).collect();
        dead.iter().for_each(|relay| drop(self.relays.remove(relay)));
        dead
    }

    /// Returns all relays, also those whose lease is over: their sessions may go on.
    pub fn relays(&self) -> impl Iterator<Item = &RelayId> {
        self.relays.entries().iter().map(|(relay, _)| relay)
    }

    /// Returns the status of all relays. `current` gives the key that a relay should have.
    pub fn statuses(&self, now: UnixMs, current: impl Fn(&RelayId) -> RelayKeyId) -> Vec<RelayStatus> {
        let status = |(id, lease): &(RelayId, Lease)| RelayStatus {
            id: id.clone(),
            region: lease.registration.region.clone(),
            alive: lease.is_alive(now),
            sessions: lease.registration.sessions,
            streams: lease.registration.streams,
            last_seen: lease.last_seen,
            location: lease.registration.location,
            capacity: lease.registration.capacity,
            mesh: lease.registration.mesh.is_some(),
            old_key: lease.registration.key.is_some_and(|key| key != current(id)),
        };
        self.relays.entries().iter().map(status).collect()
    }
}

impl Directory {
    /// Returns notices as their relays read them: one of a round becomes one for each stream for relays that do not know it.
    pub fn readable(&self, notices: Vec<(RelayId, Notice)>) -> Vec<(RelayId, Notice)> {
        let reads_rounds = |relay: &RelayId| {
            let lease = self.relays.get(relay);
            lease.is_some_and(|lease| lease.registration.reads_rounds)
        };
        let mut readable = Vec::with_capacity(notices.len());
        for (relay, notice) in notices {
            match reads_rounds(&relay) {
                true => readable.push((relay, notice)),
                false => readable.extend(notice.by_stream().into_iter().map(|one| (relay.clone(), one))),
            }
        }
        readable
    }
}

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
    let renew_after_ms = match (waiting.len() < NOTICES_PER_ANSWER, sessions) {
        (false, _) => RENEW_MORE_MS,
        (true, 0) => RENEW_IDLE_MS,
        (true, _) => RENEW_BUSY_MS,
    };
    let cursor = waiting.last().map_or(cursor, |last| last.number);
    let notices = waiting.into_iter().map(|numbered| numbered.notice).collect();
    Ok(Renewed {
        renew_after_ms,
        cursor,
        notices,
    })
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
