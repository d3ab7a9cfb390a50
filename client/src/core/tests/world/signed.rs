//! Signed groups in the model: they are taken whole, each behind the one before it, and each signature is checked at the end.

use super::super::FakeKey;
use super::{Actor, Record, World};
use crate::core::outbox::Post;
use crate::core::{ClientOptions, KeptChain, SignGroups, StreamClient};
use std::collections::HashMap;
use streamchain_protocol::ids::{Epoch, ProducerId, Seq, StreamId};
use streamchain_protocol::signed::{GroupHeader, GroupMember, GroupWalker, ProducerChain, Walked};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::frame::{RelayFrame, SignedGroup};
use streamchain_protocol::{Address, B256, keccak256};

pub(crate) const STREAM: StreamId = StreamId([0x33; 32]);
pub(crate) const AUTHOR: Address = Address::repeat_byte(0x44);

impl GroupMember for Record {
    fn author(&self) -> Address {
        AUTHOR
    }
    fn producer(&self) -> ProducerId {
        self.producer
    }
    fn producer_seq(&self) -> u64 {
        self.producer_seq
    }
    fn payload_hash(&self) -> B256 {
        keccak256(&self.payload)
    }
    fn payload_size(&self) -> u64 {
        self.payload.len() as u64
    }
    fn group(&self) -> Option<&GroupHeader> {
        self.group.as_ref()
    }
}

/// The records of a message, or of a group.
pub(super) fn records_of(
    producer: ProducerId,
    first: u64,
    payloads: &[&[u8]],
    group: Option<GroupHeader>,
) -> Vec<Record> {
    let numbered = (first..).zip(payloads);
    numbered
        .map(|(producer_seq, payload)| Record {
            producer,
            producer_seq,
            payload: payload.to_vec(),
            group: group.filter(|_| producer_seq == first),
        })
        .collect()
}

pub(super) fn records(producer: ProducerId, post: &Post<'_>) -> Vec<Record> {
    let group = post.signed.map(|(key, group)| GroupHeader {
        count: group.count,
        previous: group.previous,
        key,
        signature: group.signature,
    });
    records_of(producer, post.producer_seq, &post.payloads, group)
}

fn messages_of(epoch: Epoch, first: u64, records: &[Record]) -> impl Iterator<Item = RelayFrame<'_>> + Clone {
    (first..)
        .zip(records)
        .map(move |(seq, record)| RelayFrame::Message {
            epoch,
            seq: Seq(seq),
            time: UnixMs(0),
            author: AUTHOR,
            payload: &record.payload,
        })
}

/// What a relay sends of the records from `next` on: groups without their signatures, or with them, whole or not.
pub(super) fn frames_of(
    epoch: Epoch,
    next: u64,
    records: &[Record],
    signatures: bool,
    mut is_whole: impl FnMut() -> bool,
) -> Vec<RelayFrame<'_>> {
    let (mut frames, mut rest, mut seq) = (Vec::new(), records, next);
    while let Some(first) = rest.first() {
        let mut taken = 1;
        if let Some(group) = first.group.filter(|_| signatures) {
            let signature = RelayFrame::Signature {
                epoch,
                seq: Seq(seq),
                producer: first.producer,
                producer_seq: first.producer_seq,
                group,
            };
            taken = usize::from(group.count).min(rest.len());
            let messages = messages_of(epoch, seq, &rest[..taken]);
            let joined = SignedGroup::join(&signature, messages.clone()).filter(|_| is_whole());
            match joined {
                Some(joined) => frames.push(RelayFrame::SignedGroup(joined)),
                None => {
                    frames.push(signature);
                    frames.extend(messages);
                }
            }
        } else {
            frames.extend(messages_of(epoch, seq, &rest[..1]));
        }
        (rest, seq) = (&rest[taken..], seq + taken as u64);
    }
    frames
}

impl World {
    /// How many messages a reader got with the signature of their group.
    pub(crate) fn read_signed(&self, who: usize) -> usize {
        let received = self.actors[who].received.iter();
        let signed = received.filter_map(|message| Some((message.seq, message.signature.as_ref()?)));
        signed
            .inspect(|(seq, signature)| {
                assert!(signature.covers(*seq));
                let first = &self.log[signature.seq.0 as usize];
                assert_eq!(first.group.as_ref(), Some(&signature.header));
                assert_eq!(
                    (first.producer, first.producer_seq),
                    (signature.producer, signature.producer_seq)
                );
            })
            .count()
    }

    /// What a relay and the edge check before they take the first record of a group.
    pub(super) fn check_chain(&self, record: &Record) {
        let Some(header) = record.group else { return };
        let mut chain = ProducerChain::default();
        let mut walker = GroupWalker::new(STREAM);
        for before in self.all().filter(|before| before.producer == record.producer) {
            if let Walked::Group(group) = walker.push(before).unwrap() {
                chain.push_group(&group.signed).unwrap();
            }
        }
        walker.finish().unwrap();
        assert_eq!(chain.next(), record.producer_seq);
        assert_eq!(chain.last().unwrap_or_default(), header.previous);
    }

    /// How many stored messages are of groups whose signatures hold, and which follow each other.
    pub(crate) fn signed_messages(&self) -> u64 {
        let mut walker = GroupWalker::new(STREAM);
        let mut chains: HashMap<ProducerId, ProducerChain> = HashMap::new();
        let mut count = 0;
        for record in &self.log {
            if let Walked::Group(group) = walker.push(record).unwrap() {
                chains
                    .entry(record.producer)
                    .or_default()
                    .push_group(&group.signed)
                    .unwrap();
                assert_eq!(FakeKey.sign(&group.signed.preimage()), Some(group.signature));
                count += u64::from(group.signed.count);
            }
        }
        walker.finish().unwrap();
        count
    }

    /// The shell keeps what was signed, and now and then writes all of it anew.
    pub(super) fn keep(&mut self, who: usize) {
        let is_rewritten = self.happens(50);
        let Actor { client, disk, .. } = &mut self.actors[who];
        disk.groups.extend(client.take_unkept());
        if let Some(chain) = client.chain().filter(|_| is_rewritten) {
            *disk = chain;
        }
    }

    pub(crate) fn kept_chain(&self, who: usize) -> KeptChain {
        self.actors[who].disk.clone()
    }

    /// The client's program is ended, and begins again.
    pub(crate) fn restart(&mut self, who: usize, options: &ClientOptions) {
        let actor = &mut self.actors[who];
        actor.client = StreamClient::new(options);
        actor.session = None;
        actor.inputs.clear();
        actor.following = None;
        actor.received.clear();
        actor.stored.clear();
    }
}
