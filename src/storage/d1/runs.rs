//! The table of runs: which messages of a stream are in which round. Those over packed messages are in the packs, but for the
//! newest one of each stream; others read them through [`crate::storage::history`].

use super::rounds::{PLACE, Place, place, put_list};
use super::{batch, final_range, number, rows};
use crate::storage::row::{Row, out_of_shape};
use alloy_primitives::{B256, hex};
use serde::Serialize;
use streamchain_edge_core::archive::{FinalRange, has_runs_sql};
use streamchain_protocol::archive::PackedRun;
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::proof::bucket::bucket_of;
use streamchain_protocol::proof::run::{RunEntry, encode_runs};
use worker::{D1Database, D1PreparedStatement, D1Type, Error};

/// Rows of one statement: about 250 bytes of JSON each, and a value of D1 has 2 MB at most.
const MAX_ROWS_AT_ONCE: usize = 1_000;

/// A run that is in a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunRow {
    /// Its first message.
    pub first: Seq,
    /// How many messages.
    pub count: u32,
    /// Over the roots of its segments.
    pub root: B256,
    /// The leaf of the stream's run before it, zero for the first.
    pub previous: B256,
    /// Its round.
    pub round: u64,
    /// Where the round is on the chain.
    #[serde(flatten)]
    pub place: Option<Place>,
}

impl RunRow {
    /// The seq behind the last message.
    pub(crate) fn end(&self) -> Seq {
        Seq(self.first.0.saturating_add(self.count.into()))
    }
}

fn read(row: &mut Row) -> Result<RunRow, Error> {
    Ok(RunRow {
        first: Seq(row.number()?),
        count: u32::try_from(row.number()?).map_err(|_| out_of_shape("a 32-bit number"))?,
        root: row.parsed()?,
        previous: row.parsed()?,
        round: row.number()?,
        place: place(row)?,
    })
}

/// Whether a round has runs in the bucket of this stream. A round that was fixed anew without a batcher does not, although
/// that batcher may have written its runs for it: they are in a later one.
fn has_bucket(stream: StreamId) -> String {
    has_runs_sql("d.buckets", bucket_of(stream))
}

/// Joined so that a run whose round is not on the chain has a row too.
fn joined(stream: StreamId, condition: &str) -> String {
    let has_bucket = has_bucket(stream);
    format!(
        "SELECT r.first, r.count, r.root, r.previous, r.round, {PLACE}
         FROM runs r LEFT JOIN rounds d ON d.round = r.round AND {has_bucket}
         LEFT JOIN anchors a ON a.stream = ?1 AND a.first = r.round AND a.count = 1 AND a.root = d.root
         WHERE r.stream = ?2 AND {condition}"
    )
}

/// The run that a message is in, if it is in a round. @param rounds the stream of rounds
pub(crate) async fn covering(
    db: &D1Database,
    rounds: StreamId,
    stream: StreamId,
    seq: Seq,
) -> Result<Option<RunRow>, Error> {
    let query = joined(
        stream,
        "r.first <= ?3 ORDER BY r.first DESC, a.block DESC LIMIT 1",
    );
    let (rounds, id) = (rounds.to_string(), stream.to_string());
    let values = [D1Type::Text(&rounds), D1Type::Text(&id), number(seq.0)];
    let found = rows(db, &query, &values, read).await?;
    Ok(found.into_iter().next().filter(|run| seq < run.end()))
}

/// Up to `limit` runs that begin at `from` or later, in order.
pub(crate) async fn list(
    db: &D1Database,
    rounds: StreamId,
    stream: StreamId,
    from: Seq,
    limit: usize,
) -> Result<Vec<RunRow>, Error> {
    let query = joined(stream, "r.first >= ?3 ORDER BY r.first, a.block LIMIT ?4");
    let (rounds, id) = (rounds.to_string(), stream.to_string());
    let values = [
        D1Type::Text(&rounds),
        D1Type::Text(&id),
        number(from.0),
        number(limit as u64),
    ];
    rows(db, &query, &values, read).await
}

