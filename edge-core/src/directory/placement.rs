//! Which relay a session is sent to: the nearest with room that has the stream, else the least loaded.
//!
//! What always holds:
//! - a stream at a relay that shares no streams stays there while that relay lives, and so do all of its sessions;
//! - else a session goes to any living relay that shares streams: a nearer one before one that has the stream, and that one
//!   before one with fewer sessions; to a relay without room only where none has any;
//! - a stream is at no more than [`MAX_SERVING`] relays.

use super::point::Point;
use super::{Directory, Lease};
use alloy_primitives::keccak256;
use serde::{Deserialize, Serialize};
use streamchain_protocol::ids::{Incarnation, RelayId, RelayKeyId, SessionId, ShortId};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::webrtc::{Candidate, IceServer};
use streamchain_protocol::wire::{Location, Registration, Shard, shard_of, shard_of_session};

/// Most relays of one stream: 1.3 million readers where each takes 20,000. The stream's row names them all.
pub(crate) const MAX_SERVING: usize = 64;

/// Distances that count as equal, each up to so many kilometres. Light in a fibre takes a millisecond for 100 km there and
/// back, and cables are half as long again as the way: within the first band a relay that has the stream, or less to do,
/// is worth more than the 6 ms.
const BANDS_KM: [f64; 6] = [400.0, 1_000.0, 2_000.0, 4_000.0, 8_000.0, 12_000.0];

/// What is known when a relay is wanted for a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wanted {
    /// The stream.
    pub stream: ShortId,
    /// The relay that the stream is assigned to.
    pub current: Option<RelayId>,
    /// The relays that have it, as far as they share streams.
    #[serde(default)]
    pub serving: Vec<RelayId>,
    /// The relays that are not to get it, since they do not reach its leader.
    #[serde(default)]
    pub barred: Vec<RelayId>,
    /// Whether no other relay may get it.
    #[serde(default)]
    pub is_full: bool,
    /// Where the client is.
    #[serde(default)]
    pub client: Option<Location>,
    /// How many sessions were sent to a relay since it was chosen, without asking again.
    #[serde(default)]
    pub handed: Option<(RelayId, u64)>,
    /// The relay that it must be, since the session joins a connection that is there.
    #[serde(default)]
    pub only: Option<RelayId>,
}

impl Wanted {
    /// Returns a wish for a stream at its relay, and nothing more.
    pub fn of(stream: ShortId, current: Option<RelayId>) -> Self {
        Self {
            stream,
            current,
            serving: Vec::new(),
            barred: Vec::new(),
            is_full: false,
            client: None,
            handed: None,
            only: None,
        }
    }
}

/// A relay that a session is sent to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Chosen {
    /// The relay's id.
    pub relay: RelayId,
    /// The run of its process.
    pub incarnation: Incarnation,
    /// The key that the relay has: session tokens for it are signed with this key.
    #[serde(default)]
    pub key: Option<RelayKeyId>,
    /// Whether it ends sessions at the time in their tokens.
    #[serde(default)]
    pub session_ends: bool,
    /// Whether it takes further channels with grants.
    #[serde(default)]
    pub joins: bool,
    /// SHA-256 fingerprint of its DTLS certificate, as `AB:CD:…`.
    pub fingerprint: String,
    /// The candidates of the session's shard, best first.
    pub candidates: Vec<Candidate>,
    /// URLs of its own TURN server.
    #[serde(default)]
    pub turn: Vec<String>,
    /// Servers of the deployment's TURN provider, the same for all relays.
    #[serde(default)]
    pub ice_servers: Vec<IceServer>,
    /// Why it was chosen; an object of the version before does not say it.
    #[serde(default)]
    pub why: Option<Why>,
}

/// Why a relay was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// What decided.
    pub reason: Reason,
    /// How far it is from the client, kilometres; `None` where one of the places is not known.
    pub km: Option<u32>,
}

