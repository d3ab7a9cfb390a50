//! The relay of the model: what it takes from a session, and what it sends.

use super::super::FakeKey;
use super::signed::{frames_of, records_of};
use super::{Answered, Record, World};
use crate::core::SignGroups;
use streamchain_protocol::ids::{Epoch, ProducerId, Seq};
use streamchain_protocol::signed::GroupHeader;
use streamchain_protocol::wire::cbor::Reader;
use streamchain_protocol::wire::frame::{Abilities, ChannelLimits, ClientFrame, ErrorCode, RelayFrame};

impl World {
    pub(super) fn relay_receives(&mut self, who: usize, message: &[u8]) {
        let mut reader = Reader::new(message);
        while !reader.is_at_end() {
            match ClientFrame::read(&mut reader).unwrap() {
                Some(ClientFrame::Hello { producer, .. }) => {
                    self.actors[who].session.as_mut().unwrap().producer = Some(producer);
                    self.send_welcome(who);
                }
                Some(ClientFrame::Abilities(abilities)) => {
                    assert!(abilities.has(Abilities::SECOND_WELCOME));
                    let session = self.actors[who].session.as_mut().unwrap();
                    assert!(session.producer.is_none(), "abilities come before hello");
                    session.takes_groups = abilities.has(Abilities::TAKES_GROUPS);
                }
                Some(ClientFrame::Publish {
                    producer_seq,
                    payload,
                    ..
                }) => {
                    let producer = self.producer_of(who);
                    let records = records_of(producer, producer_seq, &[payload], None);
                    self.relay_takes(who, records, None);
                }
                Some(ClientFrame::Group {
                    producer_seq,
                    previous,
                    signature,
                    payloads,
                }) => {
                    let header = GroupHeader {
                        count: payloads.len() as u16,
                        previous,
                        key: FakeKey.public_key(),
                        signature,
                    };
                    let producer = self.producer_of(who);
                    let records = records_of(producer, producer_seq, &payloads, Some(header));
                    let count = Some(records.len() as u64);
                    self.relay_takes(who, records, count);
                }
                Some(ClientFrame::Subscribe {
                    from: Some(from),
                    signatures,
                }) => {
                    let head = self.all().count() as u64;
                    let next = match self.happens(self.faults.gaps) {
                        true => from.0 + self.below(head.saturating_sub(from.0) + 1),
                        false => from.0,
                    };
                    if next > from.0 {
                        let to = Seq(next);
                        self.send(who, &RelayFrame::Gap { from, to });
                    }
                    let session = self.actors[who].session.as_mut().unwrap();
                    (session.next, session.committed_sent) = (Some(next), from.0);
                    session.signatures = signatures;
                }
                _ => {}
            }
        }
    }

    fn send_welcome(&mut self, who: usize) {
        let producer = self.actors[who].session.as_ref().unwrap().producer;
        let welcome = RelayFrame::Welcome {
            epoch: Epoch(self.epoch),
            head: Seq(self.all().count() as u64),
            committed: Seq(self.log.len() as u64),
            stored: producer.and_then(|producer| self.stored_of(producer)),
            limits: ChannelLimits {
                payload: 65_536,
                batch_ms: 50,
                buffer: 100,
                messages_per_s: self.messages_per_s,
                bytes_per_s: 0,
                group_messages: 256,
                signed: false,
            },
        };
        self.send(who, &welcome);
    }

    /// Another leader takes the stream over, and the relay keeps its sessions: each is welcomed again.
    pub(super) fn move_leader(&mut self) {
        self.tentative.clear();
        self.epoch += 1;
        for who in 0..self.actors.len() {
            if let Some(session) = &mut self.actors[who].session
                && (session.producer.is_some() || session.next.is_some())
            {
                (session.next, session.refused_from) = (None, None);
                self.send_welcome(who);
            }
        }
    }

    fn producer_of(&self, who: usize) -> ProducerId {
        let session = self.actors[who].session.as_ref().unwrap();
        session.producer.unwrap()
    }

    /// Takes a message, or a group whole.
    fn relay_takes(&mut self, who: usize, records: Vec<Record>, count: Option<u64>) {
        self.publishes_received += 1;
        let session = self.actors[who].session.as_ref().unwrap();
        let (producer, refused) = (session.producer.unwrap(), session.refused_from);
        let producer_seq = records[0].producer_seq;
        let next = self.next_of(producer);
        let is_repeated = records.iter().all(|record| record.producer_seq < next);
        assert!(
            is_repeated || producer_seq >= next,
            "a group is repeated as it was, or follows"
        );
        let known = self
            .all()
            .find(|known| known.producer == producer && known.producer_seq == producer_seq);
        assert!(known.is_none_or(|known| known.group == records[0].group));
        if refused.is_some_and(|first| producer_seq > first) {
            return;
        }
        let refuses = producer_seq == next && self.happens(self.faults.refusals);
        if refuses || producer_seq > next {
            self.actors[who].session.as_mut().unwrap().refused_from = Some(next.min(producer_seq));
            let code = if producer_seq > next {
                ErrorCode::ProducerGap
            } else {
                ErrorCode::Overloaded
            };
            let wait = self.happens(500).then_some(30);
            return self.send(
                who,
                &RelayFrame::Error {
                    code: code as u64,
                    text: "refused",
                    retry_ms: wait,
                },
            );
        }
        self.actors[who].session.as_mut().unwrap().refused_from = None;
        let is_stored = self.stored_of(producer).is_some_and(|last| producer_seq <= last);
        for record in records {
            self.append(record);
        }
        let seq = match is_stored && self.happens(300) {
            true => None,
            false => self.seq_of(producer, producer_seq).map(Seq),
        };
        self.send(
            who,
            &RelayFrame::Accepted {
                producer_seq,
                seq,
                count,
            },
        );
    }

    /// The relay sends what a session has not got.
    pub(super) fn pump(&mut self, who: usize) {
        let Some(session) = &self.actors[who].session else {
            return;
        };
        let committed = self.log.len() as u64;
        let subscribed = session.next;
        let (signatures, takes_groups) = (session.signatures, session.takes_groups);
        let committed_sent = session.committed_sent;
        if let Some(next) = subscribed {
            let records: Vec<Record> = self.all().skip(next as usize).cloned().collect();
            let random = &mut self.random;
            let is_whole = || takes_groups && random.next_bits() & 1 == 1;
            let frames = frames_of(Epoch(self.epoch), next, &records, signatures, is_whole);
            frames.iter().for_each(|frame| self.send(who, frame));
            self.actors[who].session.as_mut().unwrap().next = Some(next + records.len() as u64);
        }
        let is_greeted = self.actors[who].session.as_ref().unwrap().producer.is_some();
        if committed > committed_sent && (subscribed.is_some() || is_greeted) {
            self.actors[who].session.as_mut().unwrap().committed_sent = committed;
            self.send(
                who,
                &RelayFrame::Committed {
                    committed: Seq(committed),
                },
            );
        }
    }

    fn send(&mut self, who: usize, frame: &RelayFrame<'_>) {
        let mut bytes = Vec::new();
        frame.write(&mut bytes);
        let number = self.actors[who].session.as_ref().unwrap().number;
        self.later(who, Answered::Frames(number, bytes));
    }
}
