//! `/v1/streams/{stream}/segments`: what an auditor needs to rebuild the roots of anchors from stored messages.

use super::{Answer, Call, json_without_nulls};
use crate::auth;
use crate::problem::{Kind, Problem};
use crate::store::{segments, streams};
use serde_json::{Value, json};
use streamchain_protocol::ids::{Seq, StreamRef};
use streamchain_protocol::rights::Right;

/// Most segments on one page, and how many there are unless the request says so.
const PAGE_MAX: u64 = 1_000;
const PAGE_DEFAULT: u64 = 100;

/// `GET /v1/streams/{stream}/segments`: those that begin at `from` or later, in order. `next` is where to go on.
pub async fn list(call: &Call, stream: &StreamRef) -> Answer {
    auth::need(call, stream, Right::Read).await?;
    let from = Seq(call.number("from")?.unwrap_or(0));
    let limit = call.number("limit")?.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX) as usize;
    let db = call.env.d1("DB")?;
    let Some(stream) = streams::find(&db, call.short(stream)).await? else {
        return Err(Problem::new(
            Kind::NoSuchStream,
            "there is no such stream, or nothing of it is stored yet",
        ));
    };
    let rows = segments::list(&db, stream.id, from, limit).await?;
    let next = rows
        .last()
        .filter(|_| rows.len() == limit)
        .map(|last| last.first.0 + last.count);
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| json!({ "first": row.first, "count": row.count, "root": row.root }))
        .collect();
    json_without_nulls(200, json!({ "segments": rows, "next": next }))
}
