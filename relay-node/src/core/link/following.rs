//! The lower end of a link.

use crate::core::fan::{Fan, Standing};
use crate::core::limits::{
    LINK_CREDIT_BYTES, LINK_MARK_BYTES, MAX_FORWARDED_BYTES, MAX_FORWARDED_MESSAGES, MAX_PUBLISHER_SHARE,
};
use crate::core::link::downstream::frame_bytes;
use crate::core::link::{Follow, Forwarded, Greeting, LinkPeer, UpFrame};
use crate::core::publication::Extent;
use crate::core::replay_buffer::EncodedMessage;
use crate::core::session::SessionKey;
use std::collections::{HashMap, VecDeque};
use streamchain_protocol::ids::{Epoch, Seq};
use streamchain_protocol::stream_settings::Signed;
use streamchain_protocol::util::Network;

/// Who published what is forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// A session of this shard.
    Session(SessionKey),
    /// A publisher of a link whose upper end is here.
    Link(LinkPeer, u64),
}

/// What a new *following* means to those who follow here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The stream is there for the first time.
    First,
    /// Nothing but the link is new.
    Link,
    /// Whether messages must be signed has changed.
    Settings,
    /// There is another epoch: all that is not committed is void.
    Epoch,
}

/// A publisher here, as the upper end knows it.
#[derive(Debug)]
struct Forwarder {
    origin: Origin,
    greeting: Greeting,
    /// Whether the upper end has welcomed it over the present link.
    is_ready: bool,
    /// Whether its origin was welcomed.
    is_welcomed: bool,
    /// Its publications that have no answer yet, the oldest first.
    unanswered: VecDeque<Forwarded>,
    unanswered_bytes: usize,
}

/// Why a publication is not forwarded now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forwarding {
    /// It is on its way, or will be with the next link.
    Taken,
    /// Too many have no answer yet.
    Full,
}

/// What a shard has of a stream that it follows.
#[derive(Debug)]
pub(crate) struct Following {
    /// The upper end.
    pub peer: LinkPeer,
    /// Which link of this shard it is.
    pub generation: u64,
    /// The epoch that the edge let this relay follow; `None` of a link inside the relay.
    pub granted: Option<Epoch>,
    /// Epoch and settings; `None` until the upper end has said them for the first time.
    known: Option<(Epoch, Option<Signed>)>,
    /// Whether the present link was lost: nothing that comes of it any more counts.
    is_lost: bool,
    /// Whether the upper end has answered *follow* over the present link, which stands.
    is_up: bool,
    pub fan: Fan,
    max_replay_bytes: usize,
    head: Seq,
    committed: Seq,
    publishers: HashMap<u64, Forwarder>,
    unanswered: usize,
    unanswered_bytes: usize,
    /// Bytes taken for which the upper end has not been given credit again.
    taken: i64,
}

impl Following {
    /// A link that begins; nothing is known of the stream yet.
    pub(crate) fn new(peer: LinkPeer, generation: u64, max_replay_bytes: usize) -> Self {
        Self {
            peer,
            generation,
            granted: None,
            known: None,
            is_lost: false,
            is_up: false,
            fan: Fan::new(Seq(0), max_replay_bytes),
            max_replay_bytes,
            head: Seq(0),
            committed: Seq(0),
            publishers: HashMap::new(),
            unanswered: 0,
            unanswered_bytes: 0,
            taken: 0,
        }
    }

    /// The first frame of the present link.
    pub(crate) fn follow(&self, network: Option<Network>) -> UpFrame {
        UpFrame::Follow(Follow {
            known: self.known.map(|(epoch, _)| (epoch, self.fan.replay.end())),
            credit: LINK_CREDIT_BYTES,
            network,
            granted: None,
        })
    }

    /// The link is gone: what is forwarded waits for the next one.
    pub(crate) fn disconnect(&mut self) {
        (self.is_lost, self.is_up) = (true, false);
        for publisher in self.publishers.values_mut() {
            publisher.is_ready = false;
        }
    }

