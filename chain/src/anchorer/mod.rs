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
use crate::ethereum::{Answer, Request, RpcError, Signer};
use crate::journal::{self, Journal, RestoreError, Row};
use flight::{Flight, FlightWatch};
use pending::Pending;
use plan::Limits;
use spending::{Spending, end_of_day};
use status::MAX_BLOCKED_SHOWN;
use step::{Context, Effect, Event, Question, Step, Wait};
use streamchain_protocol::util::Backoff;

const FLIGHT_KEY: &str = "flight";
const SPENDING_KEY: &str = "spending";

/// What the owner of the machine must do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Write these rows, all or none, before asking for the next command. If that fails, drop the machine and
    /// restore it from what is saved.
    Save(Vec<Row>),
    /// Ask a node, and give the outcome to [`Anchorer::handle_answer`].
    Call(Request),
    /// Read a segment's records from the database, and give the outcome to [`Anchorer::handle_records`].
    Read {
        /// The segment's stream.
        stream: StreamId,
        /// The segment's first message.
        first: Seq,
        /// The number of its messages.
        count: u32,
    },
    /// The node gave an answer that cannot be true: ask another one from now on, if there is one.
    Distrust(String),
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
    next_round_ms: u64,
    backoff: Backoff,
    limits: Limits,
    spending: Spending,
    /// The last stream that had its turn.
    turn: Option<StreamId>,
    distrust: Option<String>,
    balance: Option<U256>,
    last_error: Option<(String, u64)>,
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
            next_round_ms: 0,
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
    pub fn handle_anchored(&mut self, run: &Run, now_ms: u64) {
        if let Some((_, next)) = self.latest.as_mut().filter(|(stream, _)| *stream == run.stream) {
            *next = run.end().max(*next);
        }
        self.pending.see(run, now_ms);
    }

    /// A reorganisation took this run back: the contract is read again before anything is sent for its stream.
    pub fn handle_reverted(&mut self, run: &Run) {
        self.pending.forget_coverage(run.stream);
    }

    /// The chain has this run in a finalized block: its segments, and all before them, are dropped.
    pub fn handle_final(&mut self, run: &Run, now_ms: u64) {
        self.pending.see(run, now_ms);
        self.pending.settle(run.stream, run.end(), &mut self.journal);
        if self.pending.held() == 0 && self.flight.is_none() {
            self.apply(Effect::ClearError, now_ms); // whatever went wrong before is over
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

    /// The owner lost track of a call (it was interrupted): the round begins again.
    pub fn handle_interruption(&mut self) {
        self.step = Step::Idle;
        self.asked = false;
    }

    /// When to call [`Self::next_command`] again, in Unix ms; `None` means only after the next segment or event.
    pub fn poll_timeout(&self, now_ms: u64) -> Option<u64> {
        if self.flight.is_some() || self.step != Step::Idle || !self.journal.is_empty() {
            return Some(self.next_round_ms);
        }
        let oldest_ms = self.pending.oldest_reading_ms();
        let recheck = oldest_ms.map(|read_ms| read_ms + self.settings.recheck_after_ms);
        let due = [self.pending.next_due_ms(now_ms), recheck];
        let due = due.into_iter().flatten().min();
        due.map(|due| due.max(self.next_round_ms))
    }

    /// Returns what to do now; `None` means nothing before [`Self::poll_timeout`], or before the outcome of the last
    /// call.
    pub fn next_command(&mut self, now_ms: u64) -> Option<Command> {
        if !self.journal.is_empty() {
            return Some(Command::Save(self.journal.take()));
        }
        if let Some(reason) = self.distrust.take() {
            return Some(Command::Distrust(reason));
        }
        if self.asked {
            return None;
        }
        if self.step == Step::Idle && now_ms >= self.next_round_ms {
            self.transition(Event::Begin, now_ms);
        }
        let question = self.step.question(&self.context(now_ms))?;
        self.asked = true;
        Some(match question {
            Question::Call(request) => Command::Call(request),
            Question::Records(stream, first, count) => Command::Read { stream, first, count },
        })
    }

    /// Takes in the outcome of the last [`Command::Call`].
    pub fn handle_answer(&mut self, outcome: Result<Answer, RpcError>, now_ms: u64) {
        self.handle(Event::Answer(outcome), now_ms);
    }

    /// Takes in the outcome of the last [`Command::Read`]: the segment's records, or why they cannot be had.
    pub fn handle_records(&mut self, outcome: Result<Vec<u8>, String>, now_ms: u64) {
        self.handle(Event::Records(outcome), now_ms);
    }

    fn handle(&mut self, event: Event, now_ms: u64) {
        // Otherwise it answers a question that was given up.
        if std::mem::take(&mut self.asked) {
            self.transition(event, now_ms);
        }
    }

    fn context(&self, now_ms: u64) -> Context<'_> {
        Context {
            settings: &self.settings,
            signer: &self.signer,
            pending: &self.pending,
            flight: self.flight.as_ref(),
            watch: self.watch,
            spending: self.spending,
            limits: self.limits,
            turn: self.turn,
            now_ms,
        }
    }

    fn transition(&mut self, event: Event, now_ms: u64) {
        let step = std::mem::replace(&mut self.step, Step::Idle);
        let (step, effects) = step.transition(event, &self.context(now_ms));
        self.step = step;
        for effect in effects {
            self.apply(effect, now_ms);
        }
    }

    fn apply(&mut self, effect: Effect, now_ms: u64) {
        match effect {
            Effect::Cover(stream, next) => self.pending.cover(stream, next, now_ms),
            Effect::Block(stream, obstacle) => self.pending.block(stream, obstacle, now_ms),
            Effect::ForgetCoverage(stream) => self.pending.forget_coverage(stream),
            Effect::MarkRead(stream) => self.pending.mark_read(stream, now_ms),
            Effect::Settle(stream, end) => self.pending.settle(stream, end, &mut self.journal),
            Effect::SetTurn(turn) => self.turn = turn,
            Effect::SetLimits(limits) => self.limits = limits,
            Effect::SetBalance(balance) => self.balance = Some(balance),
            Effect::Launch(flight) => self.launch(*flight, now_ms),
            Effect::Replace(flight) => {
                self.journal.put(FLIGHT_KEY.to_owned(), &flight);
                self.flight = Some(*flight);
                self.watch.accepted_ms = None;
            }
            Effect::Accept => self.accept(now_ms),
            Effect::SetWatch(watch) => self.watch = watch,
            Effect::GiveBackGas(gas, reserved_ms) => {
                self.spending.give_back(gas, reserved_ms);
                self.save_spending();
            }
            Effect::Land => self.land(Some(now_ms)),
            Effect::GiveUp => self.land(None),
            Effect::ClearError => {
                self.backoff.succeed();
                self.last_error = None;
            }
            Effect::Note(error) => self.last_error = Some((error, now_ms)),
            Effect::Distrust(reason) => self.distrust = Some(reason.to_owned()),
            Effect::Wait(wait) => self.next_round_ms = self.end_of(wait, now_ms),
        }
    }

    fn end_of(&mut self, wait: Wait, now_ms: u64) -> u64 {
        let interval_ms = self.settings.interval_ms;
        match wait {
            Wait::Interval => now_ms + interval_ms,
            Wait::Others => now_ms + self.settings.retry_after_ms.max(interval_ms),
            Wait::Failure => now_ms + self.backoff.fail().max(interval_ms),
            Wait::Until(time_ms) => time_ms,
        }
    }

    /// Saves a transaction that was signed, and counts the gas that it may use.
    fn launch(&mut self, flight: Flight, now_ms: u64) {
        self.journal.put(FLIGHT_KEY.to_owned(), &flight);
        self.spending.reserve(flight.gas_limit, now_ms);
        self.save_spending();
        self.flight = Some(flight);
        self.watch = FlightWatch::default();
    }

    fn accept(&mut self, now_ms: u64) {
        self.watch.accepted_ms = Some(now_ms);
        self.watch.refusals = 0;
        self.backoff.succeed();
        if now_ms >= self.watch.capped_until_ms {
            self.last_error = None; // otherwise it still waits for lower fees
        }
    }

    /// Forgets the transaction under way. `covered_ms`: since when the chain has its runs, if it has them.
    fn land(&mut self, covered_ms: Option<u64>) {
        let Some(flight) = self.flight.take() else { return };
        self.journal.remove(FLIGHT_KEY.to_owned());
        self.watch = FlightWatch::default();
        if covered_ms.is_some() {
            self.latest = flight.runs.last().map(|run| (run.stream, run.end()));
        }
        for run in &flight.runs {
            match covered_ms {
                Some(now_ms) => self.pending.cover(run.stream, run.end(), now_ms),
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
    pub fn status(&self, now_ms: u64) -> Status {
        let in_flight = self.flight.as_ref().and_then(|flight| {
            Some(InFlight {
                nonce: flight.nonce,
                tx: flight.newest()?.hash,
                attempts: flight.attempts.len(),
                anchors: flight.runs.len(),
                since_ms: flight.since_ms,
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
                used: self.spending.gas(now_ms),
                resets_ms: end_of_day(now_ms),
                waiting: self.next_round_ms == end_of_day(now_ms),
            }),
            blocked_streams: blocked.collect(),
            last_error: self.last_error.as_ref().map(|(text, _)| text.clone()),
            last_error_ms: self.last_error.as_ref().map(|(_, at)| *at),
        }
    }
}
