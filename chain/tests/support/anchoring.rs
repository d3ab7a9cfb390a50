//! An anchorer, its saved rows, and a chain.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, keccak256};
use alloy_sol_types::SolEvent;
use streamchain_chain::abi::IStreamChain::{DigestEmitted, MessageEmitted};
use streamchain_chain::abi::{self, Anchored};
use streamchain_chain::anchorer::{
    Anchorer, GasOwners, ReadRecords, ReadSegments, Run, Segment, SegmentError, Settings, StoredSegment, Task,
};
use streamchain_chain::ethereum::FeePolicy;
use streamchain_chain::ethereum::Signer;
use streamchain_chain::ethereum::{Answer, Log, Request, RpcError};
use streamchain_chain::{Command, Machine};
use streamchain_protocol::ids::{ProducerId, Seq, StreamId};
use streamchain_protocol::proof::leaves;
use streamchain_protocol::proof::merkle;
use streamchain_protocol::stream_settings::Mode;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::{Record, encode_records};

use super::Fault;
use super::fake_chain::{CHAIN_ID, CONTRACT, FakeChain, GWEI};

pub const BLOCK_MS: u64 = 12_000;
const KEY: &str = "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";

pub fn signer() -> Signer {
    Signer::from_hex(KEY).unwrap()
}

pub fn settings() -> Settings {
    Settings {
        chain_id: CHAIN_ID,
        contract: CONTRACT,
        interval_ms: 2_000,
        fees: FeePolicy {
            cap: 100 * GWEI,
            tip_floor: GWEI / 1_000,
        },
        bump_after_ms: 36_000,
        daily_gas: None,
        poll_ms: 4_000,
        gas_owners: GasOwners::All,
        finality_depth: None,
        resend_after_ms: 24_000,
        retry_after_ms: 10_000,
        recheck_after_ms: 60_000,
        rounds: None,
    }
}

/// A segment of one of the operator's streams.
pub fn segment(name: &str, first: u64, count: u32) -> Segment {
    segment_of(signer().address(), name, first, count)
}

pub fn segment_of(owner: Address, name: &str, first: u64, count: u32) -> Segment {
    let name_hash = keccak256(name);
    let root = keccak256(format!("{name} {first} {count}"));
    let stream = abi::stream_id(owner, name_hash);
    Segment {
        stream,
        owner,
        name: name.into(),
        name_hash,
        first: Seq(first),
        count,
        root,
        mode: Mode::Root,
        prove: false,
    }
}

/// A record of a stream; every number follows from its seq.
pub fn record(seq: u64, payload: usize) -> Record {
    Record {
        time: streamchain_protocol::time::UnixMs(1_700_000_000_000 + seq),
        author: Address::repeat_byte(seq as u8),
        producer: ProducerId([7; 16]),
        producer_seq: seq,
        payload: vec![seq as u8; payload].into(),
        group: None,
    }
}

/// A segment whose messages go on chain too, and its records.
pub fn emitted(name: &str, first: u64, count: u32, mode: Mode, payload: usize) -> (Segment, Vec<u8>) {
    let plain = segment(name, first, count);
    let records: Vec<Record> = (first..first + u64::from(count))
        .map(|seq| record(seq, payload))
        .collect();
    let records = encode_records(&records);
    let leaves = leaves(plain.stream, Seq(first), &records).unwrap();
    let root = merkle::root(&leaves).unwrap();
    (Segment { root, mode, ..plain }, records)
}

pub fn stream(name: &str) -> StreamId {
    segment(name, 0, 1).stream
}

pub struct Anchoring {
    pub chain: FakeChain,
    pub rows: BTreeMap<String, String>,
    pub anchorer: Anchorer,
    pub now: UnixMs,
    pub commands: u64,
    pub distrusted: Vec<String>,
    pub lie: Option<Lie>,
    /// The database: records by stream and first message.
    pub database: BTreeMap<(StreamId, Seq), Vec<u8>>,
    /// The database: segments by stream and first message.
    pub stored: BTreeMap<(StreamId, Seq), StoredSegment>,
    /// How often the database was asked for segments.
    pub segments_read: u64,
    /// Whether the database cannot give segments.
    pub stored_is_away: bool,
    pub settings: Settings,
}

/// Changes a node's answer: a lie, or a weakness.
pub type Lie = Box<dyn FnMut(&Request, Result<Answer, RpcError>) -> Result<Answer, RpcError>>;

impl Anchoring {
    pub fn new() -> Self {
        Self::with(settings())
    }

