//! A stream's segments, and what leads from them to the chain, wherever they are: in the database, or in packs of the archive.
//!
//! What always holds: a segment leaves the database in the transaction that enters its pack, so who looks in the database
//! and then in the packs finds every message below `flushed`. An object that is gone was rewritten meanwhile: its row names
//! another one, and is read again. Messages that were erased after their pack was written are left out here. The buckets and
//! the lists of a round are put before the database drops them.

use crate::storage::archive::Archive;
use crate::storage::d1::packs::{self, FoundPack};
use crate::storage::d1::rounds::{self, RoundRow, StoredRound};
use crate::storage::d1::runs::{self, RunRow};
use crate::storage::d1::segments::{self, SegmentRow};
use std::rc::Rc;
use streamchain_chain::anchorer::StoredSegment;
use streamchain_edge_core::archive::{
    BUCKETS_OBJECT_BYTES, StoredBuckets, read_buckets_object, runs_in_round,
};
use streamchain_protocol::archive::{PackIndex, PackedRun, PackedSegment};
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::proof::run::{RUN_ENTRY_BYTES, RunEntry, decode_runs};
use streamchain_protocol::stream_settings::Anchoring;
use streamchain_protocol::wire::erase_payloads;
use worker::{D1Database, Env, Error};

/// How often a pack is looked for whose object was replaced meanwhile.
const MAX_LOOKS: usize = 3;

/// Most packs that one question reads. Each is two requests of the thousand that a Worker may send for one of its own.
const MAX_PACKS: usize = 24;

/// Why an object can't be read that has to be there.
const NOT_THERE: &str = "the archive lacks it";

/// A stream's segments, wherever they are.
pub(crate) struct History {
    /// The database.
    pub db: D1Database,
    archive: Option<Archive>,
}

/// A pack that was found, and its index.
struct OpenPack {
    found: FoundPack,
    index: Rc<PackIndex>,
}

impl History {
    /// The history of this deployment's streams.
    pub(crate) fn of(env: &Env) -> Result<Self, Error> {
        Ok(Self {
            db: env.d1("DB")?,
            archive: Archive::of(env),
        })
    }

    /// The segments with the messages `from..to`, in order: the first, and more until their records reach `max_bytes`.
    /// Fewer where that would take too many packs.
    pub(crate) async fn with_records(
        &self,
        stream: StreamId,
        from: Seq,
        to: Seq,
        max_bytes: usize,
    ) -> Result<Vec<SegmentRow>, Error> {
        let (mut all, mut next, mut bytes): (Vec<SegmentRow>, _, _) = (Vec::new(), from, 0);
        for _ in 0..MAX_PACKS {
            let left = max_bytes.saturating_sub(bytes);
            if next >= to || (left == 0 && !all.is_empty()) {
                break;
            }
            let rows = segments::with_records(&self.db, stream, next, to, left.max(1)).await?;
            if covers(&rows, next) {
                all.extend(rows);
                break;
            }
            let more = self.packed_records(stream, next, to, left).await?;
            bytes += more.iter().map(|row| row.records.len()).sum::<usize>();
            next = more.last().map_or(to, SegmentRow::end);
            all.extend(more);
        }
        Ok(all)
    }

    /// Segments with the messages from `from` on out of the one pack that has that message: the first, and more within the
    /// bounds.
    async fn packed_records(
        &self,
        stream: StreamId,
        from: Seq,
        to: Seq,
        max_bytes: usize,
    ) -> Result<Vec<SegmentRow>, Error> {
        for _ in 0..MAX_LOOKS {
            let Some(pack) = self.open(stream, from).await? else {
                break;
            };
            let wanted = pack.index.within(from, to, max_bytes);
            let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else {
                break;
            };
            let length = last.offset + u64::from(last.length) - first.offset;
            let key = pack.found.row.key();
            let Some(bytes) = self.archive()?.range(&key, first.offset, length).await? else {
                continue;
            };
            let row = |segment| row_of(segment, &pack.found, first.offset, &bytes);
            return wanted.iter().map(row).collect();
        }
        Err(lacking(stream, from))
    }

    /// Up to `limit` segments from the one with the message `from` on, in order, without their records; and where to go on
    /// when there may be more.
    pub(crate) async fn list(
        &self,
        stream: StreamId,
        from: Seq,
        limit: usize,
    ) -> Result<(Vec<SegmentRow>, Option<Seq>), Error> {
        let (mut all, mut next): (Vec<SegmentRow>, _) = (Vec::new(), from);
        for _ in 0..MAX_PACKS {
            let room = limit - all.len();
            let rows = segments::list(&self.db, stream, next, room).await?;
            let pack = match covers(&rows, next) {
                true => None,
                false => self.open(stream, next).await?,
            };
            let Some(pack) = pack else {
                all.extend(rows);
                let is_full = all.len() == limit;
                let next = all.last().filter(|_| is_full).map(SegmentRow::end);
                return Ok((all, next));
            };
            let packed = pack.index.within(next, Seq(u64::MAX), usize::MAX).iter();
            let begins = |segment: &&PackedSegment| segment.first >= from;
            all.extend(packed.filter(begins).take(room).map(root_of));
            match all.last().filter(|_| all.len() == limit) {
                Some(last) => return Ok((all.clone(), Some(last.end()))),
                None => next = pack.index.end(),
            }
        }
        Ok((all, Some(next)))
    }