/// The ranges of runs in final rounds that reach into `from..to`, in order, at most `limit` of them.
pub(crate) async fn finals(
    db: &D1Database,
    rounds: StreamId,
    stream: StreamId,
    (from, to): (Seq, Seq),
    limit: usize,
) -> Result<Vec<FinalRange>, Error> {
    let query = format!(
        "SELECT r.first, r.count FROM runs r CROSS JOIN rounds d ON d.round = r.round AND {}
         CROSS JOIN anchors a ON a.stream = ?1 AND a.first = r.round AND a.count = 1 AND a.root = d.root
         WHERE r.stream = ?2 AND a.state = 'final' AND r.first < ?4
           AND r.first >= (SELECT coalesce(max(first), 0) FROM runs WHERE stream = ?2 AND first <= ?3)
         ORDER BY r.first LIMIT ?5",
        has_bucket(stream)
    );
    let (rounds, id) = (rounds.to_string(), stream.to_string());
    let values = [
        D1Type::Text(&rounds),
        D1Type::Text(&id),
        number(from.0),
        number(to.0),
        number(limit as u64),
    ];
    rows(db, &query, &values, final_range).await
}

/// The runs that reach into `first..end`, in order, as packs list them.
pub(crate) async fn within(
    db: &D1Database,
    stream: StreamId,
    first: Seq,
    end: Seq,
) -> Result<Vec<PackedRun>, Error> {
    let query = "SELECT first, count, root, previous, round FROM runs
         WHERE stream = ?1 AND first < ?3 AND first + count > ?2
           AND first >= (SELECT coalesce(max(first), 0) FROM runs WHERE stream = ?1 AND first <= ?2)
         ORDER BY first";
    let id = stream.to_string();
    let values = [D1Type::Text(&id), number(first.0), number(end.0)];
    rows(db, query, &values, |row| {
        Ok(PackedRun {
            first: Seq(row.number()?),
            count: u32::try_from(row.number()?).map_err(|_| out_of_shape("a 32-bit number"))?,
            root: row.parsed()?,
            previous: row.parsed()?,
            round: row.number()?,
        })
    })
    .await
}

/// The statement that drops the runs which end at `end` or before: packs have them. The stream's newest run stays, since
/// the next one follows it.
pub(crate) fn drop_packed(db: &D1Database, stream: StreamId, end: Seq) -> Result<D1PreparedStatement, Error> {
    let statement = "DELETE FROM runs WHERE stream = ?1 AND first < ?2 AND first + count <= ?2
                     AND first < (SELECT max(first) FROM runs WHERE stream = ?1)";
    let id = stream.to_string();
    db.prepare(statement)
        .bind_refs(&[D1Type::Text(&id), number(end.0)])
}

/// Runs that packs list, with where their rounds are on the chain.
pub(crate) async fn placed(
    db: &D1Database,
    rounds: StreamId,
    packed: &[PackedRun],
) -> Result<Vec<RunRow>, Error> {
    let query = format!(
        "SELECT d.round, {PLACE} FROM json_each(?2) w JOIN rounds d ON d.round = w.value
         JOIN anchors a ON a.stream = ?1 AND a.first = d.round AND a.count = 1 AND a.root = d.root"
    );
    let numbers: Vec<u64> = packed.iter().map(|run| run.round).collect();
    let (rounds, numbers) = (rounds.to_string(), serde_json::to_string(&numbers)?);
    let values = [D1Type::Text(&rounds), D1Type::Text(&numbers)];
    let places = rows(db, &query, &values, |row| Ok((row.number()?, place(row)?))).await?;
    let row = |run: &PackedRun| RunRow {
        first: run.first,
        count: run.count,
        root: run.root,
        previous: run.previous,
        round: run.round,
        place: places
            .iter()
            .find(|(round, _)| *round == run.round)
            .and_then(|(_, place)| *place),
    };
    Ok(packed.iter().map(row).collect())
}

