//! What watched streams are notified of when the state of a round changes.
//!
//! What always holds: a round's newest state is saved until its streams were notified, so each is notified at least once,
//! unless it does not answer again and again; it then finds its anchor when the next notice leaves a gap.

use std::collections::{BTreeMap, VecDeque};

use streamchain_protocol::ids::StreamId;
use streamchain_protocol::proof::AnchorRef;
use streamchain_protocol::proof::run::RunEntry;
use streamchain_protocol::time::UnixMs;

use crate::journal::{self, Journal, RestoreError};
use crate::rounds::RoundAnchor;

/// The prefix of this module's rows, with the version of their form.
pub(super) const PREFIX: &str = "notice/1/";
/// Rounds whose streams wait to be notified at most: with blocks of 2 s, more than two hours of them.
const MAX_WAITING_ROUNDS: usize = 4_096;
/// Streams notified together: each is a request, and an invocation of an object may make 1,000.
const MAX_NOTICES: usize = 500;
/// How often a notice is sent at most: a stream's object that fails so often is not held for.
const MAX_TRIES: u32 = 3;
/// The pause after streams that were notified, in ms: the next ones are another invocation's.
const PAUSE_MS: u64 = 50;
/// The pause after a failure, in ms.
const RETRY_MS: u64 = 5_000;

/// What became of one run of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunNotice {
    /// The stream.
    pub stream: StreamId,
    /// The run, and where its round is.
    pub anchor: AnchorRef,
}

/// Streams that are to be notified side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyStreams {
    /// The round that their runs are in.
    pub round: u64,
    /// One for each stream.
    pub notices: Vec<RunNotice>,
}

/// A notice that was not acknowledged yet.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    run: RunEntry,
    tries: u32,
}

/// What the streams of one round are being notified of.
#[derive(Debug)]
struct Current {
    anchor: RoundAnchor,
    /// `None` until the list was read.
    waiting: Option<VecDeque<Waiting>>,
    /// What was sent and has no answer.
    sent: Vec<Waiting>,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Read(u64),
    Notify(NotifyStreams),
}

/// The rounds whose streams are to be notified.
#[derive(Debug, Default)]
pub(super) struct Notices {
    rounds: BTreeMap<u64, RoundAnchor>,
    current: Option<Current>,
    /// Nothing is asked for before this time.
    pub(super) rests_until: UnixMs,
}

fn key(round: u64) -> String {
    format!("{PREFIX}{round:020}")
}

impl Notices {
    /// Takes in a saved row.
    pub(super) fn restore(&mut self, key: &str, value: &str) -> Result<(), RestoreError> {
        let anchor: RoundAnchor = journal::read(key, value)?;
        self.rounds.insert(anchor.round, anchor);
        Ok(())
    }

    /// Notes a round's new state. Returns whether it could be: otherwise it must be handed over again.
    pub(super) fn add(&mut self, anchor: &RoundAnchor, journal: &mut Journal) -> bool {
        if self.rounds.get(&anchor.round) == Some(anchor) {
            return true;
        }
        if self.rounds.len() >= MAX_WAITING_ROUNDS && !self.rounds.contains_key(&anchor.round) {
            return false;
        }
        self.rounds.insert(anchor.round, *anchor);
        journal.put(key(anchor.round), anchor);
        // The streams that were notified of the older state already are notified again.
        self.current
            .take_if(|current| current.anchor.round == anchor.round);
        true
    }

    /// Whether there is nothing to be notified of.
    pub(super) fn is_empty(&self) -> bool {
        self.rounds.is_empty()
    }

    /// Everything that was asked for is asked for again.
    pub(super) fn interrupt(&mut self) {
        if let Some(current) = &mut self.current
            && let Some(waiting) = &mut current.waiting
        {
            waiting.extend(current.sent.drain(..));
        }
    }

    /// What is to be done now. A round whose streams were all notified is removed.
    pub(super) fn next(&mut self, now: UnixMs, journal: &mut Journal) -> Option<Next> {
        if now < self.rests_until {
            return None;
        }
        if self.current.as_ref().is_some_and(Current::is_done) {
            let done = self.current.take()?;
            self.rounds.remove(&done.anchor.round);
            journal.remove(key(done.anchor.round));
        }
        if self.current.is_none() {
            let anchor = *self.rounds.first_key_value()?.1;
            self.current = Some(Current {
                anchor,
                waiting: None,
                sent: Vec::new(),
            });
        }
        let current = self.current.as_mut()?;
        let Some(waiting) = &mut current.waiting else {
            return Some(Next::Read(current.anchor.round));
        };
        let page = waiting.drain(..waiting.len().min(MAX_NOTICES)).collect();
        current.sent = page;
        let anchor = &current.anchor;
        let notices = current
            .sent
            .iter()
            .map(|sent| notice(&sent.run, anchor))
            .collect();
        Some(Next::Notify(NotifyStreams {
            round: anchor.round,
            notices,
        }))
    }

    /// Takes in the list of the current round, reduced to the streams that are to be notified; `None` when it could not be
    /// read.
    pub(super) fn take_list(&mut self, runs: Option<Vec<RunEntry>>, now: UnixMs) {
        let Some(current) = &mut self.current else { return };
        match runs {
            Some(runs) => {
                let waiting = runs.into_iter().map(|run| Waiting { run, tries: 0 });
                current.waiting = Some(waiting.collect());
            }
            None => self.rests_until = now.plus_ms(RETRY_MS),
        }
    }

    /// Takes in which of the streams that were notified last did not answer.
    pub(super) fn take_failed(&mut self, failed: &[StreamId], now: UnixMs) {
        let Some(current) = &mut self.current else { return };
        let again = current
            .sent
            .drain(..)
            .filter(|sent| failed.contains(&sent.run.stream));
        let again = again.map(|sent| Waiting {
            tries: sent.tries + 1,
            ..sent
        });
        let again = again.filter(|sent| sent.tries < MAX_TRIES);
        if let Some(waiting) = &mut current.waiting {
            waiting.extend(again);
        }
        let pause_ms = if failed.is_empty() { PAUSE_MS } else { RETRY_MS };
        self.rests_until = now.plus_ms(pause_ms);
    }
}

impl Current {
    fn is_done(&self) -> bool {
        self.sent.is_empty() && self.waiting.as_ref().is_some_and(VecDeque::is_empty)
    }
}

fn notice(run: &RunEntry, anchor: &RoundAnchor) -> RunNotice {
    RunNotice {
        stream: run.stream,
        anchor: AnchorRef {
            first: run.first,
            count: run.count.into(),
            root: run.root,
            tx: anchor.tx,
            block: anchor.block,
            state: anchor.state,
        },
    }
}
