//! `/v1/status`: how the whole deployment is doing. A part that does not answer is shown as such, and no more.

use super::round_status;
use crate::api::anchorer::{AnchorerStatus, anchorer_object};
use crate::api::archiver::{ArchiverStatus, archiver_object};
use crate::api::call::{Encoded, within};
use crate::api::listener::{ListenerStatus, listener_object};
use crate::api::relays::RelayStatuses;
use crate::auth::principal as auth;
use crate::counters;
use crate::path::PathParameters;
use crate::problem::{Kind, Problem};
use crate::request::Call;
use crate::response::{Answer, json, put_member};
use crate::storage::d1::{streams, webhooks};
use futures_util::future::join5;
use serde_json::{Value, json};
use std::cell::Cell;
use std::collections::HashSet;
use std::time::Duration;
use streamchain_protocol::ids::StreamId;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::util::json;
use worker::Error;

/// How long one object may take for its status.
const TIMEOUT: Duration = Duration::from_millis(2_000);

/// For how long an instance shows the same counts again, ms: counting webhooks reads a row for each.
const COUNTED_MS: u64 = 15_000;

thread_local! {
    /// How many streams and webhooks there are, and when that was read.
    static COUNTED: Cell<Option<(UnixMs, (u64, u64))>> = const { Cell::new(None) };
}

/// `GET /v1/status`
pub(crate) async fn get(call: Call, _at: PathParameters) -> Answer {
    json(200, &read(&call).await)
}

/// The status, as far as whoever asks may know it.
pub(super) async fn read(call: &Call) -> Value {
    let (env, config) = (&call.env, &call.config);
    let chain = async {
        let listener = listener_object(env, &call.id, config)?;
        let not_set = || Problem::new(Kind::Misconfigured, "CONTRACT_ADDRESS is not set");
        listener.ok_or_else(not_set)?.call(ListenerStatus {}).await
    };
    let anchorer = async {
        anchorer_object(env, &call.id, config)?
            .call(AnchorerStatus {})
            .await
    };
    let relays = async { call.relays()?.call(RelayStatuses {}).await };
    let storage = async { archiver_object(env, &call.id)?.call(ArchiverStatus {}).await };
    let (chain, anchorer, relays, rounds, storage) = join5(
        status(chain),
        status(anchorer),
        status(relays),
        round_status::get(call),
        status(storage),
    )
    .await;
    let chain = chain.unwrap_or_else(|error| json!({"ok": false, "id": config.chain_id, "error": error}));
    let anchorer = anchorer.unwrap_or_else(|error| json!({"address": config.operator, "lastError": error}));
    let anchorer = without_private_streams(call, anchorer).await;
    let relays = relays.unwrap_or_else(|_| json!([]));
    let storage = storage.unwrap_or_else(|error| json!({"error": error}));
    let sign_in = match config.sign_in_fault() {
        None => json!({"ok": true}),
        Some(fault) => json!({"ok": false, "error": fault}),
    };
    let counted = counted(call).await;
    let mut status = json!({
        "now": call.now, "chain": chain, "anchorer": anchorer, "rounds": rounds, "relays": relays, "signIn": sign_in,
        "storage": storage,
        "edge": counters::to_json(),
    });
    if let Ok((streams, webhooks)) = counted {
        put_member(&mut status, "streams", &streams);
        put_member(&mut status, "webhooks", &webhooks);
    }
    status
}

/// How many streams were made, and how many webhooks there are.
async fn counted(call: &Call) -> Result<(u64, u64), Error> {
    let known = COUNTED.get().filter(|(at, _)| call.now.since(*at) < COUNTED_MS);
    if let Some((_, counted)) = known {
        return Ok(counted);
    }
    let db = call.env.d1("DB")?;
    let counted = (streams::count(&db).await?, webhooks::count(&db).await?);
    COUNTED.set(Some((call.now, counted)));
    Ok(counted)
}

/// The Anchorer's status without the streams that the reader may not know of.
async fn without_private_streams(call: &Call, mut anchorer: Value) -> Value {
    let Some(Value::Array(blocked)) = anchorer.get_mut("blockedStreams") else {
        return anchorer;
    };
    if blocked.is_empty() {
        return anchorer;
    }
    // The status is for everybody: credentials that don't count show no less than none.
    let principal = auth::principal(call).await.ok().flatten();
    if principal.is_some_and(|one| one.operator) {
        return anchorer;
    }
    let id = |entry: &Value| entry.get("stream")?.as_str()?.parse::<StreamId>().ok();
    let ids: Vec<StreamId> = blocked.iter().filter_map(id).collect();
    let public = match call.env.d1("DB") {
        Ok(db) => streams::public(&db, &ids).await.unwrap_or_default(),
        Err(_) => HashSet::new(),
    };
    blocked.retain(|entry| id(entry).is_some_and(|id| public.contains(&id)));
    anchorer
}

async fn status<T>(asked: impl Future<Output = Result<Encoded<T>, Problem>>) -> Result<Value, String> {
    let answered = within(TIMEOUT, asked).await.map_err(|error| error.to_string())?;
    json::tree(&String::from_utf8_lossy(&answered.json)).map_err(|error| error.to_string())
}
