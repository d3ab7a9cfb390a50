//! The machine: offers in, a round's runs frozen and written, notices out.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};
use streamchain_protocol::ids::StreamId;
use streamchain_protocol::proof::bucket::{BucketRoot, bucket_of};
use streamchain_protocol::proof::run::RunEntry;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::util::Backoff;

use super::line::{Line, PendingRun};
use super::notices::{self, Next, Notices, NotifyStreams};
use super::offer::{OfferError, OfferRun, Offered, RunOffered};
use super::shares::Shares;
use crate::backoff::node_backoff;
use crate::ethereum::{Answer, RpcError};
use crate::journal::{self, Journal, RestoreError, Row};
use crate::machine::{Command, Machine};
use crate::rounds::{Closed, GroupRoots, RoundAnchor};

/// Streams that have a line at most: those that may have a run pending, those of one round, and some that rest.
const MAX_LINES: usize = 53_248;
/// Lines dropped together when there is no room: finding the oldest looks at all of them.
const LINES_DROPPED_AT_ONCE: usize = 1_024;
/// Streams whose newest run is being read from the database at most.
const MAX_UNKNOWN: usize = 4_096;

/// The key of what is saved of the batcher itself, with the version of its form.
const STATE_KEY: &str = "batcher/1";
/// The prefix of the streams' keys, with the version of their form.
const LINE_PREFIX: &str = "line/1/";

/// What does not change while the machine runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many buckets each batcher has.
    pub buckets_each: u16,
    /// The accounts whose streams have a reserve.
    pub operators: BTreeSet<Address>,
    /// The Anchorer is notified again that runs wait when so many ms went by without a round.
    pub announce_after_ms: u64,
}

/// What the machine asks for beside rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatcherTask {
    /// Notify the Anchorer that the group which begins with this bucket has runs for a round;
    /// [`Batcher::handle_announced`] takes the outcome.
    Announce(u8),
    /// Read this group's list of this round from the database; [`Batcher::handle_list`] takes the outcome.
    ReadList {
        /// The round.
        round: u64,
        /// The first bucket of the group.
        first_bucket: u8,
    },
    /// Notify streams, side by side; [`Batcher::handle_notified`] takes the outcome.
    Notify(NotifyStreams),
}

/// What must be written before a batcher says that it knows how a round is fixed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fixing {
    /// Nothing: the answer is yes.
    Done,
    /// This list and its runs, in the place of those that are there; then [`Batcher::handle_written`] is called and what
    /// it leaves unsaved is written, and then the answer is yes.
    Write(RoundList),
}

/// The runs of one batcher in a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundList {
    /// The round.
    pub round: u64,
    /// The first bucket of the batcher's group.
    pub first_bucket: u8,
    /// The runs, in the order of their stream ids.
    pub runs: Vec<RunEntry>,
}

/// A round that does not fit what this batcher has. One of the two lost what it had saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseError {
    /// The round has other runs of this batcher than it has frozen.
    #[error("round {0} has other runs than this batcher froze for it")]
    Different(u64),
    /// The round has runs of this batcher, which did not close it.
    #[error("round {round} has runs of this batcher, which has closed the rounds below {closed}")]
    NotClosed {
        /// The round.
        round: u64,
        /// The rounds below this one are closed.
        closed: u64,
    },
    /// The round has runs of this batcher, which has not written their list.
    #[error("round {0} has runs of this batcher whose list is not written")]
    NotWritten(u64),
}

/// What is saved of the batcher itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StateRow {
    /// The first of its buckets, once it had an offer.
    first_bucket: Option<u8>,
    /// The rounds below this one are closed: what is frozen is for the one before it.
    pub(super) closed: u64,
    /// The rounds below this one are written, or have no runs of this batcher.
    pub(super) written: u64,
}

