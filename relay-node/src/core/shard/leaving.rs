//! A relay that shuts down: it commits what it has, gives its streams back, and sends its sessions away.
//!
//! What always holds: a stream that other relays follow is given back once all of it is committed, and they are told after that: the
//! first of them that asks gets the next epoch at once.

use super::{Command, Now, Shard, Shutdown};
use crate::core::edge_requests::Request;
use crate::core::link::{Ended, LinkPeer};
use crate::core::session::SessionKey;
use crate::core::stream::{Resignation, Stream};
use streamchain_protocol::ids::ShortId;
use streamchain_protocol::wire::frame::ErrorCode;

impl Shard {
    /// Stops taking sessions and messages, and commits the backlog of every stream at once.
    pub fn begin_shutdown(&mut self) {
        if self.shutdown == Shutdown::No {
            self.shutdown = Shutdown::Shipping;
            let all: Vec<ShortId> = self.streams.keys().copied().collect();
            all.into_iter().for_each(|id| self.queue_stream(id));
        }
    }

    /// Whether everything that was accepted is committed.
    pub fn is_shipped(&self) -> bool {
        let is_resigned = |stream: &Stream| stream.resignation != Resignation::Asked;
        self.streams
            .values()
            .all(|stream| stream.is_settled() && is_resigned(stream))
    }

    /// The streams with uncommitted messages, and how many.
    pub fn unshipped(&self) -> Vec<(ShortId, u64)> {
        let leadership = self.streams.values().filter(|stream| stream.uncommitted() > 0);
        leadership
            .map(|stream: &Stream| (stream.ticket.stream, stream.uncommitted()))
            .collect()
    }

    /// Sends every peer *going away* and closes its session.
    pub fn say_goodbye(&mut self, now: Now) {
        self.shutdown = Shutdown::Goodbye;
        let mut all: Vec<SessionKey> = self.sessions.keys().copied().collect();
        all.sort_unstable();
        for key in all {
            self.close_with(
                key,
                ErrorCode::GoingAway,
                "this relay is shutting down: connect again",
                now,
            );
        }
    }

    /// Gives a stream back that other relays follow, if this relay shuts down and all of the stream is committed.
    pub(super) fn resign_if_done(&mut self, id: ShortId) {
        if self.shutdown == Shutdown::No {
            return;
        }
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let Some(leadership) = stream.role.leader() else {
            return;
        };
        let is_followed = stream
            .downstreams
            .keys()
            .any(|peer| matches!(peer, LinkPeer::Relay(_)));
        if is_followed && leadership.uncommitted() == 0 && stream.resignation == Resignation::None {
            stream.resignation = Resignation::Asked;
            let request = Request::Release {
                epoch: leadership.epoch,
            };
            self.commands.push_back(Command::Ask(stream.ticket, request));
        }
    }

    /// The edge has the stream back, or was not reached: the relays that follow ask who leads.
    pub(super) fn resigned(&mut self, id: ShortId) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.resignation = Resignation::Done;
        let peers = stream.downstreams.keys().copied();
        let relays: Vec<LinkPeer> = peers.filter(|peer| matches!(peer, LinkPeer::Relay(_))).collect();
        for peer in relays {
            self.refuse_link(id, peer, Ended::Gone);
        }
    }
}