/// What decided on a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It has the stream, and shares no streams with other relays.
    Stays,
    /// It has the stream, and none with room is nearer.
    HasStream,
    /// None with room is as near.
    Nearest,
    /// It has the fewest sessions of those that are as near.
    LeastLoaded,
    /// No relay has room.
    AllFull,
}

impl Reason {
    /// Returns the word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stays => "stays",
            Self::HasStream => "has-stream",
            Self::Nearest => "nearest",
            Self::LeastLoaded => "least-loaded",
            Self::AllFull => "all-full",
        }
    }
}

/// A choice, which counts for further sessions of clients in the same place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Placed {
    /// The relay, with the candidates of the stream's own shard.
    pub chosen: Chosen,
    /// All of its shards, where it spreads sessions over them.
    #[serde(default)]
    pub shards: Vec<Shard>,
    /// How many sessions it has room for; `None` where no bound is known.
    #[serde(default)]
    pub room: Option<u64>,
    /// Whether it shares streams with other relays.
    #[serde(default)]
    pub shares: bool,
    /// Whether it takes the stream from the relays that have it, so that their sessions stay.
    #[serde(default)]
    pub follows: bool,
    /// Relays that had the stream and are alive no more.
    #[serde(default)]
    pub gone: Vec<RelayId>,
}

impl Placed {
    /// Returns the choice for one session: with the candidates of the shard that the session goes to.
    pub fn of_session(&self, session: SessionId) -> Chosen {
        let mut chosen = self.chosen.clone();
        if let Some(shard) = self.shards.get(shard_of_session(session, self.shards.len())) {
            chosen.candidates.clone_from(&shard.candidates);
        }
        chosen
    }
}

/// What a relay is compared by: the least is chosen.
type Score = (bool, usize, bool, u64);

impl Lease {
    fn shares(&self) -> bool {
        self.registration.mesh.is_some()
    }

    fn load(&self) -> u64 {
        self.registration.sessions.saturating_add(self.sent)
    }

    fn room(&self) -> Option<u64> {
        let capacity = self.registration.capacity?;
        Some(capacity.saturating_sub(self.load()))
    }

    fn km_to(&self, client: Option<Point>) -> Option<f64> {
        Some(self.place?.km_to(client?))
    }

    fn score(&self, relay: &RelayId, wanted: &Wanted, client: Option<Point>) -> Score {
        let band = match (client, self.km_to(client)) {
            (None, _) => 0,
            // One that is not known to be near counts as far.
            (Some(_), None) => BANDS_KM.len(),
            (Some(_), Some(km)) => BANDS_KM.iter().take_while(|band| km > **band).count(),
        };
        let lacks_stream = !wanted.serving.contains(relay);
        (self.room() == Some(0), band, lacks_stream, self.load())
    }
}

impl Directory {
    /// Chooses where a session goes. Returns `None` when no relay is alive.
    pub fn place(&mut self, wanted: &Wanted, now: UnixMs) -> Option<Placed> {
        if let Some((relay, count)) = &wanted.handed
            && let Some(lease) = self.relays.get_mut(relay)
        {
            lease.sent = lease.sent.saturating_add(*count);
        }
        let client = wanted.client.map(Point::from);
        let (relay, why, follows) = match self.staying(wanted, now) {
            Some(relay) => {
                let why = self.why(relay, Reason::Stays, client);
                (relay.clone(), why, false)
            }
            None => self.best(wanted, client, now)?,
        };
        if wanted.only.as_ref().is_some_and(|only| *only != relay) {
            return None;
        }
        let gone = wanted.serving.iter().filter(|relay| !self.is_alive(relay, now));
        let gone = gone.cloned().collect();
        let lease = self.relays.get_mut(&relay)?;
        lease.sent += 1;
        let Registration { shards, spreads, .. } = &lease.registration;
        Some(Placed {
            shards: if *spreads { shards.clone() } else { Vec::new() },
            room: lease.room(),
            shares: lease.shares(),
            follows,
            gone,
            chosen: lease.chosen(relay, wanted.stream, why)?,
        })
    }

