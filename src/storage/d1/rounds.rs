//! The tables of rounds: what each round has, its lists of runs, and the range over all rounds.
//!
//! What always holds: what is written of a round never changes. The same again is fine, anything else is an error.

use super::{anchor_state, batch, number, rows};
use crate::storage::row::{Row, out_of_shape};
use alloy_primitives::{B256, hex};
use serde::Serialize;
use streamchain_protocol::ids::StreamId;
use streamchain_protocol::proof::{AnchorState, BUCKETS, BucketRoot, RangeNode, RunEntry, decode_runs};
use streamchain_protocol::time::UnixMs;
use worker::{D1Database, D1PreparedStatement, D1Type, Error};

/// Bytes of one bucket in the column `buckets`: how many runs, and the root over them.
const BUCKET_BYTES: usize = 4 + 32;

/// A round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoundRow {
    /// Its number.
    pub round: u64,
    /// Over the leaves of its buckets.
    pub root: B256,
    /// What each bucket has.
    pub buckets: [BucketRoot; BUCKETS],
    /// When it was fixed.
    pub fixed: UnixMs,
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

fn write_buckets(buckets: &[BucketRoot; BUCKETS]) -> String {
    let mut bytes = Vec::with_capacity(BUCKETS * BUCKET_BYTES);
    for bucket in buckets {
        bytes.extend(bucket.runs.to_be_bytes());
        bytes.extend(bucket.root);
    }
    hex::encode(bytes)
}

fn read_buckets(digits: &str) -> Option<[BucketRoot; BUCKETS]> {
    let bytes = hex::decode(digits).ok()?;
    let (chunks, rest) = bytes.as_chunks::<BUCKET_BYTES>();
    let buckets: Vec<BucketRoot> = chunks
        .iter()
        .map(|chunk| {
            let (runs, root) = chunk.split_first_chunk::<4>()?;
            let (runs, root) = (u32::from_be_bytes(*runs), B256::try_from(root).ok()?);
            Some(BucketRoot { runs, root })
        })
        .collect::<Option<_>>()?;
    buckets.try_into().ok().filter(|_| rest.is_empty())
}

/// Writes a round, and the nodes that it adds to the range. The same round again is fine.
pub(crate) async fn insert(db: &D1Database, row: &RoundRow, nodes: &[RangeNode]) -> Result<(), Error> {
    let statement = "INSERT INTO rounds (round, root, runs, buckets, fixed) VALUES (?1, ?2, ?3, unhex(?4), ?5)
                     ON CONFLICT DO NOTHING";
    let (root, buckets) = (hex::encode_prefixed(row.root), write_buckets(&row.buckets));
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
        let values = [number(node.height.into()), number(node.index), D1Type::Text(&hash)];
        let statement = "INSERT INTO range_nodes (height, idx, hash) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
        statements.push(db.prepare(statement).bind_refs(&values)?);
    }
    batch(db, statements).await?;
    match find(db, row.round).await? {
        Some(there) if there.root == row.root => Ok(()),
        _ => Err(Error::RustError(format!("the database has another round {}", row.round))),
    }
}

/// A round.
pub(crate) async fn find(db: &D1Database, round: u64) -> Result<Option<RoundRow>, Error> {
    let query = "SELECT round, root, hex(buckets), fixed FROM rounds WHERE round = ?1";
    let found = rows(db, query, &[number(round)], |row| {
        Ok(RoundRow {
            round: row.number()?,
            root: row.parsed()?,
            buckets: read_buckets(&row.text()?).ok_or_else(|| out_of_shape("the buckets of a round"))?,
            fixed: UnixMs(row.number()?),
        })
    });
    Ok(found.await?.into_iter().next())
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
         FROM rounds r LEFT JOIN anchors a ON a.stream = ?1 AND a.first = r.round
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
    let found = rows(db, query, &[D1Type::Text(&id)], |row| Ok((row.number()?, row.number()?)));
    Ok(found.await?.into_iter().next().unwrap_or_default())
}

/// The statement that writes the list of a round for the group of buckets that begins with `first_bucket`.
pub(crate) fn put_list(
    db: &D1Database,
    round: u64,
    first_bucket: u8,
    entries: &[u8],
) -> Result<D1PreparedStatement, Error> {
    let statement = "INSERT INTO round_lists (round, first_bucket, entries) VALUES (?1, ?2, unhex(?3))
                     ON CONFLICT DO NOTHING";
    let digits = hex::encode(entries);
    let values = [number(round), number(first_bucket.into()), D1Type::Text(&digits)];
    db.prepare(statement).bind_refs(&values)
}

/// The runs of one bucket of a round, in the order of stream ids.
pub(crate) async fn bucket(db: &D1Database, round: u64, bucket: u8) -> Result<Vec<RunEntry>, Error> {
    let query = "SELECT hex(entries) FROM round_lists WHERE round = ?1 AND first_bucket <= ?2
                 ORDER BY first_bucket DESC LIMIT 1";
    let found = rows(db, query, &[number(round), number(bucket.into())], Row::text).await?;
    let Some(digits) = found.into_iter().next() else {
        return Ok(Vec::new());
    };
    let entries = hex::decode(digits).ok().and_then(|bytes| decode_runs(&bytes).ok());
    let mut entries = entries.ok_or_else(|| out_of_shape("a list of runs"))?;
    entries.retain(|entry| entry.stream.0.first() == Some(&bucket));
    Ok(entries)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_read_back_and_nothing_else_is_read() {
        let mut buckets = [BucketRoot::default(); BUCKETS];
        for (index, bucket) in buckets.iter_mut().enumerate() {
            bucket.runs = index as u32;
            bucket.root = B256::repeat_byte(index as u8);
        }
        let digits = write_buckets(&buckets);
        assert_eq!(digits.len(), 2 * BUCKETS * BUCKET_BYTES);
        assert_eq!(read_buckets(&digits), Some(buckets));
        for bad in ["", "00", &digits[2..], &format!("{digits}00"), &digits.replace('0', "g")] {
            assert_eq!(read_buckets(bad), None);
        }
    }
}
