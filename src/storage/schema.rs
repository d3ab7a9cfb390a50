//! Versions of the tables in an object's SQLite.
//!
//! What always holds: a statement that was released is never changed, and another one is added behind it; so the number
//! of statements that ran is the version. Objects of releases without this table are at version 0: the first statement of
//! each kind of object makes what is not there, and leaves what is.

use super::row::Row;
use super::sql::{first, number, run};
use worker::{Error, SqlStorage};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_version (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL)";

/// Whether there is a table of this name.
pub(crate) fn has_table(sql: &SqlStorage, table: &str) -> Result<bool, Error> {
    let query = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?";
    Ok(first(sql, query, vec![table.into()], Row::number)? == Some(1))
}

/// Whether a statement that adds one column failed since the column is there.
fn is_column_there(statement: &str, error: &Error) -> bool {
    statement.starts_with("ALTER TABLE") && error.to_string().contains("duplicate column name")
}

/// Runs the statements that did not run yet. Without an await between them, so all of them are kept or none.
pub(crate) fn upgrade(sql: &SqlStorage, statements: &[&str]) -> Result<(), Error> {
    let version = match has_table(sql, "schema_version")? {
        true => first(sql, "SELECT version FROM schema_version", vec![], Row::number)?.unwrap_or(0),
        false => 0,
    };
    let missing = statements.get(version as usize..).unwrap_or_default();
    if missing.is_empty() {
        return Ok(());
    }
    for statement in missing {
        match run(sql, statement, vec![]) {
            // Tables of a newer version whose number of statements was lost have the column.
            Err(error) if is_column_there(statement, &error) => {}
            ran => ran?,
        }
    }
    run(sql, TABLE, vec![])?;
    let version = number(statements.len() as u64);
    run(
        sql,
        "INSERT OR REPLACE INTO schema_version VALUES (1, ?)",
        vec![version],
    )
}