/// The machine that gathers runs; the module's text says what always holds.
#[derive(Debug)]
pub struct Batcher {
    settings: Settings,
    pub(super) journal: Journal,
    pub(super) state: StateRow,
    pub(super) lines: BTreeMap<StreamId, Line>,
    pub(super) shares: Shares,
    /// The streams that have a frozen run, written or not.
    pub(super) frozen: BTreeSet<StreamId>,
    /// The buckets over those runs, once they were counted.
    pub(super) roots: Option<Vec<(u8, BucketRoot)>>,
    /// Streams whose newest run is being read from the database.
    unknown: BTreeSet<StreamId>,
    notices: Notices,
    touches: u64,
    /// The owner whose stream was frozen last.
    pub(super) turn: Option<Address>,
    /// When the Anchorer was last notified that runs wait.
    announced_at: Option<UnixMs>,
    /// How many rounds were closed when the Anchorer was last to be notified.
    announced_for: u64,
    announce_rests_until: UnixMs,
    backoff: Backoff,
    /// Whether a task was handed out and has no outcome yet.
    asked: bool,
}

impl Batcher {
    /// Makes a machine with the state that was saved; without rows, a new one.
    pub fn restore<'a>(
        settings: Settings,
        rows: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, RestoreError> {
        let mut batcher = Self {
            shares: Shares::new(settings.operators.clone()),
            settings,
            journal: Journal::default(),
            state: StateRow::default(),
            lines: BTreeMap::new(),
            frozen: BTreeSet::new(),
            roots: None,
            unknown: BTreeSet::new(),
            notices: Notices::default(),
            touches: 0,
            turn: None,
            announced_at: None,
            announced_for: 0,
            announce_rests_until: UnixMs(0),
            backoff: node_backoff(),
            asked: false,
        };
        for (key, value) in rows {
            if key == STATE_KEY {
                batcher.state = journal::read(key, value)?;
            } else if let Some(id) = key.strip_prefix(LINE_PREFIX) {
                let stream = journal::read_key_part(key, id)?;
                batcher.lines.insert(stream, Line::of(journal::read(key, value)?));
            } else if key.starts_with(notices::PREFIX) {
                batcher.notices.restore(key, value)?;
            }
        }
        let before_last = batcher.state.closed.saturating_sub(1);
        for (stream, line) in &mut batcher.lines {
            // The row of a run that was written is not written again for that alone.
            line.row.frozen.take_if(|frozen| frozen.round < before_last);
            if line.row.frozen.is_some() {
                batcher.frozen.insert(*stream);
            }
            if line.row.pending.is_some() {
                batcher.shares.add(line.row.owner);
            }
        }
        Ok(batcher)
    }

    /// Returns the rows that have to be written now, before anything is answered.
    pub fn take_unsaved(&mut self) -> Vec<Row> {
        self.journal.take()
    }

    /// How many streams have a run that is in no round yet.
    pub fn pending(&self) -> usize {
        self.shares.total()
    }

    /// Takes in a stream's run.
    pub fn handle_offer(&mut self, offer: &OfferRun) -> Result<Offered, OfferError> {
        self.check(offer)?;
        let Some(line) = self.lines.get_mut(&offer.stream) else {
            self.ask_for(offer.stream);
            return Ok(Offered::Unknown);
        };
        self.touches += 1;
        line.touched = self.touches;
        line.row.watched = offer.watched;
        if let Some(begin) = line.row.begin.filter(|begin| *begin != offer.first) {
            return Ok(answer(begin, None));
        }
        let run = PendingRun::from(offer);
        match line.row.pending {
            // It came late, or again.
            Some(known) if known.first == run.first && run.count < known.count => {}
            Some(known) if known == run => {}
            Some(_) => {
                line.row.pending = Some(run);
                self.journal.put(line_key(offer.stream), &line.row);
            }
            None => {
                if let Some(reason) = self.shares.lack(line.row.owner) {
                    return Ok(answer(offer.first, Some(reason)));
                }
                line.row.pending = Some(run);
                line.waits_since = self.touches;
                self.shares.add(line.row.owner);
                self.journal.put(line_key(offer.stream), &line.row);
            }
        }
        Ok(answer(offer.first, None))
    }

    fn check(&mut self, offer: &OfferRun) -> Result<(), OfferError> {
        let (stream, first) = (offer.stream, offer.first);
        if offer.count == 0 || first.0.checked_add(offer.count.into()).is_none() {
            return Err(OfferError::BadRange { stream, first });
        }
        let group = first_bucket(stream, self.settings.buckets_each);
        match self.state.first_bucket {
            Some(first_bucket) if first_bucket != group => {
                Err(OfferError::OtherGroup { stream, first_bucket })
            }
            Some(_) => Ok(()),
            None => {
                self.state.first_bucket = Some(group);
                self.save_state();
                Ok(())
            }
        }
    }

