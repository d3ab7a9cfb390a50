//! The anchorer: brings segments onto the chain, as one account, one transaction at a time.
//!
//! What always holds:
//! - the signed bytes are saved before they are sent, and a transaction that may be in some pool is sent again with
//!   the same bytes after a crash;
//! - what to anchor is decided by the contract's own `nextSeq`, read before each transaction whenever it is in
//!   doubt, so an anchored run is never sent on purpose a second time, and what a reorganisation took back is sent
//!   again;
//! - a segment is dropped only when the chain has it in a finalized block;
//! - the gas of a UTC day never exceeds the operator's budget: it is counted, with what a transaction may use at most,
//!   in the write that saves the transaction;
//! - messages and digests of a stream that wants them on chain are emitted in the transaction that anchors them,
//!   so the contract's own continuity keeps them from being emitted twice on one chain.
//!
//! One round: read the contract for the streams that wait → read what is to be emitted → nonce → fees → gas → balance
//! → sign → save → send. Later rounds ask for the receipt, send the same bytes again, or raise the fee, until the
//! transaction is in a block or its nonce is taken. `step` has the steps and `round` their transitions.

use streamchain_protocol::time::UnixMs;

mod broadcast;
mod emission;
mod flight;
mod gas_owners;
mod obstacle;
mod pending;
mod plan;
mod prepare;
mod round;
mod segment;
mod settings;
mod spending;
mod status;
mod step;
mod stream;
#[cfg(test)]
mod tests;

use alloy_primitives::U256;
use streamchain_protocol::ids::{Seq, StreamId};

pub use gas_owners::{BadGasOwners, GasOwners};
pub use plan::{MAX_EMITTED_BYTES, MAX_RUNS};
pub use segment::{Run, Segment, SegmentError};
pub use settings::Settings;
pub use status::{BlockedStream, GasBudget, InFlight, Status};

use crate::backoff::node_backoff;
use crate::ethereum::{Answer, RpcError, Signer};
use crate::journal::{self, Journal, RestoreError, Row};
use crate::machine::{Command, Machine};
use flight::{Flight, FlightWatch};
use pending::Pending;
use plan::Limits;
use spending::{Spending, end_of_day};
use status::MAX_BLOCKED_SHOWN;
use step::{Context, Effect, Event, Question, Step, Wait};
use streamchain_protocol::util::Backoff;

const FLIGHT_KEY: &str = "flight";
const SPENDING_KEY: &str = "spending";

/// What the machine asks for beside rows and answers of nodes: to read a segment's records from the database, and to give
/// the outcome to [`Anchorer::handle_records`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRecords {
    /// The segment's stream.
    pub stream: StreamId,
    /// The segment's first message.
    pub first: Seq,
    /// The number of its messages.
    pub count: u32,
}

/// The machine that anchors segments; the module's text says what always holds.
#[derive(Debug)]
pub struct Anchorer {
    settings: Settings,
    signer: Signer,
    journal: Journal,
    pending: Pending,
    flight: Option<Flight>,
    watch: FlightWatch,
    step: Step,
    /// Whether the step's question was asked, and has no answer yet.
    asked: bool,
    /// No round begins before this time, in Unix ms.
    next_round: UnixMs,
    backoff: Backoff,
    limits: Limits,
    spending: Spending,
    /// The last stream that had its turn.
    turn: Option<StreamId>,
    distrust: Option<String>,
    balance: Option<U256>,
    last_error: Option<(String, UnixMs)>,
    /// The stream that was anchored last, and its next seq.
    latest: Option<(StreamId, Seq)>,
}

impl Anchorer {
    /// Makes a machine with the state that was saved; without rows, a new one.
    pub fn restore<'a>(
        settings: Settings,
        signer: Signer,
        rows: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, RestoreError> {
        let mut pending = Pending::new(settings.retry_after_ms);
        let mut flight: Option<Flight> = None;
        let mut spending = Spending::default();
        let mut rows: Vec<_> = rows.into_iter().collect();
        rows.sort_unstable(); // a stream's row comes before those of its segments
        for (key, value) in rows {
            if key == FLIGHT_KEY {
                flight = Some(journal::read(key, value)?);
            } else if key == SPENDING_KEY {
                spending = journal::read(key, value)?;
            } else if key.starts_with(pending::PREFIX) {
                pending.restore(key, value)?;
            }
        }
        Ok(Self {
            settings,
            signer,
            journal: Journal::default(),
            pending,
            flight,
            watch: FlightWatch::default(),
            step: Step::Idle,
            asked: false,
            next_round: UnixMs(0),
            backoff: node_backoff(),
            limits: Limits::default(),
            spending,
            turn: None,
            distrust: None,
            balance: None,
            last_error: None,
            latest: None,
        })
    }