    /// Another link begins in place of the present one.
    pub(crate) fn reconnect(&mut self, peer: LinkPeer, generation: u64) {
        self.disconnect();
        (self.peer, self.generation, self.taken) = (peer, generation, 0);
        self.is_lost = false;
    }

    /// Whether this is the present link, and was not lost.
    pub(crate) fn has_link(&self, peer: LinkPeer, generation: u64) -> bool {
        !self.is_lost && (self.peer, self.generation) == (peer, generation)
    }

    /// Whether the present link was lost.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Whether the link stands, so that publishers can be greeted.
    pub(crate) fn is_up(&self) -> bool {
        self.is_up
    }

    /// The epoch that is known.
    pub(crate) fn epoch(&self) -> Option<Epoch> {
        self.known.map(|(epoch, _)| epoch)
    }

    /// How the stream stands as far as it is known here.
    pub(crate) fn standing(&self) -> Option<Standing> {
        let (epoch, signed) = self.known?;
        Some(Standing {
            epoch,
            signed,
            head: self.head.max(self.fan.replay.end()).max(self.committed),
            committed: self.committed,
        })
    }

    /// What is sent to peers under an epoch in which this shard leads, and which begins at `head`: the messages that are stored. `None`
    /// where they do not reach as far, or are not known to be the ones.
    pub(crate) fn fan_for(&self, epoch: Epoch, head: Seq) -> Option<Fan> {
        let followed = self.epoch()?;
        // What the leader of the epoch right before gave a seq below the head is what was stored there; otherwise another one may have.
        let is_stored = followed.next() == epoch || head <= self.committed;
        is_stored.then(|| self.fan.under(epoch, head)).flatten()
    }

    /// Whether everything that was forwarded is answered, and everything that came is committed; or the link is gone.
    pub(crate) fn is_settled(&self) -> bool {
        !self.is_up || (self.unanswered == 0 && self.fan.replay.end() <= self.committed)
    }

    /// Takes what the upper end says of the stream. `Change::Epoch` drops what was forwarded: those who publish begin anew.
    pub(crate) fn take_following(&mut self, standing: Standing, start: Seq) -> Change {
        let was_up = std::mem::replace(&mut self.is_up, true);
        let known = self.known.replace((standing.epoch, standing.signed));
        self.head = standing.head;
        let change = match known {
            None => Change::First,
            Some((epoch, _)) if epoch != standing.epoch => Change::Epoch,
            Some((_, signed)) if signed != standing.signed => Change::Settings,
            Some(_) => Change::Link,
        };
        match change {
            Change::First | Change::Epoch => {
                let asked = self.fan.asked;
                self.fan = Fan::new(start, self.max_replay_bytes);
                self.fan.asked = asked;
                self.committed = standing.committed;
                self.publishers.clear();
                (self.unanswered, self.unanswered_bytes) = (0, 0);
            }
            Change::Settings | Change::Link => {
                self.committed = self.committed.max(standing.committed);
                if !was_up {
                    self.fan.replay.skip_to(start);
                }
            }
        }
        change
    }

    /// The greetings to be sent again: of all publishers that the present link does not know.
    pub(crate) fn greetings(&self) -> Vec<UpFrame> {
        let unknown = self.publishers.values().filter(|publisher| !publisher.is_ready);
        unknown
            .map(|publisher| UpFrame::Hello(publisher.greeting))
            .collect()
    }

    /// Takes messages; what lies before the first one and was not sent is a gap.
    pub(crate) fn take_messages(&mut self, first: Seq, messages: Vec<EncodedMessage>) {
        let bytes: usize = messages.iter().map(EncodedMessage::len).sum();
        self.taken = self.taken.saturating_add(frame_bytes(bytes));
        self.fan.replay.skip_to(first);
        let known = self.fan.replay.end().0.saturating_sub(first.0);
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        for EncodedMessage { message, signature } in messages.into_iter().skip(known) {
            self.fan.replay.push(message, signature);
        }
    }

    /// Every seq below is committed.
    pub(crate) fn take_committed(&mut self, committed: Seq) {
        self.taken = self.taken.saturating_add(i64::from(LINK_MARK_BYTES));
        self.committed = self.committed.max(committed);
    }