    /// The segments that begin in `from..to`, in order, without their records. `from` is where one begins.
    pub(crate) async fn roots(&self, stream: StreamId, from: Seq, to: Seq) -> Result<Vec<SegmentRow>, Error> {
        let (mut all, mut next) = (Vec::new(), from);
        while next < to {
            let rows = segments::roots(&self.db, stream, next, to).await?;
            if covers(&rows, next) {
                all.extend(rows);
                break;
            }
            let pack = self.open(stream, next).await?;
            let pack = pack.ok_or_else(|| lacking(stream, next))?;
            all.extend(pack.index.within(next, to, usize::MAX).iter().map(root_of));
            next = pack.index.end();
        }
        Ok(all)
    }

    /// Up to `limit` segments for the Anchorer, in order: the one with the message `from`, and those behind it.
    pub(crate) async fn to_anchor(
        &self,
        stream: StreamId,
        from: Seq,
        limit: usize,
    ) -> Result<Vec<StoredSegment>, Error> {
        let rows = segments::to_anchor(&self.db, stream, from, limit).await?;
        if rows.first().is_some_and(|row| row.first <= from) {
            return Ok(rows);
        }
        let Some(pack) = self.open(stream, from).await? else {
            return Ok(rows);
        };
        let stored = |segment: &PackedSegment| StoredSegment {
            first: segment.first,
            count: segment.count,
            root: segment.root,
            mode: segment.mode,
            prove: segment.prove,
        };
        let packed = pack.index.within(from, Seq(u64::MAX), usize::MAX);
        let own = packed.iter().filter(|segment| segment.anchor == Anchoring::Own);
        let mut all: Vec<StoredSegment> = own.take(limit).map(stored).collect();
        if all.len() < limit {
            let more = segments::to_anchor(&self.db, stream, pack.index.end(), limit - all.len());
            all.extend(more.await?);
        }
        Ok(all)
    }

    /// A round.
    pub(crate) async fn round(&self, round: u64) -> Result<Option<RoundRow>, Error> {
        match rounds::find(&self.db, round).await? {
            Some(found) => self.with_buckets(found).await.map(Some),
            None => Ok(None),
        }
    }

    /// The round with the highest number.
    pub(crate) async fn newest_round(&self) -> Result<Option<RoundRow>, Error> {
        match rounds::newest(&self.db).await? {
            Some(found) => self.with_buckets(found).await.map(Some),
            None => Ok(None),
        }
    }

    /// A round, with its buckets wherever they are.
    async fn with_buckets(&self, found: StoredRound) -> Result<RoundRow, Error> {
        let StoredRound {
            round,
            root,
            buckets,
            fixed,
        } = found;
        let buckets = match buckets {
            StoredBuckets::Here(buckets) => buckets,
            StoredBuckets::Archived => {
                let key = buckets_key(round);
                let object = self
                    .archive()?
                    .range(&key, 0, BUCKETS_OBJECT_BYTES as u64)
                    .await?;
                let object = object.ok_or_else(|| wrong(&key, &NOT_THERE))?;
                read_buckets_object(round, root, &object).map_err(|error| wrong(&key, &error))?
            }
        };
        Ok(RoundRow {
            round,
            root,
            buckets,
            fixed,
        })
    }

    /// The runs of one bucket of a round, in the order of stream ids.
    pub(crate) async fn bucket(&self, row: &RoundRow, bucket: u8) -> Result<Vec<RunEntry>, Error> {
        let (begin, count) = rounds::place_of_buckets(row, bucket, 1);
        let runs = rounds::bucket(&self.db, row, bucket).await?;
        let Some(archive) = self.archive.as_ref().filter(|_| runs.len() as u64 != count) else {
            return Ok(runs);
        };
        let list = archived_runs(archive, row.round, begin, count).await?;
        decode_runs(&list).map_err(|error| wrong(&list_key(row.round), &error))
    }

    /// The runs that a round has in a group of buckets, in the order of stream ids: none of a group that it was made without.
    pub(crate) async fn runs_of_group(
        &self,
        round: u64,
        first_bucket: u8,
        buckets: u16,
    ) -> Result<Vec<RunEntry>, Error> {
        let Some(row) = self.round(round).await? else {
            return Ok(Vec::new());
        };
        let (begin, count) = rounds::place_of_buckets(&row, first_bucket, buckets);
        if count == 0 {
            return Ok(Vec::new());
        }
        let list = match rounds::list_of_group(&self.db, round, first_bucket).await? {
            Some(list) => list,
            None => archived_runs(self.archive()?, round, begin, count).await?,
        };
        Ok(runs_in_round(&row.buckets, list))
    }

