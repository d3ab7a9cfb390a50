//! What a client sends on the data channel.

use super::items::{need, read_head, skip};
use super::kind;
use crate::ids::{ProducerId, Seq};
use crate::signed::{MAX_GROUP_MESSAGES, PublicKey, Signature};
use crate::util::cbor::{CborError, Reader, Writer};
use alloy_primitives::B256;

/// What a client sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientFrame<'a> {
    /// `[1, producer, key]`: names the producer of all later messages; answered by welcome.
    Hello {
        /// The producer that numbers the messages.
        producer: ProducerId,
        /// The key that groups will be signed with; left out by a client that signs nothing.
        key: Option<PublicKey>,
    },
    /// `[2, producer_seq, payload]`
    Publish {
        /// 0, 1, 2 … for each producer.
        producer_seq: u64,
        /// Opaque bytes. May be above the limit here: the session answers `TooLarge`.
        payload: &'a [u8],
    },
    /// `[3, from, signatures]`: messages from this seq on, or only new ones (`None`).
    Subscribe {
        /// The first seq wanted.
        from: Option<Seq>,
        /// Whether the signatures of groups are wanted too.
        signatures: bool,
    },
    /// `[4, producer_seq, previous, signature, [payload, …]]`: a signed group of messages, which is taken whole or not at all.
    Group {
        /// The number of its first message; the others have the next ones.
        producer_seq: u64,
        /// The digest of the producer's group before it, zero for the one that begins with number 0.
        previous: B256,
        /// The signature, by the key that *hello* named.
        signature: Signature,
        /// The messages, 1 to 256. May be larger than a group's limit here: the session answers `TooLarge`.
        payloads: Vec<&'a [u8]>,
    },
    /// `[5, grant]`: the channel is of the stream that the edge's grant names. On a further channel of a connection it comes
    /// first; with a newer grant it may come again.
    Join {
        /// A [`JoinGrant`](crate::auth::JoinGrant) as text.
        grant: &'a str,
    },
    /// `[6, bits]`: what the client can do that not every client can. It comes before *hello*.
    Abilities(Abilities),
}

/// What a client can do beside what every client can, as bits; those that are not known are passed over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Abilities {
    bits: u64,
}

impl Abilities {
    /// The client takes a second *welcome* on a channel: the stream has another epoch, and the channel goes on.
    pub const SECOND_WELCOME: Self = Self { bits: 1 };
    /// The client wants to be sent who is at the stream.
    pub const WANTS_PRESENCE: Self = Self { bits: 2 };
    /// The client's author may be listed among those who are at the stream.
    pub const MAY_BE_LISTED: Self = Self { bits: 4 };
    /// The client takes a signed group as one frame, where it asked for signatures.
    pub const TAKES_GROUPS: Self = Self { bits: 8 };

    /// Returns the abilities that these bits say.
    pub const fn from_bits(bits: u64) -> Self {
        Self { bits }
    }

    /// Returns the abilities as bits.
    pub const fn bits(self) -> u64 {
        self.bits
    }

    /// Returns these and `others` together.
    pub const fn and(self, others: Self) -> Self {
        Self::from_bits(self.bits | others.bits)
    }

    /// Returns whether all of `others` are among them.
    pub const fn has(self, others: Self) -> bool {
        self.bits & others.bits == others.bits
    }
}

