//! Batches: a contiguous run of one stream's messages, as a relay posts it for a commit.
//!
//! A batch is the CBOR array `[epoch, first, [record, …]]`.

use crate::ids::{Epoch, Seq};
use crate::limits::{MAX_BATCH_BYTES, MAX_BATCH_MESSAGES, MAX_EXACT_INTEGER};
use crate::record::Record;
use crate::util::cbor::{CborError, Reader, Writer};

/// A contiguous run of one stream's messages, as a relay commits it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The epoch under which the relay gave the seqs.
    pub epoch: Epoch,
    /// The first record's seq.
    pub first: Seq,
    /// The messages: at least one and at most 4,096.
    pub records: Vec<Record>,
}

impl Batch {
    /// Returns the seq behind the last record.
    pub fn end(&self) -> Seq {
        Seq(self.first.0 + self.records.len() as u64)
    }

    /// Encodes the batch as the relay posts it, `application/cbor`.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        Writer::new(&mut out)
            .array(3)
            .uint(self.epoch.0)
            .uint(self.first.0)
            .array(self.records.len() as u64);
        self.records.iter().for_each(|record| record.write(&mut out));
        out
    }

    /// Largest body of a batch request, bytes.
    pub const MAX_BODY_BYTES: usize = MAX_BATCH_BYTES + 64;

    /// Reads a body that came from outside. Allocates no more than a small multiple of its length.
    pub fn decode(body: &[u8]) -> Result<Self, CborError> {
        if body.len() > Self::MAX_BODY_BYTES {
            let given = body.len() as u64;
            return Err(CborError::Length {
                field: "batch",
                given,
                expected: "at most 768 KiB",
            });
        }
        let mut reader = Reader::new(body);
        let given = reader.array("batch")?;
        if given != 3 {
            return Err(CborError::Length {
                field: "batch",
                given,
                expected: "3",
            });
        }
        let epoch = Epoch(reader.uint("epoch")?);
        let first = Seq(reader.uint("first")?);
        let count = reader.array("records")?;
        if count == 0 || count > MAX_BATCH_MESSAGES as u64 || first.0 + count > MAX_EXACT_INTEGER {
            return Err(CborError::Length {
                field: "records",
                given: count,
                expected: "1 to 4096",
            });
        }
        let records = (0..count)
            .map(|_| Record::read(&mut reader))
            .collect::<Result<_, _>>()?;
        if !reader.is_at_end() {
            let given = reader.remaining() as u64;
            return Err(CborError::Length {
                field: "batch",
                given,
                expected: "nothing behind it",
            });
        }
        Ok(Self {
            epoch,
            first,
            records,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ProducerId;
    use crate::limits::MAX_PAYLOAD_BYTES;
    use crate::record::{decode_records, encode_records};
    use crate::time::UnixMs;
    use alloy_primitives::{Address, Bytes};
    use proptest::prelude::*;

    fn record(number: u64, payload: &[u8]) -> Record {
        Record {
            time: UnixMs(1_700_000_000_000),
            author: Address::repeat_byte(1),
            producer: ProducerId([2; 16]),
            producer_seq: number,
            payload: Bytes::copy_from_slice(payload),
            group: None,
        }
    }

    #[test]
    fn a_batch_survives_its_own_bytes() {
        let batch = Batch {
            epoch: Epoch(4),
            first: Seq(9),
            records: vec![record(0, b"a"), record(1, b"")],
        };
        assert_eq!(Batch::decode(&batch.encode()), Ok(batch.clone()));
        assert_eq!(batch.end(), Seq(11));
        assert_eq!(decode_records(&encode_records(&batch.records)), Ok(batch.records));
    }

    #[test]
    fn an_empty_batch_or_an_oversize_payload_is_refused() {
        let empty = Batch {
            epoch: Epoch(1),
            first: Seq(0),
            records: vec![],
        };
        assert!(Batch::decode(&empty.encode()).is_err());
        let large = Batch {
            records: vec![record(0, &[0; MAX_PAYLOAD_BYTES + 1])],
            ..empty
        };
        assert!(Batch::decode(&large.encode()).is_err());
    }

    #[test]
    fn a_batch_has_at_most_4096_messages() {
        let of = |count| Batch {
            epoch: Epoch(1),
            first: Seq(0),
            records: (0..count).map(|number| record(number, b"x")).collect(),
        };
        assert!(Batch::decode(&of(4_096).encode()).is_ok());
        assert!(Batch::decode(&of(4_097).encode()).is_err());
    }

    #[test]
    fn a_body_that_is_no_batch_is_refused() {
        let good = Batch {
            epoch: Epoch(1),
            first: Seq(0),
            records: vec![record(0, b"a"), record(1, b"b")],
        }
        .encode();
        let producer = [0x50; 17];
        let at = good
            .windows(17)
            .position(|bytes| bytes == [&producer[..1], &[2; 16]].concat());
        let mut short_producer = good.clone();
        short_producer.splice(at.unwrap()..at.unwrap() + 17, [&[0x4F][..], &[2; 15]].concat());
        let endless_array = [0x83, 1, 0, 0x9B, 255, 255, 255, 255, 255, 255, 255, 255];
        for bad in [
            &[][..],
            &[0xFF],
            b"hello",
            &good[..good.len() - 1],
            &[&good[..], &[0]].concat(),
            &[0x9F, 0xFF],
            &endless_array,
            &short_producer,
        ] {
            assert!(Batch::decode(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = Batch::decode(&bytes);
            let _ = decode_records(&bytes);
        }

        #[test]
        fn a_cut_batch_is_refused(cut in 0usize..100) {
            let whole = Batch { epoch: Epoch(1), first: Seq(0), records: vec![record(0, &[7; 100])] }.encode();
            prop_assert!(Batch::decode(&whole[..whole.len() - 1 - cut]).is_err());
        }
    }
}
