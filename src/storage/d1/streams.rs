//! The table of streams: what the edge and the Listener know them by.

use super::{number, rows};
use crate::storage::row::Row;
use alloy_primitives::{Address, hex};
use std::collections::HashSet;
use streamchain_edge_core::stream_log::LogState;
use streamchain_protocol::ids::{Seq, ShortId, StreamId, StreamName};
use streamchain_protocol::stream_settings::{Retention, StreamSettings};
use streamchain_protocol::time::UnixMs;
use worker::{D1Database, D1PreparedStatement, D1Type, Error};

/// A stream, without how far it got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamRow {
    /// Its id.
    pub id: StreamId,
    /// Who owns it.
    pub owner: Address,
    /// Its name.
    pub name: StreamName,
    /// What its owner chose.
    pub settings: StreamSettings,
    /// When it was made, Unix milliseconds.
    pub created: UnixMs,
    /// Its place in the table, for paging: later ones are higher.
    pub place: u64,
}

fn read(row: &mut Row) -> Result<StreamRow, Error> {
    Ok(StreamRow {
        id: row.parsed()?,
        owner: row.parsed()?,
        name: row.parsed()?,
        settings: StreamSettings {
            mode: row.parsed()?,
            read: row.parsed()?,
            write: row.parsed()?,
            p2p: row.number()? != 0,
            prove: row.number()? != 0,
            anchor: row.parsed()?,
            retention: Retention::of_days(row.number()?).unwrap_or_default(),
            signed: row.parsed()?,
        },
        created: UnixMs(row.number()?),
        place: row.number()?,
    })
}

const COLUMNS: &str =
    "id, owner, name, mode, read, write, p2p, prove, anchor, retention, signed, created, rowid AS place";

/// Enters a stream, or its new settings: all else stays as it is.
pub(crate) async fn put(db: &D1Database, stream: &LogState) -> Result<(), Error> {
    let statement =
        "INSERT INTO streams (id, short, owner, name, mode, read, write, p2p, prove, anchor, created, retention, signed)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
                     ON CONFLICT (id)
                     DO UPDATE SET mode = ?5, read = ?6, write = ?7, p2p = ?8, prove = ?9, anchor = ?10,
                                   retention = ?12, signed = ?13";
    let (id, short) = (stream.id.to_string(), stream.id.short().to_string());
    let owner = hex::encode_prefixed(stream.owner);
    let settings = &stream.settings;
    let values = [
        D1Type::Text(&id),
        D1Type::Text(&short),
        D1Type::Text(&owner),
        D1Type::Text(stream.name.as_str()),
        D1Type::Text(settings.mode.as_str()),
        D1Type::Text(settings.read.as_str()),
        D1Type::Text(settings.write.as_str()),
        number(settings.p2p.into()),
        number(settings.prove.into()),
        D1Type::Text(settings.anchor.as_str()),
        number(stream.created.0),
        number(settings.retention.days().unwrap_or(0)),
        D1Type::Text(settings.signed.as_str()),
    ];
    super::unread(db, statement, &values).await.map(drop)
}

/// How many streams were made: none is ever deleted, and this reads one row.
pub(crate) async fn count(db: &D1Database) -> Result<u64, Error> {
    let counted = rows(
        db,
        "SELECT coalesce(max(rowid), 0) FROM streams",
        &[],
        Row::number,
    )
    .await?;
    Ok(counted.first().copied().unwrap_or(0))
}

/// A stream by its short id.
pub(crate) async fn find(db: &D1Database, short: ShortId) -> Result<Option<StreamRow>, Error> {
    let short = short.to_string();
    let query = format!("SELECT {COLUMNS} FROM streams WHERE short = ?1");
    let found = rows(db, &query, &[D1Type::Text(&short)], read).await?;
    Ok(found.into_iter().next())
}

/// Whose streams a list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visible {
    /// Every one.
    All,
    /// Those that everybody may read, and those that this account owns.
    To(Address),
}

/// Up to `limit` streams below a place, the newest first.
pub(crate) async fn list(
    db: &D1Database,
    visible: Visible,
    below: u64,
    limit: usize,
) -> Result<Vec<StreamRow>, Error> {
    let (owner, condition) = match visible {
        Visible::All => (String::new(), "?3 = ''"),
        Visible::To(account) => (hex::encode_prefixed(account), "(read = 'public' OR owner = ?3)"),
    };
    let query = format!(
        "SELECT {COLUMNS} FROM streams WHERE rowid < ?1 AND {condition} ORDER BY rowid DESC LIMIT ?2"
    );
    let values = [number(below), number(limit as u64), D1Type::Text(&owner)];
    rows(db, &query, &values, read).await
}