impl<'a> ClientFrame<'a> {
    /// Returns the next frame of a data-channel message; `None` for a kind that is not known.
    pub fn read(reader: &mut Reader<'a>) -> Result<Option<Self>, CborError> {
        let (items, kind) = read_head(reader)?;
        let (frame, used) = match kind {
            kind::HELLO => read_hello(reader, items)?,
            kind::PUBLISH => {
                need(items, 3, "publish")?;
                let producer_seq = reader.uint("producer_seq")?;
                let payload = reader.bytes("payload")?;
                (
                    Self::Publish {
                        producer_seq,
                        payload,
                    },
                    3,
                )
            }
            kind::SUBSCRIBE => read_subscribe(reader, items)?,
            kind::GROUP => (read_group(reader, items)?, 5),
            kind::JOIN => {
                need(items, 2, "join")?;
                let grant = reader.text("grant")?;
                (Self::Join { grant }, 2)
            }
            kind::ABILITIES => {
                need(items, 2, "abilities")?;
                (
                    Self::Abilities(Abilities::from_bits(reader.uint("abilities")?)),
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

    /// Returns the number of the first message that the frame publishes; `None` when it publishes nothing.
    pub fn first_number(&self) -> Option<u64> {
        match self {
            Self::Publish { producer_seq, .. } | Self::Group { producer_seq, .. } => Some(*producer_seq),
            Self::Hello { .. } | Self::Subscribe { .. } | Self::Join { .. } | Self::Abilities(_) => None,
        }
    }

    /// Appends the frame to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut w = Writer::new(out);
        match self {
            Self::Hello { producer, key } => {
                w.array(2 + u64::from(key.is_some())).uint(kind::HELLO);
                w.bytes(&producer.0);
                if let Some(key) = key {
                    w.bytes(key.as_bytes());
                }
            }
            Self::Publish {
                producer_seq,
                payload,
            } => {
                w.array(3).uint(kind::PUBLISH).uint(*producer_seq).bytes(payload);
            }
            Self::Subscribe { from, signatures } => {
                w.array(2 + u64::from(*signatures)).uint(kind::SUBSCRIBE);
                w.uint_or_null(from.map(|seq| seq.0));
                if *signatures {
                    w.uint(1);
                }
            }
            Self::Group {
                producer_seq,
                previous,
                signature,
                payloads,
            } => {
                w.array(5).uint(kind::GROUP).uint(*producer_seq);
                w.bytes(previous.as_slice()).bytes(&signature.0);
                w.array(payloads.len() as u64);
                for payload in payloads {
                    w.bytes(payload);
                }
            }
            Self::Join { grant } => {
                w.array(2).uint(kind::JOIN).text(grant);
            }
            Self::Abilities(abilities) => {
                w.array(2).uint(kind::ABILITIES).uint(abilities.bits());
            }
        }
    }
}

/// Reads the items of *hello* behind its kind; returns how many items it has that are known.
fn read_hello<'a>(reader: &mut Reader<'a>, items: u64) -> Result<(ClientFrame<'a>, u64), CborError> {
    need(items, 2, "hello")?;
    let producer = ProducerId(reader.fixed("producer")?);
    if items == 2 {
        return Ok((ClientFrame::Hello { producer, key: None }, 2));
    }
    let key = PublicKey::from_bytes(reader.fixed("key")?).map_err(|_| CborError::Item {
        field: "key",
        reason: "not a compressed point",
    })?;
    let key = Some(key);
    Ok((ClientFrame::Hello { producer, key }, 3))
}

/// Reads the items of *subscribe* behind its kind; returns how many items it has that are known.
fn read_subscribe<'a>(reader: &mut Reader<'a>, items: u64) -> Result<(ClientFrame<'a>, u64), CborError> {
    need(items, 2, "subscribe")?;
    let from = reader.uint_or_null("from")?.map(Seq);
    let signatures = items > 2 && reader.uint_or_null("signatures")? == Some(1);
    Ok((ClientFrame::Subscribe { from, signatures }, items.min(3)))
}

/// Reads the items of *group* behind its kind. Memory is taken only for as many payloads as a group may have.
fn read_group<'a>(reader: &mut Reader<'a>, items: u64) -> Result<ClientFrame<'a>, CborError> {
    need(items, 5, "group")?;
    let producer_seq = reader.uint("producer_seq")?;
    let previous = B256::from(reader.fixed::<32>("previous")?);
    let signature = Signature(reader.fixed("signature")?);
    let count = reader.array("payloads")?;
    if count == 0 || count > MAX_GROUP_MESSAGES as u64 {
        return Err(CborError::Length {
            field: "payloads",
            given: count,
            expected: "1 to 256",
        });
    }
    let payloads = (0..count)
        .map(|_| reader.bytes("payload"))
        .collect::<Result<_, _>>()?;
    Ok(ClientFrame::Group {
        producer_seq,
        previous,
        signature,
        payloads,
    })
}
