//! Links of streams: their upper ends, and what both ends send.
//!
//! What always holds: a publication that came over a link is checked by the same code as one of a session here; its publisher is
//! answered in the order of its publications.

use super::{Command, Now, Shard, Shutdown};
use crate::core::edge_requests::Lookup;
use crate::core::leadership::{By, Greeted, Measure};
use crate::core::link::{
    DownFrame, Downstream, Ended, Follow, Following, Forwarded, Forwarding, Greeting, LinkFrame, LinkMessage,
    LinkPeer, Origin, UpFrame,
};
use crate::core::publication::Publication;
use crate::core::reply::{Refusal, Reply, full_text, leaving_text};
use crate::core::send_queue::NoticeFrame;
use crate::core::stream::{Role, Stream};
use streamchain_protocol::Address;
use streamchain_protocol::ids::{Seq, ShortId};
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::wire::ProducerState;

/// A frame for the upper end of a link.
pub(super) fn up(stream: ShortId, following: &Following, frame: UpFrame) -> Command {
    let message = LinkMessage {
        stream,
        generation: following.generation,
        frame: LinkFrame::Up(frame),
    };
    Command::Link(following.peer, message)
}

/// A frame for the lower end of a link.
pub(super) fn down(stream: ShortId, peer: LinkPeer, generation: u64, frame: DownFrame) -> Command {
    let message = LinkMessage {
        stream,
        generation,
        frame: LinkFrame::Down(frame),
    };
    Command::Link(peer, message)
}

impl Shard {
    /// Takes a frame of a link from its other end.
    pub fn handle_link(&mut self, peer: LinkPeer, message: LinkMessage, now: Now) {
        let LinkMessage {
            stream,
            generation,
            frame,
        } = message;
        match frame {
            LinkFrame::Up(UpFrame::Follow(follow)) => self.take_follow(stream, peer, generation, &follow),
            LinkFrame::Up(frame) => self.take_from_below(stream, peer, generation, frame, now),
            LinkFrame::Down(frame) => self.take_from_above(stream, peer, generation, frame, now),
        }
    }

    /// Another shard or relay follows from now on. Only a shard of this relay may name a stream that is not here.
    fn take_follow(&mut self, id: ShortId, peer: LinkPeer, generation: u64, follow: &Follow) {
        let refuse = |why| down(id, peer, generation, DownFrame::Ended(why));
        if self.shutdown == Shutdown::Goodbye {
            return self.commands.push_back(refuse(Ended::Gone));
        }
        let stream = self.streams.get(&id);
        let leads = stream.is_some_and(|stream| {
            let leadership = stream.role.leader();
            leadership.is_some_and(|leads| follow.granted.is_none_or(|epoch| epoch == leads.epoch))
        });
        // Relays follow the leader alone, so that no two ever follow each other; and under the epoch that the edge let them follow.
        if matches!(peer, LinkPeer::Relay(_)) && !leads {
            return self.commands.push_back(refuse(Ended::Moved));
        }
        if stream.is_none() {
            let has_room = follow
                .network
                .is_some_and(|network| self.stream_shares.take(network));
            if !has_room {
                self.counters.no_room += 1;
                return self.commands.push_back(refuse(Ended::Unreachable));
            }
        }
        self.end_link(id, peer);
        let stream = self.ask_for_stream(id, follow.network);
        stream.idle_since = None;
        stream
            .downstreams
            .insert(peer, Downstream::new(generation, follow));
        self.begin_links(id);
    }

    fn take_from_below(&mut self, id: ShortId, peer: LinkPeer, generation: u64, frame: UpFrame, now: Now) {
        let stream = self.streams.get_mut(&id);
        let link = stream.and_then(|stream| stream.downstreams.get_mut(&peer));
        let Some(link) = link.filter(|link| link.generation == generation) else {
            return; // the link was replaced, or its stream was lost: the lower end is being told
        };
        match frame {
            UpFrame::Credit(bytes) => {
                link.add_credit(bytes);
                self.queue_stream(id);
            }
            UpFrame::Hello(greeting) => {
                if link.hello(&greeting) {
                    self.greet_link(id, peer, greeting.publisher);
                }
            }
            UpFrame::Publish(forwarded) => self.take_forwarded(id, peer, &forwarded, now),
            UpFrame::Here(here) => {
                link.here = here;
                self.touch_presence(id);
            }
            UpFrame::Leave(publisher) => self.link_publisher_left(id, peer, publisher),
            UpFrame::Unfollow => {
                self.end_link(id, peer);
                self.rest_if_unused(id, now);
            }
            UpFrame::Follow(_) => {}
        }
    }

