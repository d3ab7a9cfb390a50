//! `/v1/streams/{stream}/segments`: what an auditor needs to rebuild the roots of anchors from stored messages.

use super::stream_rows::StreamRows;
use crate::path::PathParameters;
use crate::request::Call;
use crate::response::{Answer, json_without_nulls};
use crate::storage::history::History;
use serde_json::{Value, json};
use streamchain_protocol::ids::Seq;

/// `GET /v1/streams/{stream}/segments`: those that begin at `from` or later, in order. `next` is where to go on.
pub(crate) async fn list(call: Call, at: PathParameters) -> Answer {
    let call = &call;
    let stream = &at.stream()?;
    let (rows, next) = StreamRows::page(call, stream, async |stored| {
        let from = Seq(call.number("from")?.unwrap_or(0));
        let history = History::of(&call.env)?;
        Ok(history.list(stored.stream, from, stored.limit).await?)
    })
    .await?;
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| json!({ "first": row.first, "count": row.count, "root": row.root }))
        .collect();
    json_without_nulls(200, json!({ "segments": rows, "next": next }))
}