/// The newest run of a stream that is in a round, or in one that is being made.
pub(crate) async fn newest(db: &D1Database, stream: StreamId) -> Result<Option<RunEntry>, Error> {
    let query = format!(
        "SELECT r.first, r.count, r.root, r.previous FROM runs r LEFT JOIN rounds d ON d.round = r.round
         WHERE r.stream = ?1 AND (d.round IS NULL OR {}) ORDER BY r.first DESC LIMIT 1",
        has_bucket(stream)
    );
    let id = stream.to_string();
    let read = |row: &mut Row| {
        Ok(RunEntry {
            stream,
            first: Seq(row.number()?),
            count: u32::try_from(row.number()?).map_err(|_| out_of_shape("a 32-bit number"))?,
            root: row.parsed()?,
            previous: row.parsed()?,
        })
    };
    let found = rows(db, &query, &[D1Type::Text(&id)], read).await?;
    Ok(found.into_iter().next())
}

/// How far a stream is on the chain, as its runs say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    /// Where its first run begins: what is before has anchors of its own.
    pub begin: Seq,
    /// Behind its last run that is on the chain.
    pub anchored: Option<Seq>,
    /// Behind its last run that is final.
    pub finalized: Option<Seq>,
}

/// The marks of a stream; `None` when none of its runs is in a round. Rounds are on the chain in their order, so what comes
/// before the newest run that is there is there too. Runs are read from the newest one backwards: few are not final yet.
pub(crate) async fn marks(
    db: &D1Database,
    rounds: StreamId,
    stream: StreamId,
) -> Result<Option<Marks>, Error> {
    let newest = format!(
        "SELECT r.first + r.count FROM runs r CROSS JOIN rounds d ON d.round = r.round AND {}
         CROSS JOIN anchors a ON a.stream = ?2 AND a.first = r.round AND a.count = 1 AND a.root = d.root
         WHERE r.stream = ?1 ",
        has_bucket(stream)
    );
    let query = format!(
        "SELECT (SELECT first FROM runs WHERE stream = ?1 ORDER BY first LIMIT 1),
                ({newest} ORDER BY r.first DESC LIMIT 1),
                ({newest} AND a.state = 'final' ORDER BY r.first DESC LIMIT 1)"
    );
    let (id, rounds) = (stream.to_string(), rounds.to_string());
    let values = [D1Type::Text(&id), D1Type::Text(&rounds)];
    let read = |row: &mut Row| {
        let begin = row.maybe_number()?;
        let (anchored, finalized) = (row.maybe_number()?.map(Seq), row.maybe_number()?.map(Seq));
        Ok(begin.map(|begin| Marks {
            begin: Seq(begin),
            anchored,
            finalized,
        }))
    };
    let found = rows(db, &query, &values, read).await?;
    Ok(found.into_iter().next().flatten())
}

/// Writes what a group of buckets has in a round, the list and a row for each run, in the place of what is there: all or
/// nothing.
pub(crate) async fn put(
    db: &D1Database,
    round: u64,
    first_bucket: u8,
    runs: &[RunEntry],
) -> Result<(), Error> {
    let mut statements = vec![put_list(db, round, first_bucket, &encode_runs(runs))?];
    for runs in runs.chunks(MAX_ROWS_AT_ONCE) {
        statements.push(insert_rows(db, round, runs)?);
    }
    batch(db, statements).await
}

fn insert_rows(db: &D1Database, round: u64, runs: &[RunEntry]) -> Result<D1PreparedStatement, Error> {
    let statement = "INSERT OR REPLACE INTO runs (stream, first, count, root, previous, round)
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
               json_extract(value, '$[3]'), json_extract(value, '$[4]'), ?2
        FROM json_each(?1)";
    let fields = |run: &RunEntry| {
        let (root, previous) = (hex::encode_prefixed(run.root), hex::encode_prefixed(run.previous));
        serde_json::json!([run.stream, run.first, run.count, root, previous])
    };
    let values = serde_json::Value::from_iter(runs.iter().map(fields)).to_string();
    db.prepare(statement)
        .bind_refs(&[D1Type::Text(&values), number(round)])
}
