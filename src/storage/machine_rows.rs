//! Where the chain's machines keep their state: one table of keyed rows.

use super::{schema, sql};
use streamchain_chain::journal::Row;
use worker::{Error, SqlStorage, Storage};

const SCHEMA: &[&str] =
    &["CREATE TABLE IF NOT EXISTS machine (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"];

/// All rows. Makes the table when it is not there.
pub(crate) fn load(storage: &Storage) -> Result<Vec<(String, String)>, Error> {
    let database = storage.sql();
    schema::upgrade(&database, SCHEMA)?;
    let query = "SELECT key, value FROM machine ORDER BY key";
    sql::all(&database, query, Vec::new(), |row| Ok((row.text()?, row.text()?)))
}

/// Writes rows, all or none.
pub(crate) fn save(storage: &Storage, rows: Vec<Row>) -> Result<(), Error> {
    let database = storage.sql();
    match rows.len() {
        0 => Ok(()),
        // A statement is written as a whole by itself.
        1 => rows.into_iter().try_for_each(|row| write(&database, row)),
        _ => sql::atomically(storage, || {
            rows.into_iter().try_for_each(|row| write(&database, row))
        }),
    }
}

fn write(database: &SqlStorage, row: Row) -> Result<(), Error> {
    match row.value {
        Some(value) => {
            let put = "INSERT OR REPLACE INTO machine (key, value) VALUES (?, ?)";
            sql::run(database, put, vec![row.key.into(), value.into()])
        }
        None => sql::run(
            database,
            "DELETE FROM machine WHERE key = ?",
            vec![row.key.into()],
        ),
    }
}
