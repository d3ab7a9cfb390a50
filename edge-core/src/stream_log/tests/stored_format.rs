//! What an object of the version before has stored is read, and written under the same names.

use super::*;
use streamchain_protocol::time::UnixMs;

/// A stream's row as the version before wrote it.
const ROW: &str = r#"{"id":"0x1fc4c3e5a8a1f4a5ff15db2f6a1b2d19d5c4b3a2f1e0d9c8b7a6958473625140","owner":"0x0707070707070707070707070707070707070707","name":"demo","settings":{"mode":"hash","read":"private","write":"open","p2p":false,"prove":true},"created":1000,"listed":true,"epoch":3,"holder":{"relay":"a","incarnation":"0101010101010101"},"assigned":"b","head":9,"flushed":4,"backlog":120,"lastBatch":{"epoch":3,"first":7,"digest":"0x0202020202020202020202020202020202020202020202020202020202020202"},"anchored":4,"finalized":2,"inbox":{"messages":1,"bytes":60,"next":5},"events":{"first":1,"next":3,"bytes":70}}"#;

/// A segment's row as the version before wrote it.
const SEGMENT: &str = r#"{"first":4,"count":5,"root":"0x0303030303030303030303030303030303030303030303030303030303030303","stored":true,"mode":"payload","prove":true}"#;

/// A session's row as the version before wrote it.
const SESSION: &str = r#"{"id":"0404040404040404","author":"0x0505050505050505050505050505050505050505","relay":"a","created":7}"#;

#[test]
fn the_streams_row_keeps_its_names() {
    let state: LogState = serde_json::from_str(ROW).unwrap();
    let leader = Leader {
        relay: relay("a"),
        incarnation: run(1),
    };
    assert_eq!(state.leader, Some(leader));
    assert_eq!((state.created, state.epoch), (UnixMs(1_000), Epoch(3)));
    assert_eq!((state.head, state.flushed), (Seq(9), Seq(4)));
    assert_eq!(serde_json::to_string(&state).unwrap(), ROW);
}

#[test]
fn a_row_from_before_settings_inbox_and_events_is_read() {
    let mut row: serde_json::Value = serde_json::from_str(ROW).unwrap();
    for member in ["settings", "inbox", "events"] {
        row.as_object_mut().unwrap().remove(member);
    }
    let state: LogState = serde_json::from_value(row).unwrap();
    assert_eq!(state.settings, StreamSettings::of_version_before());
    assert_eq!(state.inbox, Inbox::default());
    assert_eq!(state.events, EventRange::default());
}

#[test]
fn a_segments_row_keeps_its_names() {
    let one: OutboxSegment = serde_json::from_str(SEGMENT).unwrap();
    let expected = OutboxSegment {
        segment: Segment {
            first: Seq(4),
            count: 5,
            root: B256::repeat_byte(3),
        },
        flushed: true,
        mode: Mode::Payload,
        prove: true,
        anchor: Anchoring::Own,
    };
    assert_eq!(one, expected);
    assert_eq!(serde_json::to_string(&one).unwrap(), SEGMENT);
    let oldest = SEGMENT.replace(r#","mode":"payload","prove":true"#, "");
    let oldest: OutboxSegment = serde_json::from_str(&oldest).unwrap();
    assert_eq!((oldest.mode, oldest.prove), (Mode::Root, false));
}

#[test]
fn a_sessions_row_keeps_its_names() {
    let session: Session = serde_json::from_str(SESSION).unwrap();
    assert_eq!(session.created, UnixMs(7));
    assert_eq!(serde_json::to_string(&session).unwrap(), SESSION);
}