    /// The run that a message is in, if it is in a round.
    pub(crate) async fn run_over(
        &self,
        rounds: StreamId,
        stream: StreamId,
        seq: Seq,
    ) -> Result<Option<RunRow>, Error> {
        if let Some(run) = runs::covering(&self.db, rounds, stream, seq).await? {
            return Ok(Some(run));
        }
        let pack = self.open(stream, seq).await?;
        let Some(run) = pack.as_ref().and_then(|pack| pack.index.run_over(seq)) else {
            return Ok(None);
        };
        let placed = runs::placed(&self.db, rounds, &[*run]).await?;
        Ok(placed.into_iter().next())
    }

    /// Up to `limit` runs that begin at `from` or later, in order; and where to go on when there may be more.
    pub(crate) async fn runs(
        &self,
        rounds: StreamId,
        stream: StreamId,
        from: Seq,
        limit: usize,
    ) -> Result<(Vec<RunRow>, Option<Seq>), Error> {
        let (mut all, mut next): (Vec<RunRow>, _) = (Vec::new(), from);
        for _ in 0..MAX_PACKS {
            let Some(pack) = self.open(stream, next).await? else {
                let rows = runs::list(&self.db, rounds, stream, next, limit - all.len()).await?;
                all.extend(rows);
                let is_full = all.len() == limit;
                let next = all.last().filter(|_| is_full).map(RunRow::end);
                return Ok((all, next));
            };
            // One that begins in an earlier pack reaches into this one too.
            let begins = |run: &&PackedRun| run.first >= next;
            let wanted: Vec<PackedRun> = pack.index.runs.iter().filter(begins).copied().collect();
            let room = limit - all.len();
            let wanted = wanted.get(..wanted.len().min(room)).unwrap_or_default();
            all.extend(runs::placed(&self.db, rounds, wanted).await?);
            match all.last().filter(|_| all.len() == limit) {
                Some(last) => return Ok((all.clone(), Some(last.end()))),
                None => next = all.last().map_or(next, RunRow::end).max(pack.index.end()),
            }
        }
        Ok((all, Some(next)))
    }

    fn archive(&self) -> Result<&Archive, Error> {
        let missing = "packs of this deployment are in an archive that is not bound: bind ARCHIVE again";
        self.archive
            .as_ref()
            .ok_or_else(|| Error::RustError(missing.to_owned()))
    }

    /// The pack with a message; `None` when no pack has it.
    async fn open(&self, stream: StreamId, seq: Seq) -> Result<Option<OpenPack>, Error> {
        for _ in 0..MAX_LOOKS {
            let Some(found) = packs::find(&self.db, stream, seq).await? else {
                return Ok(None);
            };
            if let Some(index) = self.archive()?.index(&found.row).await? {
                return Ok(Some(OpenPack { found, index }));
            }
        }
        Err(Error::RustError(format!(
            "the archive lacks the pack with message {seq} of stream {stream}"
        )))
    }
}

/// The name of the object with all runs of a round.
pub(crate) fn list_key(round: u64) -> String {
    format!("rounds/{round}.runs")
}

/// The name of the object with a round's buckets.
pub(crate) fn buckets_key(round: u64) -> String {
    format!("rounds/{round}.buckets")
}

#[cold]
fn wrong(key: &str, reason: &dyn std::fmt::Display) -> Error {
    Error::RustError(format!("{key}: {reason}"))
}

/// So many runs of the list of a round in the archive, encoded.
async fn archived_runs(archive: &Archive, round: u64, begin: u64, count: u64) -> Result<Vec<u8>, Error> {
    let (key, bytes) = (list_key(round), RUN_ENTRY_BYTES as u64);
    let list = archive.range(&key, begin * bytes, count * bytes).await?;
    list.ok_or_else(|| wrong(&key, &NOT_THERE))
}

/// Whether the first of these segments has a message.
fn covers(rows: &[SegmentRow], seq: Seq) -> bool {
    let first = rows.first();
    first.is_some_and(|row| row.first <= seq && seq < row.end())
}

#[cold]
fn lacking(stream: StreamId, seq: Seq) -> Error {
    Error::RustError(format!(
        "message {seq} of stream {stream} is neither in the database nor in a pack"
    ))
}

fn root_of(segment: &PackedSegment) -> SegmentRow {
    SegmentRow {
        first: segment.first,
        count: segment.count.into(),
        root: segment.root,
        records: Vec::new(),
    }
}

/// A segment out of a range of its pack that begins at `offset`, without what was erased.
fn row_of(
    segment: &PackedSegment,
    found: &FoundPack,
    offset: u64,
    bytes: &[u8],
) -> Result<SegmentRow, Error> {
    let wrong =
        |error: &dyn std::fmt::Display| Error::RustError(format!("the pack {}: {error}", found.row.key()));
    let records = segment.records(offset, bytes).map_err(|error| wrong(&error))?;
    let range = segment.first..segment.end();
    let records = match found.erased.iter().any(|seq| range.contains(seq)) {
        false => records.to_vec(),
        true => {
            let erased = erase_payloads(segment.first, records, |seq, _| found.erased.contains(&seq));
            erased.map_err(|error| wrong(&error))?.0
        }
    };
    Ok(SegmentRow {
        records,
        ..root_of(segment)
    })
}
