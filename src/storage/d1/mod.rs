//! The database (D1): one file per table. Every statement is counted.

pub(crate) mod anchors;
pub(crate) mod audit;
pub(crate) mod certificates;
pub(crate) mod chain_events;
pub(crate) mod packs;
pub(crate) mod readers;
pub(crate) mod rounds;
pub(crate) mod runs;
pub(crate) mod segments;
pub(crate) mod streams;
pub(crate) mod webhooks;

use crate::clock;
use crate::counters::{self, D1Counters};
use crate::storage::row::{self, Row, out_of_shape};
use streamchain_edge_core::archive::FinalRange;
use streamchain_protocol::ids::Seq;
use streamchain_protocol::proof::AnchorState;
use streamchain_protocol::time::UnixMs;
use wasm_bindgen::JsCast;
use worker::js_sys::futures::JsFuture;
use worker::js_sys::{Array, Object, Reflect};
use worker::wasm_bindgen::JsValue;
use worker::{D1Database, D1PreparedStatement, D1Type, Error, worker_sys};

/// A number as D1 takes it: it has no 64-bit integers, but a double carries all that we have (up to 2^53 - 1).
pub(crate) fn number(value: u64) -> D1Type<'static> {
    D1Type::Real(value as f64)
}

/// How sure an anchor or an event is, from its column.
fn anchor_state(row: &mut Row) -> Result<AnchorState, Error> {
    AnchorState::from_word(&row.text()?).ok_or_else(|| out_of_shape("the state of an anchor"))
}

/// A range of final messages, from the columns of its first message and of how many there are.
fn final_range(row: &mut Row) -> Result<FinalRange, Error> {
    let (first, count) = (Seq(row.number()?), row.number()?);
    Ok(FinalRange {
        first,
        end: Seq(first.0.saturating_add(count)),
    })
}

/// The rows that a statement gives.
async fn rows<T>(
    db: &D1Database,
    statement: &str,
    values: &[D1Type<'_>],
    read: impl Fn(&mut Row) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    row::read_all(unread(db, statement, values).await?, read)
}

/// Rows that are yet to be read; one function for rows of all types.
async fn unread(db: &D1Database, statement: &str, values: &[D1Type<'_>]) -> Result<Vec<Row>, Error> {
    let statement = db.prepare(statement).bind_refs(values)?;
    let begun = clock::now();
    let result = JsFuture::from(statement.inner().all()?).await?;
    count(&Array::of1(&result), begun)?;
    let rows = Array::from(&Reflect::get(&result, &"results".into())?);
    let columns = |row: JsValue| Row::of(&Object::values(row.unchecked_ref::<Object>()));
    rows.iter().map(columns).collect()
}

/// How many bytes the database has; 0 when it does not say.
pub(crate) async fn size(db: &D1Database) -> Result<u64, Error> {
    unread(db, "SELECT 1", &[]).await?;
    Ok(counters::d1_size())
}

/// Runs statements in one transaction.
pub(crate) async fn batch(db: &D1Database, statements: Vec<D1PreparedStatement>) -> Result<(), Error> {
    let db: &worker_sys::D1Database = db.as_ref().unchecked_ref();
    let statements: Array = statements
        .iter()
        .map(|statement| JsValue::from(statement.inner()))
        .collect();
    let begun = clock::now();
    let results = JsFuture::from(db.batch(statements)?).await?;
    count(&Array::from(&results), begun)
}

/// Counts what the database says of each statement.
fn count(results: &Array, begun: UnixMs) -> Result<(), Error> {
    let mut done = D1Counters {
        ms: clock::now().since(begun),
        ..D1Counters::default()
    };
    for result in results.iter() {
        let meta = Reflect::get(&result, &"meta".into())?;
        let number = |name: &str| -> Result<u64, JsValue> {
            Ok(Reflect::get(&meta, &name.into())?.as_f64().unwrap_or(0.0) as u64)
        };
        done.queries += 1;
        done.rows_read += number("rows_read")?;
        done.rows_written += number("rows_written")?;
        done.size = number("size_after")?;
    }
    counters::count_d1(done);
    Ok(())
}
