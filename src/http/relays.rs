//! `/v1/relays/…`: for relays alone, each with its own key.

use crate::auth::bearer::need_relay;
use crate::objects::call::{Method, bytes_body, call as ask};
use crate::objects::{relays_stub, stream_stub};
use crate::problem::{Kind, Problem};
use crate::request::Call;
use crate::response::Answer;
use streamchain_protocol::ids::{Epoch, Incarnation, ProducerId, RelayId, StreamRef};
use streamchain_protocol::wire::Batch;

/// Largest registration, bytes: 64 shards with 8 candidates each take about 40 KB.
const REGISTRATION_MAX_BYTES: usize = 64 * 1024;

/// Largest other JSON body of a relay, bytes.
const SMALL_MAX_BYTES: usize = 4 * 1024;

/// `PUT /v1/relays/{relay}`: registers, and renews.
pub async fn register(mut call: Call, relay: &RelayId) -> Answer {
    let key = need_relay(call.headers(), &call.config, relay)?;
    let registration = call.body(REGISTRATION_MAX_BYTES).await?;
    let stub = relays_stub(&call.env)?;
    Ok(ask(
        &stub,
        Method::Put,
        &format!("/relays/{relay}?key={key}"),
        bytes_body(&registration),
    )
    .await?)
}

/// `DELETE /v1/relays/{relay}`: goodbye, of the run `?incarnation=` or of any.
pub async fn goodbye(call: &Call, relay: &RelayId) -> Answer {
    need_relay(call.headers(), &call.config, relay)?;
    let run = call
        .query("incarnation")?
        .map(|text| text.parse::<Incarnation>())
        .transpose()?;
    let query = run.map(|run| format!("?incarnation={run}")).unwrap_or_default();
    let stub = relays_stub(&call.env)?;
    Ok(ask(&stub, Method::Delete, &format!("/relays/{relay}{query}"), None).await?)
}

/// `PUT /v1/relays/{relay}/streams/{stream}`: the relay takes the stream up.
pub async fn acquire_epoch(mut call: Call, relay: &RelayId, stream: &StreamRef) -> Answer {
    need_relay(call.headers(), &call.config, relay)?;
    let acquired = call.body(SMALL_MAX_BYTES).await?;
    let stub = stream_stub(&call.env, call.short(stream))?;
    Ok(ask(
        &stub,
        Method::Put,
        &format!("/holder?relay={relay}"),
        bytes_body(&acquired),
    )
    .await?)
}

/// `DELETE /v1/relays/{relay}/streams/{stream}`: the relay lets the stream go.
pub async fn release(call: &Call, relay: &RelayId, stream: &StreamRef) -> Answer {
    of_stream(call, relay, stream, Method::Delete, "/holder").await
}

/// `GET /v1/relays/{relay}/streams/{stream}/inbox`: the messages that came by HTTP and wait for the relay.
pub async fn inbox(call: &Call, relay: &RelayId, stream: &StreamRef) -> Answer {
    of_stream(call, relay, stream, Method::Get, "/inbox").await
}

/// Asks the Stream object for something under the relay's epoch.
async fn of_stream(call: &Call, relay: &RelayId, stream: &StreamRef, method: Method, path: &str) -> Answer {
    need_relay(call.headers(), &call.config, relay)?;
    let epoch = call.number("epoch")?.map(Epoch);
    let epoch = epoch.ok_or_else(|| Problem::new(Kind::BadRequest, "epoch: expected in the query"))?;
    let stub = stream_stub(&call.env, call.short(stream))?;
    Ok(ask(
        &stub,
        method,
        &format!("{path}?relay={relay}&epoch={epoch}"),
        None,
    )
    .await?)
}

/// `GET /v1/relays/{relay}/streams/{stream}/producers/{producer}`: how far a producer got.
pub async fn producer(call: &Call, relay: &RelayId, stream: &StreamRef, producer: ProducerId) -> Answer {
    of_stream(
        call,
        relay,
        stream,
        Method::Get,
        &format!("/producers/{producer}"),
    )
    .await
}

/// `POST /v1/relays/{relay}/streams/{stream}/batches`: stores a batch.
pub async fn batch(mut call: Call, relay: &RelayId, stream: &StreamRef) -> Answer {
    need_relay(call.headers(), &call.config, relay)?;
    call.need_type("application/cbor")?;
    let body = call.body(Batch::BODY_MAX_BYTES).await?;
    let stub = stream_stub(&call.env, call.short(stream))?;
    Ok(ask(
        &stub,
        Method::Post,
        &format!("/batches?relay={relay}"),
        bytes_body(&body),
    )
    .await?)
}
