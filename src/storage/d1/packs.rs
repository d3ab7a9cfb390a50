//! The table of packs, and that of erased messages whose payload a pack still has.

use super::{number, rows, runs};
use crate::storage::row::{Row, out_of_shape};
use alloy_primitives::hex;
use streamchain_edge_core::archive::{Job, PackRow, Source};
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::time::UnixMs;
use worker::{D1Database, D1PreparedStatement, D1Type, Error};

/// A pack, and the messages in it that were erased since it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundPack {
    /// Its row.
    pub row: PackRow,
    /// The erased messages.
    pub erased: Vec<Seq>,
}

const COLUMNS: &str = "stream, first, next, generation, bytes, tail, digest, oldest, newest,
    (SELECT group_concat(e.seq) FROM erasures e
     WHERE e.stream = packs.stream AND e.seq >= packs.first AND e.seq < packs.next)";

fn read(row: &mut Row) -> Result<FoundPack, Error> {
    let pack = PackRow {
        stream: row.parsed()?,
        first: Seq(row.number()?),
        end: Seq(row.number()?),
        generation: row.number()?,
        bytes: row.number()?,
        tail: row.number()?,
        digest: row.parsed()?,
        oldest: row.maybe_number()?.map(UnixMs),
        newest: UnixMs(row.number()?),
    };
    let erased = row.maybe_text()?.unwrap_or_default();
    let seq = |text: &str| text.parse().map(Seq).map_err(|_| out_of_shape("a seq"));
    let erased = erased.split(',').filter(|text| !text.is_empty()).map(seq);
    Ok(FoundPack {
        erased: erased.collect::<Result<_, _>>()?,
        row: pack,
    })
}

/// The pack with a message, if there is one.
pub(crate) async fn find(db: &D1Database, stream: StreamId, seq: Seq) -> Result<Option<FoundPack>, Error> {
    let query =
        format!("SELECT {COLUMNS} FROM packs WHERE stream = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1");
    let id = stream.to_string();
    let found = rows(db, &query, &[D1Type::Text(&id), number(seq.0)], read).await?;
    let found = found.into_iter().next();
    Ok(found.filter(|found| seq < found.row.end))
}

/// A pack that has to be rewritten since one of its messages was erased: that of the oldest erasure behind the given one,
/// and the erasure's number.
pub(crate) async fn next_with_erasures(
    db: &D1Database,
    after: u64,
) -> Result<Option<(u64, StreamId, Seq)>, Error> {
    let query = "SELECT id, stream, seq FROM erasures WHERE id > ?1 ORDER BY id LIMIT 1";
    let read = |row: &mut Row| Ok((row.number()?, row.parsed()?, Seq(row.number()?)));
    let found = rows(db, query, &[number(after)], read).await?;
    Ok(found.into_iter().next())
}

/// The number of the newest erasure in a pack's range; 0 when there is none.
pub(crate) async fn newest_erasure(
    db: &D1Database,
    stream: StreamId,
    first: Seq,
    end: Seq,
) -> Result<u64, Error> {
    let query = "SELECT coalesce(max(id), 0) FROM erasures WHERE stream = ?1 AND seq >= ?2 AND seq < ?3";
    let id = stream.to_string();
    let values = [D1Type::Text(&id), number(first.0), number(end.0)];
    let found = rows(db, query, &values, Row::number).await?;
    Ok(found.into_iter().next().unwrap_or(0))
}

/// Notes that a message which a pack has is erased. Once is enough.
pub(crate) fn note_erasure(
    db: &D1Database,
    stream: StreamId,
    seq: Seq,
) -> Result<D1PreparedStatement, Error> {
    let statement = "INSERT INTO erasures (stream, seq) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    let id = stream.to_string();
    db.prepare(statement)
        .bind_refs(&[D1Type::Text(&id), number(seq.0)])
}

/// Drops the note of an erased message that no pack has.
pub(crate) async fn drop_erasure(db: &D1Database, id: u64) -> Result<(), Error> {
    let statement = "DELETE FROM erasures WHERE id = ?1";
    super::unread(db, statement, &[number(id)]).await.map(drop)
}

/// A pack whose payloads have to go by their age: all of its messages are older than `before`, or its oldest payload is
/// older than `long_before`.
pub(crate) async fn next_too_old(
    db: &D1Database,
    stream: StreamId,
    before: UnixMs,
    long_before: UnixMs,
) -> Result<Option<FoundPack>, Error> {
    let query = format!(
        "SELECT {COLUMNS} FROM packs
         WHERE stream = ?1 AND oldest IS NOT NULL AND (newest < ?2 OR oldest < ?3) ORDER BY first LIMIT 1"
    );
    let id = stream.to_string();
    let values = [D1Type::Text(&id), number(before.0), number(long_before.0)];
    Ok(rows(db, &query, &values, read).await?.into_iter().next())
}

/// The statements that enter a pack's row in the place of what the pack was made of: in one transaction, and any number
/// of times.
pub(crate) fn enter(
    db: &D1Database,
    job: &Job,
    row: &PackRow,
    noted: u64,
) -> Result<Vec<D1PreparedStatement>, Error> {
    let (id, digest) = (row.stream.to_string(), hex::encode_prefixed(row.digest));
    let put =
        "INSERT OR REPLACE INTO packs (stream, first, next, generation, bytes, tail, digest, oldest, newest)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let put = db.prepare(put).bind_refs(&[
        D1Type::Text(&id),
        number(row.first.0),
        number(row.end.0),
        number(row.generation),
        number(row.bytes),
        number(row.tail),
        D1Type::Text(&digest),
        row.oldest.map_or(D1Type::Null, |time| number(time.0)),
        number(row.newest.0),
    ])?;
    let range = [D1Type::Text(&id), number(row.first.0), number(row.end.0)];
    let replaced = match job.source {
        Source::Segments => {
            let delete = "DELETE FROM segments WHERE stream = ?1 AND first >= ?2 AND first < ?3";
            db.prepare(delete).bind_refs(&range)?
        }
        Source::Pack { .. } => {
            let delete = "DELETE FROM erasures WHERE stream = ?1 AND seq >= ?2 AND seq < ?3 AND id <= ?4";
            let [stream, first, end] = range;
            db.prepare(delete)
                .bind_refs(&[stream, first, end, number(noted)])?
        }
    };
    let mut statements = vec![put, replaced];
    if job.source == Source::Segments {
        statements.push(runs::drop_packed(db, row.stream, row.end)?);
    }
    Ok(statements)
}

/// What all packs amount to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PackSums {
    /// How many there are.
    pub packs: u64,
    /// Messages in them.
    pub messages: u64,
    /// Their length.
    pub bytes: u64,
}

/// The sums of all packs.
pub(crate) async fn sums(db: &D1Database) -> Result<PackSums, Error> {
    let query = "SELECT count(*), coalesce(sum(next - first), 0), coalesce(sum(bytes), 0) FROM packs";
    let found = rows(db, query, &[], |row| {
        Ok(PackSums {
            packs: row.number()?,
            messages: row.number()?,
            bytes: row.number()?,
        })
    });
    Ok(found.await?.into_iter().next().unwrap_or_default())
}
