//! What the maker of rounds asks for: the batchers, side by side and each within a time, and the database.

use super::object::Anchorer;
use crate::api::batcher::{self, batcher_of_group};
use crate::api::call::{new_request_id, within};
use crate::api::side_by_side::side_by_side;
use crate::clock::now;
use crate::config::Config;
use crate::objects::to_error;
use crate::problem::Problem;
use crate::storage::d1::rounds::{self, RoundRow};
use crate::storage::history::History;
use std::time::Duration;
use streamchain_chain::rounds::{
    CloseRound, Closed, FixRound, FixedRound, NewestRound, RoundTask, StoreRound,
};
use streamchain_edge_core::request_id::RequestId;
use streamchain_protocol::proof::range::peaks;
use worker::{Error, console_error};

/// How long a batcher may take to freeze what it has: about a second for 8,192 runs. One that takes longer is left out
/// of the round.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a batcher may take to write its list, of 2 MB at most, and a row for each run to the database.
const FIX_TIMEOUT: Duration = Duration::from_secs(20);
/// Most batchers that are asked at a time.
const MAX_BATCHERS_AT_ONCE: usize = 64;

impl Anchorer {
    /// Does what the maker of rounds asks for, and gives the machine the outcome.
    pub(super) async fn perform_round(&self, task: RoundTask) -> Result<(), Error> {
        match task {
            RoundTask::ReadNewest => {
                let newest = self.newest_round().await.map_err(|error| error.to_string());
                self.kept.with(|machine| machine.handle_newest(newest, now()))
            }
            RoundTask::Close(asked) => {
                let closed = self.close(&asked).await?;
                self.kept.with(|machine| machine.handle_closed(closed, now()))
            }
            RoundTask::Fix(asked) => {
                let written = self.fix(&asked).await?;
                self.kept.with(|machine| machine.handle_fixed(written, now()))
            }
            RoundTask::Store(asked) => {
                let stored = self.store(asked).await.map_err(|error| error.to_string());
                self.kept
                    .with(|machine| machine.handle_round_stored(stored, now()))
            }
        }
    }

    async fn newest_round(&self) -> Result<Option<NewestRound>, Error> {
        let history = History::of(self.kept.env())?;
        let Some(row) = history.newest_round().await? else {
            return Ok(None);
        };
        let peaks = rounds::nodes(&history.db, &peaks(row.round.saturating_add(1))).await?;
        Ok(Some(NewestRound {
            fixed: FixedRound {
                round: row.round,
                root: row.root,
                buckets: row.buckets,
            },
            peaks,
            fixed_at: row.fixed,
        }))
    }

    /// Gives what the batchers have for a round, or why one did not say so in time.
    async fn close(&self, asked: &CloseRound) -> Result<Answers<Closed>, Error> {
        let id = new_request_id();
        let config = Config::of(self.kept.env()).map_err(to_error)?;
        let work = asked.groups.iter().map(|first_bucket| {
            let request = batcher::CloseRound {
                round: asked.round,
                previous: asked.previous_of(*first_bucket, config.batchers.buckets_each()),
            };
            let id = &id;
            async move {
                let closed = async {
                    batcher_of_group(self.kept.env(), id, *first_bucket)?
                        .call(request)
                        .await
                };
                (*first_bucket, within(CLOSE_TIMEOUT, closed).await)
            }
        });
        Ok(logged(&id, side_by_side(work, MAX_BATCHERS_AT_ONCE).await))
    }

    /// Gives which batchers have written what they have in the round, or why one has not.
    async fn fix(&self, asked: &FixRound) -> Result<Answers<()>, Error> {
        let id = new_request_id();
        let config = Config::of(self.kept.env()).map_err(to_error)?;
        let work = asked.groups.iter().map(|first_bucket| {
            let fixed = asked
                .fixed
                .of_group(*first_bucket, config.batchers.buckets_each());
            let id = &id;
            async move {
                let fix = batcher::FixRound { fixed };
                let fix = async {
                    batcher_of_group(self.kept.env(), id, *first_bucket)?
                        .call(fix)
                        .await
                };
                (*first_bucket, within(FIX_TIMEOUT, fix).await)
            }
        });
        Ok(logged(&id, side_by_side(work, MAX_BATCHERS_AT_ONCE).await))
    }

    async fn store(&self, asked: StoreRound) -> Result<(), Error> {
        let row = RoundRow {
            round: asked.fixed.round,
            root: asked.fixed.root,
            buckets: asked.fixed.buckets,
            fixed: asked.fixed_at,
        };
        rounds::put(&self.kept.env().d1("DB")?, &row, &asked.nodes).await
    }
}

/// The answers of batchers, by the first bucket of each.
type Answers<T> = Vec<(u8, Result<T, String>)>;

/// Logs the failures.
fn logged<T>(id: &RequestId, outcomes: Vec<(u8, Result<T, Problem>)>) -> Answers<T> {
    let mut answers = Vec::with_capacity(outcomes.len());
    for (first_bucket, outcome) in outcomes {
        let answer = outcome.map_err(|error| error.to_string());
        if let Err(error) = &answer {
            console_error!("request {id}: rounds: batcher {first_bucket}: {error}");
        }
        answers.push((first_bucket, answer));
    }
    answers
}
