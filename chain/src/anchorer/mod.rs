//! The anchorer: brings segments onto the chain, as one account, one transaction at a time.
//!
//! What always holds:
//! - the signed bytes are saved before they are sent, and a transaction that may be in some pool is sent again with
//!   the same bytes after a crash;
//! - what to anchor is decided by the contract's own `nextSeq`, read before each transaction whenever it is in
//!   doubt, so an anchored run is never sent on purpose a second time, and what a reorganisation took back is sent
//!   again;
//! - the database has every segment that is handed over: the book keeps one line for each stream until all of it is
//!   final, and the segments themselves only while they wait and there is room; what is not kept is read again;
//! - what strangers cause takes from shares of their own: of the book, of a transaction, of the day's gas;
//! - the gas of a UTC day never exceeds the operator's budget: it is counted, with what a transaction may use at most,
//!   in the write that saves the transaction;
//! - messages and digests of a stream that wants them on chain are emitted in the transaction that anchors them,
//!   so the contract's own continuity keeps them from being emitted twice on one chain;
//! - rounds have transactions of their own, which no stranger's stream can make fail, and a part of the day's gas.
//!
//! One pass: read the contract for the streams that wait → read what is to be emitted → nonce → fees → gas → balance
//! → sign → save → send. Later passes ask for the receipt, send the same bytes again, or raise the fee, until the
//! transaction is in a block or its nonce is taken. `step` has the steps and `pass` their transitions.

use streamchain_protocol::time::UnixMs;

mod broadcast;
mod choice;
mod emission;
mod flight;
mod gas;
mod gas_owners;
mod obstacle;
mod pass;
mod pending;
mod plan;
mod prepare;
mod rounds;
mod segment;
mod settings;
mod shares;
mod spending;
mod status;
mod step;
mod stream;
mod task;
#[cfg(test)]
mod tests;

use alloy_primitives::U256;
use streamchain_protocol::ids::{Seq, StreamId};

pub use gas_owners::{BadGasOwners, GasOwners};
pub use plan::{MAX_EMITTED_BYTES, MAX_RUNS};
pub use segment::{Run, Segment, SegmentError};
pub use settings::Settings;
pub use status::{BlockedStream, GasBudget, InFlight, Status};
pub use stream::StoredSegment;
pub use task::{ReadRecords, ReadRounds, ReadSegments, Task};

use crate::backoff::node_backoff;
use crate::ethereum::{Answer, RpcError, Signer};
use crate::journal::{self, Journal, RestoreError, Row};
use crate::machine::{Command, Machine};
use crate::rounds::RoundMaker;
use choice::Turn;
use flight::{Flight, FlightWatch};
use pending::Pending;
use plan::Limits;
use spending::{Spending, end_of_day};
use step::{Context, Effect, Event, Question, Step, Wait};
use stream::MAX_SEGMENTS_PER_ANCHOR;
use streamchain_protocol::util::Backoff;

const FLIGHT_KEY: &str = "flight";
/// The key of the time before which no transaction is made, with the version of its form.
const PACE_KEY: &str = "pace/1";
/// Longer intervals are saved: an object that is asked nothing leaves memory after some ten seconds.
const MAX_UNSAVED_INTERVAL_MS: u64 = 10_000;

