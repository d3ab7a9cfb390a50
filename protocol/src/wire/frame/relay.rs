//! What a relay sends on the data channel.

use super::channel_limits::{ChannelLimits, read_limits, write_limits};
use super::error_code::ErrorCode;
use super::items::{need, read_head, skip};
use super::kind;
use super::signed_group::{self, SignedGroup, check_seqs, group_count, read_signed};
use crate::ids::{Epoch, ProducerId, Seq};
use crate::proof::{AnchorRef, AnchorState};
use crate::signed::GroupHeader;
use crate::time::UnixMs;
use crate::util::cbor::{CborError, Reader, Writer};
use crate::wire::{Omitted, Presence};
use alloy_primitives::{Address, B256};

/// What a relay sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayFrame<'a> {
    /// `[16, epoch, head, committed, stored, limits]`
    Welcome {
        /// The stream's epoch.
        epoch: Epoch,
        /// The next seq to be given.
        head: Seq,
        /// Every seq below is committed.
        committed: Seq,
        /// The last producer_seq of this producer that is committed.
        stored: Option<u64>,
        /// The relay's limits.
        limits: ChannelLimits,
    },
    /// `[17, epoch, seq, time, author, payload]`
    Message {
        /// Under which epoch the relay gave the seq.
        epoch: Epoch,
        /// The message's seq.
        seq: Seq,
        /// Milliseconds since the Unix epoch, by the relay.
        time: UnixMs,
        /// Who published it.
        author: Address,
        /// Opaque bytes.
        payload: &'a [u8],
    },
    /// `[18, producer_seq, seq, count]`; no seq for a duplicate whose seq is no longer known.
    Accepted {
        /// The number that the publisher gave it, or the first message of its group.
        producer_seq: u64,
        /// The seq that it got.
        seq: Option<Seq>,
        /// How many messages the group has; `None` for a message of no group.
        count: Option<u64>,
    },
    /// `[19, committed]`: every seq below is committed.
    Committed {
        /// The seq behind the last committed one.
        committed: Seq,
    },
    /// `[20, first, count, root, tx, block, state]`
    Anchored(AnchorRef),
    /// `[21, block, log_index, author, payload, tx, state]`: a transaction published this. Where the payload is left out,
    /// it is empty, and `size, digest` follow.
    Chain {
        /// The block's number.
        block: u64,
        /// The log's index in that block.
        log_index: u64,
        /// Who published it.
        author: Address,
        /// Opaque bytes.
        payload: &'a [u8],
        /// The transaction.
        tx: B256,
        /// How sure it is: in a block, or final.
        state: AnchorState,
        /// What is known of a payload that is left out.
        omitted: Option<Omitted>,
    },
    /// `[25, epoch, seq, count, producer, producer_seq, previous, key, signature]`: the signature of the group that begins with the
    /// next message.
    Signature {
        /// Under which epoch the relay gave the seq.
        epoch: Epoch,
        /// The seq of the group's first message.
        seq: Seq,
        /// The author's producer that numbered the messages.
        producer: ProducerId,
        /// The number of the group's first message.
        producer_seq: u64,
        /// How many messages there are, and who signed them.
        group: GroupHeader,
    },
    /// A signed group whole, in place of its signature and its messages.
    SignedGroup(SignedGroup<'a>),
    /// `[24, block, log_index, tx, state]`: what [`RelayFrame::Chain`] said before is final, or taken back.
    ChainState {
        /// The block's number.
        block: u64,
        /// The log's index in that block.
        log_index: u64,
        /// The transaction.
        tx: B256,
        /// How sure it is now.
        state: AnchorState,
    },
    /// `[26, readers, publishers, [author, …]]`: who is at the stream; the list is left out where nobody is in it.
    Presence(Presence),
    /// `[22, from, to]`: seqs `from..to` come by HTTP only.
    Gap {
        /// First seq that is missing.
        from: Seq,
        /// First seq that is there again.
        to: Seq,
    },
    /// `[23, code, text]`, and the wait behind it if there is one.
    Error {
        /// An [`ErrorCode`], or a later version's.
        code: u64,
        /// A text for logs.
        text: &'a str,
        /// How long to send nothing, milliseconds.
        retry_ms: Option<u64>,
    },
}

impl<'a> RelayFrame<'a> {
    /// Returns an error frame.
    pub fn error(code: ErrorCode, text: &'a str) -> Self {
        Self::Error {
            code: code as u64,
            text,
            retry_ms: None,
        }
    }

