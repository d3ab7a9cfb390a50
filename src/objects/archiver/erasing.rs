//! Payloads that go: of one message, by its owner's wish, or of all that are older than the stream keeps them.

use super::object::{Archiver, SOON_MS};
use crate::api::archiver::Erase;
use crate::clock;
use crate::problem::{Kind, Problem};
use crate::storage::d1::streams::Kept;
use crate::storage::d1::{self, anchors, packs, segments, streams};
use crate::storage::history::History;
use streamchain_edge_core::archive::{Job, Work};
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::proof::AnchorState;
use streamchain_protocol::stream_settings::Mode;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::{
    Omitted, StoredPayload, StoredRecord, decode_stored_records, erase_payloads,
};
use worker::D1Database;

/// A day, milliseconds: by so much a payload may outlive its time, so that packs are rewritten once a day at most.
const DAY_MS: u64 = 24 * 3_600_000;

/// Records of one stream that are stripped at once.
const STRIP_BYTES: usize = 1024 * 1024;

/// How many such steps, and how many packs, one visit takes.
const STEPS_PER_VISIT: usize = 8;

impl Archiver {
    /// Erases one message's payload. When this returns nobody reads it any more; asked again, the answer is the same.
    pub(super) async fn erase(&self, asked: &Erase) -> Result<Omitted, Problem> {
        let Erase { stream, seq } = *asked;
        let _lock = self.lock().await?;
        let history = History::of(&self.env)?;
        let db = &history.db;
        let rows = segments::with_records(db, stream, seq, seq.next(), 1).await?;
        let row = rows.into_iter().find(|row| row.first <= seq && seq < row.end());
        if let Some(row) = row {
            self.refuse_unanchored_payload(db, stream, row.first, seq).await?;
            let (records, _) = erase_payloads(row.first, &row.records, |at, _| at == seq)?;
            let mut statements = vec![segments::put_records(db, stream, row.first, &records)?];
            if self
                .job()?
                .is_some_and(|job| job.stream == stream && job.has_built(seq))
            {
                statements.push(packs::note_erasure(db, stream, seq)?);
            }
            d1::batch(db, statements).await?;
            return erased(row.first, &records, seq);
        }
        if packs::find(db, stream, seq).await?.is_none() {
            let detail = format!("message {seq} is not stored, or not flushed yet");
            return Err(Problem::new(Kind::NoSuchMessage, detail));
        }
        d1::batch(db, vec![packs::note_erasure(db, stream, seq)?]).await?;
        let soon = clock::now().plus_ms(SOON_MS);
        self.alarm.arm(&self.state.storage(), Some(soon)).await?;
        let rows = history.with_records(stream, seq, seq.next(), 1).await?;
        let row = rows
            .first()
            .ok_or_else(|| Problem::internal("a message without a segment"))?;
        erased(row.first, &row.records, seq)
    }

    /// What goes on chain whole has to be there until its anchor is final: a reorganisation may ask for it again.
    async fn refuse_unanchored_payload(
        &self,
        db: &D1Database,
        stream: StreamId,
        first: Seq,
        seq: Seq,
    ) -> Result<(), Problem> {
        let segment = segments::to_anchor(db, stream, first, 1).await?;
        if segment
            .first()
            .is_none_or(|segment| segment.mode != Mode::Payload)
        {
            return Ok(());
        }
        let anchor = anchors::covering(db, stream, seq).await?;
        match anchor.is_some_and(|anchor| anchor.state == AnchorState::Final) {
            true => Ok(()),
            false => {
                let detail = format!(
                    "message {seq} goes on chain with its payload (mode payload), and can be erased here once its anchor is final"
                );
                Err(Problem::new(Kind::NotAnchored, detail))
            }
        }
    }

    /// Takes the payloads of a stream that are older than it keeps them. What fails is logged: the others have their turn.
    pub(super) async fn strip(&self, db: &D1Database, kept: &Kept) -> Result<(), Problem> {
        let before = clock::now().minus_ms(kept.days.saturating_mul(DAY_MS));
        let stripped = self.strip_segments(db, kept, before).await;
        let stripped = stripped.and(self.strip_packs(db, kept.id, before).await);
        match stripped {
            Ok(()) => self.note_success(kept.id, Work::Stripping),
            Err(problem) => self.note_failure(kept.id, Work::Stripping, &problem),
        }
        Ok(())
    }

    async fn strip_segments(&self, db: &D1Database, kept: &Kept, before: UnixMs) -> Result<(), Problem> {
        let mut next = kept.stripped;
        for _ in 0..STEPS_PER_VISIT {
            let _lock = self.lock().await?;
            let rows = segments::full(db, kept.id, next, Seq(u64::MAX >> 11), STRIP_BYTES).await?;
            let (begun, mut statements) = (next, Vec::new());
            for row in &rows {
                let segment = &row.segment;
                let records = decode_stored_records(&segment.records)?;
                let is_final = row.mode != Mode::Payload
                    || anchors::covering(db, kept.id, segment.first)
                        .await?
                        .is_some_and(|anchor| anchor.state == AnchorState::Final);
                if !is_final || !records.iter().all(|record| record.time < before) {
                    break;
                }
                let (stripped, erased) = erase_payloads(segment.first, &segment.records, |_, _| true)?;
                if erased > 0 {
                    statements.push(segments::put_records(db, kept.id, segment.first, &stripped)?);
                }
                next = segment.end();
            }
            if next == begun {
                break;
            }
            statements.push(streams::mark_stripped(db, kept.id, next)?);
            d1::batch(db, statements).await?;
        }
        Ok(())
    }

    async fn strip_packs(&self, db: &D1Database, stream: StreamId, before: UnixMs) -> Result<(), Problem> {
        for _ in 0..STEPS_PER_VISIT {
            if self.is_resting(stream) {
                break;
            }
            let long_before = before.minus_ms(DAY_MS);
            let Some(found) = packs::next_too_old(db, stream, before, long_before).await? else {
                break;
            };
            self.run(&Job::rewrite(&found.row, before)).await?;
        }
        Ok(())
    }
}

/// What is known of the erased message `seq` of a segment.
fn erased(first: Seq, records: &[u8], seq: Seq) -> Result<Omitted, Problem> {
    let index = usize::try_from(seq.0.saturating_sub(first.0)).unwrap_or(usize::MAX);
    let record: Option<StoredRecord> = decode_stored_records(records)?.into_iter().nth(index);
    match record.map(|record| record.payload) {
        Some(StoredPayload::Erased(erased)) => Ok(erased),
        _ => Err(Problem::internal(format!("message {seq} was not erased"))),
    }
}
