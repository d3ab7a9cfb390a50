//! The table of audit entries: an index of the stream `_audit`, for the operator's questions.

use super::{number, rows};
use crate::storage::row::{Row, out_of_shape};
use serde_json::Value;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::util::json;
use worker::{D1Database, D1PreparedStatement, D1Type, Error};

/// Which entries are asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// Only those by this actor.
    pub actor: Option<String>,
    /// Only those about this action.
    pub action: Option<String>,
    /// Only those with this outcome.
    pub outcome: Option<String>,
    /// Only those at this time or later, Unix milliseconds.
    pub from: u64,
    /// Only those before this time, Unix milliseconds.
    pub to: u64,
    /// Only those with a lower number.
    pub below: u64,
    /// The most entries of one answer.
    pub limit: u64,
}

/// One entry and its number.
pub(crate) struct AuditRow {
    /// Its number.
    pub id: u64,
    /// Its seq in the stream `_audit`, if that is known.
    pub seq: Option<u64>,
    /// The entry.
    pub entry: Value,
}

fn read(row: &mut Row) -> Result<AuditRow, Error> {
    let (id, seq) = (row.number()?, row.maybe_number()?);
    let entry = json::tree(&row.text()?).map_err(|_| out_of_shape("an audit entry"))?;
    Ok(AuditRow { id, seq, entry })
}

/// Entries, the newest first.
pub(crate) async fn list(db: &D1Database, wanted: &Wanted) -> Result<Vec<AuditRow>, Error> {
    let mut query = "SELECT id, seq, entry FROM audit WHERE id < ?1 AND time >= ?2 AND time < ?3".to_owned();
    let mut values = vec![number(wanted.below), number(wanted.from), number(wanted.to)];
    let filters = [
        ("actor", &wanted.actor),
        ("action", &wanted.action),
        ("outcome", &wanted.outcome),
    ];
    for (column, text) in filters {
        if let Some(text) = text {
            values.push(D1Type::Text(text));
            query += &format!(" AND {column} = ?{}", values.len());
        }
    }
    values.push(number(wanted.limit));
    query += &format!(" ORDER BY id DESC LIMIT ?{}", values.len());
    rows(db, &query, &values, read).await
}

/// Enters an entry; once there, it stays.
pub(crate) fn insert(
    db: &D1Database,
    id: u64,
    seq: Option<u64>,
    columns: [&str; 3],
    time: UnixMs,
    entry: &str,
) -> Result<D1PreparedStatement, Error> {
    let statement = "INSERT INTO audit (id, seq, time, actor, action, outcome, entry)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING";
    let [actor, action, outcome] = columns.map(D1Type::Text);
    let values = [
        number(id),
        seq.map_or(D1Type::Null, number),
        number(time.0),
        actor,
        action,
        outcome,
        D1Type::Text(entry),
    ];
    db.prepare(statement).bind_refs(&values)
}