    /// Appends the frame to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut w = Writer::new(out);
        match *self {
            Self::Presence(ref presence) => write_presence(&mut w, presence),
            Self::SignedGroup(ref group) => group.write(&mut w),
            Self::Welcome {
                epoch,
                head,
                committed,
                stored,
                limits,
            } => {
                w.array(6).uint(kind::WELCOME).uint(epoch.0).uint(head.0);
                w.uint(committed.0).uint_or_null(stored);
                write_limits(&mut w, limits)
            }
            Self::Message {
                epoch,
                seq,
                time,
                author,
                payload,
            } => {
                w.array(6).uint(kind::MESSAGE).uint(epoch.0).uint(seq.0);
                w.uint(time.0).bytes(author.as_slice()).bytes(payload)
            }
            Self::Accepted {
                producer_seq,
                seq,
                count,
            } => write_accepted(&mut w, producer_seq, seq, count),
            Self::Signature {
                epoch,
                seq,
                producer,
                producer_seq,
                group,
            } => write_signature(&mut w, (epoch, seq), (producer, producer_seq), &group),
            Self::Committed { committed } => w.array(2).uint(kind::COMMITTED).uint(committed.0),
            Self::Anchored(anchor) => write_anchored(&mut w, &anchor),
            Self::Chain {
                block,
                log_index,
                author,
                payload,
                tx,
                state,
                omitted,
            } => {
                let items = if omitted.is_some() { 9 } else { 7 };
                w.array(items).uint(kind::CHAIN).uint(block).uint(log_index);
                w.bytes(author.as_slice()).bytes(payload);
                w.bytes(tx.as_slice()).uint(state as u64);
                match omitted {
                    Some(omitted) => w.uint(omitted.size).bytes(omitted.digest.as_slice()),
                    None => &mut w,
                }
            }
            Self::ChainState {
                block,
                log_index,
                tx,
                state,
            } => {
                w.array(5).uint(kind::CHAIN_STATE).uint(block).uint(log_index);
                w.bytes(tx.as_slice()).uint(state as u64)
            }
            Self::Gap { from, to } => w.array(3).uint(kind::GAP).uint(from.0).uint(to.0),
            Self::Error { code, text, retry_ms } => write_error(&mut w, code, text, retry_ms),
        };
    }

    /// Returns the next frame of a data-channel message; `None` for a kind that is not known.
    pub fn read(reader: &mut Reader<'a>) -> Result<Option<Self>, CborError> {
        let (items, kind) = read_head(reader)?;
        let Some(needed) = relay_items(kind) else {
            skip(reader, items - 1)?;
            return Ok(None);
        };
        need(items, needed, "frame")?;
        let mut frame = Self::read_known(kind, reader)?;
        let mut rest = items - needed;
        if let Self::Accepted { count, .. } = &mut frame
            && rest > 0
        {
            *count = reader.uint_or_null("count")?;
            rest -= 1;
        }
        if let Self::Error { retry_ms, .. } = &mut frame
            && rest > 0
        {
            *retry_ms = reader.uint_or_null("retry_ms")?;
            rest -= 1;
        }
        if let Self::Chain { omitted, .. } = &mut frame
            && rest > 1
        {
            *omitted = Some(Omitted {
                size: reader.uint("size")?,
                digest: B256::from(reader.fixed::<32>("digest")?),
            });
            rest -= 2;
        }
        if let Self::Presence(presence) = &mut frame
            && rest > 0
        {
            presence.authors = Presence::read_authors(reader)?;
            rest -= 1;
        }
        skip(reader, rest)?;
        Ok(Some(frame))
    }

    fn read_known(kind: u64, r: &mut Reader<'a>) -> Result<Self, CborError> {
        Ok(match kind {
            kind::WELCOME => Self::Welcome {
                epoch: Epoch(r.uint("epoch")?),
                head: Seq(r.uint("head")?),
                committed: Seq(r.uint("committed")?),
                stored: r.uint_or_null("stored")?,
                limits: read_limits(r)?,
            },
            kind::MESSAGE => Self::Message {
                epoch: Epoch(r.uint("epoch")?),
                seq: Seq(r.uint("seq")?),
                time: UnixMs(r.uint("time")?),
                author: Address::from(r.fixed::<20>("author")?),
                payload: r.payload()?,
            },
            kind::ACCEPTED => Self::Accepted {
                producer_seq: r.uint("producer_seq")?,
                seq: r.uint_or_null("seq")?.map(Seq),
                count: None,
            },
            kind::SIGNATURE => read_signature(r)?,
            kind::SIGNED_GROUP => Self::SignedGroup(SignedGroup::read(r)?),
            kind::COMMITTED => Self::Committed {
                committed: Seq(r.uint("committed")?),
            },
            kind::ANCHORED => Self::Anchored(AnchorRef {
                first: Seq(r.uint("first")?),
                count: r.uint("count")?,
                root: B256::from(r.fixed::<32>("root")?),
                tx: B256::from(r.fixed::<32>("tx")?),
                block: r.uint("block")?,
                state: anchor_state(r.uint("state")?)?,
            }),
            kind::CHAIN => Self::Chain {
                block: r.uint("block")?,
                log_index: r.uint("log_index")?,
                author: Address::from(r.fixed::<20>("author")?),
                payload: r.bytes("payload")?,
                tx: B256::from(r.fixed::<32>("tx")?),
                state: anchor_state(r.uint("state")?)?,
                omitted: None,
            },
            kind::CHAIN_STATE => Self::ChainState {
                block: r.uint("block")?,
                log_index: r.uint("log_index")?,
                tx: B256::from(r.fixed::<32>("tx")?),
                state: anchor_state(r.uint("state")?)?,
            },
            kind::PRESENCE => Self::Presence(Presence {
                readers: r.uint("readers")?,
                publishers: r.uint("publishers")?,
                authors: Vec::new(),
            }),
            kind::GAP => Self::Gap {
                from: Seq(r.uint("from")?),
                to: Seq(r.uint("to")?),
            },
            _ => Self::Error {
                code: r.uint("code")?,
                text: r.text("text")?,
                retry_ms: None,
            },
        })
    }
}

