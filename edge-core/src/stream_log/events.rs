//! What happened to a stream on chain, in the order in which the Listener reports it: event streams resume from here.
//!
//! What always holds: events have the numbers 1, 2, 3 …; one that is reported again gets no second number; the newest
//! are kept, within two bounds, so that a reader either goes on exactly behind its last event or learns that some are
//! gone.

use super::error::LogError;
use super::state::{AheadRun, EventRange, LogState, StoredEvent};
use super::store::{LogStore, Step};
use streamchain_protocol::ids::Seq;
use streamchain_protocol::proof::{AnchorRef, AnchorState};
use streamchain_protocol::wire::NoticeEvent;

/// Most events kept for one stream: two for each anchor, so some hours of a busy stream.
pub(crate) const MAX_EVENTS: u64 = 4_096;

/// Runs ahead of the marks that are kept at most. There are none unless a node left an anchor out; one that is dropped is
/// missed, and looked for, in its turn.
const MAX_AHEAD: usize = 64;

/// Most bytes of the events that are kept: anybody may publish on chain what they pay for.
pub(crate) const MAX_EVENTS_BYTES: u64 = 16 * 1024 * 1024;

/// Applies what the chain says of the stream: at least once each, in the chain's order.
pub(super) fn apply_notice<S: LogStore>(state: &mut LogState, store: &S, event: &NoticeEvent) -> Step<(), S> {
    let (key, said, is_new) = match event {
        NoticeEvent::Anchored(anchor) => {
            state.apply_anchor(anchor);
            let AnchorRef { first, tx, block, .. } = anchor;
            (format!("a/{block}/{first}/{tx}"), anchor.state, false)
        }
        NoticeEvent::Chain {
            block,
            log_index,
            tx,
            state,
            payload,
            ..
        } => (format!("c/{block}/{log_index}/{tx}"), *state, payload.is_some()),
        NoticeEvent::Round { .. }
        | NoticeEvent::SessionEnded { .. }
        | NoticeEvent::Withdrawn { .. }
        | NoticeEvent::Erased { .. }
        | NoticeEvent::Append
        | NoticeEvent::Unknown => return Ok(()),
    };
    let before = store.last_event(&key).map_err(LogError::Store)?;
    let before = before.as_deref().and_then(AnchorState::from_word);
    // A final event may be reported as anchored once more: the Listener reports at least once.
    if before == Some(said) || (before, said) == (Some(AnchorState::Final), AnchorState::Anchored) {
        return Ok(());
    }
    let name = match said {
        AnchorState::Reverted => "reorg",
        _ if is_new => "chain",
        AnchorState::Anchored => "anchored",
        AnchorState::Final => "final",
    };
    let event = StoredEvent {
        number: state.events.next,
        name: name.to_owned(),
        json: serde_json::to_string(event).map_err(|_| LogError::Corrupt(state.head))?,
    };
    let kept = state.events.keep(store, &event, &key, said.as_str());
    kept.map_err(LogError::Store)
}

/// Moves the marks to where a run in a round begins, if the round is on the chain. What has anchors of the stream's own,
/// before its first run, is no part of that: the marks have to be behind it.
pub(super) fn cover_before(state: &mut LogState, event: &NoticeEvent) {
    let NoticeEvent::Anchored(anchor) = event else {
        return;
    };
    let begin = anchor.first.min(state.head);
    let from = state.run.map_or(Seq(0), |marks| marks.from);
    if anchor.state != AnchorState::Reverted && state.anchored >= from {
        state.anchored = state.anchored.max(begin);
    }
    if anchor.state == AnchorState::Final && state.finalized >= from {
        state.finalized = state.finalized.max(begin);
    }
}

impl LogState {
    /// Moves `anchored` and `finalized` by what the chain says of an anchor. A mark never passes a run that does not begin
    /// at it: what lies ahead waits until the run between was seen.
    fn apply_anchor(&mut self, anchor: &AnchorRef) {
        let (first, end) = (anchor.first, anchor.end().min(self.head));
        match anchor.state {
            AnchorState::Anchored | AnchorState::Final => self.ahead.push(AheadRun {
                first,
                end,
                is_final: anchor.state == AnchorState::Final,
            }),
            AnchorState::Reverted => {
                self.anchored = self.anchored.min(first).max(self.finalized);
                for run in self.ahead.iter_mut().filter(|run| !run.is_final) {
                    run.end = run.end.min(first);
                }
            }
        }
        self.advance_marks();
    }

    /// Moves the marks over the runs that begin at them, and keeps the runs that do not.
    fn advance_marks(&mut self) {
        self.ahead.sort_by_key(|run| run.first);
        for run in &self.ahead {
            if run.first <= self.anchored {
                self.anchored = self.anchored.max(run.end);
            }
            if run.is_final && run.first <= self.finalized {
                self.finalized = self.finalized.max(run.end);
            }
        }
        let (anchored, finalized) = (self.anchored, self.finalized);
        self.ahead.retain(|run| {
            let mark = if run.is_final { finalized } else { anchored };
            run.first < run.end && mark < run.end
        });
        self.ahead.dedup_by(|next, run| {
            let is_joined = next.is_final == run.is_final && next.first <= run.end;
            if is_joined {
                run.end = run.end.max(next.end);
            }
            is_joined
        });
        self.ahead.truncate(MAX_AHEAD);
    }

    /// Returns the first message whose anchor was not seen although that of a later one was.
    pub fn missing_anchor(&self) -> Option<Seq> {
        let is_ahead = |run: &AheadRun| run.first > self.anchored;
        self.ahead.iter().any(is_ahead).then_some(self.anchored)
    }
}

impl EventRange {
    /// Keeps an event, and drops the oldest ones beyond the bounds.
    fn keep<S: LogStore>(
        &mut self,
        store: &S,
        event: &StoredEvent,
        key: &str,
        state: &str,
    ) -> Result<(), S::Error> {
        store.put_event(event, key, state)?;
        self.next += 1;
        self.bytes += event.json.len() as u64;
        while self.is_over_bounds() {
            let oldest = store.events(self.first - 1, 1)?;
            let bytes = oldest.first().map_or(0, |event| event.json.len());
            self.bytes = self.bytes.saturating_sub(bytes as u64);
            store.drop_event(self.first)?;
            self.first += 1;
        }
        Ok(())
    }

    /// Returns whether the oldest event has to go. A single event is kept whatever its size.
    fn is_over_bounds(&self) -> bool {
        let kept = self.next.saturating_sub(self.first);
        kept > MAX_EVENTS || (self.bytes > MAX_EVENTS_BYTES && kept > 1)
    }
}
