//! The relays that share a stream: the leader, those that follow it, and those that were sent sessions and did not ask yet.
//!
//! What always holds: they are bounded in number; each was sent a session of the stream, or led it; one that is gone is
//! forgotten, but for its messages that the leader may not have committed yet only after [`GONE_LIFE_MS`].

use super::serving::{GONE_LIFE_MS, REFRESH_MS, Serving};
use super::state::LogState;
use crate::directory::{MAX_SERVING, Wanted};
use streamchain_protocol::ids::RelayId;
use streamchain_protocol::time::UnixMs;

impl LogState {
    /// Returns what the directory is asked when a relay is wanted for a session.
    pub fn wanted(&self, now: UnixMs) -> Wanted {
        let relays = |which: &dyn Fn(&&Serving) -> bool| {
            let wanted = self.serving.iter().filter(which);
            wanted.map(|one| one.relay.clone()).collect::<Vec<_>>()
        };
        let has_room = self.serving.len() < MAX_SERVING || self.dispensable(now).is_some();
        Wanted {
            serving: relays(&|one| one.is_needed(now) || self.is_main(&one.relay)),
            barred: relays(&|one| one.is_barred(now)),
            is_full: !has_room,
            ..Wanted::of(self.id.short(), self.assigned.clone())
        }
    }

    /// Returns the relays that follow the leader.
    pub fn followers(&self) -> impl Iterator<Item = &RelayId> {
        let follows = |one: &&Serving| one.follows && one.gone.is_none();
        let leader = self.relay_leader();
        let followers = self.serving.iter().filter(follows).map(|one| &one.relay);
        followers.filter(move |relay| Some(*relay) != leader)
    }

    /// Returns all relays that may have sessions on the stream.
    pub fn relays(&self) -> Vec<RelayId> {
        let main = self.relay_leader().into_iter().chain(&self.assigned);
        let all = main.chain(self.serving.iter().map(|one| &one.relay));
        let mut relays: Vec<RelayId> = Vec::new();
        for relay in all.filter(|relay| !relay.is_edge()) {
            if !relays.contains(relay) {
                relays.push(relay.clone());
            }
        }
        relays
    }

    /// Whether it is the leader, or the relay that the stream is assigned to.
    fn is_main(&self, relay: &RelayId) -> bool {
        self.relay_leader() == Some(relay) || self.assigned.as_ref() == Some(relay)
    }

    /// The relay that makes room for another: one that gave the stream back.
    fn dispensable(&self, now: UnixMs) -> Option<usize> {
        let is_free = |one: &Serving| !one.is_needed(now) && !self.is_main(&one.relay);
        self.serving.iter().position(is_free)
    }

    pub(super) fn serving_mut(&mut self, relay: &RelayId) -> Option<&mut Serving> {
        self.serving.iter_mut().find(|one| one.relay == *relay)
    }

    pub(super) fn is_serving(&self, relay: &RelayId) -> bool {
        self.serving.iter().any(|one| one.relay == *relay)
    }

    /// Notes that a session is sent to a relay; returns whether there was room for it.
    pub(super) fn serve(&mut self, relay: &RelayId, now: UnixMs) -> bool {
        if let Some(one) = self.serving_mut(relay) {
            one.gone = None;
            if now.since(one.sent) >= REFRESH_MS {
                one.sent = now;
            }
            return true;
        }
        if self.serving.len() >= MAX_SERVING {
            match self.dispensable(now) {
                Some(place) => drop(self.serving.remove(place)),
                None => return false,
            }
        }
        self.serving.push(Serving::new(relay, now));
        true
    }

    /// Notes which relays the directory found to be alive no more, and forgets those that have been so for long.
    pub(super) fn note_gone(&mut self, gone: &[RelayId], now: UnixMs) {
        for one in &mut self.serving {
            match gone.contains(&one.relay) {
                true => one.gone = one.gone.or(Some(now)),
                false => one.gone = None,
            }
        }
        let main = [self.relay_leader().cloned(), self.assigned.clone()];
        self.serving.retain(|one| {
            let is_long_gone = one.gone.is_some_and(|since| now.since(since) >= GONE_LIFE_MS);
            !is_long_gone || main.contains(&Some(one.relay.clone()))
        });
    }

    /// A relay that is not the leader gives the stream back.
    pub(super) fn unfollow(&mut self, relay: &RelayId) {
        if let Some(one) = self.serving_mut(relay) {
            one.follows = false;
        }
    }
}
