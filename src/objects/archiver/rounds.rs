//! Rounds on their way into the archive: the buckets and the lists of those that are final and old enough.
//!
//! What always holds: an object is put before the database drops what is in it, and an object that is put again is the same.
//! A round whose lists do not lead to its root stays in the database, and the others go on.

use super::object::Archiver;
use super::pass::HURRY;
use super::tables::{self, FIRST_ROUND};
use crate::clock;
use crate::config::Config;
use crate::config::archive::ArchiveConfig;
use crate::problem::Problem;
use crate::storage::archive::Archive;
use crate::storage::d1::rounds::{self, StoredRound};
use crate::storage::history::{buckets_key, list_key};
use streamchain_edge_core::archive::{Fullness, RoundError, StoredBuckets, Work, buckets_object, whole_list};
use streamchain_protocol::ids::StreamId;
use streamchain_protocol::time::UnixMs;
use worker::D1Database;

/// Rounds that are asked for at once.
const ROUNDS_AT_ONCE: usize = 50;

/// What a pass has to do with rounds.
struct Moving<'a> {
    db: &'a D1Database,
    archive: Archive,
    /// The stream of rounds.
    rounds: StreamId,
    /// Rounds that were fixed before this time are moved.
    before: UnixMs,
    /// When the pass is over.
    until: UnixMs,
}

impl Archiver {
    /// Moves final rounds to the archive, each by itself. Returns whether there may be more.
    pub(super) async fn move_rounds(
        &self,
        db: &D1Database,
        config: ArchiveConfig,
        fullness: Fullness,
        until: UnixMs,
    ) -> Result<bool, Problem> {
        let Some(archive) = Archive::of(&self.env) else {
            return Ok(false);
        };
        let age_ms = match fullness {
            Fullness::Low => config.rules.max_age_ms,
            Fullness::Filling => config.rules.max_age_ms / HURRY,
            Fullness::High | Fullness::Full => 0,
        };
        let moving = Moving {
            db,
            archive,
            rounds: Config::of(&self.env).map_err(Problem::internal)?.rounds,
            before: clock::now().minus_ms(age_ms),
            until,
        };
        let mut failed = None;
        let is_over =
            self.move_lists(&moving, &mut failed).await? && self.move_buckets(&moving, &mut failed).await?;
        match failed {
            Some((round, error)) => {
                let problem = Problem::internal(format!("round {round} stays in the database: {error}"));
                self.note_failure(moving.rounds, Work::MovingRounds, &problem);
            }
            None if is_over => self.note_success(moving.rounds, Work::MovingRounds),
            None => {}
        }
        Ok(!is_over)
    }

    /// Moves the rounds whose lists are in the database. Returns whether all were looked at.
    async fn move_lists(
        &self,
        moving: &Moving<'_>,
        failed: &mut Option<(u64, RoundError)>,
    ) -> Result<bool, Problem> {
        let mut from = 0;
        loop {
            let wanted = (from, moving.before);
            let due = rounds::with_lists(moving.db, moving.rounds, wanted, ROUNDS_AT_ONCE).await?;
            for round in &due {
                if clock::now() >= moving.until {
                    return Ok(false);
                }
                if let Err(error) = moving.round(*round).await? {
                    *failed = Some((*round, error));
                }
                from = round.saturating_add(1);
            }
            if due.len() < ROUNDS_AT_ONCE {
                return Ok(true);
            }
        }
    }

    /// Moves the buckets of rounds whose lists were moved already: by the version before, or while a round was the newest one.
    /// Returns whether all were looked at.
    async fn move_buckets(
        &self,
        moving: &Moving<'_>,
        failed: &mut Option<(u64, RoundError)>,
    ) -> Result<bool, Problem> {
        let sql = self.state.storage().sql();
        let mut first: u64 = tables::load(&sql, FIRST_ROUND)?.unwrap_or(0);
        loop {
            let wanted = (first, moving.before);
            let found = rounds::to_move(moving.db, moving.rounds, wanted, ROUNDS_AT_ONCE).await?;
            let begun = first;
            for one in &found {
                if one.has_buckets && !one.is_due {
                    break;
                }
                if clock::now() >= moving.until {
                    tables::save(&sql, FIRST_ROUND, Some(&first))?;
                    return Ok(false);
                }
                if one.has_buckets
                    && let Err(error) = moving.round(one.round).await?
                {
                    *failed = Some((one.round, error));
                }
                first = one.round.saturating_add(1);
            }
            if first != begun {
                tables::save(&sql, FIRST_ROUND, Some(&first))?;
            }
            let is_whole = found.last().is_some_and(|last| last.round < first);
            if found.len() < ROUNDS_AT_ONCE || !is_whole {
                return Ok(true);
            }
        }
    }
}

impl Moving<'_> {
    /// Moves one round. The inner error says why it can't be moved.
    async fn round(&self, round: u64) -> Result<Result<(), RoundError>, Problem> {
        let Some(StoredRound { root, buckets, .. }) = rounds::find(self.db, round).await? else {
            return Ok(Ok(()));
        };
        let StoredBuckets::Here(buckets) = buckets else {
            // A list that a batcher wrote too late for its round.
            rounds::drop_lists(self.db, round).await?;
            return Ok(Ok(()));
        };
        let object = match buckets_object(round, root, &buckets) {
            Ok(object) => object,
            Err(error) => return Ok(Err(error)),
        };
        let mut lists = rounds::lists(self.db, round).await?;
        let mut archived = None;
        let mut whole = whole_list(&buckets, &lists);
        if whole.is_err() {
            archived = self.archive.whole(&list_key(round)).await?;
            lists.extend(archived.clone());
            whole = whole_list(&buckets, &lists);
        }
        let list = match whole {
            Ok(list) => list,
            Err(error) => return Ok(Err(error)),
        };
        if archived.as_ref() != Some(&list) {
            self.archive.put(&list_key(round), list).await?;
        }
        self.archive.put(&buckets_key(round), object).await?;
        rounds::drop_moved(self.db, round, &buckets).await?;
        Ok(Ok(()))
    }
}
