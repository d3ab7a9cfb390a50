//! `/v1/streams/{stream}/runs`: which messages of a stream are in which round.

use super::stream_rows::StreamRows;
use crate::path::PathParameters;
use crate::request::Call;
use crate::response::{Answer, json_without_nulls};
use crate::storage::history::History;
use serde_json::json;
use streamchain_protocol::ids::Seq;

/// `GET /v1/streams/{stream}/runs`: those that begin at `from` or later, in order, with where their rounds are on the
/// chain. `next` is where to go on.
pub(crate) async fn list(call: Call, at: PathParameters) -> Answer {
    let call = &call;
    let (runs, next) = StreamRows::page(call, &at.stream()?, async |stored| {
        let from = Seq(call.number("from")?.unwrap_or(0));
        let history = History::of(&call.env)?;
        Ok(history
            .runs(call.config.rounds, stored.stream, from, stored.limit)
            .await?)
    })
    .await?;
    json_without_nulls(200, json!({ "runs": runs, "next": next }))
}
