//! What goes over the wire between browser, relay and edge.

use streamchain_protocol::util::cbor::Reader;
use streamchain_protocol::util::json;
use streamchain_protocol::wire::frame::{ClientFrame, RelayFrame};
use streamchain_protocol::wire::{Batch, Notice, Registration, decode_records, encode_records};

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

pub(super) fn records(bytes: &[u8]) {
    if let Ok(records) = decode_records(bytes) {
        let written = encode_records(&records);
        assert_eq!(
            decode_records(&written),
            Ok(records),
            "what is written is read again"
        );
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
