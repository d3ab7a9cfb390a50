//! `/v1/streams/{stream}/chain`: what was published to a stream on chain, by transactions of its authors; and
//! `/v1/chain/replay`, by which the operator has everything that is made of the chain's events made anew.

use super::{Answer, Call, json_without_nulls};
use crate::auth;
use crate::durable::call::{Method, call as ask, expect_json};
use crate::durable::listener_stub;
use crate::problem::{Kind, Problem};
use crate::store::{chain_events, streams};
use serde_json::{Value, json};
use streamchain_protocol::ids::StreamRef;
use streamchain_protocol::rights::Right;

/// Most events on one page, and how many there are unless the request says so.
const PAGE_MAX: u64 = 1_000;
const PAGE_DEFAULT: u64 = 100;

/// `GET /v1/streams/{stream}/chain`: in the order of the chain, behind the event `?block=&logIndex=`. `next` holds
/// those two of the last event, when there may be more.
pub async fn list(call: &Call, stream: &StreamRef) -> Answer {
    auth::need(call, stream, Right::Read).await?;
    let limit = call.number("limit")?.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX) as usize;
    let after = call.number("block")?.zip(call.number("logIndex")?);
    let db = call.env.d1("DB")?;
    let Some(stream) = streams::find(&db, call.short(stream)).await? else {
        return Err(Problem::new(
            Kind::NoSuchStream,
            "there is no such stream, or nothing of it is stored yet",
        ));
    };
    let events = chain_events::list(&db, stream.id, after, limit).await?;
    let full = events.len() == limit;
    let next = events.last().filter(|_| full);
    let next = next.map(|last| json!({ "block": last.block, "logIndex": last.log_index }));
    json_without_nulls(200, json!({ "events": events, "next": next }))
}

/// `POST /v1/chain/replay`: empties the tables of anchors and chain events, and has the Listener read the chain anew
/// from the contract's first block. `/v1/status` tells how far it is.
pub async fn replay(call: &Call) -> Answer {
    auth::need_operator(call).await?;
    let Some(stub) = listener_stub(&call.env, &call.config)? else {
        return Err(Problem::new(
            Kind::ChainUnreachable,
            "this deployment has no contract yet",
        ));
    };
    let mut response = ask(&stub, Method::Post, "/replay", None).await?;
    if response.status_code() == 503 {
        return Err(Problem::new(Kind::ChainUnreachable, response.text().await?));
    }
    let chain: Value = expect_json(response).await?;
    json_without_nulls(202, json!({ "chain": chain }))
}
