//! Links between relays, which break and part.

use super::{Event, INCOMING, LINK_TIMEOUT, Link, Place, SHARDS, STREAM, World};
use crate::core::link::{DownFrame, LinkFrame};
use crate::core::{LinkMessage, LinkPeer};
use streamchain_protocol::wire::shard_of;

impl World {
    pub(super) fn dial(&mut self, place: Place, number: u64, leader: usize) {
        let upper = (self.run_of(leader), shard_of(STREAM, SHARDS));
        let is_broken = self.are_parted(place.0.relay, leader);
        self.links.push(Link {
            lower: (place, number),
            upper: (upper, INCOMING + self.links.len() as u64),
            is_broken,
        });
        if is_broken {
            self.plan(LINK_TIMEOUT, Event::LinkLost(place, LinkPeer::Relay(number)));
        }
    }

    pub(super) fn carry(&mut self, from: Place, number: u64, message: LinkMessage) {
        let is_end = |end: &(Place, u64)| *end == (from, number);
        let link = self
            .links
            .iter()
            .find(|link| is_end(&link.lower) || is_end(&link.upper));
        let Some(link) = link.filter(|link| !link.is_broken) else {
            return;
        };
        let (to, peer) = if is_end(&link.lower) {
            link.upper
        } else {
            link.lower
        };
        if let LinkFrame::Down(DownFrame::Messages { messages, .. }) = &message.frame {
            let bytes = self.in_flight.entry((to, message.generation)).or_default();
            *bytes += messages.iter().map(|message| message.len()).sum::<usize>();
            self.most_in_flight = self.most_in_flight.max(*bytes);
        }
        let latency = self.latency(from.0.relay, to.0.relay);
        self.plan(latency, Event::Linked(to, LinkPeer::Relay(peer), message));
    }

    pub(super) fn landed(&mut self, place: Place, message: &LinkMessage) {
        if let LinkFrame::Down(DownFrame::Messages { messages, .. }) = &message.frame
            && let Some(bytes) = self.in_flight.get_mut(&(place, message.generation))
        {
            *bytes -= messages.iter().map(|message| message.len()).sum::<usize>();
        }
    }
}
