//! Messages as they are kept: whole, or with an erased payload of which size and hash stay.
//!
//! What always holds: erasing a payload changes no leaf, so every root and every other message's receipt still verifies.
//!
//! An erased message is the record with the array `[size, hash]` in the place of its payload. A reader that knows records
//! alone ([`crate::record`]) refuses it, and never takes it for an empty message.

use crate::ids::{ProducerId, Seq};
use crate::limits::MAX_PAYLOAD_BYTES;
use crate::omitted::Omitted;
use crate::record::{Record, items, read_group, read_head};
use crate::signed::{GroupHeader, GroupMember};
use crate::time::UnixMs;
use crate::util::cbor::{CborError, Reader, Writer};
use alloy_primitives::{Address, B256, Bytes, keccak256};

/// The payload of a message that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredPayload {
    /// The bytes themselves.
    Kept(Bytes),
    /// The bytes are gone; this is known of them.
    Erased(Omitted),
}

impl StoredPayload {
    /// Returns the payload's keccak256 hash, which is in the message's leaf.
    pub fn hash(&self) -> B256 {
        match self {
            Self::Kept(payload) => keccak256(payload),
            Self::Erased(erased) => erased.digest,
        }
    }

    /// Returns the bytes as they are shown (none when they are erased), and what is known of them in that case.
    pub fn shown(self) -> (Bytes, Option<Omitted>) {
        match self {
            Self::Kept(payload) => (payload, None),
            Self::Erased(erased) => (Bytes::new(), Some(erased)),
        }
    }
}

/// One message that is kept, without its seq.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// When it was published, as the relay or the edge set it.
    pub time: UnixMs,
    /// The author.
    pub author: Address,
    /// The id of the producer that numbered it.
    pub producer: ProducerId,
    /// The number that the producer gave it.
    pub producer_seq: u64,
    /// Its bytes, or what is known of them.
    pub payload: StoredPayload,
    /// The header of the signed group that begins with this message.
    pub group: Option<GroupHeader>,
}

impl GroupMember for StoredRecord {
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
        self.payload.hash()
    }
    fn payload_size(&self) -> u64 {
        match &self.payload {
            StoredPayload::Kept(payload) => payload.len() as u64,
            StoredPayload::Erased(erased) => erased.size,
        }
    }
    fn group(&self) -> Option<&GroupHeader> {
        self.group.as_ref()
    }
}

impl StoredRecord {
    fn write(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out);
        writer
            .array(items(self.group.as_ref()))
            .uint(self.time.0)
            .bytes(self.author.as_slice())
            .bytes(&self.producer.0)
            .uint(self.producer_seq);
        match &self.payload {
            StoredPayload::Kept(payload) => writer.bytes(payload),
            StoredPayload::Erased(erased) => {
                writer.array(2).uint(erased.size).bytes(erased.digest.as_slice())
            }
        };
        if let Some(group) = &self.group {
            group.write(&mut writer);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let has_group = read_head(reader)?;
        Ok(Self {
            time: UnixMs(reader.uint("time")?),
            author: Address::from(reader.fixed::<20>("author")?),
            producer: ProducerId(reader.fixed("producer")?),
            producer_seq: reader.uint("producer_seq")?,
            payload: match reader.next_is_array() {
                true => StoredPayload::Erased(read_erased(reader)?),
                false => StoredPayload::Kept(Bytes::copy_from_slice(reader.payload()?)),
            },
            group: read_group(reader, has_group)?,
        })
    }
}

impl From<Record> for StoredRecord {
    fn from(record: Record) -> Self {
        Self {
            time: record.time,
            author: record.author,
            producer: record.producer,
            producer_seq: record.producer_seq,
            payload: StoredPayload::Kept(record.payload),
            group: record.group,
        }
    }
}

/// Reads `[size, hash]`.
fn read_erased(reader: &mut Reader<'_>) -> Result<Omitted, CborError> {
    exactly(reader, "erased", 2, "2")?;
    let size = reader.uint("size")?;
    if size > MAX_PAYLOAD_BYTES as u64 {
        return Err(CborError::Length {
            field: "size",
            given: size,
            expected: "at most 65536",
        });
    }
    let digest = B256::from(reader.fixed::<32>("hash")?);
    Ok(Omitted { size, digest })
}

fn exactly(
    reader: &mut Reader<'_>,
    field: &'static str,
    items: u64,
    expected: &'static str,
) -> Result<(), CborError> {
    let given = reader.array(field)?;
    let wrong = CborError::Length {
        field,
        given,
        expected,
    };
    (given == items).then_some(()).ok_or(wrong)
}

/// Encodes messages one after the other: the blob of a segment.
pub fn encode_stored_records<'a>(records: impl IntoIterator<Item = &'a StoredRecord>) -> Vec<u8> {
    let mut out = Vec::new();
    records.into_iter().for_each(|record| record.write(&mut out));
    out
}

