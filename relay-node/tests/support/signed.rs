//! Clients that sign.

use super::edge::whole_id;
use super::{Net, STREAM, Who, keys};
use relay_testkit::{Client, GroupSigner, SignedFrame, SigningKey, verify_records};
use streamchain_protocol::Address;
use streamchain_protocol::ids::{ProducerId, Seq};
use streamchain_protocol::signed::{GroupHeader, PublicKey};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::Record;
use streamchain_protocol::wire::frame::{Abilities, ClientFrame};

/// An author who signs, and the producer of its messages.
#[derive(Clone)]
pub struct Author {
    pub key: SigningKey,
    pub address: Address,
    pub producer: u8,
    pub signer: GroupSigner,
}

impl Author {
    /// An author that is its key.
    pub fn new(producer: u8) -> Self {
        let key = SigningKey::generate().unwrap();
        let address = key.author().unwrap();
        Self::of(key, address, producer)
    }

    /// An author with another address than the one that its key makes.
    pub fn with_address(address: Address, producer: u8) -> Self {
        Self::of(SigningKey::generate().unwrap(), address, producer)
    }

    fn of(key: SigningKey, address: Address, producer: u8) -> Self {
        let signer = GroupSigner::new(key.clone(), whole_id(STREAM), address, ProducerId([producer; 16]));
        Self {
            key,
            address,
            producer,
            signer,
        }
    }

    /// Signs the next group.
    pub fn sign(&mut self, texts: &[&str]) -> Group {
        let payloads: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
        let refs: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
        let frame = self.signer.sign(&refs).unwrap();
        Group { frame, payloads }
    }
}

/// A signed group.
#[derive(Debug, Clone)]
pub struct Group {
    pub frame: SignedFrame,
    pub payloads: Vec<Vec<u8>>,
}

impl Group {
    /// One past its last number.
    pub fn end(&self) -> u64 {
        self.frame.first + self.payloads.len() as u64
    }
}

impl Net {
    /// A session of the author is open; nothing is said yet.
    pub fn open_as(&mut self, address: Address) -> Who {
        let identity = self.identity();
        let mut token = self.token(&identity);
        token.author = address;
        let who = self.connect_with(&identity, token.sign(&keys()), Client::channel());
        self.until("the channel opens", |net| net.clients[who].is_open());
        who
    }

    /// A session of the author that said hello with its key, and was welcomed.
    pub fn open_author(&mut self, author: &Author) -> Who {
        let who = self.open_as(author.address);
        self.hello_with(who, author.producer, author.key.public());
        self.until("welcome", |net| {
            net.received[who].iter().any(|said| said.starts_with("welcome"))
        });
        who
    }

    pub fn hello_with(&mut self, who: Who, producer: u8, key: PublicKey) {
        self.clients[who].send(&ClientFrame::Hello {
            producer: ProducerId([producer; 16]),
            key: Some(key),
        });
    }

    /// Says that the client takes groups as one frame, or not.
    pub fn takes_groups(&mut self, who: Who, takes_groups: bool) {
        let abilities = match takes_groups {
            true => Abilities::TAKES_GROUPS,
            false => Abilities::default(),
        };
        self.clients[who].send(&ClientFrame::Abilities(abilities));
    }

    pub fn subscribe_signed(&mut self, who: Who, from: u64) {
        self.clients[who].send(&ClientFrame::Subscribe {
            from: Some(Seq(from)),
            signatures: true,
        });
    }

    pub fn send_group(&mut self, who: Who, group: &Group) {
        self.clients[who].send(&ClientFrame::Group {
            producer_seq: group.frame.first,
            previous: group.frame.previous,
            signature: group.frame.signature,
            payloads: group.payloads.iter().map(Vec::as_slice).collect(),
        });
    }

    /// Signs a group and sends it.
    pub fn publish_group(&mut self, who: Who, author: &mut Author, texts: &[&str]) -> Group {
        let group = author.sign(texts);
        self.send_group(who, &group);
        group
    }

    /// A group comes to the edge by HTTP and waits there.
    pub fn append_group(&mut self, author: &Author, group: &Group) {
        for (number, payload) in (group.frame.first..).zip(&group.payloads) {
            let header = GroupHeader {
                count: group.payloads.len() as u16,
                previous: group.frame.previous,
                key: author.key.public(),
                signature: group.frame.signature,
            };
            self.edge.inbox.push(Record {
                time: UnixMs(1),
                author: author.address,
                producer: ProducerId([author.producer; 16]),
                producer_seq: number,
                payload: payload.clone().into(),
                group: (number == group.frame.first).then_some(header),
            });
        }
    }

    /// How often a client received this.
    pub fn count(&self, who: Who, what: &str) -> usize {
        self.received[who].iter().filter(|said| *said == what).count()
    }

    /// Signatures that did not hold, at all shards.
    pub fn refused_signatures(&self) -> u64 {
        std::iter::once(&self.shard)
            .chain(&self.others)
            .map(|shard| shard.counters().signatures_refused)
            .sum()
    }

    /// Every stored group is whole, holds and follows; how many there are.
    pub fn verified_groups(&self) -> u64 {
        verify_records(whole_id(STREAM), &self.edge.records)
            .unwrap()
            .groups
    }
}
