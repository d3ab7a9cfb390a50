//! `/v1/streams/{stream}/chain`: what was published to a stream on chain, by transactions of its authors; and
//! `/v1/chain/replay`, by which the operator has everything that is made of the chain's events made anew.

use super::stream_rows::StreamRows;
use crate::api::listener::{Replay, listener_object};
use crate::auth::principal as auth;
use crate::path::PathParameters;
use crate::problem::{Kind, Problem};
use crate::request::Call;
use crate::response::{Answer, encoded, json_without_nulls};
use crate::storage::d1::chain_events;
use serde_json::json;

/// `GET /v1/streams/{stream}/chain`: in the order of the chain, behind the event `?block=&logIndex=`. `next` holds
/// those two of the last event, when there may be more.
pub(crate) async fn list(call: Call, at: PathParameters) -> Answer {
    let call = &call;
    let stream = &at.stream()?;
    let (events, next) = StreamRows::page(call, stream, async |stored| {
        let after = call.number("block")?.zip(call.number("logIndex")?);
        let events = chain_events::list(&stored.db, stored.stream, after, stored.limit).await?;
        let next = stored
            .last(&events)
            .map(|last| json!({ "block": last.block, "logIndex": last.log_index }));
        Ok((events, next))
    })
    .await?;
    json_without_nulls(200, json!({ "events": events, "next": next }))
}

/// `POST /v1/chain/replay`: empties the tables of anchors and chain events, and has the Listener read the chain anew
/// from the contract's first block. `/v1/status` shows how far it is.
pub(crate) async fn replay(call: Call, _at: PathParameters) -> Answer {
    let call = &call;
    auth::need_operator(call).await?;
    let Some(listener) = listener_object(&call.env, &call.id, &call.config)? else {
        return Err(Problem::new(
            Kind::ChainUnreachable,
            "this deployment has no contract yet",
        ));
    };
    let chain = listener.call(Replay {}).await?;
    encoded(202, [b"{\"chain\":".as_slice(), &chain.json, b"}"].concat())
}
