//! `/v1/streams`: make, list, read.

use super::{Answer, Call, JSON_MAX_BYTES, json_without_nulls};
use crate::durable::call::{Method, Outcome, call as ask, json_body, outcome};
use crate::durable::stream_stub;
use crate::problem::{Kind, Problem};
use crate::store::streams;
use serde::Deserialize;
use serde_json::{Value, json};
use streamchain_protocol::ids::{StreamName, StreamRef};
use streamchain_protocol::limits::EXACT_INTEGER_MAX;
use streamchain_protocol::log::{LogState, Mode, NewStream};

/// Most streams on one page, and how many there are unless the request says so.
const PAGE_MAX: u64 = 1_000;
const PAGE_DEFAULT: u64 = 100;

#[derive(Deserialize)]
struct Wanted {
    name: String,
    #[serde(default)]
    mode: Mode,
}

/// What is made when the operator's stream `name` is wanted; refused for the system's own names.
pub fn new_stream(call: &Call, name: StreamName, mode: Mode) -> Result<NewStream, Problem> {
    if name.is_system() {
        return Err(Problem::new(
            Kind::Forbidden,
            "names that begin with _ are the system's own",
        ));
    }
    Ok(NewStream {
        owner: call.config.operator,
        name,
        mode,
    })
}

/// `POST /v1/streams`
pub async fn create(mut call: Call) -> Answer {
    call.need_type("application/json")?;
    let Wanted { name, mode } = call.json(JSON_MAX_BYTES).await?;
    let name: StreamName = name.parse()?;
    let new = new_stream(&call, name.clone(), mode)?;
    let stub = stream_stub(&call.env, call.short(&StreamRef::Name(name)))?;
    let response = ask(&stub, Method::Post, "/streams", json_body(&new)?).await?;
    let status = response.status_code();
    match outcome::<LogState>(response).await? {
        Outcome::Refused(response) => Ok(response),
        Outcome::Done(state) => {
            let response = json_without_nulls(status, describe(&state))?;
            response
                .headers()
                .set("location", &format!("/v1/streams/{}", state.id))?;
            Ok(response)
        }
    }
}

/// `GET /v1/streams`: the newest first. How far each got is told by its own resource.
pub async fn list(call: &Call) -> Answer {
    let limit = call.number("limit")?.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
    let below = call.number("cursor")?.unwrap_or(EXACT_INTEGER_MAX);
    let rows = streams::list(&call.env.d1("DB")?, below, limit as usize).await?;
    let cursor = rows
        .last()
        .filter(|_| rows.len() as u64 == limit)
        .map(|last| last.place);
    let streams: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "id": row.id, "short": row.id.short(), "name": row.name, "owner": row.owner,
                "mode": row.mode, "created": row.created,
            })
        })
        .collect();
    json_without_nulls(200, json!({ "streams": streams, "cursor": cursor }))
}

/// `GET /v1/streams/{stream}`
pub async fn get(call: &Call, stream: &StreamRef) -> Answer {
    let stub = stream_stub(&call.env, call.short(stream))?;
    match outcome::<LogState>(ask(&stub, Method::Get, "/state", None).await?).await? {
        Outcome::Refused(response) => Ok(response),
        Outcome::Done(state) => json_without_nulls(200, describe(&state)),
    }
}

fn describe(state: &LogState) -> Value {
    json!({
        "id": state.id, "short": state.id.short(), "name": state.name, "owner": state.owner, "mode": state.mode,
        "epoch": state.epoch, "head": state.head, "stored": state.head, "anchored": state.anchored,
        "final": state.finalized, "created": state.created,
        "relay": state.holder.as_ref().map(|holder| &holder.relay).or(state.assigned.as_ref()),
    })
}
