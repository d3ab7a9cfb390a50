//! A pass: what is left of a job, packs with erased messages, then stream after stream: what is to be packed, and what is
//! too old to be kept.

use super::object::{Archiver, SOON_MS};
use super::tables::{self, PLACE};
use crate::clock;
use crate::config::Config;
use crate::config::archive::ArchiveConfig;
use crate::problem::Problem;
use crate::storage::archive::Archive;
use crate::storage::d1::segments::StreamSums;
use crate::storage::d1::{self, anchors, packs, runs, segments, streams};
use serde::{Deserialize, Serialize};
use streamchain_edge_core::archive::{Fullness, Job, Work, plan};
use streamchain_protocol::archive::MAX_PACK_SEGMENTS;
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::first_time;
use worker::{D1Database, console_warn};

/// How long a pass takes at most, milliseconds; the next one goes on. The alarm of one that dies is set for later than that.
const MAX_PASS_MS: u64 = 15_000;

/// Streams asked for at once.
const STREAMS_AT_ONCE: usize = 50;

/// Packs made of one stream before the next one has its turn.
const PACKS_PER_VISIT: usize = 4;

/// Packs rewritten since messages were erased, in one pass: the streams have their turn whatever is erased.
const REWRITES_PER_PASS: usize = 8;

/// Final anchors of one pack that are read at most: above what 4,096 segments have, whose anchors each cover one at least.
const MAX_FINALS: usize = MAX_PACK_SEGMENTS + 1;

/// By how much more often all streams are looked at while the database fills, and by how much sooner rounds are moved.
pub(super) const HURRY: u64 = 10;

/// How often the log warns of a database that is nearly full, milliseconds.
const WARN_EVERY_MS: u64 = 3_600_000;

/// Where the look at all streams goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Place {
    /// Among the streams with segments in the database, behind this id.
    Segments(String),
    /// Among the streams whose payloads have an end, behind this id.
    Retention(String),
    /// At the rounds.
    Rounds,
}

impl Archiver {
    /// One pass; how long to wait for the next.
    pub(super) async fn pass(&self) -> Result<u64, Problem> {
        let until = clock::now().plus_ms(MAX_PASS_MS);
        let config = Config::of(&self.env).map_err(Problem::internal)?.archive;
        let db = self.env.d1("DB")?;
        let fullness = self.fullness(&db, config).await?;
        let sql = self.state.storage().sql();
        let mut place = tables::load(&sql, PLACE)?.unwrap_or_else(|| Place::Segments(String::new()));
        if Archive::of(&self.env).is_some() {
            self.finish_job().await?;
            self.rewrite_erased(&db).await?;
        }
        let mut is_over = false;
        while !is_over && clock::now() < until {
            place = self.go_on(&db, config, fullness, place, until).await?;
            is_over = place == Place::Segments(String::new());
        }
        tables::save(&sql, PLACE, Some(&place))?;
        Ok(match (is_over, fullness) {
            (false, _) => SOON_MS,
            (true, Fullness::Low) => config.interval_ms,
            (true, _) => config.interval_ms / HURRY,
        })
    }

    /// How full the database is; warns when it is nearly.
    async fn fullness(&self, db: &D1Database, config: ArchiveConfig) -> Result<Fullness, Problem> {
        let bytes = d1::size(db).await?;
        let fullness = Fullness::of(bytes, config.database_bytes);
        let now = clock::now();
        if fullness >= Fullness::High && now.since(self.warned.get()) >= WARN_EVERY_MS {
            self.warned.set(now);
            console_warn!(
                "the database has {bytes} of {} bytes: bind an archive, or move what is old (docs/OPERATIONS.md)",
                config.database_bytes
            );
        }
        Ok(fullness)
    }

