//! The Stream object's part in rounds: it offers the run of all that is sealed and in no round to its batcher.

use super::object::Stream;
use crate::api::batcher::{OfferRun, RunOffered, batcher_object};
use crate::api::call::new_request_id;
use crate::clock;
use crate::config::Config;
use crate::problem::Problem;
use crate::storage::d1::segments;
use streamchain_edge_core::stream_log::{LogState, PendingRun, Run};
use streamchain_protocol::limits::MAX_SEGMENTS_PER_RUN;
use worker::console_error;

/// How often a run is offered in one round of the alarm: once, and once more from where the batcher says that it begins.
const MAX_OFFERS: usize = 2;

/// How long a reader of events counts as watching the stream after its last question, milliseconds.
const WATCHED_MS: u64 = 300_000;

impl Stream {
    /// Offers the run that waits, if that is due.
    pub(super) async fn offer_run(&self) -> Result<(), Problem> {
        let (pace, now) = (self.pace()?, clock::now());
        for _ in 0..MAX_OFFERS {
            let state = self.state()?;
            let Some(pending) = state.pending_run() else {
                return Ok(());
            };
            if !self.schedule.borrow().is_offer_due(pace, &state, now) {
                return Ok(());
            }
            let run = self.run_of(&state, pending).await?;
            let RunOffered { begin, refused } = self.offer(&state, &run).await?;
            if let Some(reason) = refused {
                console_error!("outbox: the batcher has no room: {reason}");
                self.schedule.borrow_mut().handle_refusal(now);
                return Ok(());
            }
            self.step(|log| log.mark_offered(&run, begin))?;
            if begin == run.first {
                self.schedule.borrow_mut().handle_offer(now);
                return Ok(());
            }
        }
        Ok(())
    }

    /// The run that waits, made of the roots that the database has.
    async fn run_of(&self, state: &LogState, pending: PendingRun) -> Result<Run, Problem> {
        let db = self.env.d1("DB")?;
        let rows = segments::list(&db, state.id, pending.first, MAX_SEGMENTS_PER_RUN).await?;
        let rows = rows.into_iter().map(|row| (row.first, row.count, row.root));
        let absent = || format!("no segment of {} begins at {}", state.id, pending.first);
        pending
            .of_segments(rows)
            .ok_or_else(|| Problem::internal(absent()))
    }

    async fn offer(&self, state: &LogState, run: &Run) -> Result<RunOffered, Problem> {
        let config = Config::of(&self.env).map_err(Problem::internal)?;
        let offer = OfferRun {
            stream: state.id,
            owner: state.owner,
            first: run.first,
            count: run.count,
            root: run.root,
            watched: self.is_watched(state),
        };
        batcher_object(&self.env, &new_request_id(), &config, state.id)?
            .call(offer)
            .await
    }

    /// Whether somebody learns from this object what becomes of the stream's runs.
    fn is_watched(&self, state: &LogState) -> bool {
        let asked = self.asked.get();
        let is_read = asked.is_some_and(|asked| clock::now().since(asked) < WATCHED_MS);
        state.relay_leader().is_some() || state.watch.is_some() || is_read
    }
}
