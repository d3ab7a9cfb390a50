//! A client of the simulation: it follows the protocol, and checks all that it receives.

use super::edge::Edge;
use std::collections::BTreeMap;
use streamchain_protocol::Address;
use streamchain_protocol::ids::{Epoch, ProducerId, Seq};
use streamchain_protocol::wire::ProducerKey;
use streamchain_protocol::wire::cbor::Reader;
use streamchain_protocol::wire::frame::{Abilities, ClientFrame, ErrorCode, RelayFrame};

/// What a client does after it has taken a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    GoOn,
    /// The session is over: it connects again.
    Reconnect,
}

/// What of all clients' doing one client does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// Whether it goes on with a second welcome.
    pub is_able: bool,
    pub publishes: bool,
    /// Whether it subscribes together with *hello*, before it is welcomed.
    pub subscribes_early: bool,
    /// Whether it asks who is there.
    pub wants_presence: bool,
}

pub(super) struct Client {
    pub index: usize,
    wants_presence: bool,
    /// How many it was told read, last.
    pub readers: Option<u64>,
    /// Whether it goes on with a second welcome.
    pub is_able: bool,
    pub publishes: bool,
    subscribes_early: bool,
    /// How many messages it has published, sent or not.
    pub published: u64,
    /// Its numbers that were accepted in the present epoch or are stored, and their seqs.
    accepted: BTreeMap<u64, Option<Seq>>,
    is_welcomed: bool,
    /// Whether it was sent messages since it subscribed: before that, marks are not about what it subscribed to.
    is_fed: bool,
    /// Behind the last message that it was sent in this session.
    fed_end: u64,
    must_resend: bool,
    epoch: Option<Epoch>,
    /// The next seq that it expects.
    pub cursor: u64,
    pub committed: u64,
    pub reconnects: u64,
    pub second_welcomes: u64,
    /// How often it was refused something, which it sends again later.
    pub refusals: u64,
    pub gapped: u64,
    outgoing: Vec<Vec<u8>>,
}

impl Client {
    pub(super) fn new(index: usize, part: Part) -> Self {
        Self {
            index,
            wants_presence: part.wants_presence,
            readers: None,
            is_able: part.is_able,
            publishes: part.publishes,
            subscribes_early: part.subscribes_early,
            published: 0,
            accepted: BTreeMap::new(),
            is_welcomed: false,
            is_fed: false,
            fed_end: 0,
            must_resend: false,
            epoch: None,
            cursor: 0,
            committed: 0,
            reconnects: 0,
            second_welcomes: 0,
            refusals: 0,
            gapped: 0,
            outgoing: Vec::new(),
        }
    }

    pub(super) fn producer(&self) -> ProducerKey {
        let number = (self.index as u128 + 1).to_be_bytes();
        ProducerKey {
            author: Address::left_padding_from(&number),
            id: ProducerId(number),
        }
    }

    fn send(&mut self, frame: &ClientFrame<'_>) {
        let mut bytes = Vec::new();
        frame.write(&mut bytes);
        self.outgoing.push(bytes);
    }

    pub(super) fn wants_presence(&self) -> bool {
        self.wants_presence
    }