/// Decodes a segment's blob, with or without erased messages.
pub fn decode_stored_records(blob: &[u8]) -> Result<Vec<StoredRecord>, CborError> {
    let mut reader = Reader::new(blob);
    let mut records = Vec::new();
    while !reader.is_at_end() {
        records.push(StoredRecord::read(&mut reader)?);
    }
    Ok(records)
}

/// Reads the time of the first message of a segment's blob, or of the beginning of one.
pub fn first_time(blob: &[u8]) -> Result<UnixMs, CborError> {
    let mut reader = Reader::new(blob);
    read_head(&mut reader)?;
    Ok(UnixMs(reader.uint("time")?))
}

/// Erases the payloads of those messages of a segment's blob for which `goes` says so. Returns the blob, and how many
/// payloads went: 0 when there is nothing to change.
pub fn erase_payloads(
    first: Seq,
    blob: &[u8],
    goes: impl Fn(Seq, &StoredRecord) -> bool,
) -> Result<(Vec<u8>, u64), CborError> {
    let mut records = decode_stored_records(blob)?;
    let mut erased = 0;
    for (seq, record) in (first.0..).zip(&mut records) {
        if let StoredPayload::Kept(payload) = &record.payload
            && goes(Seq(seq), record)
        {
            record.payload = StoredPayload::Erased(Omitted::of(payload));
            erased += 1;
        }
    }
    Ok((encode_stored_records(&records), erased))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::StreamId;
    use crate::proof::leaves;
    use crate::record::{decode_records, encode_records};
    use alloy_primitives::hex;

    fn record(producer_seq: u64) -> Record {
        Record {
            time: UnixMs(1_700_000_000_000),
            author: Address::repeat_byte(1),
            producer: ProducerId([2; 16]),
            producer_seq,
            payload: Bytes::from(vec![7; producer_seq as usize]),
            group: None,
        }
    }

    fn blob() -> Vec<u8> {
        encode_records(&[record(0), record(1), record(300)])
    }

    #[test]
    fn whole_messages_are_written_as_records_are() {
        let stored: Vec<StoredRecord> = [record(0), record(1), record(300)].map(Into::into).to_vec();
        assert_eq!(encode_stored_records(&stored), blob());
        assert_eq!(decode_stored_records(&blob()), Ok(stored));
    }

    #[test]
    fn the_stored_format_of_an_erased_message_stays() {
        let one = encode_records(&[record(3)]);
        let (blob, count) = erase_payloads(Seq(9), &one, |_, _| true).unwrap();
        let digest = hex::encode(keccak256([7; 3]));
        let expected = format!(
            "851b0000018bcfe568005401010101010101010101010101010101010101015002020202020202020202020202020202\
             038203{}{digest}",
            "5820"
        );
        assert_eq!((hex::encode(&blob), count), (expected, 1));
        assert!(
            decode_records(&blob).is_err(),
            "no reader takes it for a whole message"
        );
    }

    #[test]
    fn the_beginning_of_a_blob_is_enough_for_its_time() {
        assert_eq!(first_time(&blob()[..16]), Ok(UnixMs(1_700_000_000_000)));
        assert!(first_time(&[]).is_err());
    }

    #[test]
    fn erasing_changes_no_leaf_and_no_other_message() {
        let stream = StreamId([5; 32]);
        let before = leaves(stream, Seq(10), &blob()).unwrap();
        let (erased, count) = erase_payloads(Seq(10), &blob(), |seq, _| seq == Seq(11)).unwrap();
        assert_eq!(count, 1);
        assert_eq!(leaves(stream, Seq(10), &erased).unwrap(), before);
        let records = decode_stored_records(&erased).unwrap();
        let shown: Vec<_> = records.into_iter().map(|one| one.payload.shown()).collect();
        assert_eq!(
            shown[0],
            (Bytes::new(), None),
            "an empty message is not an erased one"
        );
        assert_eq!(shown[1], (Bytes::new(), Some(Omitted::of(&[7]))));
        assert_eq!(shown[2], (Bytes::from(vec![7; 300]), None));
    }

    #[test]
    fn erasing_again_changes_nothing() {
        let (once, _) = erase_payloads(Seq(0), &blob(), |_, _| true).unwrap();
        assert_eq!(erase_payloads(Seq(0), &once, |_, _| true), Ok((once.clone(), 0)));
    }

    #[test]
    fn an_erased_payload_of_an_impossible_size_is_refused() {
        let mut one: StoredRecord = record(1).into();
        one.payload = StoredPayload::Erased(Omitted {
            size: MAX_PAYLOAD_BYTES as u64 + 1,
            digest: B256::ZERO,
        });
        assert!(decode_stored_records(&encode_stored_records(&[one])).is_err());
    }
}
