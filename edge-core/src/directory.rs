//! The directory of relays: the machine of the Relays object.
//!
//! What always holds: a session is sent only to a relay that renewed within the lease ([`placement`]); notices wait for relays
//! that are dead too ([`notices`]); however many relays there are, they renew no more often than the object answers.

mod choices;
mod leader_view;
mod lost_reports;
mod notices;
mod placement;
mod point;

pub use choices::{Choice, Choices};
pub use leader_view::{LeaderView, Standing};
pub use lost_reports::Belief;
pub use notices::{Mail, NoticeStore, Numbered, Withdrawn, post, post_forgotten, renew};
pub(crate) use placement::MAX_SERVING;
pub use placement::{Chosen, Placed, Reason, Wanted, Why};

use lost_reports::LostReports;
use point::Point;
use streamchain_protocol::ids::{Incarnation, RelayId, RelayKeyId, ShortId};
use streamchain_protocol::limits::{RELAY_LEASE_MS, RENEW_BUSY_MS};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::util::SortedMap;
use streamchain_protocol::webrtc::parse_fingerprint;
use streamchain_protocol::wire::{Notice, Registration, RegistrationError, RelayStatus, Renewed};

/// Most relays known at a time, the dead ones included: a thousand that live, and as many that were replaced within an hour.
/// Bounds the object's memory, and the work of a choice, which looks at each.
pub(crate) const MAX_RELAYS: usize = 2_000;

/// Most renewals in a second, on average: an object takes about 1,000 requests, and sessions, notices and relays that ask for
/// streams need their part.
const RENEWALS_PER_S: u64 = 400;

/// The longest that a relay waits between two renewals however many there are, milliseconds: two may be lost within the lease.
const MAX_RENEW_MS: u64 = RELAY_LEASE_MS / 3;

/// How long a relay that no longer renews is still listed (as dead), milliseconds (an hour).
pub(crate) const DEAD_LISTED_MS: u64 = 3_600 * 1_000;

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
    lost: LostReports,
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
        let is_known = before.is_some_and(|before| is_same(&before.registration, &lease.registration));
        self.relays.insert(relay.clone(), lease);
        Ok(!is_known)
    }

    /// Returns what a relay registered last.
    pub fn registration(&self, relay: &RelayId) -> Option<&Registration> {
        self.relays.get(relay).map(|lease| &lease.registration)
    }

    /// Puts the next renewal off, where more relays renew than are answered in time.
    pub fn thin_out(&self, renewed: &mut Renewed) {
        let relays = self.relays.entries().len() as u64;
        let wait_ms = (relays * 1_000 / RENEWALS_PER_S).min(MAX_RENEW_MS);
        // A relay with more notices waiting comes back at once.
        if renewed.renew_after_ms >= RENEW_BUSY_MS {
            renewed.renew_after_ms = renewed.renew_after_ms.max(wait_ms);
        }
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
            belief: Belief::default(),
        }
    }

    /// Returns the same for a follower that reports the leader of `stream` as lost, and notes that it does.
    pub fn leader_reported_lost(
        &mut self,
        leader: &RelayId,
        follower: &RelayId,
        stream: ShortId,
        now: UnixMs,
    ) -> LeaderView {
        let mut view = self.leader_view(leader, follower, now);
        // What nobody can follow is not led by the report of a follower.
        if let (Standing::Alive { heard, .. }, Some(_)) = (&view.standing, view.follower) {
            view.belief = self.lost.note(follower, (leader, *heard), stream, now);
        }
        view
    }

    /// Drops the relays that have been dead for [`DEAD_LISTED_MS`]; returns their ids.
    pub fn forget_dead(&mut self, now: UnixMs) -> Vec<RelayId> {
        let long_dead = |lease: &Lease| now.since(lease.last_seen) > DEAD_LISTED_MS;
        let dead = self.relays.entries().iter().filter(|(_, lease)| long_dead(lease));
        let dead: Vec<_> = dead.map(|(relay, _)| relay.clone()).collect();
        dead.iter().for_each(|relay| drop(self.relays.remove(relay)));
        self.lost.forget(now, |relay| self.relays.get(relay).is_some());
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

/// Whether two registrations differ in nothing but load and cursor.
fn is_same(one: &Registration, other: &Registration) -> bool {
    let Registration {
        incarnation,
        fingerprint,
        region,
        shards,
        turn,
        sessions: _,
        streams: _,
        cursor: _,
        session_ends,
        reads_rounds,
        joins,
        spreads,
        mesh,
        location,
        capacity,
        key,
    } = one;
    *incarnation == other.incarnation
        && *fingerprint == other.fingerprint
        && *region == other.region
        && *shards == other.shards
        && *turn == other.turn
        && *joins == other.joins
        && *session_ends == other.session_ends
        && *reads_rounds == other.reads_rounds
        && *spreads == other.spreads
        && *mesh == other.mesh
        && *location == other.location
        && *capacity == other.capacity
        && *key == other.key
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

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