    /// Visits the next streams; where to go on, the beginning after the last.
    async fn go_on(
        &self,
        db: &D1Database,
        config: ArchiveConfig,
        fullness: Fullness,
        place: Place,
        until: UnixMs,
    ) -> Result<Place, Problem> {
        match place {
            Place::Segments(after) => {
                let streams = match Archive::of(&self.env) {
                    Some(_) => segments::streams_after(db, &after, STREAMS_AT_ONCE).await?,
                    None => Vec::new(),
                };
                let mut visited = after;
                for found in &streams {
                    if clock::now() >= until {
                        break;
                    }
                    if self.may_pack(config, fullness, found) {
                        self.visit(db, config, fullness, found.stream).await?;
                    }
                    visited = found.stream.to_string();
                }
                Ok(match streams.is_empty() {
                    true => Place::Retention(String::new()),
                    false => Place::Segments(visited),
                })
            }
            Place::Retention(after) => {
                let streams = streams::with_retention(db, &after, STREAMS_AT_ONCE).await?;
                for stream in &streams {
                    self.strip(db, stream).await?;
                }
                let last = streams.last();
                Ok(last.map_or(Place::Rounds, |last| Place::Retention(last.id.to_string())))
            }
            Place::Rounds => Ok(match self.move_rounds(db, config, fullness, until).await? {
                true => Place::Rounds,
                false => Place::Segments(String::new()),
            }),
        }
    }

    /// Whether a stream is to be visited: all of it, final or not, makes a pack; or packing failed, and success is to be noted.
    fn may_pack(&self, config: ArchiveConfig, fullness: Fullness, found: &StreamSums) -> bool {
        let oldest = first_time(&found.begins).unwrap_or_default();
        let (segments, bytes) = (found.segments, found.bytes);
        config
            .rules
            .is_worth(segments, bytes, oldest, fullness, clock::now())
            || self.failures.borrow().has_failed(found.stream, Work::Packing)
    }

    /// Makes packs of what a stream has that is final. What fails with this stream alone is logged, and the stream left
    /// alone for a while: the others have their turn.
    async fn visit(
        &self,
        db: &D1Database,
        config: ArchiveConfig,
        fullness: Fullness,
        stream: StreamId,
    ) -> Result<(), Problem> {
        match self.pack_stream(db, config, fullness, stream).await {
            // The job has to be finished first.
            Err(problem) if self.job()?.is_some() => Err(problem),
            Err(problem) => {
                self.note_failure(stream, Work::Packing, &problem);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Makes packs of what a stream has that is final.
    async fn pack_stream(
        &self,
        db: &D1Database,
        config: ArchiveConfig,
        fullness: Fullness,
        stream: StreamId,
    ) -> Result<(), Problem> {
        let rounds = Config::of(&self.env).map_err(Problem::internal)?.rounds;
        for _ in 0..PACKS_PER_VISIT {
            if self.is_resting(stream) {
                return Ok(());
            }
            let (rows, begins) = segments::oldest(db, stream, MAX_PACK_SEGMENTS).await?;
            let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
                break;
            };
            let end = Seq(last.first.0.saturating_add(last.count));
            let mut finals = anchors::finals(db, stream, first.first, end, MAX_FINALS).await?;
            let range = (first.first, end);
            finals.extend(runs::finals(db, rounds, stream, range, MAX_FINALS).await?);
            let oldest = first_time(&begins).unwrap_or_default();
            let now = clock::now();
            let Some((first, end)) = plan(&rows, &finals, oldest, config.rules, fullness, now) else {
                break;
            };
            self.run(&Job::pack(stream, first, end)).await?;
        }
        if !self.is_resting(stream) {
            self.note_success(stream, Work::Packing);
        }
        Ok(())
    }

    /// Rewrites packs that have erased messages.
    async fn rewrite_erased(&self, db: &D1Database) -> Result<(), Problem> {
        for _ in 0..REWRITES_PER_PASS {
            let found = packs::next_with_erasures(db, self.looked_at.get()).await?;
            let Some((id, stream, seq)) = found else {
                self.looked_at.set(0);
                return Ok(());
            };
            if self.is_resting(stream) {
                self.looked_at.set(id);
                continue;
            }
            match packs::find(db, stream, seq).await? {
                Some(found) => self.run(&Job::rewrite(&found.row, UnixMs(0))).await?,
                // The pack that it was noted for never came to be: the segment itself was changed.
                None => packs::drop_erasure(db, id).await?,
            }
            self.looked_at.set(id);
        }
        Ok(())
    }
}
