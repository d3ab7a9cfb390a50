//! What happens to relays, links and clients.

use super::links::Link;
use super::{Event, LEAVING, Seat, World};
use crate::core::Shard;
use std::time::Duration;

/// What happens to the network.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Fault {
    /// A relay dies, and another run of it begins.
    Restart(usize),
    /// A relay shuts down in order, and another run of it begins.
    Leave(usize),
    /// The links between two relays break, and none comes up.
    Part(usize, usize),
    /// The same between a relay and all others.
    Isolate(usize),
    /// All relays reach each other again.
    Heal,
    /// What is sent to or from a relay over links arrives only after so many milliseconds.
    Delay(usize, u64),
    /// A client connects again somewhere else.
    Move(usize),
    /// Clients publish so many messages each.
    Publish(u8),
}

impl World {
    pub(in super::super) fn fault(&mut self, fault: Fault) {
        match fault {
            Fault::Restart(relay) => self.restart(relay),
            Fault::Leave(relay) => {
                let shards = 0..self.network.shards;
                shards.for_each(|shard| self.hand_over((self.run_of(relay), shard), Shard::begin_shutdown));
                self.plan(LEAVING, Event::Gone(self.run_of(relay)));
            }
            Fault::Part(one, other) if one != other => self.part(one, other),
            Fault::Part(..) => {}
            Fault::Isolate(relay) => {
                let others = (0..self.relays.len()).filter(|other| *other != relay);
                others.for_each(|other| self.part(relay, other));
            }
            Fault::Heal => {
                self.parted.clear();
                self.held.fill(None);
            }
            Fault::Delay(relay, ms) => self.held[relay] = Some(self.now + Duration::from_millis(ms)),
            Fault::Move(client) => self.move_client(client % self.clients.len()),
            Fault::Publish(count) => {
                for client in 0..self.clients.len() {
                    if self.clients[client].publishes {
                        self.clients[client].tick(u64::from(count));
                        self.send_outgoing(client);
                    }
                }
            }
        }
    }

    fn restart(&mut self, relay: usize) {
        let gone = self.run_of(relay);
        self.relays[relay].run += 1;
        let shards = self.shards(self.relays[relay].run);
        self.relays[relay].shards = shards;
        self.break_links(|link| [link.lower.0.0, link.upper.0.0].contains(&gone));
        for seats in std::mem::take(&mut self.seated[relay]) {
            for client in seats {
                if self.is_seated_at(client, gone) {
                    self.unseat(client, Duration::from_millis(300));
                }
            }
        }
        self.seated[relay] = vec![Vec::new(); self.network.shards];
    }

    fn part(&mut self, one: usize, other: usize) {
        self.parted.insert((one.min(other), one.max(other)));
        let ends = |link: &Link| (link.lower.0.0.relay, link.upper.0.0.relay);
        self.break_links(|link| [(one, other), (other, one)].contains(&ends(link)));
    }

    fn move_client(&mut self, client: usize) {
        if let Some(Seat { place, key }) = self.seats[client].take() {
            let now = self.now();
            if let Some(shard) = self.shard(place) {
                shard.end_simulated(key, now);
                self.touch(place);
            }
            self.unseat(client, Duration::from_millis(20));
        }
    }

    /// A client's session is gone; it opens another one after a while.
    fn unseat(&mut self, client: usize, wait: Duration) {
        self.seats[client] = None;
        self.sessions[client] += 1;
        self.clients[client].reconnects += 1;
        self.plan(wait, Event::Reconnect(client));
    }
}
