//! Stored messages as bytes: what batches, segments and Merkle leaves are made of.
//!
//! A record is the CBOR array `[time, author, producer, producer_seq, payload]`. The first message of a signed group has a
//! sixth item, the group's header `[count, previous, key, signature]` ([`crate::signed`]). The records of a segment stand one
//! after the other (RFC 8742). A record has no seq of its own: its seq is that of the first record plus its index. What is
//! stored may also hold erased messages: those are read as [`crate::stored_record`] says.

use crate::ids::ProducerId;
use crate::signed::{GroupHeader, GroupMember};
use crate::time::UnixMs;
use crate::util::cbor::{CborError, Reader, Writer};
use alloy_primitives::{Address, B256, Bytes, keccak256};

/// A producer: one numbering of messages by an author. Whatever ids others choose, they never number for this author.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProducerKey {
    /// The author.
    pub author: Address,
    /// The id that the author chose.
    pub id: ProducerId,
}

impl ProducerKey {
    /// Length of [`Self::to_bytes`].
    pub const BYTES: usize = 36;

    /// Returns the key of database rows: the id, then the author.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let (id, author) = bytes.split_at_mut(self.id.0.len());
        id.copy_from_slice(&self.id.0);
        author.copy_from_slice(self.author.as_slice());
        bytes
    }

    /// Reads what [`Self::to_bytes`] returns; `None` for another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, author) = bytes.split_first_chunk::<16>()?;
        let author: [u8; 20] = author.try_into().ok()?;
        Some(Self {
            author: author.into(),
            id: ProducerId(*id),
        })
    }
}

/// One message, without its seq.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When it was published, as the relay or the edge set it.
    pub time: UnixMs,
    /// The author.
    pub author: Address,
    /// The id of the producer that numbered it.
    pub producer: ProducerId,
    /// The number that the producer gave it: 0, 1, 2 …
    pub producer_seq: u64,
    /// The message's bytes, at most 64 KiB.
    pub payload: Bytes,
    /// The header of the signed group that begins with this message.
    pub group: Option<GroupHeader>,
}

impl Record {
    /// Most bytes that a record takes beside its payload and a group's header: five heads, 8 + 20 + 16 + 8 bytes.
    pub const MAX_OVERHEAD: usize = 70;

    /// Returns a bound of the record's encoded size, bytes.
    pub fn max_encoded_bytes(&self) -> usize {
        let group = self.group.map_or(0, |_| GroupHeader::MAX_BYTES);
        self.payload.len() + Self::MAX_OVERHEAD + group
    }

    /// Returns the producer, which is one of the author's.
    pub fn producer_key(&self) -> ProducerKey {
        ProducerKey {
            author: self.author,
            id: self.producer,
        }
    }

    /// Appends the record to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out);
        writer
            .array(items(self.group.as_ref()))
            .uint(self.time.0)
            .bytes(self.author.as_slice())
            .bytes(&self.producer.0);
        writer.uint(self.producer_seq).bytes(&self.payload);
        if let Some(group) = &self.group {
            group.write(&mut writer);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let has_group = read_head(reader)?;
        let time = UnixMs(reader.uint("time")?);
        let author = Address::from(reader.fixed::<20>("author")?);
        let producer = ProducerId(reader.fixed("producer")?);
        let producer_seq = reader.uint("producer_seq")?;
        let payload = reader.payload()?;
        Ok(Self {
            time,
            author,
            producer,
            producer_seq,
            payload: Bytes::copy_from_slice(payload),
            group: read_group(reader, has_group)?,
        })
    }
}

impl GroupMember for Record {
    fn author(&self) -> Address {
        self.author
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

/// Returns how many items the array of a record has.
pub(crate) fn items(group: Option<&GroupHeader>) -> u64 {
    5 + u64::from(group.is_some())
}

/// Reads the head of a record's array; returns whether it has a group's header.
pub(crate) fn read_head(reader: &mut Reader<'_>) -> Result<bool, CborError> {
    match reader.array("record")? {
        5 => Ok(false),
        6 => Ok(true),
        given => Err(CborError::Length {
            field: "record",
            given,
            expected: "5 or 6",
        }),
    }
}

/// Reads the header of the group that begins with a record, where it has one.
pub(crate) fn read_group(reader: &mut Reader<'_>, has_group: bool) -> Result<Option<GroupHeader>, CborError> {
    has_group.then(|| GroupHeader::read(reader)).transpose()
}

/// Encodes records one after the other: the blob of a segment.
pub fn encode_records<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<u8> {
    let mut out = Vec::new();
    records.into_iter().for_each(|record| record.write(&mut out));
    out
}

/// Decodes the records of a segment's blob.
pub fn decode_records(blob: &[u8]) -> Result<Vec<Record>, CborError> {
    let mut reader = Reader::new(blob);
    let mut records = Vec::new();
    while !reader.is_at_end() {
        records.push(Record::read(&mut reader)?);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{MAX_EXACT_INTEGER, MAX_PAYLOAD_BYTES};
    use alloy_primitives::hex;

    fn record(producer_seq: u64, payload: &[u8]) -> Record {
        Record {
            time: UnixMs(1_700_000_000_000),
            author: Address::repeat_byte(1),
            producer: ProducerId([2; 16]),
            producer_seq,
            payload: Bytes::copy_from_slice(payload),
            group: None,
        }
    }

    #[test]
    fn the_stored_format_stays() {
        let blob = hex::encode(encode_records(&[record(3, b"hi")]));
        let expected = "851b0000018bcfe568005401010101010101010101010101010101010101015002020202020202020202020202020202\
                        03426869";
        assert_eq!(blob, expected);
    }

    #[test]
    fn a_producer_is_its_id_and_its_author() {
        let key = record(0, b"").producer_key();
        assert_eq!(ProducerKey::from_bytes(&key.to_bytes()), Some(key));
        assert_eq!(ProducerKey::from_bytes(&[2; 16]), None);
        assert_eq!(ProducerKey::from_bytes(&[2; 37]), None);
    }

    #[test]
    fn a_full_record_stays_within_its_stated_overhead() {
        let mut full = record(MAX_EXACT_INTEGER, &[0; MAX_PAYLOAD_BYTES]);
        full.time = UnixMs(MAX_EXACT_INTEGER);
        assert!(encode_records(&[full]).len() <= MAX_PAYLOAD_BYTES + Record::MAX_OVERHEAD);
    }
}
