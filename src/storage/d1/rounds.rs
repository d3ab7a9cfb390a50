//! The tables of rounds: what each round has, its lists of runs, and the range over all rounds.
//!
//! What always holds: what is written of a round never changes. The same again is fine, anything else is an error. The
//! buckets and the lists of final rounds are in the archive; others read them through [`crate::storage::history`].

use super::{anchor_state, batch, number, rows};
use crate::storage::row::{Row, out_of_shape};
use alloy_primitives::{B256, hex};
use serde::Serialize;
use streamchain_edge_core::archive::{BUCKET_MAP_BYTES, StoredBuckets, bucket_map};
use streamchain_protocol::ids::StreamId;
use streamchain_protocol::proof::AnchorState;
use streamchain_protocol::proof::bucket::{Buckets, encode_buckets};
use streamchain_protocol::proof::range::RangeNode;
use streamchain_protocol::proof::run::{RUN_ENTRY_BYTES, RunEntry, decode_runs};
use streamchain_protocol::time::UnixMs;
use worker::{D1Database, D1PreparedStatement, D1Type, Error};

/// A round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoundRow {
    /// Its number.
    pub round: u64,
    /// Over the leaves of its buckets.
    pub root: B256,
    /// What each bucket has.
    pub buckets: Box<Buckets>,
    /// When it was fixed.
    pub fixed: UnixMs,
}

/// A round, as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredRound {
    /// Its number.
    pub round: u64,
    /// Over the leaves of its buckets.
    pub root: B256,
    /// What each bucket has, or that the archive has it.
    pub buckets: StoredBuckets,
    /// When it was fixed.
    pub fixed: UnixMs,
}

/// A round whose buckets are looked for in the database, behind those that were moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RoundToMove {
    /// Its number.
    pub round: u64,
    /// Whether its buckets are in the database.
    pub has_buckets: bool,
    /// Whether it is final, older than what is kept, and not the newest one.
    pub is_due: bool,
}

/// A round and where it is on the chain, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RoundOnChain {
    /// Its number.
    pub round: u64,
    /// Over the leaves of its buckets.
    pub root: B256,
    /// How many runs it has.
    pub runs: u64,
    /// When it was fixed.
    pub fixed: UnixMs,
    /// Where it is on the chain.
    #[serde(flatten)]
    pub place: Option<Place>,
}

/// Where an anchor is on the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Place {
    /// The transaction that emitted it.
    pub tx: B256,
    /// Its block's number.
    pub block: u64,
    /// Its block's hash.
    pub block_hash: B256,
    /// Its place among all logs of the block.
    pub log_index: u64,
    /// How sure it is.
    pub state: AnchorState,
}

/// The columns of a [`Place`]: all of them are NULL where there is none.
pub(super) const PLACE: &str = "a.block, a.tx, a.block_hash, a.log_index, a.state";

/// Reads the columns [`PLACE`].
pub(super) fn place(row: &mut Row) -> Result<Option<Place>, Error> {
    let Some(block) = row.maybe_number()? else {
        return Ok(None);
    };
    Ok(Some(Place {
        block,
        tx: row.parsed()?,
        block_hash: row.parsed()?,
        log_index: row.number()?,
        state: anchor_state(row)?,
    }))
}

/// Writes a round, and the nodes that it adds to the range, in the place of what is there.
pub(crate) async fn put(db: &D1Database, row: &RoundRow, nodes: &[RangeNode]) -> Result<(), Error> {
    let statement = "INSERT OR REPLACE INTO rounds (round, root, runs, buckets, fixed)
                     VALUES (?1, ?2, ?3, unhex(?4), ?5)";
    let root = hex::encode_prefixed(row.root);
    let buckets = hex::encode(encode_buckets(&row.buckets));
    let runs = row.buckets.iter().map(|bucket| u64::from(bucket.runs)).sum();
    let values = [
        number(row.round),
        D1Type::Text(&root),
        number(runs),
        D1Type::Text(&buckets),
        number(row.fixed.0),
    ];
    let mut statements = vec![db.prepare(statement).bind_refs(&values)?];
    for node in nodes {
        let hash = hex::encode_prefixed(node.hash);
        let values = [
            number(node.height.into()),
            number(node.index),
            D1Type::Text(&hash),
        ];
        let statement = "INSERT OR REPLACE INTO range_nodes (height, idx, hash) VALUES (?1, ?2, ?3)";
        statements.push(db.prepare(statement).bind_refs(&values)?);
    }
    batch(db, statements).await
}