    /// Takes in segments, all or none, and returns how many were new. They are safe only once the next
    /// [`Command::Save`], or what [`Self::take_unsaved`] returns, is written.
    pub fn handle_segments(&mut self, segments: &[Segment]) -> Result<usize, SegmentError> {
        self.pending.insert(segments, &mut self.journal)
    }

    /// The chain has this run, in a block that may still be taken back.
    pub fn handle_anchored(&mut self, run: &Run, now: UnixMs) {
        if let Some((_, next)) = self.latest.as_mut().filter(|(stream, _)| *stream == run.stream) {
            *next = run.end().max(*next);
        }
        self.pending.see(run, now);
    }

    /// A reorganisation took this run back: the contract is read again before anything is sent for its stream.
    pub fn handle_reverted(&mut self, run: &Run) {
        self.pending.forget_coverage(run.stream);
    }

    /// The chain has this run in a finalized block: its segments, and all before them, are dropped.
    pub fn handle_final(&mut self, run: &Run, now: UnixMs) {
        self.pending.see(run, now);
        self.pending.settle(run.stream, run.end(), &mut self.journal);
        if self.pending.held() == 0 && self.flight.is_none() {
            self.apply(Effect::ClearError, now); // whatever went wrong before is over
        }
    }

    /// Returns the rows that have to be written now, outside of a round.
    pub fn take_unsaved(&mut self) -> Vec<Row> {
        self.journal.take()
    }

    /// A stream that this account anchored lately, and its next seq, as far as known.
    pub fn latest(&self) -> Option<(StreamId, Seq)> {
        self.latest
    }

    /// Takes in the outcome of the last [`ReadRecords`]: the segment's records, or why they cannot be had.
    pub fn handle_records(&mut self, outcome: Result<Vec<u8>, String>, now: UnixMs) {
        self.handle(Event::Records(outcome), now);
    }

    fn handle(&mut self, event: Event, now: UnixMs) {
        // Otherwise it answers a question that was given up.
        if std::mem::take(&mut self.asked) {
            self.transition(event, now);
        }
    }

