//! `/v1/health`: whether the Worker runs.

use crate::response::{Answer, json};

/// `GET /v1/health`: the Worker runs. Touches nothing else.
pub fn get() -> Answer {
    json(200, &serde_json::json!({"ok": true}))
}
