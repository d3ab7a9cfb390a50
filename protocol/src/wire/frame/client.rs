//! What a client sends on the data channel.

use super::items::{need, read_head, skip};
use super::kind;
use crate::ids::{ProducerId, Seq};
use crate::util::cbor::{CborError, Reader, Writer};

/// What a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientFrame<'a> {
    /// `[1, producer]`: names the producer of all later messages; answered by welcome.
    Hello {
        /// The producer that numbers the messages.
        producer: ProducerId,
    },
    /// `[2, producer_seq, payload]`
    Publish {
        /// 0, 1, 2 … for each producer.
        producer_seq: u64,
        /// Opaque bytes. May be above the limit here: the session answers `TooLarge`.
        payload: &'a [u8],
    },
    /// `[3, from]`: messages from this seq on, or only new ones (`None`).
    Subscribe {
        /// The first seq wanted.
        from: Option<Seq>,
    },
}

impl<'a> ClientFrame<'a> {
    /// Returns the next frame of a data-channel message; `None` for a kind that is not known.
    pub fn read(reader: &mut Reader<'a>) -> Result<Option<Self>, CborError> {
        let (items, kind) = read_head(reader)?;
        let (frame, used) = match kind {
            kind::HELLO => {
                need(items, 2, "hello")?;
                (
                    Self::Hello {
                        producer: ProducerId(reader.fixed("producer")?),
                    },
                    2,
                )
            }
            kind::PUBLISH => {
                need(items, 3, "publish")?;
                let producer_seq = reader.uint("producer_seq")?;
                (
                    Self::Publish {
                        producer_seq,
                        payload: reader.bytes("payload")?,
                    },
                    3,
                )
            }
            kind::SUBSCRIBE => {
                need(items, 2, "subscribe")?;
                (
                    Self::Subscribe {
                        from: reader.uint_or_null("from")?.map(Seq),
                    },
                    2,
                )
            }
            _ => {
                skip(reader, items - 1)?;
                return Ok(None);
            }
        };
        skip(reader, items - used)?;
        Ok(Some(frame))
    }

    /// Appends the frame to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out);
        match *self {
            Self::Hello { producer } => writer.array(2).uint(kind::HELLO).bytes(&producer.0),
            Self::Publish {
                producer_seq,
                payload,
            } => writer
                .array(3)
                .uint(kind::PUBLISH)
                .uint(producer_seq)
                .bytes(payload),
            Self::Subscribe { from } => writer
                .array(2)
                .uint(kind::SUBSCRIBE)
                .uint_or_null(from.map(|seq| seq.0)),
        };
    }
}
