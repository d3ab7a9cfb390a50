//! What goes over the wire between browser, relay and edge.

use streamchain_protocol::archive::{PackIndex, TRAILER_BYTES};
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::keccak256;
use streamchain_protocol::proof::leaves;
use streamchain_protocol::signed::{GroupWalker, MAX_GROUP_MESSAGES, Walked};
use streamchain_protocol::util::cbor::Reader;
use streamchain_protocol::util::json;
use streamchain_protocol::wire::frame::{ClientFrame, RelayFrame};
use streamchain_protocol::wire::{
    Batch, Bundle, Notice, Registration, decode_records, decode_stored_records, encode_records,
    encode_stored_records, erase_payloads,
};

pub(super) fn client_frames(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    while !reader.is_at_end() {
        let before = reader.remaining();
        let Ok(frame) = ClientFrame::read(&mut reader) else {
            return;
        };
        assert!(reader.remaining() < before, "a frame that was read has bytes");
        if let Some(frame) = frame {
            let mut written = Vec::new();
            frame.write(&mut written);
            let again = ClientFrame::read(&mut Reader::new(&written));
            assert_eq!(again, Ok(Some(frame)), "what is written is read again");
        }
    }
}

pub(super) fn relay_frames(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    while !reader.is_at_end() {
        let before = reader.remaining();
        let Ok(frame) = RelayFrame::read(&mut reader) else {
            return;
        };
        assert!(reader.remaining() < before, "a frame that was read has bytes");
        if let Some(frame) = frame {
            let mut written = Vec::new();
            frame.write(&mut written);
            let again = RelayFrame::read(&mut Reader::new(&written));
            assert_eq!(again, Ok(Some(frame)), "what is written is read again");
        }
    }
}

pub(super) fn batch(bytes: &[u8]) {
    if let Ok(batch) = Batch::decode(bytes) {
        assert_eq!(
            Batch::decode(&batch.encode()),
            Ok(batch),
            "what is written is read again"
        );
    }
}

pub(super) fn bundle(bytes: &[u8]) {
    if let Ok(bundle) = Bundle::decode(bytes) {
        let written = bundle.encode();
        let again = Bundle::decode(&written);
        let again = again.as_ref().map(Bundle::batches);
        assert_eq!(again, Ok(bundle.batches()), "what is written is read again");
    }
}

pub(super) fn records(bytes: &[u8]) {
    if let Ok(records) = decode_records(bytes) {
        let written = encode_records(&records);
        assert_eq!(
            decode_records(&written),
            Ok(records),
            "what is written is read again"
        );
        let mut walker = GroupWalker::new(StreamId([1; 32]));
        for record in decode_records(&written).into_iter().flatten() {
            let Ok(Walked::Group(group)) = walker.push(&record) else {
                continue;
            };
            let count = group.signed.count as usize;
            assert!(
                (1..=MAX_GROUP_MESSAGES).contains(&count),
                "a group has 1 to 256 messages"
            );
            assert_eq!(group.hashes.len(), count, "a group that is found is whole");
        }
    }
}

pub(super) fn stored_records(bytes: &[u8]) {
    if let Ok(records) = decode_stored_records(bytes) {
        let written = encode_stored_records(&records);
        assert_eq!(
            decode_stored_records(&written).as_ref(),
            Ok(&records),
            "what is written is read again"
        );
        let stream = StreamId([1; 32]);
        let (erased, _) = erase_payloads(Seq(0), &written, |seq, _| seq.0 % 2 == 0).unwrap_or_default();
        assert_eq!(
            leaves(stream, Seq(0), &erased),
            leaves(stream, Seq(0), &written),
            "erasing changes no leaf"
        );
    }
}

/// The end of a pack with the digest that its index gives.
fn sealed(stream: StreamId, bytes: &[u8]) -> Vec<u8> {
    let Some((rest, trailer)) = bytes.split_last_chunk::<TRAILER_BYTES>() else {
        return Vec::new();
    };
    let length = trailer
        .first_chunk()
        .map_or(0, |length| u32::from_be_bytes(*length) as usize);
    let index = rest.get(rest.len().saturating_sub(length)..).unwrap_or_default();
    let header = [b"SCPK\x01\0\0\0".as_slice(), &stream.0].concat();
    let digest = keccak256([header.as_slice(), index].concat());
    let length = (index.len() as u32).to_be_bytes();
    [index, &length, digest.as_slice(), b"SCPK"].concat()
}

/// Index and trailer are taken as they are: their digest is made right first, or no mutation would get past it.
pub(super) fn pack(bytes: &[u8]) {
    let stream = StreamId([7; 32]);
    for bytes in [bytes.to_vec(), sealed(stream, bytes)] {
        let Ok((index, _)) = PackIndex::decode(stream, &bytes) else {
            continue;
        };
        assert!(index.first < index.end(), "a pack has messages");
        let mut next = index.first;
        for segment in &index.segments {
            assert_eq!(segment.first, next, "segments touch");
            next = segment.end();
            let found = index.within(segment.first, segment.end(), 0);
            assert_eq!(found, [*segment], "each is found by its first message");
        }
        for run in &index.runs {
            assert_eq!(
                index.run_over(run.first),
                Some(run),
                "each is found by its first message"
            );
        }
    }
}

pub(super) fn registration(bytes: &[u8]) {
    let Ok(registration) = json::from_bytes::<Registration>(bytes) else {
        return;
    };
    if registration.check().is_ok() {
        assert!(
            !registration.shards.is_empty(),
            "a relay without a shard is refused"
        );
    }
    let written = serde_json::to_vec(&registration).unwrap_or_default();
    let again = json::from_bytes::<Registration>(&written);
    assert_eq!(again.ok(), Some(registration), "what is written is read again");
}

pub(super) fn notice(bytes: &[u8]) {
    if let Ok(notice) = json::from_bytes::<Notice>(bytes) {
        let written = serde_json::to_vec(&notice).unwrap_or_default();
        let again = json::from_bytes::<Notice>(&written);
        assert_eq!(again.ok(), Some(notice), "what is written is read again");
    }
}
