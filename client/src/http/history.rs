//! Stored messages, a page at a time.

use super::edge_client::{EdgeClient, Method, unreadable};
use crate::core::{Failure, Message, MessageSignature};
use std::sync::Arc;
use streamchain_protocol::Address;
use streamchain_protocol::B256;
use streamchain_protocol::ids::{ProducerId, Seq, StreamRef};
use streamchain_protocol::signed::{GroupHeader, PublicKey, Signature};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::Omitted;
use streamchain_protocol::wire::cbor::{CborError, Reader};

/// A page of history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The messages, in the order of seq.
    pub messages: Vec<Message>,
    /// From where to ask for the next page.
    pub next: Seq,
    /// The number of messages of the stream.
    pub head: Seq,
}

impl EdgeClient {
    /// Reads stored messages from `from` on, at most `limit` (1,000) of them.
    pub async fn history(&self, stream: &StreamRef, from: Seq, limit: u64) -> Result<Page, Failure> {
        self.page(stream, from, limit, "").await
    }

    /// Reads the same with the signatures of the messages.
    pub async fn signed_history(&self, stream: &StreamRef, from: Seq, limit: u64) -> Result<Page, Failure> {
        self.page(stream, from, limit, "&signatures=1").await
    }

    async fn page(&self, stream: &StreamRef, from: Seq, limit: u64, more: &str) -> Result<Page, Failure> {
        self.renew().await;
        let path = format!("/v1/streams/{stream}/messages?from={from}&limit={limit}&erased=1{more}");
        let request = self
            .request(Method::GET, &path)
            .header("accept", "application/cbor-seq");
        let answered = self.exchange(request).await?;
        let number = |name: &str| {
            let text = answered.headers.get(name).and_then(|value| value.to_str().ok());
            text.and_then(|text| text.parse().ok())
                .map(Seq)
                .ok_or_else(|| unreadable(&format!("no {name}")))
        };
        Ok(Page {
            messages: messages(&answered.body).map_err(|error| unreadable(&error))?,
            next: number("streamchain-next")?,
            head: number("streamchain-head")?,
        })
    }
}

fn messages(body: &[u8]) -> Result<Vec<Message>, CborError> {
    let mut reader = Reader::new(body);
    let mut messages = Vec::new();
    let mut signature: Option<Arc<MessageSignature>> = None;
    while !reader.is_at_end() {
        let items = reader.array("message")?;
        let mut message = Message {
            seq: Seq(reader.uint("seq")?),
            time: UnixMs(reader.uint("time")?),
            author: Address::from(reader.fixed::<20>("author")?),
            payload: reader.payload()?.to_vec(),
            erased: None,
            signature: None,
        };
        if items > 4 {
            message.erased = erased(&mut reader)?;
        }
        if items > 5 {
            // The group stands at its first message on the page; the others have its first seq.
            if reader.next_is_array() {
                signature = Some(Arc::new(group(&mut reader)?));
            } else {
                reader.skip("group")?;
            }
            message.signature = signature.clone().filter(|group| group.covers(message.seq));
        }
        (6..items).try_for_each(|_| reader.skip("message"))?;
        messages.push(message);
    }
    Ok(messages)
}

fn erased(reader: &mut Reader<'_>) -> Result<Option<Omitted>, CborError> {
    if reader.null("erased")? {
        return Ok(None);
    }
    let parts = reader.array("erased")?;
    let erased = Omitted {
        size: reader.uint("size")?,
        digest: B256::from(reader.fixed::<32>("digest")?),
    };
    (2..parts).try_for_each(|_| reader.skip("erased"))?;
    Ok(Some(erased))
}

/// `[seq, count, producer, producer-seq, previous, key, signature]`
fn group(reader: &mut Reader<'_>) -> Result<MessageSignature, CborError> {
    let parts = reader.array("group")?;
    let seq = Seq(reader.uint("seq")?);
    let count = reader.uint("count")?;
    let producer = ProducerId(reader.fixed("producer")?);
    let producer_seq = reader.uint("producer_seq")?;
    let header = GroupHeader {
        count: u16::try_from(count).unwrap_or(u16::MAX),
        previous: B256::from(reader.fixed::<32>("previous")?),
        key: PublicKey::from_bytes(reader.fixed("key")?).map_err(|_| CborError::Item {
            field: "key",
            reason: "not a compressed point",
        })?,
        signature: Signature(reader.fixed("signature")?),
    };
    (7..parts).try_for_each(|_| reader.skip("group"))?;
    Ok(MessageSignature {
        seq,
        producer,
        producer_seq,
        header,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamchain_protocol::wire::cbor::Writer;

    #[test]
    fn messages_and_erased_ones_are_read() {
        let mut body = Vec::new();
        let mut writer = Writer::new(&mut body);
        writer.array(4).uint(5).uint(7).bytes(&[1; 20]).bytes(b"hi");
        writer.array(5).uint(6).uint(8).bytes(&[1; 20]).bytes(b"");
        writer.array(2).uint(9).bytes(&[2; 32]);
        let read = messages(&body).unwrap();
        assert_eq!(
            (read[0].seq, read[0].payload.as_slice()),
            (Seq(5), b"hi".as_slice())
        );
        assert_eq!(read[1].erased.unwrap().size, 9);
        assert!(messages(&body[..body.len() - 1]).is_err());
    }

    #[test]
    fn messages_of_a_group_are_read_with_its_signature() {
        let mut key = [7; 33];
        key[0] = 2;
        let mut body = Vec::new();
        let mut writer = Writer::new(&mut body);
        writer
            .array(6)
            .uint(5)
            .uint(7)
            .bytes(&[1; 20])
            .bytes(b"hi")
            .null();
        writer.array(7).uint(4).uint(3).bytes(&[3; 16]).uint(9);
        writer.bytes(&[4; 32]).bytes(&key).bytes(&[5; 64]);
        writer.array(6).uint(6).uint(8).bytes(&[1; 20]).bytes(b"");
        writer.array(2).uint(9).bytes(&[2; 32]);
        writer.uint(4);
        writer.array(4).uint(7).uint(8).bytes(&[1; 20]).bytes(b"alone");
        let read = messages(&body).unwrap();
        let signature = read[0].signature.as_ref().unwrap();
        assert_eq!((signature.seq, signature.header.count), (Seq(4), 3));
        assert_eq!(
            (signature.producer_seq, signature.header.key.as_bytes()),
            (9, &key)
        );
        assert_eq!(read[1].signature, read[0].signature);
        assert_eq!(read[1].erased.unwrap().size, 9);
        assert_eq!(read[2].signature, None);
        assert!(messages(&body[..body.len() - 1]).is_err());
    }
}
