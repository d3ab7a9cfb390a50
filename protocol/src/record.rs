//! Stored messages as bytes: what batches, segments and Merkle leaves are made of.
//!
//! A record is the CBOR array `[time, author, producer, producer_seq, payload]`. The records of a segment stand one
//! after the other (RFC 8742). A record has no seq of its own: its seq is that of the first record plus its index.

use crate::ids::ProducerId;
use crate::time::UnixMs;
use crate::util::cbor::{CborError, Reader, Writer};
use alloy_primitives::{Address, Bytes};

/// One message, without its seq.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When it was published, as the relay or the edge set it.
    pub time: UnixMs,
    /// The author.
    pub author: Address,
    /// The producer that numbered it.
    pub producer: ProducerId,
    /// The number that the producer gave it: 0, 1, 2 …
    pub producer_seq: u64,
    /// The message's bytes, at most 64 KiB.
    pub payload: Bytes,
}

impl Record {
    /// Most bytes that a record takes beside its payload: five heads, 8 + 20 + 16 + 8 bytes.
    pub const MAX_OVERHEAD: usize = 70;

    /// Appends the record to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out);
        writer
            .array(5)
            .uint(self.time.0)
            .bytes(self.author.as_slice())
            .bytes(&self.producer.0);
        writer.uint(self.producer_seq).bytes(&self.payload);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let given = reader.array("record")?;
        if given != 5 {
            return Err(CborError::Length {
                field: "record",
                given,
                expected: "5",
            });
        }
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
        })
    }
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
    fn a_full_record_stays_within_its_stated_overhead() {
        let mut full = record(MAX_EXACT_INTEGER, &[0; MAX_PAYLOAD_BYTES]);
        full.time = UnixMs(MAX_EXACT_INTEGER);
        assert!(encode_records(&[full]).len() <= MAX_PAYLOAD_BYTES + Record::MAX_OVERHEAD);
    }
}
