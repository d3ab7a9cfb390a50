//! A listener, its saved rows, a chain, and a world that hears of events.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256};
use alloy_sol_types::SolCall;
use streamchain_chain::abi::IStreamChain::publishCall;

use streamchain_chain::ethereum::{Answer, Request, RpcError};
use streamchain_chain::journal::Row;
use streamchain_chain::listener::{Batch, ChainEvent, EventId, Listener, Settings};
use streamchain_chain::{Command, Machine};
use streamchain_protocol::time::UnixMs;

use super::Fault;
use super::fake_chain::{CHAIN_ID, CONTRACT, FakeChain};

/// The contract was deployed in block 1.
pub fn settings() -> Settings {
    Settings {
        chain_id: CHAIN_ID,
        contract: CONTRACT,
        start_block: 1,
        interval_ms: 1_000,
        max_range: 1_000,
        finality_depth: None,
    }
}

const STRANGER: Address = Address::repeat_byte(0x55);

/// A stranger publishes so many bytes to a stream.
pub fn publish(chain: &mut FakeChain, stream: u8, bytes: usize) {
    let call = publishCall {
        stream: B256::repeat_byte(stream),
        payload: vec![1; bytes].into(),
    };
    chain.stranger(STRANGER, call.abi_encode());
}

/// A node's refusal in these words.
pub fn refused(message: &str) -> RpcError {
    RpcError::Node {
        code: -32_000,
        message: message.into(),
        revert: None,
    }
}

/// About how many characters an answer's events have.
pub fn size(answer: &Answer) -> usize {
    let of_logs = |logs: &[streamchain_chain::ethereum::Log]| logs.iter().map(|log| 2 * log.data.len()).sum();
    match answer {
        Answer::Logs(logs) => of_logs(logs),
        Answer::Receipts(Some(receipts)) => receipts.iter().map(|receipt| of_logs(&receipt.logs)).sum(),
        Answer::Receipt(Some(receipt)) => of_logs(&receipt.logs),
        _ => 0,
    }
}

/// Changes a node's answer: a lie, or a weakness.
pub type Lie = Box<dyn FnMut(&Request, Result<Answer, RpcError>) -> Result<Answer, RpcError>>;

pub struct Listening {
    pub chain: FakeChain,
    pub rows: BTreeMap<String, String>,
    pub listener: Listener,
    pub now: UnixMs,
    pub commands: u64,
    /// What the world believes to be on the chain, and whether it is final.
    pub world: BTreeMap<EventId, (ChainEvent, bool)>,
    /// All batches, in order.
    pub batches: Vec<Batch>,
    /// All questions, in order.
    pub asked: Vec<Request>,
    pub distrusted: Vec<String>,
    pub lie: Option<Lie>,
    /// The highest finalized block that the node ever showed.
    pub shown_final: u64,
}

/// A part of a batch, as when the database has taken some statements and not the others.
fn first_half(batch: Batch) -> Batch {
    let half = |events: Vec<ChainEvent>| {
        let count = events.len().div_ceil(2);
        events.into_iter().take(count).collect()
    };
    Batch {
        undone: half(batch.undone),
        seen: half(batch.seen),
        finalized: half(batch.finalized),
        ..batch
    }
}

impl Listening {
    pub fn new(chain: FakeChain) -> Self {
        Self {
            chain,
            rows: BTreeMap::new(),
            listener: Listener::restore(settings(), []).unwrap(),
            now: UnixMs(1_700_000_000_000),
            commands: 0,
            world: BTreeMap::new(),
            batches: Vec::new(),
            asked: Vec::new(),
            distrusted: Vec::new(),
            lie: None,
            shown_final: 0,
        }
    }

    /// The process dies and comes back with what it had saved.
    pub fn crash(&mut self) {
        let rows = self
            .rows
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        self.listener = Listener::restore(settings(), rows).unwrap();
    }

    fn save(&mut self, rows: Vec<Row>) {
        for row in rows {
            match row.value {
                Some(value) => self.rows.insert(row.key, value),
                None => self.rows.remove(&row.key),
            };
        }
    }

