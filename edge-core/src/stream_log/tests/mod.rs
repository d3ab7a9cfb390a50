//! What the log does, one behaviour a test. In `properties`, `append` and `outage`: whole schedules of events and faults.

mod append;
mod authors;
mod batch_authors;
mod commit;
mod events;
mod group_properties;
mod groups;
mod leadership;
mod members;
mod mesh;
mod mesh_properties;
mod outage;
mod outbox;
mod properties;
mod reading;
mod restart;
mod rights;
mod rounds;
mod schedule;
mod sessions;
mod stored_format;
mod takeover;

use super::memory::Memory;
use super::*;
use alloy_primitives::{Address, B256, Bytes};
use streamchain_protocol::auth::Right;
use streamchain_protocol::ids::Incarnation;
use streamchain_protocol::limits::MAX_SEGMENT_MESSAGES;
use streamchain_protocol::proof::{AnchorRef, AnchorState, Segment, leaves, merkle};
use streamchain_protocol::stream_settings::{Anchoring, Mode, ReadAccess, SettingsConflict};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::{AcquireEpoch, EpochGrant, decode_records, encode_records};

pub(super) fn relay(id: &str) -> RelayId {
    id.parse().unwrap()
}

pub(super) fn run(number: u8) -> Incarnation {
    Incarnation([number; 8])
}

pub(super) fn new_stream() -> NewStream {
    NewStream {
        owner: Address::repeat_byte(7),
        name: "demo".parse().unwrap(),
        // Segments go to the Anchorer; `rounds` has the other ones.
        settings: StreamSettings::of_version_before(),
    }
}

/// `count` records of one producer, numbered from `number` on.
pub(super) fn records(producer: u8, number: u64, count: u64) -> Vec<Record> {
    let record = |producer_seq: u64| Record {
        time: UnixMs(1_700_000_000_000),
        author: Address::repeat_byte(producer),
        producer: ProducerId([producer; 16]),
        producer_seq,
        payload: Bytes::from(format!("{producer}/{producer_seq}").into_bytes()),
        group: None,
    };
    (number..number + count).map(record).collect()
}

pub(super) fn batch(epoch: u64, first: u64, records: Vec<Record>) -> Batch {
    Batch {
        epoch: Epoch(epoch),
        first: Seq(first),
        records,
    }
}

/// The stream's owner, as a reader.
pub(super) fn owner() -> Reader {
    Reader {
        account: Some(Address::repeat_byte(7)),
        operator: false,
        limit: Rights::ALL,
    }
}

fn session(number: u8, relay_id: &str, created_ms: u64) -> Session {
    Session {
        id: SessionId([number; 8]),
        author: Address::repeat_byte(1),
        relay: relay(relay_id),
        created: UnixMs(created_ms),
    }
}

/// Opens a session to publish of each of these authors at a relay; so the stream is assigned to it.
pub(super) fn meet(log: &StreamLog<Memory>, relay_id: &str, authors: impl IntoIterator<Item = u8>) {
    for author in authors {
        let session = Session {
            author: Address::repeat_byte(author),
            ..session(author, relay_id, 1_000)
        };
        let seen = log.state().unwrap().assigned;
        let opened = log.step(|log| {
            log.admit_author(session.author, &session.relay, session.created)?;
            log.open_session(&session, seen.as_ref())
        });
        assert!(opened.unwrap());
    }
}

/// A stream that relay `a` leads under epoch 1, with sessions of the authors whose records the tests commit.
fn acquired() -> StreamLog<Memory> {
    let log = StreamLog::in_memory();
    log.step(|log| log.create(&new_stream(), UnixMs(1_000))).unwrap();
    meet(&log, "a", 0..10);
    log.step(|log| log.acquire_epoch(&relay("a"), run(1))).unwrap();
    log
}

fn refusal<T: std::fmt::Debug>(step: Step<T, Memory>) -> Refusal {
    match step {
        Err(LogError::Refused(refusal)) => refusal,
        other => panic!("expected a refusal, got {other:?}"),
    }
}
