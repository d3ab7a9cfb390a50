//! Bundles: batches of several streams that a relay posts in one request, and the answers to them.
//!
//! A bundle is the CBOR array `[[stream, batch], …]`: the short id of each stream, and its batch as a byte string with the very
//! bytes that would be posted alone. The edge looks at each batch by itself: none depends on another.
//!
//! The answer is one line of JSON for each batch, in the order in which they are done.

use crate::ids::ShortId;
use crate::limits::{MAX_BUNDLE_BATCHES, MAX_BUNDLE_BYTES};
use crate::util::cbor::{CborError, Reader, Writer};
use serde::Deserialize;
use serde_json::Value;

/// Bytes of a bundle beside its batches: the heads of arrays and byte strings, and the id, for each of them.
const OVERHEAD_EACH: usize = 32;

/// Batches that are to go in one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bundle<B> {
    batches: Vec<(ShortId, B)>,
    bytes: usize,
}

impl<B: AsRef<[u8]>> Bundle<B> {
    /// Makes a bundle without batches.
    pub fn new() -> Self {
        Self {
            batches: Vec::new(),
            bytes: OVERHEAD_EACH,
        }
    }

    /// Adds a stream's batch as it would be posted alone. Gives it back when there is no room.
    pub fn add(&mut self, stream: ShortId, batch: B) -> Result<(), B> {
        let bytes = self.bytes + OVERHEAD_EACH + batch.as_ref().len();
        if bytes > MAX_BUNDLE_BYTES || self.batches.len() >= MAX_BUNDLE_BATCHES {
            return Err(batch);
        }
        self.bytes = bytes;
        self.batches.push((stream, batch));
        Ok(())
    }

    /// Returns the batches, each at the position that its answer names.
    pub fn batches(&self) -> &[(ShortId, B)] {
        &self.batches
    }

    /// Encodes the bundle as it is posted, `application/cbor`.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes);
        let mut writer = Writer::new(&mut out);
        writer.array(self.batches.len() as u64);
        for (stream, batch) in &self.batches {
            writer.array(2).bytes(&stream.0).bytes(batch.as_ref());
        }
        out
    }
}

impl<'a> Bundle<&'a [u8]> {
    /// Reads a body that came from outside. What is in the batches is left to their streams.
    pub fn decode(body: &'a [u8]) -> Result<Self, CborError> {
        let length = |given: usize, expected| CborError::Length {
            field: "bundle",
            given: given as u64,
            expected,
        };
        if body.len() > MAX_BUNDLE_BYTES {
            return Err(length(body.len(), "at most 1 MiB"));
        }
        let mut reader = Reader::new(body);
        let count = reader.array("bundle")?;
        if count == 0 || count > MAX_BUNDLE_BATCHES as u64 {
            return Err(length(count as usize, "1 to 128"));
        }
        let mut batches = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let given = reader.array("bundle")?;
            if given != 2 {
                return Err(length(given as usize, "2"));
            }
            let stream = ShortId(reader.fixed("stream")?);
            batches.push((stream, reader.bytes("batch")?));
        }
        if !reader.is_at_end() {
            return Err(length(reader.remaining(), "nothing behind it"));
        }
        let bytes = body.len();
        Ok(Self { batches, bytes })
    }
}

/// The answer to one batch of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BundleAnswer {
    /// Which of the bundle's batches, counted from 0 on.
    pub position: usize,
    /// The status that the batch alone would be answered with.
    pub status: u16,
    /// The body that the batch alone would be answered with.
    pub body: Value,
}

impl BundleAnswer {
    /// Returns the line of an answer whose body is JSON already.
    pub fn line(position: usize, status: u16, body: &[u8]) -> Vec<u8> {
        let head = format!("{{\"position\":{position},\"status\":{status},\"body\":");
        [head.as_bytes(), body, b"}\n"].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn bundle(batches: &[(u8, &'static [u8])]) -> Bundle<&'static [u8]> {
        let mut bundle = Bundle::new();
        for (stream, batch) in batches {
            bundle.add(ShortId([*stream; 20]), *batch).unwrap();
        }
        bundle
    }

    #[test]
    fn a_bundle_is_read_as_it_was_written() {
        let given = bundle(&[(1, b"one"), (2, b""), (1, b"two")]);
        let bytes = given.encode();
        assert_eq!(Bundle::decode(&bytes).unwrap().batches(), given.batches());
    }

    #[test]
    fn what_is_full_takes_no_more_and_is_read() {
        let mut many = Bundle::new();
        while many.add(ShortId([7; 20]), vec![1]).is_ok() {}
        assert_eq!(many.batches().len(), MAX_BUNDLE_BATCHES);
        let mut large = Bundle::new();
        while large.add(ShortId([7; 20]), vec![1; 100_000]).is_ok() {}
        assert_eq!(large.batches().len(), 10);
        for bytes in [many.encode(), large.encode()] {
            assert!(bytes.len() <= MAX_BUNDLE_BYTES);
            assert!(Bundle::decode(&bytes).is_ok());
        }
        assert_eq!(many.add(ShortId([7; 20]), vec![9]), Err(vec![9]));
    }

    #[test]
    fn a_body_that_is_no_bundle_is_refused() {
        let good = bundle(&[(1, b"a")]).encode();
        let endless = [0x9B, 255, 255, 255, 255, 255, 255, 255, 255];
        let too_many = [&[0x98, 129][..], &good[1..].repeat(129)].concat();
        for bad in [
            &[][..],
            &[0x80],
            b"hello",
            &good[..good.len() - 1],
            &[&good[..], &[0]].concat(),
            &endless,
            &too_many,
            &vec![0; MAX_BUNDLE_BYTES + 1],
        ] {
            assert!(Bundle::decode(bad).is_err(), "{:?}", &bad[..bad.len().min(30)]);
        }
    }

    #[test]
    fn an_answer_is_a_line_of_json() {
        let line = BundleAnswer::line(3, 409, br#"{"expected":7}"#);
        assert_eq!(line.last(), Some(&b'\n'));
        let answer: BundleAnswer = serde_json::from_slice(&line).unwrap();
        let body = json!({"expected": 7});
        assert_eq!(
            answer,
            BundleAnswer {
                position: 3,
                status: 409,
                body
            }
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = Bundle::decode(&bytes);
        }
    }
}