    /// What the shell does with a batch: idempotent, and never taking back what is final.
    fn apply(&mut self, batch: Batch) {
        for event in &batch.undone {
            if let Some((_, is_final)) = self.world.remove(&event.id()) {
                assert!(!is_final, "a final event was undone: {event:?}");
            }
        }
        for event in &batch.seen {
            let is_final = batch.is_final(event);
            let entry = self.world.entry(event.id()).or_insert((event.clone(), false));
            entry.1 |= is_final;
        }
        for event in &batch.finalized {
            let entry = self
                .world
                .get_mut(&event.id())
                .expect("only what was seen becomes final");
            entry.1 = true;
        }
        self.batches.push(batch);
    }

    pub fn ask(&mut self, request: &Request) -> Result<Answer, RpcError> {
        self.asked.push(request.clone());
        self.shown_final = self.shown_final.max(self.chain.finalized());
        let outcome = self.chain.answer(request);
        match &mut self.lie {
            Some(lie) => lie(request, outcome),
            None => outcome,
        }
    }

    /// All that the machine wants to do now.
    pub fn round_with(&mut self, fault: &mut dyn FnMut(u64) -> Fault) {
        for _ in 0..5_000 {
            let Some(command) = self.listener.next_command(self.now) else {
                return;
            };
            self.commands += 1;
            let fault = fault(self.commands);
            let before = fault == Fault::FailBefore;
            let after = fault.is_failure() && !before;
            if fault == Fault::CrashBefore {
                return self.crash();
            }
            match command {
                // The shell drops the machine when it cannot save, or when it is told so: the rows may be there.
                Command::Save(_) if before => return self.crash(),
                Command::Save(rows) if after => {
                    self.save(rows);
                    return self.crash();
                }
                Command::Save(rows) => self.save(rows),
                Command::Distrust(reason) => self.distrusted.push(reason),
                Command::Do(batch) => {
                    match fault {
                        Fault::FailBefore => {}
                        Fault::FailHalfway => self.apply(first_half(batch)),
                        _ => self.apply(batch),
                    }
                    if fault != Fault::CrashAfter {
                        let outcome = if before || after {
                            Err("D1 is away".into())
                        } else {
                            Ok(())
                        };
                        self.listener.handle_applied(outcome, self.now);
                    }
                }
                Command::Call(request) => {
                    self.now = self.now.plus_ms(5);
                    let outcome = if before {
                        Err(RpcError::Timeout(10_000))
                    } else {
                        self.ask(&request)
                    };
                    let outcome = if after {
                        Err(RpcError::Timeout(10_000))
                    } else {
                        outcome
                    };
                    if fault != Fault::CrashAfter {
                        self.listener.handle_answer(outcome, self.now);
                    }
                }
            }
            if fault == Fault::CrashAfter {
                return self.crash();
            }
        }
        panic!("the listener does not come to rest: {:?}", self.listener.status());
    }

    /// Lets time pass until the machine wants to go on, and goes on.
    pub fn next_round(&mut self) {
        self.next_round_with(&mut |_| Fault::None);
    }

    /// Lets time pass until the machine wants to go on, and goes on.
    pub fn next_round_with(&mut self, fault: &mut dyn FnMut(u64) -> Fault) {
        self.now = self
            .listener
            .poll_timeout(self.now)
            .map_or(self.now, |due| due.max(self.now));
        self.round_with(fault);
    }

    pub fn rounds(&mut self, count: usize) {
        for _ in 0..count {
            self.next_round();
        }
    }

    /// Rounds for so long.
    pub fn pass_time(&mut self, ms: u64) {
        let until = self.now.plus_ms(ms);
        while self
            .listener
            .poll_timeout(self.now)
            .is_some_and(|due| due < until)
        {
            self.next_round();
        }
        self.now = self.now.max(until);
    }

    /// What the world should believe: what a clean replay of the chain gives.
    pub fn replay(&self) -> BTreeMap<EventId, (ChainEvent, bool)> {
        let finalized = self.chain.finalized();
        let events = self
            .chain
            .logs()
            .into_iter()
            .filter_map(|log| ChainEvent::decode(&log));
        events
            .map(|event| (event.id(), (event.clone(), event.block <= finalized)))
            .collect()
    }

    /// Fails unless the world believes exactly what the chain says.
    pub fn agrees(&self) {
        assert_eq!(self.world, self.replay(), "the world and the chain differ");
    }

    /// How many events the world holds.
    pub fn known(&self) -> usize {
        self.world.len()
    }
}
