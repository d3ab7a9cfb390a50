//! Producer ids that several authors use: what one author is told never depends on what the others ask.

use super::{batch, meet, new_stream, relay, run};
use crate::stream_log::memory::{DiskFull, Memory};
use crate::stream_log::{Appended, LogError, Refusal, StreamLog};
use alloy_primitives::{Address, Bytes};
use proptest::prelude::*;
use streamchain_protocol::ids::ProducerId;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::Record;

const AUTHORS: u8 = 3;

#[derive(Debug, Clone, Copy)]
enum Request {
    /// An author publishes by HTTP.
    Post { author: u8, producer: u8, number: u64 },
    /// An author publishes `count` messages through the leader, from where the leader says that it is.
    Ship { author: u8, producer: u8, count: u64 },
    /// A run of the relay acquires the epoch.
    Acquire { run: u8 },
    /// The leader gives the stream back.
    Release,
}

impl Request {
    /// Whose request it is; `None` for one of the relay.
    fn author(self) -> Option<u8> {
        match self {
            Self::Post { author, .. } | Self::Ship { author, .. } => Some(author),
            Self::Acquire { .. } | Self::Release => None,
        }
    }
}

fn request() -> impl Strategy<Value = Request> {
    let (author, producer) = (0..AUTHORS, 0..2u8);
    prop_oneof![
        4 => (author.clone(), producer.clone(), 0..6u64)
            .prop_map(|(author, producer, number)| Request::Post { author, producer, number }),
        4 => (author, producer, 1..4u64)
            .prop_map(|(author, producer, count)| Request::Ship { author, producer, count }),
        1 => (1..4u8).prop_map(|run| Request::Acquire { run }),
        1 => Just(Request::Release),
    ]
}

fn address(author: u8) -> Address {
    Address::repeat_byte(author + 1)
}

fn record(author: u8, producer: u8, producer_seq: u64) -> Record {
    Record {
        time: UnixMs(1_700_000_000_000),
        author: address(author),
        producer: ProducerId([producer; 16]),
        producer_seq,
        payload: Bytes::from_static(b"payload"),
        group: None,
    }
}

/// What an author is told, but for the seqs, which others move.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// It is committed or waits: which, depends on when the leader fetches, and so on what others publish.
    Taken,
    Conflict {
        stored: Option<u64>,
    },
    /// The leader says how far the producer is, and takes so many messages.
    Shipped {
        stored: Option<u64>,
        count: u64,
    },
    NoLeader,
}

fn post(log: &StreamLog<Memory>, record: &Record) -> Answer {
    match log.step(|log| log.append(std::slice::from_ref(record))) {
        Ok(Appended::Committed(_) | Appended::Waits(_)) => Answer::Taken,
        Err(LogError::Refused(Refusal::ProducerConflict { stored, .. })) => Answer::Conflict { stored },
        Err(error) => panic!("{error}"),
    }
}

/// The leader fetches what waits, as it does before it takes more, and then ships the author's messages.
fn ship(log: &StreamLog<Memory>, author: u8, producer: u8, count: u64) -> Result<Answer, LogError<DiskFull>> {
    let state = log.state()?;
    let Some(leader) = state.relay_leader().cloned() else {
        return Ok(Answer::NoLeader);
    };
    let waiting = log.waiting(&leader, state.epoch)?;
    let waiting = streamchain_protocol::wire::decode_records(&waiting).unwrap();
    let mut head = state.head.0;
    if !waiting.is_empty() {
        head += waiting.len() as u64;
        log.step(|log| log.commit(&leader, &batch(state.epoch.0, state.head.0, waiting)))?;
    }
    let id = ProducerId([producer; 16]);
    let stored = log
        .producer(&leader, state.epoch, id, Some(address(author)))?
        .stored;
    let next = stored.map_or(0, |last| last + 1);
    let records = (next..next + count).map(|number| record(author, producer, number));
    log.step(|log| log.commit(&leader, &batch(state.epoch.0, head, records.collect())))?;
    Ok(Answer::Shipped { stored, count })
}

/// Runs the requests on a new stream; returns what `author` is told.
fn answers(requests: &[Request], author: u8) -> Vec<Answer> {
    let log = StreamLog::in_memory();
    log.create(&new_stream(), UnixMs(1)).unwrap();
    meet(&log, "a", 1..=AUTHORS);
    let mut told = Vec::new();
    for request in requests {
        let answer = match *request {
            Request::Post {
                author,
                producer,
                number,
            } => post(&log, &record(author, producer, number)),
            Request::Ship {
                author,
                producer,
                count,
            } => ship(&log, author, producer, count).unwrap(),
            Request::Acquire { run: number } => {
                log.step(|log| log.acquire_epoch(&relay("a"), run(number)))
                    .unwrap();
                continue;
            }
            Request::Release => {
                let state = log.state().unwrap();
                if let Some(leader) = state.relay_leader() {
                    log.step(|log| log.release(leader, state.epoch)).unwrap();
                }
                continue;
            }
        };
        if request.author() == Some(author) {
            told.push(answer);
        }
    }
    told
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_request_of_others_changes_what_an_author_is_told(
        requests in prop::collection::vec(request(), 1..60),
    ) {
        for author in 0..AUTHORS {
            let alone: Vec<_> = requests
                .iter()
                .copied()
                .filter(|one| one.author().is_none_or(|of| of == author))
                .collect();
            prop_assert_eq!(answers(&requests, author), answers(&alone, author));
        }
    }
}