/// A round.
pub(crate) async fn find(db: &D1Database, round: u64) -> Result<Option<StoredRound>, Error> {
    let query = "SELECT round, root, hex(buckets), fixed FROM rounds WHERE round = ?1";
    let found = rows(db, query, &[number(round)], read).await?;
    Ok(found.into_iter().next())
}

/// The round with the highest number.
pub(crate) async fn newest(db: &D1Database) -> Result<Option<StoredRound>, Error> {
    let query = "SELECT round, root, hex(buckets), fixed FROM rounds ORDER BY round DESC LIMIT 1";
    Ok(rows(db, query, &[], read).await?.into_iter().next())
}

/// The roots of these rounds, as far as the rounds are there.
pub(crate) async fn roots(db: &D1Database, wanted: &[u64]) -> Result<Vec<(u64, B256)>, Error> {
    let query = "SELECT r.round, r.root FROM json_each(?1) w JOIN rounds r ON r.round = w.value";
    let wanted = serde_json::to_string(wanted)?;
    rows(db, query, &[D1Type::Text(&wanted)], |row| {
        Ok((row.number()?, row.parsed()?))
    })
    .await
}

/// Number and root of up to `limit` rounds from `from` on, in order.
pub(crate) async fn roots_from(db: &D1Database, from: u64, limit: usize) -> Result<Vec<(u64, B256)>, Error> {
    let query = "SELECT round, root FROM rounds WHERE round >= ?1 ORDER BY round LIMIT ?2";
    rows(db, query, &[number(from), number(limit as u64)], |row| {
        Ok((row.number()?, row.parsed()?))
    })
    .await
}

fn read(row: &mut Row) -> Result<StoredRound, Error> {
    Ok(StoredRound {
        round: row.number()?,
        root: row.parsed()?,
        buckets: buckets(&row.text()?)?,
        fixed: UnixMs(row.number()?),
    })
}

fn buckets(digits: &str) -> Result<StoredBuckets, Error> {
    let bytes = hex::decode(digits).ok();
    let buckets = bytes.and_then(|bytes| StoredBuckets::read(&bytes));
    buckets.ok_or_else(|| out_of_shape("the buckets of a round"))
}

/// Up to `limit` rounds from `from` on, in order, with where they are on the chain.
pub(crate) async fn list(
    db: &D1Database,
    rounds: StreamId,
    from: u64,
    limit: usize,
) -> Result<Vec<RoundOnChain>, Error> {
    let query = format!(
        "SELECT r.round, r.root, r.runs, r.fixed, {PLACE}
         FROM rounds r LEFT JOIN anchors a ON a.stream = ?1 AND a.first = r.round AND a.count = 1 AND a.root = r.root
         WHERE r.round >= ?2 ORDER BY r.round, a.block LIMIT ?3"
    );
    let id = rounds.to_string();
    let values = [D1Type::Text(&id), number(from), number(limit as u64)];
    rows(db, &query, &values, |row| {
        Ok(RoundOnChain {
            round: row.number()?,
            root: row.parsed()?,
            runs: row.number()?,
            fixed: UnixMs(row.number()?),
            place: place(row)?,
        })
    })
    .await
}

/// How far rounds are: the first one that is not on the chain, and the first one that is not final.
pub(crate) async fn marks(db: &D1Database, rounds: StreamId) -> Result<(u64, u64), Error> {
    let query = "SELECT
        (SELECT coalesce(max(first) + 1, 0) FROM anchors WHERE stream = ?1),
        (SELECT coalesce((SELECT first + 1 FROM anchors WHERE stream = ?1 AND state = 'final'
                          ORDER BY first DESC LIMIT 1), 0))";
    let id = rounds.to_string();
    let read = |row: &mut Row| Ok((row.number()?, row.number()?));
    let found = rows(db, query, &[D1Type::Text(&id)], read).await?;
    Ok(found.into_iter().next().unwrap_or_default())
}

