//! `/v1/config`: what a client or a verifier needs to know of this deployment.

use crate::path::PathParameters;
use crate::request::Call;
use crate::response::{Answer, json, put_member};
use streamchain_protocol::limits::{
    COMMIT_INTERVAL_MS, MAX_HISTORY_BYTES, MAX_HISTORY_MESSAGES, MAX_OFFER_BYTES, MAX_PAYLOAD_BYTES,
};

/// What this version can do: a client may ask before it relies on something.
const FEATURES: [&str; 4] = ["sessions", "history", "receipts", "anchors"];

/// `GET /v1/config`
pub(crate) async fn get(call: Call, _at: PathParameters) -> Answer {
    let call = &call;
    let config = &call.config;
    let mut body = serde_json::json!({
        "chainId": config.chain_id,
        "contract": config.contract,
        "contractBlock": config.contract_block,
        "operator": config.operator,
        "roundsOwner": config.rounds_owner,
        "limits": {
            "payload": MAX_PAYLOAD_BYTES,
            "offer": MAX_OFFER_BYTES,
            "historyMessages": MAX_HISTORY_MESSAGES,
            "historyBytes": MAX_HISTORY_BYTES,
            "commitIntervalMs": COMMIT_INTERVAL_MS,
        },
        "features": FEATURES,
        "version": env!("CARGO_PKG_VERSION"),
    });
    if let Some(url) = &config.public_rpc {
        put_member(&mut body, "rpcUrl", url);
    }
    json(200, &body)
}