    fn ask_for(&mut self, stream: StreamId) {
        if self.unknown.len() >= MAX_UNKNOWN && !self.unknown.contains(&stream) {
            self.unknown.clear(); // whoever asked for them asks again
        }
        self.unknown.insert(stream);
    }

    /// Somebody watches a stream from now on, until its next offer says otherwise. Returns whether the stream is known here:
    /// otherwise its newest run has to be read from the database, as for an offer.
    pub fn handle_watch(&mut self, stream: StreamId) -> bool {
        let Some(line) = self.lines.get_mut(&stream) else {
            self.ask_for(stream);
            return false;
        };
        self.touches += 1;
        line.touched = self.touches;
        if !std::mem::replace(&mut line.row.watched, true) {
            self.journal.put(line_key(stream), &line.row);
        }
        true
    }

    /// Takes in the newest run that the database has of a stream of which nothing was known; `None` when it has none.
    /// What was read before the stream got its line counts for nothing.
    pub fn handle_known(&mut self, stream: StreamId, owner: Address, newest: Option<&RunEntry>) {
        if !self.unknown.remove(&stream) || self.lines.contains_key(&stream) {
            return;
        }
        self.drop_lines();
        self.touches += 1;
        let mut line = Line::new(owner, newest);
        line.touched = self.touches;
        self.lines.insert(stream, line);
    }

    /// Drops the lines that rest for longest, when there are too many.
    fn drop_lines(&mut self) {
        if self.lines.len() < MAX_LINES {
            return;
        }
        let rests = |(id, line): &(&StreamId, &Line)| line.row.pending.is_none() && !self.frozen.contains(id);
        let resting = self.lines.iter().filter(rests);
        let mut resting: Vec<_> = resting.map(|(id, line)| (line.touched, *id)).collect();
        resting.sort_unstable();
        for (_, stream) in resting.into_iter().take(LINES_DROPPED_AT_ONCE) {
            self.lines.remove(&stream);
            self.journal.remove(line_key(stream));
        }
    }

    /// Freezes what is pending for a round, and answers what that is; asked again, it is the same, unless it was nothing. `previous` says how the
    /// round before it was fixed. The answer is true once what [`Self::take_unsaved`] returns is written.
    pub fn handle_close(
        &mut self,
        round: u64,
        previous: Option<&GroupRoots>,
        now: UnixMs,
    ) -> Result<Closed, CloseError> {
        if round < self.state.closed.saturating_sub(1) {
            return Ok(Closed::default()); // it came late: that round is decided
        }
        // A round of which it had nothing may have what came since: nothing of it was fixed.
        if round >= self.state.closed || self.frozen.is_empty() {
            if let Some(previous) = previous {
                self.compare(previous)?;
            }
            self.freeze(round);
        }
        let more = self.shares.total() > 0;
        self.announced_at = more.then_some(now);
        let roots = self.frozen_roots();
        Ok(Closed { roots, more })
    }

    /// Takes in how a round is fixed, and returns what must be written first.
    pub fn handle_fixed(&mut self, fixed: &GroupRoots) -> Result<Fixing, CloseError> {
        let StateRow { closed, written, .. } = self.state;
        let round = fixed.round;
        if fixed.roots.is_empty() || round < written {
            return Ok(Fixing::Done);
        }
        if round.checked_add(1) != Some(closed) {
            return Err(CloseError::NotClosed { round, closed });
        }
        if fixed.roots != self.frozen_roots() {
            return Err(CloseError::Different(round));
        }
        Ok(Fixing::Write(RoundList {
            round,
            first_bucket: fixed.first_bucket,
            runs: self.frozen_runs().collect(),
        }))
    }

    /// The database has the list of this round.
    pub fn handle_written(&mut self, round: u64) {
        let written = round.saturating_add(1);
        if written == self.state.closed && written > self.state.written {
            self.state.written = written;
            self.save_state();
        }
    }

    /// Takes in where a round is on the chain. Returns whether that could be: otherwise it is to be handed over again
    /// later.
    pub fn handle_round_state(&mut self, anchor: &RoundAnchor) -> bool {
        let is_known = self.state.first_bucket.is_some() && anchor.round < self.state.written;
        let is_watched = || self.lines.values().any(|line| line.row.watched);
        !is_known || !is_watched() || self.notices.add(anchor, &mut self.journal)
    }

