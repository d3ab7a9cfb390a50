//! `/v1/streams/{stream}/anchors`: what of a stream is on chain.

use super::{Answer, Call, json_without_nulls};
use crate::auth;
use crate::problem::{Kind, Problem};
use crate::store::{anchors, streams};
use serde_json::json;
use streamchain_protocol::ids::{Seq, StreamRef};
use streamchain_protocol::rights::Right;

/// Most anchors on one page, and how many there are unless the request says so.
const PAGE_MAX: u64 = 1_000;
const PAGE_DEFAULT: u64 = 100;

/// `GET /v1/streams/{stream}/anchors`: those that begin at `from` or later, in order. `next` is where to go on.
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
    let anchors = anchors::list(&db, stream.id, from, limit).await?;
    let full = anchors.len() == limit;
    let next = anchors
        .last()
        .filter(|_| full)
        .map(|last| last.first.0 + last.count);
    json_without_nulls(200, json!({ "anchors": anchors, "next": next }))
}