    /// The relay that the stream stays at, since it shares it with no other.
    fn staying<'a>(&self, wanted: &'a Wanted, now: UnixMs) -> Option<&'a RelayId> {
        let current = wanted.current.as_ref()?;
        let lease = self.relays.get(current)?;
        (lease.is_alive(now) && !lease.shares()).then_some(current)
    }

    /// The best of the relays that may get the session, why, and whether it takes the stream from others.
    fn best(&self, wanted: &Wanted, client: Option<Point>, now: UnixMs) -> Option<(RelayId, Why, bool)> {
        let has_stream =
            |relay: &RelayId| wanted.serving.contains(relay) || wanted.current.as_ref() == Some(relay);
        let relays = self.relays.entries().iter();
        let alive: Vec<&(RelayId, Lease)> = relays.filter(|(_, lease)| lease.is_alive(now)).collect();
        let follows = alive
            .iter()
            .any(|(relay, lease)| lease.shares() && has_stream(relay));
        let may_get = |(relay, lease): &&&(RelayId, Lease)| {
            if wanted.only.as_ref().is_some_and(|only| only != relay) {
                return false;
            }
            !follows || lease.shares() && (!wanted.is_full || has_stream(relay))
        };
        let pool: Vec<&(RelayId, Lease)> = alive.iter().filter(may_get).copied().collect();
        let is_barred = |(relay, _): &&(RelayId, Lease)| wanted.barred.contains(relay);
        let (barred, mut pool): (Vec<_>, Vec<_>) = pool.into_iter().partition(is_barred);
        if pool.is_empty() {
            pool = barred;
        }
        let scored = pool
            .iter()
            .map(|(relay, lease)| (lease.score(relay, wanted, client), relay));
        let scored: Vec<(Score, &RelayId)> = scored.collect();
        let least = scored.iter().map(|(score, _)| *score).min()?;
        // Equals are taken in an order that depends on the stream (rendezvous hashing), always the same way.
        let rank = |relay: &RelayId| keccak256([relay.as_str().as_bytes(), &wanted.stream.0].concat());
        let equals = scored.iter().filter(|(score, _)| *score == least);
        let (_, relay) = equals.min_by_key(|(_, relay)| rank(relay))?;
        let is_as_near = |(score, _): &&(Score, &RelayId)| !score.0 && score.1 == least.1;
        let reason = match least {
            (true, ..) => Reason::AllFull,
            (false, _, false, _) => Reason::HasStream,
            _ if scored.iter().filter(is_as_near).count() > 1 => Reason::LeastLoaded,
            _ => Reason::Nearest,
        };
        Some(((*relay).clone(), self.why(relay, reason, client), follows))
    }

    fn why(&self, relay: &RelayId, reason: Reason, client: Option<Point>) -> Why {
        let km = self.relays.get(relay).and_then(|lease| lease.km_to(client));
        let km = km.map(|km| km.round() as u32);
        Why { reason, km }
    }
}

impl Lease {
    fn chosen(&self, relay: RelayId, stream: ShortId, why: Why) -> Option<Chosen> {
        let Registration {
            incarnation,
            fingerprint,
            shards,
            turn,
            session_ends,
            joins,
            key,
            ..
        } = &self.registration;
        Some(Chosen {
            relay,
            incarnation: *incarnation,
            key: *key,
            session_ends: *session_ends,
            joins: *joins,
            fingerprint: fingerprint.clone(),
            candidates: shards.get(shard_of(stream, shards.len()))?.candidates.clone(),
            turn: turn.clone(),
            ice_servers: Vec::new(),
            why: Some(why),
        })
    }
}

#[cfg(test)]
#[path = "placement_tests.rs"]
mod tests;