    /// Takes in whether the Anchorer was notified that runs wait.
    pub fn handle_announced(&mut self, outcome: Result<(), String>, now: UnixMs) {
        if !std::mem::take(&mut self.asked) {
            return;
        }
        match outcome {
            // What came behind a round that was closed meanwhile has to be announced again.
            Ok(()) => {
                self.backoff.succeed();
                let is_current = self.announced_for == self.state.closed;
                self.announced_at = is_current.then_some(now);
            }
            Err(_) => self.announce_rests_until = now.plus_ms(self.backoff.fail()),
        }
    }

    /// Takes in the list that was asked for last.
    pub fn handle_list(&mut self, outcome: Result<Vec<RunEntry>, String>, now: UnixMs) {
        if !std::mem::take(&mut self.asked) {
            return;
        }
        let is_watched = |run: &RunEntry| {
            let line = self.lines.get(&run.stream);
            line.is_some_and(|line| line.row.watched)
        };
        let watched = outcome
            .ok()
            .map(|runs| runs.into_iter().filter(is_watched).collect());
        self.notices.take_list(watched, now);
    }

    /// Takes in which of the streams that were notified last did not acknowledge that.
    pub fn handle_notified(&mut self, failed: &[StreamId], now: UnixMs) {
        if std::mem::take(&mut self.asked) {
            self.notices.take_failed(failed, now);
        }
    }

    /// Whether something of this batcher is in no round yet.
    fn has_runs(&self) -> bool {
        let has_frozen = !self.frozen.is_empty() && self.state.written < self.state.closed;
        has_frozen || self.shares.total() > 0
    }

    /// When the Anchorer has to be notified that runs wait.
    fn announce_at(&self) -> Option<UnixMs> {
        let again = |at: UnixMs| at.plus_ms(self.settings.announce_after_ms);
        let due = self.announced_at.map_or(UnixMs(0), again);
        self.has_runs().then_some(due.max(self.announce_rests_until))
    }

    pub(super) fn save_state(&mut self) {
        self.journal.put(STATE_KEY.to_owned(), &self.state);
    }
}

impl Machine for Batcher {
    type Task = BatcherTask;

    fn handle_interruption(&mut self) {
        self.asked = false;
        self.notices.interrupt();
    }

    fn poll_timeout(&self, now: UnixMs) -> Option<UnixMs> {
        if !self.journal.is_empty() {
            return Some(now);
        }
        let notices = (!self.notices.is_empty()).then_some(self.notices.rests_until);
        [self.announce_at(), notices].into_iter().flatten().min()
    }

    fn next_command(&mut self, now: UnixMs) -> Option<Command<BatcherTask>> {
        if !self.journal.is_empty() {
            return Some(Command::Save(self.journal.take()));
        }
        if self.asked {
            return None;
        }
        let first_bucket = self.state.first_bucket?;
        let task = if self.announce_at().is_some_and(|at| at <= now) {
            self.announced_for = self.state.closed;
            BatcherTask::Announce(first_bucket)
        } else {
            match self.notices.next(now, &mut self.journal) {
                Some(Next::Read(round)) => BatcherTask::ReadList { round, first_bucket },
                Some(Next::Notify(notify)) => BatcherTask::Notify(notify),
                None => return (!self.journal.is_empty()).then(|| Command::Save(self.journal.take())),
            }
        };
        self.asked = true;
        Some(Command::Do(task))
    }

    /// It never asks a node.
    fn handle_answer(&mut self, _outcome: Result<Answer, RpcError>, _now: UnixMs) {}
}

fn answer(begin: streamchain_protocol::ids::Seq, refused: Option<String>) -> Offered {
    Offered::Answer(RunOffered { begin, refused })
}

/// The first bucket of the group that a stream belongs to.
fn first_bucket(stream: StreamId, buckets_each: u16) -> u8 {
    let below = u8::try_from(buckets_each.saturating_sub(1)).unwrap_or(u8::MAX);
    bucket_of(stream) & !below
}

pub(super) fn line_key(stream: StreamId) -> String {
    format!("{LINE_PREFIX}{stream}")
}
