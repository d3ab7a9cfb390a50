//! Stored messages, a page at a time.

use super::edge_client::{EdgeClient, Method, unreadable};
use crate::core::{Failure, Message};
use streamchain_protocol::Address;
use streamchain_protocol::B256;
use streamchain_protocol::ids::{Seq, StreamRef};
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
        self.renew().await;
        let path = format!("/v1/streams/{stream}/messages?from={from}&limit={limit}&erased=1");
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
    while !reader.is_at_end() {
        let items = reader.array("message")?;
        let mut message = Message {
            seq: Seq(reader.uint("seq")?),
            time: UnixMs(reader.uint("time")?),
            author: Address::from(reader.fixed::<20>("author")?),
            payload: reader.payload()?.to_vec(),
            erased: None,
        };
        if items > 4 {
            let parts = reader.array("erased")?;
            message.erased = Some(Omitted {
                size: reader.uint("size")?,
                digest: B256::from(reader.fixed::<32>("digest")?),
            });
            (2..parts).try_for_each(|_| reader.skip("erased"))?;
        }
        (5..items).try_for_each(|_| reader.skip("message"))?;
        messages.push(message);
    }
    Ok(messages)
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
}
