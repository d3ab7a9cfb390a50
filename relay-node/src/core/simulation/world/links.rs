//! Links between relays, which lose and delay, break and part. A link's frames arrive in order, as over QUIC: what is lost comes a
//! round trip and a timer later, and what was sent after it waits for it.

use super::{Event, INCOMING, LINK_TIMEOUT, Place, STREAM, World};
use crate::core::limits::{LINK_CREDIT_BYTES, LINK_RUN_BYTES};
use crate::core::link::{DownFrame, LinkFrame};
use crate::core::{LinkMessage, LinkPeer};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use streamchain_protocol::wire::shard_of;

/// How much later a lost packet is sent again, beside the round trip.
const RESEND_TIMER: Duration = Duration::from_millis(25);

/// A link between two relays.
pub(super) struct Link {
    pub lower: (Place, u64),
    pub upper: (Place, u64),
    pub is_broken: bool,
    /// When the last frame up and down arrives.
    arrivals: [Instant; 2],
    /// Bytes of messages on their way down.
    in_flight: usize,
}

/// All links there ever were.
#[derive(Default)]
pub(super) struct Links {
    pub all: Vec<Link>,
    by_end: HashMap<(Place, u64), usize>,
}

/// Bytes of messages in a frame.
fn message_bytes(message: &LinkMessage) -> usize {
    match &message.frame {
        LinkFrame::Down(DownFrame::Messages { messages, .. }) => {
            messages.iter().map(|message| message.len()).sum()
        }
        LinkFrame::Down(_) | LinkFrame::Up(_) => 0,
    }
}

impl World {
    pub(super) fn dial(&mut self, place: Place, number: u64, leader: usize) {
        let upper = (self.run_of(leader), shard_of(STREAM, self.network.shards));
        let is_broken = self.are_parted(place.0.relay, leader);
        let index = self.links.all.len();
        let (lower, upper) = ((place, number), (upper, INCOMING + index as u64));
        self.links.by_end.extend([(lower, index), (upper, index)]);
        self.links.all.push(Link {
            lower,
            upper,
            is_broken,
            arrivals: [self.now; 2],
            in_flight: 0,
        });
        if is_broken {
            self.plan(LINK_TIMEOUT, Event::LinkLost(place, LinkPeer::Relay(number)));
        }
    }

    /// How many links were made in all.
    pub(in super::super) fn links_made(&self) -> usize {
        self.links.all.len()
    }

    pub(super) fn carry(&mut self, from: Place, number: u64, message: LinkMessage) {
        let Some(index) = self.links.by_end.get(&(from, number)).copied() else {
            return;
        };
        let (is_up, bytes) = (
            self.links.all[index].lower == (from, number),
            message_bytes(&message),
        );
        let link = &mut self.links.all[index];
        if link.is_broken {
            return;
        }
        let (to, peer) = if is_up { link.upper } else { link.lower };
        link.in_flight += bytes;
        self.most_in_flight = self.most_in_flight.max(link.in_flight);
        assert!(
            link.in_flight <= LINK_CREDIT_BYTES as usize + LINK_RUN_BYTES,
            "more is on its way than there was credit for"
        );
        let arrival = self.arrival((from.0.relay, to.0.relay), bytes, index, is_up);
        self.plan_at(arrival, Event::Linked(index, to, LinkPeer::Relay(peer), message));
    }

    /// When a frame of the link that is sent now arrives.
    fn arrival(&mut self, (from, to): (usize, usize), bytes: usize, index: usize, is_up: bool) -> Instant {
        let latency = self.latency(from, to);
        let is_lost = self.random.next_bits() % 1_000 < self.network.loss_per_mille;
        let resent = if is_lost {
            2 * latency + RESEND_TIMER
        } else {
            Duration::ZERO
        };
        let slow = self.network.slow.filter(|(relay, _)| [from, to].contains(relay));
        let sending = slow.map_or(Duration::ZERO, |(_, bytes_per_s)| {
            Duration::from_micros(bytes as u64 * 1_000_000 / bytes_per_s)
        });
        let held = [from, to].iter().filter_map(|relay| self.held[*relay]).max();
        let last = &mut self.links.all[index].arrivals[usize::from(is_up)];
        // A slow link sends one frame behind the other.
        let arrival = (self.now + latency + resent).max(*last) + sending;
        *last = held.map_or(arrival, |until| until.max(arrival));
        *last
    }

    /// A frame has arrived, or is lost with its link.
    pub(super) fn landed(&mut self, index: usize, message: &LinkMessage) {
        let link = &mut self.links.all[index];
        link.in_flight = link.in_flight.saturating_sub(message_bytes(message));
    }

    pub(super) fn break_links(&mut self, is_meant: impl Fn(&Link) -> bool) {
        let mut lost = Vec::new();
        for link in &mut self.links.all {
            if !link.is_broken && is_meant(link) {
                link.is_broken = true;
                lost.extend([link.lower, link.upper]);
            }
        }
        for (place, number) in lost {
            self.plan(LINK_TIMEOUT, Event::LinkLost(place, LinkPeer::Relay(number)));
        }
    }
}
