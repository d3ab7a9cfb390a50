//! The job at work: one pack, step by step; each step is saved before it is done.

use super::object::Archiver;
use super::tables::{self, JOB};
use crate::clock;
use crate::config::Config;
use crate::problem::Problem;
use crate::storage::archive::Archive;
use crate::storage::d1::{self, packs, runs, segments};
use std::collections::BTreeSet;
use streamchain_edge_core::archive::{Built, Job, Packer, Source, Step, Work, rewrite};
use streamchain_protocol::archive::SegmentToPack;
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::util::BackoffBounds;
use worker::{D1Database, console_error};

/// Records read from the database at a time while a pack is built.
const BYTES_AT_ONCE: usize = 1024 * 1024;

/// How long a stream is left alone whose pack could not be built: at first for as long as ten passes are apart, or for this
/// long if they are further apart.
const REST: BackoffBounds = BackoffBounds {
    first_ms: 10_000,
    max_ms: 3_600_000,
};
const FIRST_REST_PASSES: u64 = 10;

impl Archiver {
    pub(super) fn job(&self) -> Result<Option<Job>, Problem> {
        Ok(tables::load(&self.state.storage().sql(), JOB)?)
    }

    fn save_job(&self, job: Option<&Job>) -> Result<(), Problem> {
        Ok(tables::save(&self.state.storage().sql(), JOB, job)?)
    }

    /// Begins a job and does all of it.
    pub(super) async fn run(&self, job: &Job) -> Result<(), Problem> {
        self.save_job(Some(job))?;
        self.finish_job().await
    }

    /// Does what is left of the saved job. A pack that can't be built is given up, and its stream left alone for a while;
    /// anything else that fails is done again with the next pass.
    pub(super) async fn finish_job(&self) -> Result<(), Problem> {
        while let Some(job) = self.job()? {
            let Err(problem) = self.step(&job).await else {
                continue;
            };
            let Some(abandoned) = job.abandon() else {
                return Err(problem);
            };
            self.note_failure(job.stream, Work::Packing, &problem);
            self.save_job(Some(&abandoned))?;
        }
        Ok(())
    }

    /// Logs what work on one stream fails with, and leaves that stream alone for a while, longer each time.
    pub(super) fn note_failure(&self, stream: StreamId, work: Work, problem: &Problem) {
        console_error!("archiver: stream {stream}: {problem}");
        let interval_ms = Config::of(&self.env).map_or(REST.first_ms, |config| config.archive.interval_ms);
        let rest = BackoffBounds {
            first_ms: interval_ms.saturating_mul(FIRST_REST_PASSES).min(REST.first_ms),
            ..REST
        };
        let mut failures = self.failures.borrow_mut();
        failures.handle_failure((stream, work), problem.to_string(), rest, clock::now());
    }

    /// Notes that work on a stream was done, or that there was none to do.
    pub(super) fn note_success(&self, stream: StreamId, work: Work) {
        self.failures.borrow_mut().handle_success(stream, work);
    }

    /// Whether a stream is left alone for now.
    pub(super) fn is_resting(&self, stream: StreamId) -> bool {
        self.failures.borrow().is_resting(stream, clock::now())
    }

    async fn step(&self, job: &Job) -> Result<(), Problem> {
        let _lock = self.lock().await?;
        let db = self.env.d1("DB")?;
        let archive = Archive::of(&self.env);
        let archive = archive.ok_or_else(|| Problem::internal("the binding ARCHIVE is gone"))?;
        match &job.step {
            Step::Build => {
                let (Built { bytes, row }, noted) = self.build(&db, &archive, job).await?;
                archive.put(&job.key(), bytes).await?;
                self.save_job(Some(&job.clone().handle_put(row, noted)))
            }
            Step::Enter { row, noted } => {
                d1::batch(&db, packs::enter(&db, job, row, *noted)?).await?;
                self.note_success(job.stream, Work::Packing);
                self.save_job(job.clone().handle_entered().as_ref())
            }
            Step::Drop { key } => {
                archive.delete(key).await?;
                self.save_job(None)
            }
        }
    }

    /// The pack, and up to which number the notes of erased messages are in it.
    async fn build(&self, db: &D1Database, archive: &Archive, job: &Job) -> Result<(Built, u64), Problem> {
        match job.source {
            Source::Segments => {
                let built = from_segments(db, job).await?;
                Ok((built, 0))
            }
            Source::Pack { generation, before } => {
                // First the number: what is noted later is in the list perhaps, and keeps its note.
                let noted = packs::newest_erasure(db, job.stream, job.first, job.end).await?;
                let found = packs::find(db, job.stream, job.first).await?;
                let found = found.filter(|found| found.row.generation == generation);
                let found = found.ok_or_else(|| Problem::internal("the pack was rewritten already"))?;
                let row = &found.row;
                let pack = archive.range(&row.key(), 0, row.bytes).await?;
                let pack = pack.ok_or_else(|| Problem::internal("the archive lacks the pack"))?;
                let erased: BTreeSet<Seq> = found.erased.iter().copied().collect();
                let built = rewrite(row, &pack, |seq, record| {
                    record.time < before || erased.contains(&seq)
                });
                Ok((built.map_err(Problem::internal)?, noted))
            }
        }
    }
}

async fn from_segments(db: &D1Database, job: &Job) -> Result<Built, Problem> {
    let mut packer = Packer::new(job.stream, job.first);
    while packer.end() < job.end {
        let rows = segments::full(db, job.stream, packer.end(), job.end, BYTES_AT_ONCE).await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            let segment = &row.segment;
            let pushed = packer.push(&SegmentToPack {
                first: segment.first,
                count: u32::try_from(segment.count).map_err(Problem::internal)?,
                root: segment.root,
                mode: row.mode,
                prove: row.prove,
                anchor: row.anchor,
                records: &segment.records,
            });
            pushed.map_err(Problem::internal)?;
        }
    }
    let runs = runs::within(db, job.stream, job.first, job.end).await?;
    packer.push_runs(runs).map_err(Problem::internal)?;
    packer.finish(job.end, 0).map_err(Problem::internal)
}