    pub fn with(settings: Settings) -> Self {
        Self {
            chain: FakeChain::new(signer().address()),
            rows: BTreeMap::new(),
            anchorer: Anchorer::restore(settings.clone(), signer(), []).unwrap(),
            now: UnixMs(1_700_000_000_000),
            commands: 0,
            distrusted: Vec::new(),
            lie: None,
            database: BTreeMap::new(),
            stored: BTreeMap::new(),
            segments_read: 0,
            stored_is_away: false,
            settings,
        }
    }

    /// The process dies and comes back with what it had saved.
    pub fn crash(&mut self) {
        let rows = self
            .rows
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        self.anchorer = Anchorer::restore(self.settings.clone(), signer(), rows).unwrap();
    }

    fn save(&mut self, rows: Vec<streamchain_chain::journal::Row>) {
        for row in rows {
            match row.value {
                Some(value) => self.rows.insert(row.key, value),
                None => self.rows.remove(&row.key),
            };
        }
    }

    fn ask(&mut self, request: &Request) -> Result<Answer, RpcError> {
        let outcome = self.chain.answer(request);
        match &mut self.lie {
            Some(lie) => lie(request, outcome),
            None => outcome,
        }
    }

    /// What the status says went wrong last.
    pub fn error(&self) -> String {
        self.anchorer.status(self.now).last_error.unwrap_or_default()
    }

    /// Stores segments whose messages go on chain too, and hands them over.
    pub fn hand_over_emitted(&mut self, segments: &[(Segment, Vec<u8>)]) {
        for (segment, records) in segments {
            self.database
                .insert((segment.stream, segment.first), records.clone());
            self.hand_over(std::slice::from_ref(segment));
        }
    }

    /// Stores segments, and hands them over.
    pub fn hand_over(&mut self, segments: &[Segment]) {
        self.try_hand_over(segments).unwrap();
    }

    /// Stores segments, and hands them over; they may be refused.
    pub fn try_hand_over(&mut self, segments: &[Segment]) -> Result<usize, SegmentError> {
        for segment in segments {
            let stored = StoredSegment {
                first: segment.first,
                count: segment.count,
                root: segment.root,
                mode: segment.mode,
                prove: segment.prove,
            };
            self.stored.insert((segment.stream, segment.first), stored);
        }
        let outcome = self.anchorer.handle_segments(segments);
        let rows = self.anchorer.take_unsaved();
        self.save(rows);
        outcome
    }

    /// The segments of a stream from the one with the message `from` on.
    fn read_segments(&mut self, asked: ReadSegments) -> Vec<StoredSegment> {
        self.segments_read += 1;
        let of_stream = (asked.stream, Seq(0))..=(asked.stream, Seq(u64::MAX));
        let all = self.stored.range(of_stream).map(|(_, segment)| *segment);
        let wanted = all.filter(|segment| segment.first.0 + u64::from(segment.count) > asked.from.0);
        wanted.take(asked.limit).collect()
    }

    /// All that the machine wants to do now.
    pub fn round(&mut self) {
        self.round_with(&mut |_| Fault::None);
    }

    pub fn round_with(&mut self, fault: &mut dyn FnMut(u64) -> Fault) {
        for _ in 0..2_000 {
            let Some(command) = self.anchorer.next_command(self.now) else {
                return;
            };
            self.commands += 1;
            let fault = fault(self.commands);
            if fault == Fault::CrashBefore {
                return self.crash();
            }
            match command {
                // The shell drops the machine when it cannot save, or when it is told so: the rows may be there.
                Command::Save(_) if fault == Fault::FailBefore => return self.crash(),
                Command::Save(rows) if fault.is_failure() => {
                    self.save(rows);
                    return self.crash();
                }
                Command::Save(rows) => self.save(rows),
                Command::Distrust(reason) => self.distrusted.push(reason),
                Command::Do(Task::Segments(asked)) => {
                    let outcome = match fault {
                        fault if fault.is_failure() || self.stored_is_away => {
                            Err("the database is away".to_owned())
                        }
                        _ => Ok(self.read_segments(asked)),
                    };
                    if fault != Fault::CrashAfter {
                        self.anchorer.handle_stored(outcome, self.now);
                    }
                }
                Command::Do(Task::Records(ReadRecords { stream, first, .. })) => {
                    let found = self.database.get(&(stream, first)).cloned();
                    let outcome = match fault {
                        fault if fault.is_failure() => Err("the database is away".to_owned()),
                        _ => found.ok_or_else(|| "no such segment".to_owned()),
                    };
                    if fault != Fault::CrashAfter {
                        self.anchorer.handle_records(outcome, self.now);
                    }
                }
                Command::Do(Task::Rounds(_) | Task::Round(_)) => {
                    unreachable!("rounds have their own harness")
                }
                Command::Call(request) => {
                    self.now = self.now.plus_ms(5);
                    let outcome = match fault {
                        Fault::FailBefore => Err(RpcError::Transport("connection refused".into())),
                        _ => self.ask(&request),
                    };
                    let outcome = match fault {
                        Fault::FailAfter | Fault::FailHalfway => Err(RpcError::Timeout(10_000)),
                        _ => outcome,
                    };
                    if fault != Fault::CrashAfter {
                        self.anchorer.handle_answer(outcome, self.now);
                    }
                }
            }
            if fault == Fault::CrashAfter {
                return self.crash();
            }
        }
        panic!(
            "the anchorer does not come to rest: {:?}",
            self.anchorer.status(self.now)
        );
    }

