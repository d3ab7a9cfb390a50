//! A signed group of messages as one frame.

use super::kind;
use crate::ids::{Epoch, ProducerId, Seq};
use crate::limits::MAX_EXACT_INTEGER;
use crate::signed::{GroupHeader, MAX_GROUP_MESSAGES, PublicKey, Signature};
use crate::time::UnixMs;
use crate::util::cbor::{CborError, Reader, Writer};
use alloy_primitives::{Address, B256};

/// How many items the frame has.
pub(super) const ITEMS: u64 = 11;

/// `[27, epoch, seq, time, author, producer, producer_seq, previous, key, signature, [payload, …]]`: a signed group whole. It says what
/// a *signature* and the *message* frames behind it say, in fewer bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedGroup<'a> {
    /// Under which epoch the relay gave the seqs.
    pub epoch: Epoch,
    /// The seq of the first message; the others have the next ones.
    pub seq: Seq,
    /// Milliseconds since the Unix epoch, by the relay: of all messages.
    pub time: UnixMs,
    /// Who published it.
    pub author: Address,
    /// The author's producer that numbered the messages.
    pub producer: ProducerId,
    /// The number of the first message.
    pub producer_seq: u64,
    /// Who signed the group. Its `count` is that of the payloads.
    pub header: GroupHeader,
    /// The messages, 1 to 256: opaque bytes.
    pub payloads: Vec<&'a [u8]>,
}

impl<'a> SignedGroup<'a> {
    pub(super) fn write<'w, 'o>(&self, w: &'w mut Writer<'o>) -> &'w mut Writer<'o> {
        w.array(ITEMS).uint(kind::SIGNED_GROUP);
        w.uint(self.epoch.0).uint(self.seq.0).uint(self.time.0);
        w.bytes(self.author.as_slice()).bytes(&self.producer.0);
        w.uint(self.producer_seq).bytes(self.header.previous.as_slice());
        w.bytes(self.header.key.as_bytes())
            .bytes(&self.header.signature.0);
        w.array(self.payloads.len() as u64);
        for payload in &self.payloads {
            w.bytes(payload);
        }
        w
    }

    /// Reads the items behind the kind. Memory is taken only for as many payloads as a group may have.
    pub(super) fn read(r: &mut Reader<'a>) -> Result<Self, CborError> {
        let (epoch, seq) = (Epoch(r.uint("epoch")?), Seq(r.uint("seq")?));
        let time = UnixMs(r.uint("time")?);
        let author = Address::from(r.fixed::<20>("author")?);
        let producer = ProducerId(r.fixed("producer")?);
        let producer_seq = r.uint("producer_seq")?;
        let (previous, key, signature) = read_signed(r)?;
        let given = r.array("payloads")?;
        let count = group_count(given, "payloads")?;
        check_seqs(seq, count)?;
        let payloads = (0..given).map(|_| r.payload()).collect::<Result<_, _>>()?;
        let header = GroupHeader {
            count,
            previous,
            key,
            signature,
        };
        Ok(Self {
            epoch,
            seq,
            time,
            author,
            producer,
            producer_seq,
            header,
            payloads,
        })
    }
}

/// Reads the digest of the group before, the key and the signature.
pub(super) fn read_signed(r: &mut Reader<'_>) -> Result<(B256, PublicKey, Signature), CborError> {
    let previous = B256::from(r.fixed::<32>("previous")?);
    let key = PublicKey::from_bytes(r.fixed("key")?).map_err(|_| CborError::Item {
        field: "key",
        reason: "not a compressed point",
    })?;
    Ok((previous, key, Signature(r.fixed("signature")?)))
}

/// Returns how many messages a group has, if it may have as many.
pub(super) fn group_count(given: u64, field: &'static str) -> Result<u16, CborError> {
    u16::try_from(given)
        .ok()
        .filter(|count| (1..=MAX_GROUP_MESSAGES).contains(&usize::from(*count)))
        .ok_or(CborError::Length {
            field,
            given,
            expected: "1 to 256",
        })
}

/// Checks that so many messages from `first` on have seqs.
pub(super) fn check_seqs(first: Seq, count: u16) -> Result<(), CborError> {
    let given = first.0 + u64::from(count);
    if given > MAX_EXACT_INTEGER {
        return Err(CborError::TooLarge { field: "seq", given });
    }
    Ok(())
}