    /// A notice of so many bytes was taken.
    pub(crate) fn count_notice(&mut self, bytes: usize) {
        self.taken = self.taken.saturating_add(frame_bytes(bytes));
    }

    /// What gives the upper end credit again, once a quarter of it is used up.
    pub(crate) fn credit(&mut self) -> Option<UpFrame> {
        if self.taken < i64::from(LINK_CREDIT_BYTES / 4) {
            return None;
        }
        let taken = std::mem::take(&mut self.taken);
        Some(UpFrame::Credit(u32::try_from(taken).unwrap_or(LINK_CREDIT_BYTES)))
    }

    /// A publisher begins; what the upper end is sent, unless that is under way.
    pub(crate) fn hello(&mut self, origin: Origin, greeting: Greeting) -> Option<UpFrame> {
        let std::collections::hash_map::Entry::Vacant(entry) = self.publishers.entry(greeting.publisher)
        else {
            return None;
        };
        entry.insert(Forwarder {
            origin,
            greeting,
            is_ready: false,
            is_welcomed: false,
            unanswered: VecDeque::new(),
            unanswered_bytes: 0,
        });
        self.is_up.then_some(UpFrame::Hello(greeting))
    }

    /// The upper end has welcomed a publisher: its origin, if that waits for it, and the publications to be forwarded (again).
    pub(crate) fn take_welcome(&mut self, publisher: u64) -> Option<(Option<Origin>, Vec<UpFrame>)> {
        let known = self.publishers.get_mut(&publisher)?;
        known.is_ready = true;
        let waits = !std::mem::replace(&mut known.is_welcomed, true);
        let again = known.unanswered.iter().cloned().map(UpFrame::Publish).collect();
        Some((waits.then_some(known.origin), again))
    }

    /// Keeps a publication until it is answered; what the upper end is sent now, if anything.
    pub(crate) fn forward(&mut self, forwarded: Forwarded) -> (Forwarding, Option<UpFrame>) {
        let (bytes, share) = (forwarded.bytes(), MAX_FORWARDED_BYTES / MAX_PUBLISHER_SHARE);
        let messages = forwarded.payloads.len();
        let Some(publisher) = self.publishers.get_mut(&forwarded.publisher) else {
            return (Forwarding::Full, None);
        };
        let is_full = self.unanswered + messages > MAX_FORWARDED_MESSAGES
            || self.unanswered_bytes + bytes > MAX_FORWARDED_BYTES
            || publisher.unanswered_bytes + bytes > share;
        if is_full {
            return (Forwarding::Full, None);
        }
        self.unanswered += messages;
        self.unanswered_bytes += bytes;
        publisher.unanswered_bytes += bytes;
        let now = publisher.is_ready.then(|| UpFrame::Publish(forwarded.clone()));
        publisher.unanswered.push_back(forwarded);
        (Forwarding::Taken, now)
    }

    /// A publication was answered: whose it was, and what it was. `None` for one that is not waited for.
    pub(crate) fn take_answer(&mut self, publisher: u64, producer_seq: u64) -> Option<(Origin, Extent)> {
        let known = self.publishers.get_mut(&publisher)?;
        // In order, but for what an upper end that follows itself had no room for.
        let at = known
            .unanswered
            .iter()
            .position(|one| one.producer_seq == producer_seq)?;
        let answered = known.unanswered.remove(at)?;
        let bytes = answered.bytes();
        known.unanswered_bytes -= bytes;
        self.unanswered -= answered.payloads.len();
        self.unanswered_bytes -= bytes;
        Some((known.origin, answered.extent()))
    }

    /// A publisher is gone; what the upper end is sent.
    pub(crate) fn leave(&mut self, publisher: u64) -> Option<UpFrame> {
        let gone = self.publishers.remove(&publisher)?;
        self.unanswered -= gone
            .unanswered
            .iter()
            .map(|one| one.payloads.len())
            .sum::<usize>();
        self.unanswered_bytes -= gone.unanswered_bytes;
        self.is_up.then_some(UpFrame::Leave(publisher))
    }
}
