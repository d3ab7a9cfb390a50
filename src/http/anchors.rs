//! `/v1/streams/{stream}/anchors`: what of a stream is on chain.

use super::stream_rows::StreamRows;
use crate::path::PathParameters;
use crate::request::Call;
use crate::response::{Answer, json_without_nulls};
use crate::storage::d1::anchors;
use serde_json::json;
use streamchain_protocol::ids::Seq;

/// `GET /v1/streams/{stream}/anchors`: those that begin at `from` or later, in order. `next` is where to go on.
pub(crate) async fn list(call: Call, at: PathParameters) -> Answer {
    let call = &call;
    let stream = &at.stream()?;
    let (anchors, next) = StreamRows::page(call, stream, async |stored| {
        let from = Seq(call.number("from")?.unwrap_or(0));
        let anchors = anchors::list(&stored.db, stored.stream, from, stored.limit).await?;
        let next = stored.last(&anchors).map(|last| last.first.0 + last.count);
        Ok((anchors, next))
    })
    .await?;
    json_without_nulls(200, json!({ "anchors": anchors, "next": next }))
}