/// What was asked, and has no answer yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// Everything that was asked was answered.
    Nothing,
    /// The question of the step.
    Step,
    /// The task of the maker of rounds.
    Round,
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
    asked: Asked,
    /// The maker of rounds, where rounds are made.
    rounds: Option<RoundMaker>,
    /// No pass begins before this time, in Unix ms.
    next_pass: UnixMs,
    backoff: Backoff,
    limits: Limits,
    spending: Spending,
    /// The streams that had their turn last.
    turn: Turn,
    /// No transaction but one with rounds is made before this time.
    next_anchor: UnixMs,
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
        let mut pending = Pending::new(signer.address(), &settings);
        let maker = |rounds| RoundMaker::new(rounds, settings.interval_ms);
        let mut rounds = settings.rounds.map(maker);
        let mut flight: Option<Flight> = None;
        let mut gas_parts = Vec::new();
        let mut next_anchor = UnixMs(0);
        let mut spending = Spending::default();
        let mut rows: Vec<_> = rows.into_iter().collect();
        rows.sort_unstable(); // a stream's row comes before those of its segments
        for (key, value) in rows {
            if key == FLIGHT_KEY {
                flight = Some(journal::read(key, value)?);
            } else if key == PACE_KEY {
                next_anchor = journal::read(key, value)?;
            } else if key == spending::PARTS_KEY {
                gas_parts = journal::read(key, value)?;
            } else if key == spending::KEY || key.starts_with(spending::SHARES_PREFIX) {
                spending.restore(key, value)?;
            } else if key.starts_with(pending::PREFIX) {
                pending.restore(key, value)?;
            } else if let Some(maker) = rounds.as_mut().filter(|_| RoundMaker::has_row(key)) {
                maker.restore(key, value)?;
            }
        }
        if let Some(flight) = &mut flight {
            flight.gas_parts = gas_parts;
        }
        Ok(Self {
            settings,
            signer,
            journal: Journal::default(),
            pending,
            flight,
            watch: FlightWatch::default(),
            step: Step::Idle,
            asked: Asked::Nothing,
            rounds,
            next_pass: UnixMs(0),
            backoff: node_backoff(),
            limits: Limits::default(),
            spending,
            turn: Turn::default(),
            next_anchor,
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
        self.pending.see(run, now, &mut self.journal);
    }

    /// A reorganisation took this run back: the contract is read again before anything is sent for its stream.
    pub fn handle_reverted(&mut self, run: &Run) {
        self.pending.forget_coverage(run.stream);
    }

    /// The chain has this run in a finalized block: its segments, and all before them, are dropped.
    pub fn handle_final(&mut self, run: &Run, now: UnixMs) {
        self.pending.see(run, now, &mut self.journal);
        self.pending.settle(run.stream, run.end(), &mut self.journal);
        if self.pending.streams.is_empty() && self.flight.is_none() {
            self.apply(Effect::ClearError, now); // whatever went wrong before is over
        }
    }

    /// Returns the rows that have to be written now, outside of a pass.
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

    /// Takes in the outcome of the last [`ReadSegments`]: the segments in their order, or why they cannot be had.
    pub fn handle_stored(&mut self, outcome: Result<Vec<StoredSegment>, String>, now: UnixMs) {
        self.handle(Event::Segments(outcome), now);
    }

    fn handle(&mut self, event: Event, now: UnixMs) {
        // Otherwise it answers a question that was given up.
        if self.asked == Asked::Step {
            self.asked = Asked::Nothing;
            self.transition(event, now);
        }
    }

    fn context(&self, now: UnixMs) -> Context<'_> {
        Context {
            settings: &self.settings,
            signer: &self.signer,
            pending: &self.pending,
            rounds: self.rounds.as_ref(),
            flight: self.flight.as_ref(),
            watch: self.watch,
            spending: &self.spending,
            limits: self.limits,
            turn: self.turn,
            next_anchor: self.next_anchor,
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
            Effect::Cover(stream, next) => self.pending.cover(stream, next, now, &mut self.journal),
            Effect::Block(stream, obstacle) => self.pending.block(stream, obstacle, now, &mut self.journal),
            Effect::EndAt(stream, next) => self.pending.end_at(stream, next),
            Effect::ForgetCoverage(stream) => self.pending.forget_coverage(stream),
            Effect::MarkRead(stream) => self.pending.mark_read(stream, now),
            Effect::Settle(stream, end) => self.pending.settle(stream, end, &mut self.journal),
            Effect::SetTurn(stream) => self.set_turn(stream),
            Effect::SetRoundsTurn(is_theirs) => self.turn.rounds = is_theirs,
            Effect::SetContract(contract) => {
                if let Some(maker) = &mut self.rounds {
                    maker.set_contract(contract, &mut self.journal);
                }
            }
            Effect::HoldStreams(until) => self.next_anchor = until,
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
            Effect::GiveBackGas(unused, reserved_at) => self.give_back(unused, reserved_at),
            Effect::Suspect(runs) => {
                let apart_until = end_of_day(now);
                self.pending.suspect(&runs, now, apart_until, &mut self.journal);
            }
            Effect::Land => self.land(Some(now)),
            Effect::GiveUp => self.land(None),
            Effect::ClearError => {
                self.backoff.succeed();
                self.last_error = None;
            }
            Effect::Note(error) => self.last_error = Some((error, now)),
            Effect::Distrust(reason) => self.distrust = Some(reason.to_owned()),
            Effect::Wait(wait) => self.next_pass = self.end_of(wait, now),
        }
    }

    fn end_of(&mut self, wait: Wait, now: UnixMs) -> UnixMs {
        let interval_ms = self.settings.interval_ms.min(self.settings.poll_ms);
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
        if self.settings.daily_gas.is_some() {
            let (gas, parts) = (flight.gas_limit, flight.gas_parts.as_slice());
            self.spending.reserve(gas, parts, now, &mut self.journal);
            if !parts.is_empty() {
                self.journal.put(spending::PARTS_KEY.to_owned(), &parts);
            }
        }
        if !self.has_rounds(&flight.runs) {
            self.pace(&flight, now);
        }
        self.flight = Some(flight);
        self.watch = FlightWatch::default();
    }

    /// Chooses when the next transaction without rounds is made, and whose turn it is then.
    fn pace(&mut self, flight: &Flight, now: UnixMs) {
        self.next_anchor = match flight.leaves_more {
            true => now,
            false => now.plus_ms(self.settings.interval_ms),
        };
        if self.settings.interval_ms > MAX_UNSAVED_INTERVAL_MS {
            self.journal.put(PACE_KEY.to_owned(), &self.next_anchor);
        }
        self.turn.class = self.pending.class_of(&flight.runs);
    }

    /// Whether these are rounds: they never share a transaction with other runs.
    fn has_rounds(&self, runs: &[Run]) -> bool {
        runs.iter().any(|run| self.pending.is_rounds(run.stream))
    }

    /// Gives back what the transaction under way did not use.
    fn give_back(&mut self, unused: u64, reserved_at: UnixMs) {
        if self.settings.daily_gas.is_none() {
            return;
        }
        let flight = self.flight.as_ref();
        let (gas, parts) = flight.map_or((0, &[][..]), |flight| (flight.gas_limit, &flight.gas_parts));
        self.spending
            .give_back(unused, gas, parts, reserved_at, &mut self.journal);
    }

    fn set_turn(&mut self, stream: Option<StreamId>) {
        let Some(stream) = stream else {
            (self.turn.own, self.turn.foreign) = (None, None);
            return;
        };
        let owner = self.pending.get(&stream).map(stream::StreamEntry::owner);
        match owner.is_some_and(|owner| !self.pending.shares.is_own(owner)) {
            true => self.turn.foreign = Some(stream),
            false => self.turn.own = Some(stream),
        }
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
        if !flight.gas_parts.is_empty() {
            self.journal.remove(spending::PARTS_KEY.to_owned());
        }
        self.watch = FlightWatch::default();
        if covered_at.is_some() {
            let latest = flight
                .runs
                .last()
                .filter(|run| !self.pending.is_rounds(run.stream));
            self.latest = latest.map(|run| (run.stream, run.end())).or(self.latest);
            self.pending.trust(&flight.runs);
        }
        for run in &flight.runs {
            match covered_at {
                Some(now) => self.pending.cover(run.stream, run.end(), now, &mut self.journal),
                None => self.pending.forget_coverage(run.stream),
            }
        }
    }
}