/// The statement that writes the list of a round for the group of buckets that begins with `first_bucket`.
pub(crate) fn put_list(
    db: &D1Database,
    round: u64,
    first_bucket: u8,
    entries: &[u8],
) -> Result<D1PreparedStatement, Error> {
    let statement =
        "INSERT OR REPLACE INTO round_lists (round, first_bucket, entries) VALUES (?1, ?2, unhex(?3))";
    let digits = hex::encode(entries);
    let values = [number(round), number(first_bucket.into()), D1Type::Text(&digits)];
    db.prepare(statement).bind_refs(&values)
}

/// The list of a round for the group of buckets that begins with `first_bucket`, encoded; `None` when it is not here.
pub(crate) async fn list_of_group(
    db: &D1Database,
    round: u64,
    first_bucket: u8,
) -> Result<Option<Vec<u8>>, Error> {
    let query = "SELECT hex(entries) FROM round_lists WHERE round = ?1 AND first_bucket = ?2";
    let values = [number(round), number(first_bucket.into())];
    let found = rows(db, query, &values, Row::text).await?.into_iter().next();
    let bytes = |digits: String| hex::decode(digits).map_err(|_| out_of_shape("hexadecimal digits"));
    found.map(bytes).transpose()
}

fn runs(digits: &str) -> Result<Vec<RunEntry>, Error> {
    let bytes = hex::decode(digits).ok();
    let runs = bytes.and_then(|bytes| decode_runs(&bytes).ok());
    runs.ok_or_else(|| out_of_shape("a list of runs"))
}

/// Up to `limit` final rounds from `from` on that were fixed before this time and whose lists are here, the oldest first.
pub(crate) async fn with_lists(
    db: &D1Database,
    rounds: StreamId,
    (from, before): (u64, UnixMs),
    limit: usize,
) -> Result<Vec<u64>, Error> {
    let query = "SELECT d.round
         FROM (SELECT DISTINCT round FROM round_lists WHERE round >= ?4 ORDER BY round LIMIT ?3) l
         JOIN rounds d ON d.round = l.round
         JOIN anchors a ON a.stream = ?1 AND a.first = d.round AND a.count = 1 AND a.root = d.root
         WHERE a.state = 'final' AND d.fixed < ?2 ORDER BY d.round";
    let id = rounds.to_string();
    let values = [
        D1Type::Text(&id),
        number(before.0),
        number(limit as u64),
        number(from),
    ];
    rows(db, query, &values, Row::number).await
}

/// Up to `limit` rounds from `from` on, in order, whose buckets may be here.
pub(crate) async fn to_move(
    db: &D1Database,
    rounds: StreamId,
    (from, before): (u64, UnixMs),
    limit: usize,
) -> Result<Vec<RoundToMove>, Error> {
    let query = "SELECT d.round, length(d.buckets) > ?5,
                d.fixed < ?2 AND d.round < (SELECT max(round) FROM rounds) AND EXISTS (
                    SELECT 1 FROM anchors a WHERE a.stream = ?1 AND a.first = d.round AND a.count = 1
                    AND a.root = d.root AND a.state = 'final')
         FROM rounds d WHERE d.round >= ?4 ORDER BY d.round LIMIT ?3";
    let id = rounds.to_string();
    let values = [
        D1Type::Text(&id),
        number(before.0),
        number(limit as u64),
        number(from),
        number(BUCKET_MAP_BYTES as u64),
    ];
    rows(db, query, &values, |row| {
        Ok(RoundToMove {
            round: row.number()?,
            has_buckets: row.number()? != 0,
            is_due: row.number()? != 0,
        })
    })
    .await
}