/// Returns how many items a relay's frame of this kind has; `None` for a kind that is not known.
fn relay_items(kind: u64) -> Option<u64> {
    Some(match kind {
        kind::WELCOME | kind::MESSAGE => 6,
        kind::ACCEPTED | kind::GAP | kind::ERROR | kind::PRESENCE => 3,
        kind::COMMITTED => 2,
        kind::ANCHORED | kind::CHAIN => 7,
        kind::CHAIN_STATE => 5,
        kind::SIGNATURE => 9,
        kind::SIGNED_GROUP => signed_group::ITEMS,
        _ => return None,
    })
}

fn write_signature<'w, 'a>(
    w: &'w mut Writer<'a>,
    (epoch, seq): (Epoch, Seq),
    (producer, producer_seq): (ProducerId, u64),
    group: &GroupHeader,
) -> &'w mut Writer<'a> {
    w.array(9).uint(kind::SIGNATURE).uint(epoch.0).uint(seq.0);
    w.uint(u64::from(group.count)).bytes(&producer.0);
    w.uint(producer_seq).bytes(group.previous.as_slice());
    w.bytes(group.key.as_bytes()).bytes(&group.signature.0)
}

fn write_presence<'w, 'a>(w: &'w mut Writer<'a>, presence: &Presence) -> &'w mut Writer<'a> {
    w.array(1 + presence.items()).uint(kind::PRESENCE);
    presence.write(w)
}

/// Writes an answer to a publication. That to a message of no group has one item less.
fn write_accepted<'w, 'a>(
    w: &'w mut Writer<'a>,
    producer_seq: u64,
    seq: Option<Seq>,
    count: Option<u64>,
) -> &'w mut Writer<'a> {
    w.array(3 + u64::from(count.is_some())).uint(kind::ACCEPTED);
    w.uint(producer_seq).uint_or_null(seq.map(|seq| seq.0));
    match count {
        Some(count) => w.uint(count),
        None => w,
    }
}

fn read_signature<'a>(r: &mut Reader<'a>) -> Result<RelayFrame<'a>, CborError> {
    let (epoch, seq) = (Epoch(r.uint("epoch")?), Seq(r.uint("seq")?));
    let count = group_count(r.uint("count")?, "count")?;
    check_seqs(seq, count)?;
    let producer = ProducerId(r.fixed("producer")?);
    let producer_seq = r.uint("producer_seq")?;
    let (previous, key, signature) = read_signed(r)?;
    Ok(RelayFrame::Signature {
        epoch,
        seq,
        producer,
        producer_seq,
        group: GroupHeader {
            count,
            previous,
            key,
            signature,
        },
    })
}

fn write_anchored<'w, 'a>(w: &'w mut Writer<'a>, anchor: &AnchorRef) -> &'w mut Writer<'a> {
    let AnchorRef {
        first,
        count,
        root,
        tx,
        block,
        state,
    } = anchor;
    w.array(7).uint(kind::ANCHORED).uint(first.0).uint(*count);
    w.bytes(root.as_slice()).bytes(tx.as_slice());
    w.uint(*block).uint(*state as u64)
}

/// Writes an error. Without a wait it has one item less.
fn write_error<'w, 'a>(
    w: &'w mut Writer<'a>,
    code: u64,
    text: &str,
    retry_ms: Option<u64>,
) -> &'w mut Writer<'a> {
    let items = if retry_ms.is_some() { 4 } else { 3 };
    w.array(items).uint(kind::ERROR).uint(code).text(text);
    match retry_ms {
        Some(retry_ms) => w.uint(retry_ms),
        None => w,
    }
}

fn anchor_state(number: u64) -> Result<AnchorState, CborError> {
    AnchorState::from_number(number).ok_or(CborError::Length {
        field: "state",
        given: number,
        expected: "0, 1 or 2",
    })
}
