//! `/v1/health`: whether the Worker runs.

use crate::path::PathParameters;
use crate::request::Call;
use crate::response::{Answer, json};

/// `GET /v1/health`
pub(crate) async fn get(_call: Call, _at: PathParameters) -> Answer {
    answer()
}

/// The answer, without settings and objects: so it says only that the Worker runs.
pub(crate) fn answer() -> Answer {
    json(200, &serde_json::json!({"ok": true}))
}
