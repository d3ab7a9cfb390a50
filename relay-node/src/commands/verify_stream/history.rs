//! A stream's messages as the edge's history gives them, one after the other.

use super::edge::EdgeReader;
use super::ledger::Message;
use super::signatures::{GroupItem, GroupPlace};
use std::collections::VecDeque;
use streamchain_protocol::ids::{ProducerId, Seq, StreamId};
use streamchain_protocol::signed::{GroupHeader, MAX_GROUP_MESSAGES, PublicKey, Signature};
use streamchain_protocol::wire::cbor::{CborError, Reader};
use streamchain_protocol::{Address, B256, keccak256};

pub(super) struct Messages<'a> {
    edge: &'a EdgeReader,
    stream: StreamId,
    page: VecDeque<Message>,
    next: Seq,
    /// As the first page said it: what comes later is for a later run.
    head: Option<Seq>,
}

impl<'a> Messages<'a> {
    /// A stream's messages from the first one on.
    pub(super) fn new(edge: &'a EdgeReader, stream: StreamId) -> Self {
        Self {
            edge,
            stream,
            page: VecDeque::new(),
            next: Seq(0),
            head: None,
        }
    }

    pub(super) fn head(&self) -> Seq {
        self.head.unwrap_or_default()
    }

    pub(super) async fn next(&mut self) -> Result<Option<Message>, String> {
        if self.page.is_empty() {
            let (head, body) = self.edge.messages(self.stream, self.next).await?;
            self.head.get_or_insert(head);
            let page = decode(&body);
            self.page = page.map_err(|error| format!("messages of {}: {error}", self.stream))?;
        }
        let message = self.page.pop_front();
        if let Some(message) = &message {
            self.next = message.seq.next();
        }
        Ok(message)
    }
}

/// A CBOR sequence of `[seq, time, author, payload]`, of erased messages `[seq, time, author, h'', [size, hash]]`, and of messages in
/// groups `[seq, time, author, payload, erased / null, group]`.
fn decode(body: &[u8]) -> Result<VecDeque<Message>, CborError> {
    let mut reader = Reader::new(body);
    let mut messages = VecDeque::new();
    while !reader.is_at_end() {
        let items = reader.array("message")?;
        if !(4..=6).contains(&items) {
            return Err(CborError::Length {
                field: "message",
                given: items,
                expected: "4 to 6",
            });
        }
        let (seq, time) = (Seq(reader.uint("seq")?), reader.uint("time")?);
        let author = Address::from(reader.fixed::<20>("author")?);
        let payload = reader.payload()?;
        let mut message = Message {
            seq,
            time,
            author,
            payload_hash: keccak256(payload),
            payload_bytes: payload.len() as u64,
            is_erased: false,
            group: None,
        };
        if items > 4 && !reader.null("erased")? {
            reader.array("erased")?;
            message.payload_bytes = reader.uint("size")?;
            message.payload_hash = B256::from(reader.fixed::<32>("hash")?);
            message.is_erased = true;
        }
        if items > 5 {
            message.group = Some(group(&mut reader)?);
        }
        messages.push_back(message);
    }
    Ok(messages)
}

/// `[seq, count, producer, producer-seq, previous, key, signature]` of the group that the message is of, or the seq alone.
fn group(reader: &mut Reader<'_>) -> Result<GroupPlace, CborError> {
    if !reader.next_is_array() {
        return Ok(GroupPlace::Inside(Seq(reader.uint("group")?)));
    }
    let shape = |given, expected| CborError::Length {
        field: "group",
        given,
        expected,
    };
    match reader.array("group")? {
        7 => {}
        given => return Err(shape(given, "7")),
    }
    let first = Seq(reader.uint("seq")?);
    let count = reader.uint("count")?;
    let short = u16::try_from(count).ok();
    let short = short.filter(|short| (1..=MAX_GROUP_MESSAGES).contains(&usize::from(*short)));
    Ok(GroupPlace::Header(GroupItem {
        first,
        producer: ProducerId(reader.fixed("producer")?),
        producer_seq: reader.uint("producer-seq")?,
        header: GroupHeader {
            count: short.ok_or_else(|| shape(count, "1 to 256"))?,
            previous: B256::from(reader.fixed::<32>("previous")?),
            key: PublicKey::from_bytes(reader.fixed("key")?).map_err(|_| CborError::Item {
                field: "key",
                reason: "not a compressed point",
            })?,
            signature: Signature(reader.fixed("signature")?),
        },
    }))
}