/// The lists of a round that are here, encoded, in the order of their buckets.
pub(crate) async fn lists(db: &D1Database, round: u64) -> Result<Vec<Vec<u8>>, Error> {
    let query = "SELECT first_bucket FROM round_lists WHERE round = ?1 ORDER BY first_bucket";
    let groups = rows(db, query, &[number(round)], Row::number).await?;
    let mut lists = Vec::with_capacity(groups.len());
    for first_bucket in groups {
        let first_bucket = u8::try_from(first_bucket).map_err(|_| out_of_shape("a bucket"))?;
        lists.extend(list_of_group(db, round, first_bucket).await?);
    }
    Ok(lists)
}

/// Drops the lists of a round that the archive has.
pub(crate) async fn drop_lists(db: &D1Database, round: u64) -> Result<(), Error> {
    let statement = "DELETE FROM round_lists WHERE round = ?1";
    super::unread(db, statement, &[number(round)]).await.map(drop)
}

/// Drops the lists of a round, and its buckets unless it is the newest one: the archive has them.
pub(crate) async fn drop_moved(db: &D1Database, round: u64, buckets: &Buckets) -> Result<(), Error> {
    let lists = "DELETE FROM round_lists WHERE round = ?1";
    let map =
        "UPDATE rounds SET buckets = unhex(?2) WHERE round = ?1 AND round < (SELECT max(round) FROM rounds)";
    let digits = hex::encode(bucket_map(buckets));
    let statements = vec![
        db.prepare(lists).bind_refs(&[number(round)])?,
        db.prepare(map)
            .bind_refs(&[number(round), D1Type::Text(&digits)])?,
    ];
    batch(db, statements).await
}

/// Where the runs of so many buckets are among all runs of their round: how many are before them, and how many they are.
pub(crate) fn place_of_buckets(row: &RoundRow, first_bucket: u8, buckets: u16) -> (u64, u64) {
    let mut runs = row.buckets.iter().map(|bucket| u64::from(bucket.runs));
    let begin = runs.by_ref().take(first_bucket.into()).sum();
    (begin, runs.take(buckets.into()).sum())
}

/// The runs of one bucket of a round, in the order of stream ids. They are cut out of the list in the database: the round
/// says how many runs the buckets in front have.
pub(crate) async fn bucket(db: &D1Database, row: &RoundRow, bucket: u8) -> Result<Vec<RunEntry>, Error> {
    let mut before = 0;
    let ends = row.buckets.iter().map(|bucket| {
        before += u64::from(bucket.runs);
        before
    });
    let begins: Vec<u64> = std::iter::once(0).chain(ends).collect();
    let at = usize::from(bucket);
    let (Some(begin), Some(end)) = (begins.get(at), begins.get(at + 1)) else {
        return Ok(Vec::new());
    };
    if begin == end {
        return Ok(Vec::new());
    }
    let query =
        "SELECT hex(substr(entries, 1 + ?3 * (?4 - json_extract(?6, '$[' || first_bucket || ']')), ?3 * ?5))
                 FROM round_lists WHERE round = ?1 AND first_bucket <= ?2 ORDER BY first_bucket DESC LIMIT 1";
    let all = serde_json::to_string(&begins)?;
    let values = [
        number(row.round),
        number(bucket.into()),
        number(RUN_ENTRY_BYTES as u64),
        number(*begin),
        number(end - begin),
        D1Type::Text(&all),
    ];
    let found = rows(db, query, &values, Row::text).await?;
    runs(found.first().map_or("", String::as_str))
}

/// Nodes of the range, as far as they are there.
pub(crate) async fn nodes(db: &D1Database, wanted: &[(u8, u64)]) -> Result<Vec<RangeNode>, Error> {
    let query = "SELECT n.height, n.idx, n.hash FROM json_each(?1) w JOIN range_nodes n
                 ON n.height = json_extract(w.value, '$[0]') AND n.idx = json_extract(w.value, '$[1]')";
    let wanted = serde_json::to_string(wanted)?;
    rows(db, query, &[D1Type::Text(&wanted)], |row| {
        Ok(RangeNode {
            height: u8::try_from(row.number()?).map_err(|_| out_of_shape("a height"))?,
            index: row.number()?,
            hash: row.parsed()?,
        })
    })
    .await
}
