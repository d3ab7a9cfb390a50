//! `/v1/status`: how the whole deployment is doing. A part that does not answer is told as such, and no more.

use crate::objects::call::{Method, call as ask, expect_json, within};
use crate::objects::{anchorer_stub, listener_stub, relays_stub};
use crate::request::Call;
use crate::response::{Answer, json};
use futures_util::future::join3;
use serde_json::{Value, json};
use std::time::Duration;
use worker::Stub;

/// How long one object may take to tell its status.
const PATIENCE: Duration = Duration::from_millis(2_000);

/// `GET /v1/status`
pub async fn get(call: &Call) -> Answer {
    let (env, config) = (&call.env, &call.config);
    let (chain, anchorer, relays) = join3(
        status_of(listener_stub(env, config)),
        status_of(anchorer_stub(env, config).map(Some)),
        status_of(relays_stub(env).map(Some)),
    )
    .await;
    let chain = chain.unwrap_or_else(|error| json!({"ok": false, "id": config.chain_id, "error": error}));
    let anchorer = anchorer.unwrap_or_else(|error| json!({"address": config.operator, "lastError": error}));
    let relays = relays.unwrap_or_else(|_| json!([]));
    json(
        200,
        &json!({"now": call.now_ms, "chain": chain, "anchorer": anchorer, "relays": relays}),
    )
}

async fn status_of(stub: worker::Result<Option<Stub>>) -> Result<Value, String> {
    let asked = async {
        match stub? {
            Some(stub) => expect_json(ask(&stub, Method::Get, "/status", None).await?).await,
            None => Err(worker::Error::RustError("CONTRACT_ADDRESS is not set".into())),
        }
    };
    within(PATIENCE, asked).await.map_err(|error| error.to_string())
}