    /// What it has to say.
    pub(super) fn take_outgoing(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.outgoing)
    }

    /// A session is open.
    pub(super) fn open(&mut self) {
        self.outgoing.clear();
        (self.is_welcomed, self.is_fed, self.fed_end) = (false, false, 0);
        self.readers = None;
        let none = Abilities::default();
        let goes_on = if self.is_able {
            Abilities::SECOND_WELCOME
        } else {
            none
        };
        let wants = if self.wants_presence {
            Abilities::WANTS_PRESENCE
        } else {
            none
        };
        if goes_on.and(wants) != none {
            self.send(&ClientFrame::Abilities(goes_on.and(wants)));
        }
        let producer = self.producer().id;
        self.send(&ClientFrame::Hello { producer, key: None });
        if self.subscribes_early {
            // Which epoch it subscribes to is not known yet.
            self.cursor = self.cursor.min(self.committed);
            self.subscribe();
        }
    }

    fn subscribe(&mut self) {
        self.send(&ClientFrame::Subscribe {
            from: Some(Seq(self.cursor)),
            signatures: false,
        });
    }

    /// Publishes so many messages more, and again what was refused.
    pub(super) fn tick(&mut self, more: u64) {
        if !self.publishes {
            return;
        }
        let first_new = self.published;
        self.published += more;
        if !self.is_welcomed {
            return;
        }
        if std::mem::take(&mut self.must_resend) {
            self.resend();
        } else {
            (first_new..self.published).for_each(|number| self.publish(number));
        }
    }

    fn publish(&mut self, producer_seq: u64) {
        let text = format!("{}/{producer_seq}", self.index);
        self.send(&ClientFrame::Publish {
            producer_seq,
            payload: text.as_bytes(),
        });
    }

    /// Publishes again all that has no answer.
    fn resend(&mut self) {
        let first = (0..self.published).find(|number| !self.accepted.contains_key(number));
        (first.unwrap_or(self.published)..self.published).for_each(|number| self.publish(number));
    }

    /// Takes a data-channel message of the relay.
    pub(super) fn receive(&mut self, message: &[u8], edge: &mut Edge) -> Next {
        let mut reader = Reader::new(message);
        while !reader.is_at_end() {
            let Some(frame) = RelayFrame::read(&mut reader).unwrap() else {
                continue;
            };
            if self.take(frame, edge) == Next::Reconnect {
                return Next::Reconnect;
            }
        }
        Next::GoOn
    }

    fn take(&mut self, frame: RelayFrame<'_>, edge: &mut Edge) -> Next {
        match frame {
            RelayFrame::Welcome {
                epoch,
                head,
                committed,
                stored,
                ..
            } => {
                assert!(committed <= head, "welcome: committed {committed}, head {head}");
                return self.welcomed((epoch, committed), stored, edge);
            }
            RelayFrame::Message {
                epoch, seq, payload, ..
            } => {
                if !self.is_welcomed && self.enter_unwelcomed(epoch) == Next::Reconnect {
                    return Next::Reconnect;
                }
                assert_eq!(
                    Some(epoch),
                    self.epoch,
                    "client {}: a message's epoch",
                    self.index
                );
                assert_eq!(seq.0, self.cursor, "client {}: order", self.index);
                edge.received(epoch, seq, payload);
                self.cursor += 1;
                (self.is_fed, self.fed_end) = (true, self.cursor);
            }
            RelayFrame::Gap { from, to } => {
                assert_eq!(from.0, self.cursor, "client {}: where a gap begins", self.index);
                self.gapped += to.0 - from.0;
                self.cursor = to.0;
                self.is_fed = true;
            }
            RelayFrame::Accepted {
                producer_seq, seq, ..
            } => {
                self.accepted.insert(producer_seq, seq);
            }
            RelayFrame::Committed { committed } => self.take_committed(committed.0, edge),
            RelayFrame::Presence(presence) => {
                assert!(self.wants_presence, "client {}: it did not ask", self.index);
                self.readers = Some(presence.readers);
            }
            RelayFrame::Error { code, .. } => {
                let goes_on = [
                    ErrorCode::ProducerGap,
                    ErrorCode::Overloaded,
                    ErrorCode::RateLimited,
                ];
                if !goes_on.iter().any(|known| *known as u64 == code) {
                    return Next::Reconnect;
                }
                self.must_resend = true;
                self.refusals += 1;
            }
            _ => {}
        }
        Next::GoOn
    }

    /// What comes before the first welcome of a session is of this epoch.
    fn enter_unwelcomed(&mut self, epoch: Epoch) -> Next {
        assert!(
            self.subscribes_early,
            "client {}: it did not subscribe yet",
            self.index
        );
        if self.epoch.is_some_and(|known| epoch < known) {
            return Next::Reconnect;
        }
        if self.epoch.replace(epoch) != Some(epoch) {
            // It goes on where it is, so it must have nothing that may be another message now.
            assert!(
                self.fed_end <= self.committed,
                "client {}: before its welcome it was sent messages up to {} of an older epoch, {} are committed",
                self.index,
                self.fed_end,
                self.committed
            );
            self.accepted.clear();
        }
        Next::GoOn
    }

    /// A welcome to an older epoch comes from a leader that does not know yet that it is none.
    fn welcomed(&mut self, (epoch, committed): (Epoch, Seq), stored: Option<u64>, edge: &Edge) -> Next {
        if self.epoch.is_some_and(|known| epoch < known) {
            assert!(
                !self.is_welcomed,
                "client {}: an older epoch in one session",
                self.index
            );
            return Next::Reconnect;
        }
        let is_second = std::mem::replace(&mut self.is_welcomed, true);
        let is_subscribed = self.subscribes_early && !is_second;
        if is_second {
            assert!(self.is_able, "client {}: a second welcome", self.index);
            assert_ne!(
                Some(epoch),
                self.epoch,
                "client {}: a second welcome's epoch",
                self.index
            );
            self.second_welcomes += 1;
        }
        if is_subscribed {
            self.enter_unwelcomed(epoch);
        } else if self.epoch.replace(epoch) != Some(epoch) {
            // What is not known to be committed may be another message now.
            self.cursor = self.cursor.min(self.committed);
            let kept = stored.map_or(0, |last| last + 1);
            self.accepted.retain(|number, _| *number < kept);
        }
        // The relay does not repeat as a mark what the welcome says of messages that the client has.
        self.is_stored_to(committed.0.min(self.cursor), edge);
        (0..stored.map_or(0, |last| last + 1)).for_each(|number| {
            self.accepted.entry(number).or_insert(None);
        });
        if !is_subscribed {
            self.subscribe();
            self.is_fed = false;
        }
        self.must_resend = false;
        self.resend();
        Next::GoOn
    }

    fn take_committed(&mut self, committed: u64, edge: &Edge) {
        if !self.is_fed && committed > self.cursor {
            return;
        }
        assert!(
            committed <= self.cursor,
            "client {}: committed {committed} before the messages, {}",
            self.index,
            self.cursor
        );
        self.is_stored_to(committed, edge);
    }

    /// It was told that every message below `committed` is stored.
    fn is_stored_to(&mut self, committed: u64, edge: &Edge) {
        // Before a welcome a gap may be of an epoch that the client does not know of.
        let known = match self.is_welcomed {
            true => committed,
            false => committed.min(self.fed_end),
        };
        if let Some(epoch) = self.epoch {
            edge.check_stored(epoch, self.committed..known);
        }
        self.committed = self.committed.max(committed);
    }

    /// Whether it has everything, and everything of its own is stored.
    pub(super) fn is_done(&self, edge: &Edge) -> bool {
        let head = edge.records.len() as u64;
        let own = !self.publishes || edge.stored(self.producer()) == self.published;
        own && self.cursor == head && self.committed == head
    }
}