    /// Lets time pass until the machine wants to go on, and goes on.
    pub fn next_round_with(&mut self, fault: &mut dyn FnMut(u64) -> Fault) {
        let due = self.anchorer.poll_timeout(self.now).unwrap_or(self.now);
        self.now = self.now.max(due);
        self.round_with(fault);
    }

    /// Rounds for so long, without new blocks.
    pub fn pass_time(&mut self, ms: u64) {
        self.pass_time_with(ms, &mut |_| Fault::None);
    }

    /// Rounds for so long, without new blocks.
    pub fn pass_time_with(&mut self, ms: u64, fault: &mut dyn FnMut(u64) -> Fault) {
        let until = self.now.plus_ms(ms);
        while let Some(due) = self.anchorer.poll_timeout(self.now).filter(|due| *due < until) {
            self.now = self.now.max(due).plus_ms(1);
            self.round_with(fault);
        }
        self.now = self.now.max(until);
    }

    /// A block is mined and rounds go on until the next one is due.
    pub fn block(&mut self) {
        self.chain.mine();
        self.pass_time(BLOCK_MS);
    }

    pub fn blocks(&mut self, count: u64) {
        for _ in 0..count {
            self.block();
        }
    }

    /// Three rounds with a block behind each; `fault` strikes the command with the number `at`.
    pub fn struck_rounds(&mut self, fault: Fault, at: u64) {
        let mut strike = |command| if command == at { fault } else { Fault::None };
        for _ in 0..3 {
            self.round_with(&mut strike);
            self.pass_time_with(2_000, &mut strike);
            self.chain.mine();
            self.pass_time_with(BLOCK_MS, &mut strike);
        }
    }

    /// The listener notifies of all that is final.
    pub fn notify_final(&mut self) {
        let finalized = self.chain.finalized();
        for log in self
            .chain
            .logs()
            .into_iter()
            .filter(|log| log.block_number <= finalized)
        {
            if let Ok(event) = Anchored::decode_raw_log(log.topics.iter().copied(), &log.data) {
                let run = Run {
                    stream: StreamId(event.stream.0),
                    first: Seq(event.firstSeq),
                    count: event.count,
                    root: event.root,
                };
                self.anchorer.handle_final(&run, self.now);
            }
        }
        let rows = self.anchorer.take_unsaved();
        self.save(rows);
    }

    /// The listener notifies that whatever was anchored and is not final was taken back: true or not, it must do no
    /// harm.
    pub fn notify_reverted(&mut self) {
        for name in ["demo", "other", "third"] {
            let end = self.chain.next_seq(stream(name));
            let run = Run {
                stream: stream(name),
                first: Seq(end),
                count: 1,
                root: B256::ZERO,
            };
            self.anchorer.handle_reverted(&run);
        }
    }

    /// The messages and digests of a stream on the chain: seq, and what it says.
    pub fn emissions(&self, stream: StreamId) -> Vec<(u64, Vec<u8>)> {
        let logs = self.chain.logs();
        let read = |log: &Log| {
            let topics = || log.topics.iter().copied();
            let digest = DigestEmitted::decode_raw_log(topics(), &log.data);
            let message = MessageEmitted::decode_raw_log(topics(), &log.data);
            match (digest, message) {
                (Ok(it), _) => Some((it.stream, it.seq, it.digest.to_vec())),
                (_, Ok(it)) => Some((it.stream, it.seq, it.payload.to_vec())),
                _ => None,
            }
        };
        let all = logs.iter().filter_map(read);
        all.filter(|it| it.0 == stream.word())
            .map(|it| (it.1, it.2))
            .collect()
    }

    /// The anchors of a stream on the chain, as (first, count).
    pub fn anchors(&self, stream: StreamId) -> Vec<(u64, u32)> {
        let logs = self.chain.logs();
        let events = logs
            .iter()
            .filter_map(|log| Anchored::decode_raw_log(log.topics.iter().copied(), &log.data).ok());
        events
            .filter(|it| it.stream == stream.word())
            .map(|it| (it.firstSeq, it.count))
            .collect()
    }
}