    /// Starts the links that wait for the stream, and greets their publishers.
    pub(super) fn begin_links(&mut self, id: ShortId) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let Stream {
            role, downstreams, ..
        } = stream;
        if let Some(standing) = role.standing()
            && let Some((fan, _)) = role.fan_mut()
        {
            for (peer, link) in downstreams.iter_mut().filter(|(_, link)| !link.is_started()) {
                let frame = link.start(standing, fan);
                self.commands.push_back(down(id, *peer, link.generation, frame));
            }
        }
        self.greet_links(id);
        self.queue_stream(id);
    }

    /// Greets all publishers of links that wait for their welcome.
    pub(super) fn greet_links(&mut self, id: ShortId) {
        let Some(stream) = self.streams.get(&id) else {
            return;
        };
        let links = stream.downstreams.iter();
        let waiting: Vec<(LinkPeer, u64)> = links
            .flat_map(|(peer, link)| link.waiting().into_iter().map(|publisher| (*peer, publisher)))
            .collect();
        for (peer, publisher) in waiting {
            self.greet_link(id, peer, publisher);
        }
    }

    /// Welcomes a publisher of a link, or asks what must be known for it.
    fn greet_link(&mut self, id: ShortId, peer: LinkPeer, number: u64) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let Some(link) = stream.downstreams.get_mut(&peer).filter(|link| link.is_started()) else {
            return;
        };
        let generation = link.generation;
        let Some(publisher) = link.publisher(number) else {
            return;
        };
        match &mut stream.role {
            Role::Leader(leadership) if !leadership.is_refreshing => {
                match leadership.greet(publisher.producer, publisher.signer.asked()) {
                    Greeted::Known(stored) => {
                        link.welcome(number);
                        let publisher = number;
                        let frame = DownFrame::Welcome { publisher, stored };
                        self.commands.push_back(down(id, peer, generation, frame));
                    }
                    Greeted::LookUp(lookup) => self.look_up(id, lookup),
                }
            }
            Role::Follower(following) => {
                let own = *publisher.forwarded_as.get_or_insert_with(|| {
                    self.next_key += 1;
                    self.next_key
                });
                let greeting = Greeting {
                    publisher: own,
                    producer: publisher.producer,
                    key: publisher.key,
                    network: publisher.network,
                };
                if let Some(frame) = following.hello(Origin::Link(peer, number), greeting) {
                    self.commands.push_back(up(id, following, frame));
                }
            }
            Role::Leader(_) | Role::Asking => {}
        }
    }

    /// Takes a publication that a follower forwarded.
    fn take_forwarded(&mut self, id: ShortId, peer: LinkPeer, forwarded: &Forwarded, now: Now) {
        let (takes_messages, measure) = (self.takes_messages(), self.measure(now));
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let Some(link) = stream.downstreams.get_mut(&peer) else {
            return;
        };
        let generation = link.generation;
        // A publisher is answered only after its welcome; one that is not known is of an epoch that is over.
        let Some(publisher) = link.welcomed(forwarded.publisher) else {
            return;
        };
        let payloads: Vec<&[u8]> = forwarded.payloads.iter().map(AsRef::as_ref).collect();
        let first = forwarded.producer_seq;
        let publication = Publication {
            producer_seq: first,
            payloads: &payloads,
            signed: forwarded.signed,
        };
        let is_behind = publisher.refused_from.is_some_and(|from| first > from);
        let reply = match &mut stream.role {
            Role::Asking => return,
            _ if is_behind => Reply::Passed,
            // The relays that follow are told of the end of the epoch as soon as all of it is committed, and their publishers begin
            // anew in the next one. A refusal would have them pause first.
            Role::Leader(_) if !takes_messages && matches!(peer, LinkPeer::Relay(_)) => return,
            Role::Leader(_) if !takes_messages => {
                Reply::Refused(Refusal::overloaded(first, leaving_text(first)))
            }
            Role::Leader(leadership) => {
                let by = By {
                    producer: publisher.producer,
                    signer: &publisher.signer,
                    network: publisher.network,
                };
                let Some(published) = leadership.take(publication, by, &mut self.checks, measure) else {
                    return;
                };
                Reply::of(first, published)
            }
            Role::Follower(following) => {
                let own = publisher.forwarded_as.unwrap_or_default();
                let (taken, frame) = following.forward(Forwarded {
                    publisher: own,
                    ..forwarded.clone()
                });
                if let Some(frame) = frame {
                    self.commands.push_back(up(id, following, frame));
                }
                match taken {
                    Forwarding::Taken => {
                        publisher.refused_from = None;
                        return;
                    }
                    Forwarding::Full => Reply::Refused(Refusal::overloaded(first, full_text(first))),
                }
            }
        };
        match &reply {
            Reply::Accepted(_) => publisher.refused_from = None,
            reply => publisher.refused_from = reply.refused_from(first).or(publisher.refused_from),
        }
        let is_new = matches!(reply, Reply::Accepted(_));
        let frame = DownFrame::Answer {
            publisher: forwarded.publisher,
            producer_seq: first,
            reply,
        };
        self.commands.push_back(down(id, peer, generation, frame));
        if is_new {
            self.count_accepted(id, publication);
        }
    }

    /// A publisher of a link is gone.
    fn link_publisher_left(&mut self, id: ShortId, peer: LinkPeer, number: u64) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let link = stream.downstreams.get_mut(&peer);
        let Some((publisher, was_welcomed)) = link.and_then(|link| link.leave(number)) else {
            return;
        };
        match &mut stream.role {
            Role::Leader(leadership) if was_welcomed => leadership.producers.leave(publisher.producer),
            Role::Follower(following) => {
                let left = publisher.forwarded_as.and_then(|own| following.leave(own));
                if let Some(frame) = left {
                    self.commands.push_back(up(id, following, frame));
                }
            }
            Role::Leader(_) | Role::Asking => {}
        }
    }

    /// Takes a link out, and its publishers with it.
    pub(super) fn end_link(&mut self, id: ShortId, peer: LinkPeer) {
        let stream = self.streams.get_mut(&id);
        let Some(link) = stream.and_then(|stream| stream.downstreams.get_mut(&peer)) else {
            return;
        };
        for publisher in link.numbers() {
            self.link_publisher_left(id, peer, publisher);
        }
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.downstreams.remove(&peer);
        }
        self.touch_presence(id);
    }

    /// Ends a link, whose lower end is told why.
    pub(super) fn refuse_link(&mut self, id: ShortId, peer: LinkPeer, why: Ended) {
        let stream = self.streams.get(&id);
        if let Some(link) = stream.and_then(|stream| stream.downstreams.get(&peer)) {
            let frame = down(id, peer, link.generation, DownFrame::Ended(why));
            self.commands.push_back(frame);
            self.end_link(id, peer);
        }
    }

    /// Ends all links of a stream, whose lower ends are told why.
    pub(super) fn end_links(&mut self, id: ShortId, why: Ended) {
        if let Some(stream) = self.streams.get_mut(&id) {
            for (peer, link) in std::mem::take(&mut stream.downstreams) {
                let frame = DownFrame::Ended(why);
                self.commands.push_back(down(id, peer, link.generation, frame));
            }
        }
    }

    /// Tells those who follow that a setting has changed.
    pub(super) fn send_settings(&mut self, id: ShortId) {
        let Some(stream) = self.streams.get(&id) else {
            return;
        };
        let Some(standing) = stream.role.standing() else {
            return;
        };
        for (peer, link) in &stream.downstreams {
            if let Some(frame) = link.settings(standing) {
                self.commands.push_back(down(id, *peer, link.generation, frame));
            }
        }
    }

    /// Passes a notice on to those who follow.
    pub(super) fn notify_links(&mut self, id: ShortId, notice: &NoticeFrame) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream
                .downstreams
                .values_mut()
                .for_each(|link| link.notice(notice));
        }
    }

    /// Passes on what must not wait for credit: whose rights are over, or what was erased.
    fn send_to_links(&mut self, id: ShortId, frame: &DownFrame) {
        if let Some(stream) = self.streams.get(&id) {
            for (peer, link) in stream.downstreams.iter().filter(|(_, link)| link.is_started()) {
                self.commands
                    .push_back(down(id, *peer, link.generation, frame.clone()));
            }
        }
    }

    /// Tells those who follow that sessions of a stream are over.
    pub(super) fn withdraw_at_links(
        &mut self,
        id: ShortId,
        author: Option<Address>,
        before: UnixSec,
        again: bool,
    ) {
        let frame = DownFrame::Withdrawn {
            author,
            before,
            again,
        };
        self.send_to_links(id, &frame);
    }

    /// Drops a message whose payload was erased, here and where the stream is followed.
    pub(super) fn erase(&mut self, id: ShortId, seq: Seq) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        // What is erased is stored: of what is not, nothing may go.
        if let Some((fan, committed)) = stream.role.fan_mut()
            && seq < committed
        {
            fan.replay.forget(seq);
            self.send_to_links(id, &DownFrame::Erased(seq));
        }
    }

    /// What publications are measured by now.
    pub(super) fn measure(&mut self, now: Now) -> Measure {
        Measure {
            room: self
                .memory
                .uncommitted_bytes
                .saturating_sub(self.uncommitted_bytes),
            rates: self.rates,
            instant: now.instant,
            due: self.commit_clock.due(now.instant),
            unix: now.unix,
        }
    }

    /// Counts a publication that was given its seqs, and has it sent to all.
    pub(super) fn count_accepted(&mut self, id: ShortId, publication: Publication<'_>) {
        let bytes = publication.bytes();
        self.uncommitted_bytes += bytes;
        self.counters.messages_accepted += publication.messages();
        self.counters.payload_bytes_accepted += bytes as u64;
        self.counters.groups_accepted += u64::from(publication.signed.is_some());
        self.queue_stream(id);
    }
}

impl Downstream {
    /// Takes what the edge said of a key, for those who wait for it.
    pub(super) fn take_key_state(&mut self, lookup: Lookup, state: &ProducerState) {
        for number in self.waiting() {
            if let Some(publisher) = self.publisher(number)
                && publisher.producer.author == lookup.producer.author
                && lookup.key.is_some()
                && publisher.signer.asked() == lookup.key
            {
                publisher.signer.answer(state.key.as_ref());
            }
        }
    }
}