impl Machine for Anchorer {
    type Task = Task;

    fn handle_interruption(&mut self) {
        self.step = Step::Idle;
        self.asked = Asked::Nothing;
        if let Some(maker) = &mut self.rounds {
            maker.interrupt();
        }
    }

    fn poll_timeout(&self, now: UnixMs) -> Option<UnixMs> {
        let making = self.making_due();
        if self.flight.is_some() || self.step != Step::Idle || !self.journal.is_empty() {
            return Some(making.map_or(self.next_pass, |due| due.min(self.next_pass)));
        }
        let anchor = self.pending.next_due(now).map(|due| due.max(self.next_anchor));
        let due = [
            anchor,
            self.pending.rounds_due(now),
            self.contract_read_at(),
            self.pending.next_waiting(),
            self.pending.next_recheck(),
        ];
        let due = due.into_iter().flatten().min();
        let due = due.map(|due| due.max(self.next_pass));
        [due, making].into_iter().flatten().min()
    }

    fn next_command(&mut self, now: UnixMs) -> Option<Command<Task>> {
        if !self.journal.is_empty() {
            return Some(Command::Save(self.journal.take()));
        }
        if let Some(reason) = self.distrust.take() {
            return Some(Command::Distrust(reason));
        }
        if self.asked != Asked::Nothing {
            return None;
        }
        if self.step == Step::Idle {
            if let Some(task) = self.next_round_task(now) {
                self.asked = Asked::Round;
                return Some(Command::Do(Task::Round(task)));
            }
            if now >= self.next_pass {
                self.transition(Event::Begin, now);
            }
        }
        let question = self.step.question(&self.context(now))?;
        self.asked = Asked::Step;
        Some(match question {
            Question::Call(request) => Command::Call(request),
            Question::Records(stream, first, count) => {
                Command::Do(Task::Records(ReadRecords { stream, first, count }))
            }
            Question::Segments(stream, from) if self.pending.is_rounds(stream) => {
                Command::Do(Task::Rounds(ReadRounds {
                    from: from.0,
                    limit: self.limits.runs,
                }))
            }
            Question::Segments(stream, from) => Command::Do(Task::Segments(ReadSegments {
                stream,
                from,
                limit: MAX_SEGMENTS_PER_ANCHOR,
            })),
        })
    }

    fn handle_answer(&mut self, outcome: Result<Answer, RpcError>, now: UnixMs) {
        self.handle(Event::Answer(outcome), now);
    }
}