/// Whose streams a list of matches has, and by which names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Matching {
    /// Whose the streams are.
    pub owner: Address,
    /// The least name, and one above all.
    pub names: (String, String),
    /// Who asks.
    pub visible: Visible,
}

/// Which of the matching streams a page has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// Those up to a place, in the order of their names, behind this one.
    Names {
        /// The place.
        mark: u64,
        /// The name; empty at the beginning.
        behind: &'a str,
    },
    /// Those behind the first place, up to the second, in the order of their places.
    New(u64, u64),
}

/// Up to `limit` streams that match. Those that are not for whoever asks change nothing in the answer.
pub(crate) async fn matching(
    db: &D1Database,
    wanted: &Matching,
    part: Part<'_>,
    limit: usize,
) -> Result<Vec<StreamRow>, Error> {
    let (account, condition) = match wanted.visible {
        Visible::All => (String::new(), "?4 = ''"),
        Visible::To(account) => (
            hex::encode_prefixed(account),
            "(read = 'public' OR owner = ?4 OR short IN (SELECT stream FROM readers WHERE account = ?4))",
        ),
    };
    let (from, to, behind, condition_of_part, order) = match part {
        Part::Names { mark, behind } => (0, mark, behind, "name > ?8", "name"),
        // The unary plus keeps the planner at the places, of which there are few.
        Part::New(from, to) => (from, to, "", "?8 = ''", "rowid"),
    };
    let owner_column = if order == "rowid" { "+owner" } else { "owner" };
    let query = format!(
        "SELECT {COLUMNS} FROM streams WHERE {owner_column} = ?1 AND name >= ?2 AND name < ?3 AND {condition} \
         AND rowid > ?5 AND rowid <= ?6 AND {condition_of_part} ORDER BY {order} LIMIT ?7"
    );
    let owner = hex::encode_prefixed(wanted.owner);
    let values = [
        D1Type::Text(&owner),
        D1Type::Text(&wanted.names.0),
        D1Type::Text(&wanted.names.1),
        D1Type::Text(&account),
        number(from),
        number(to),
        number(limit as u64),
        D1Type::Text(behind),
    ];
    rows(db, &query, &values, read).await
}

/// A stream whose payloads have an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The stream.
    pub id: StreamId,
    /// So many days they are kept.
    pub days: u64,
    /// No segment in the database below this seq has a payload.
    pub stripped: Seq,
}

/// Up to `limit` streams whose payloads have an end, in the order of their ids, behind the given one.
pub(crate) async fn with_retention(db: &D1Database, after: &str, limit: usize) -> Result<Vec<Kept>, Error> {
    let query =
        "SELECT id, retention, stripped FROM streams WHERE retention > 0 AND id > ?1 ORDER BY id LIMIT ?2";
    rows(db, query, &[D1Type::Text(after), number(limit as u64)], |row| {
        Ok(Kept {
            id: row.parsed()?,
            days: row.number()?,
            stripped: Seq(row.number()?),
        })
    })
    .await
}

/// Notes that no segment of a stream in the database below this seq has a payload.
pub(crate) fn mark_stripped(
    db: &D1Database,
    stream: StreamId,
    below: Seq,
) -> Result<D1PreparedStatement, Error> {
    let statement = "UPDATE streams SET stripped = max(stripped, ?2) WHERE id = ?1";
    let id = stream.to_string();
    db.prepare(statement)
        .bind_refs(&[D1Type::Text(&id), number(below.0)])
}

/// Ids of one query at most: D1 binds 100 values in a statement.
const KNOWN_AT_ONCE: usize = 90;

/// Which of these streams are in the table.
pub(crate) async fn known(db: &D1Database, ids: &[StreamId]) -> Result<HashSet<StreamId>, Error> {
    among(db, ids, "1").await
}

/// Which of these streams everybody may read.
pub(crate) async fn public(db: &D1Database, ids: &[StreamId]) -> Result<HashSet<StreamId>, Error> {
    among(db, ids, "read = 'public'").await
}

async fn among(db: &D1Database, ids: &[StreamId], condition: &str) -> Result<HashSet<StreamId>, Error> {
    let mut known = HashSet::new();
    for ids in ids.chunks(KNOWN_AT_ONCE) {
        let marks = vec!["?"; ids.len()].join(", ");
        let texts: Vec<String> = ids.iter().map(StreamId::to_string).collect();
        let values: Vec<D1Type<'_>> = texts.iter().map(|text| D1Type::Text(text)).collect();
        let query = format!("SELECT id FROM streams WHERE id IN ({marks}) AND {condition}");
        known.extend(rows(db, &query, &values, Row::parsed::<StreamId>).await?);
    }
    Ok(known)
}