    fn context(&self, now: UnixMs) -> Context<'_> {
        Context {
            settings: &self.settings,
            signer: &self.signer,
            pending: &self.pending,
            flight: self.flight.as_ref(),
            watch: self.watch,
            spending: self.spending,
            limits: self.limits,
            turn: self.turn,
            now,
        }
    }

    fn transition(&mut self, event: Event, now: UnixMs) {
        let step = std::mem::replace(&mut self.step, Step::Idle);
        let (step, effects) = step.transition(event, &self.context(now));
        self.step = step;
        for effect in effects {
            self.apply(effect, now);
        }
    }

    fn apply(&mut self, effect: Effect, now: UnixMs) {
        match effect {
            Effect::Cover(stream, next) => self.pending.cover(stream, next, now),
            Effect::Block(stream, obstacle) => self.pending.block(stream, obstacle, now),
            Effect::ForgetCoverage(stream) => self.pending.forget_coverage(stream),
            Effect::MarkRead(stream) => self.pending.mark_read(stream, now),
            Effect::Settle(stream, end) => self.pending.settle(stream, end, &mut self.journal),
            Effect::SetTurn(turn) => self.turn = turn,
            Effect::SetLimits(limits) => self.limits = limits,
            Effect::SetBalance(balance) => self.balance = Some(balance),
            Effect::Launch(flight) => self.launch(*flight, now),
            Effect::Replace(flight) => {
                self.journal.put(FLIGHT_KEY.to_owned(), &flight);
                self.flight = Some(*flight);
                self.watch.accepted_at = None;
            }
            Effect::Accept => self.accept(now),
            Effect::SetWatch(watch) => self.watch = watch,
            Effect::GiveBackGas(gas, reserved_at) => {
                self.spending.give_back(gas, reserved_at);
                self.save_spending();
            }
            Effect::Land => self.land(Some(now)),
            Effect::GiveUp => self.land(None),
            Effect::ClearError => {
                self.backoff.succeed();
                self.last_error = None;
            }
            Effect::Note(error) => self.last_error = Some((error, now)),
            Effect::Distrust(reason) => self.distrust = Some(reason.to_owned()),
            Effect::Wait(wait) => self.next_round = self.end_of(wait, now),
        }
    }

    fn end_of(&mut self, wait: Wait, now: UnixMs) -> UnixMs {
        let interval_ms = self.settings.interval_ms;
        match wait {
            Wait::Interval => now.plus_ms(interval_ms),
            Wait::Others => now.plus_ms(self.settings.retry_after_ms.max(interval_ms)),
            Wait::Failure => now.plus_ms(self.backoff.fail().max(interval_ms)),
            Wait::Until(time) => time,
        }
    }

    /// Saves a transaction that was signed, and counts the gas that it may use.
    fn launch(&mut self, flight: Flight, now: UnixMs) {
        self.journal.put(FLIGHT_KEY.to_owned(), &flight);
        self.spending.reserve(flight.gas_limit, now);
        self.save_spending();
        self.flight = Some(flight);
        self.watch = FlightWatch::default();
    }

    fn accept(&mut self, now: UnixMs) {
        self.watch.accepted_at = Some(now);
        self.watch.refusals = 0;
        self.backoff.succeed();
        if now >= self.watch.capped_until {
            self.last_error = None; // otherwise it still waits for lower fees
        }
    }

    /// Forgets the transaction under way. `covered_at`: since when the chain has its runs, if it has them.
    fn land(&mut self, covered_at: Option<UnixMs>) {
        let Some(flight) = self.flight.take() else { return };
        self.journal.remove(FLIGHT_KEY.to_owned());
        self.watch = FlightWatch::default();
        if covered_at.is_some() {
            self.latest = flight.runs.last().map(|run| (run.stream, run.end()));
        }
        for run in &flight.runs {
            match covered_at {
                Some(now) => self.pending.cover(run.stream, run.end(), now),
                None => self.pending.forget_coverage(run.stream),
            }
        }
    }

    fn save_spending(&mut self) {
        if self.settings.daily_gas.is_some() {
            self.journal.put(SPENDING_KEY.to_owned(), &self.spending);
        }
    }

    /// The state of the machine, for people.
    pub fn status(&self, now: UnixMs) -> Status {
        let in_flight = self.flight.as_ref().and_then(|flight| {
            Some(InFlight {
                nonce: flight.nonce,
                tx: flight.newest()?.hash,
                attempts: flight.attempts.len(),
                anchors: flight.runs.len(),
                since: flight.since,
            })
        });
        let blocked = self.pending.blocked().take(MAX_BLOCKED_SHOWN);
        let blocked = blocked.map(|(stream, obstacle)| BlockedStream {
            stream,
            reason: obstacle.to_string(),
        });
        Status {
            address: self.signer.address(),
            balance_wei: self.balance.map(|balance| balance.to_string()),
            pending_segments: self.pending.pending(),
            held_segments: self.pending.held(),
            in_flight,
            gas_budget: self.settings.daily_gas.map(|daily| GasBudget {
                daily,
                used: self.spending.gas(now),
                resets_at: end_of_day(now),
                waiting: self.next_round == end_of_day(now),
            }),
            blocked_streams: blocked.collect(),
            last_error: self.last_error.as_ref().map(|(text, _)| text.clone()),
            last_error_at: self.last_error.as_ref().map(|(_, at)| *at),
        }
    }
}

impl Machine for Anchorer {
    type Task = ReadRecords;

    fn handle_interruption(&mut self) {
        self.step = Step::Idle;
        self.asked = false;
    }

    fn poll_timeout(&self, now: UnixMs) -> Option<UnixMs> {
        if self.flight.is_some() || self.step != Step::Idle || !self.journal.is_empty() {
            return Some(self.next_round);
        }
        let oldest = self.pending.oldest_reading();
        let recheck = oldest.map(|read_at| read_at.plus_ms(self.settings.recheck_after_ms));
        let due = [self.pending.next_due(now), recheck];
        let due = due.into_iter().flatten().min();
        due.map(|due| due.max(self.next_round))
    }

    fn next_command(&mut self, now: UnixMs) -> Option<Command<ReadRecords>> {
        if !self.journal.is_empty() {
            return Some(Command::Save(self.journal.take()));
        }
        if let Some(reason) = self.distrust.take() {
            return Some(Command::Distrust(reason));
        }
        if self.asked {
            return None;
        }
        if self.step == Step::Idle && now >= self.next_round {
            self.transition(Event::Begin, now);
        }
        let question = self.step.question(&self.context(now))?;
        self.asked = true;
        Some(match question {
            Question::Call(request) => Command::Call(request),
            Question::Records(stream, first, count) => Command::Do(ReadRecords { stream, first, count }),
        })
    }

    fn handle_answer(&mut self, outcome: Result<Answer, RpcError>, now: UnixMs) {
        self.handle(Event::Answer(outcome), now);
    }
}
