//! The part of `/v1/status` that is about rounds.

use crate::api::batcher::{BatcherStatus, batcher_of_group};
use crate::api::call::within;
use crate::api::side_by_side::side_by_side;
use crate::problem::Problem;
use crate::request::Call;
use crate::response::put_member;
use crate::storage::d1::rounds;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::time::Duration;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::util::json as reading;
use worker::Error;

/// How long one batcher may take for its status.
const TIMEOUT: Duration = Duration::from_millis(2_000);

/// For how long, in ms, an instance shows again what the batchers said: each question is one for every batcher.
const LIVE_MS: u64 = 5_000;

/// Most batchers that are asked at a time.
const MAX_BATCHERS_AT_ONCE: usize = 64;

thread_local! {
    /// What was shown last, and when.
    static SHOWN: RefCell<Option<(UnixMs, Value)>> = const { RefCell::new(None) };
}

/// How far rounds are on the chain, and what waits in each batcher that has something.
pub(super) async fn get(call: &Call) -> Value {
    let known = SHOWN.with_borrow(Clone::clone);
    if let Some((_, shown)) = known.filter(|(at, _)| call.now.since(*at) < LIVE_MS) {
        return shown;
    }
    let mut shown = match on_chain(call).await {
        Ok((anchored, finalized)) => json!({ "anchored": anchored, "final": finalized }),
        Err(error) => json!({ "error": error.to_string() }),
    };
    put_member(&mut shown, "batchers", &batchers(call).await);
    SHOWN.with_borrow_mut(|kept| *kept = Some((call.now, shown.clone())));
    shown
}

async fn on_chain(call: &Call) -> Result<(u64, u64), Error> {
    rounds::marks(&call.env.d1("DB")?, call.config.rounds).await
}

async fn batchers(call: &Call) -> Vec<Value> {
    let work = call.config.batchers.groups().map(|first_bucket| async move {
        let asked = async {
            let batcher = batcher_of_group(&call.env, &call.id, first_bucket)?;
            batcher.call(BatcherStatus {}).await
        };
        let mut shown = match within(TIMEOUT, asked).await.and_then(|status| read(&status.json)) {
            Ok(status) if status.get("pending") == Some(&json!(0)) => return None,
            Ok(status) => status,
            Err(error) => json!({ "error": error.to_string() }),
        };
        put_member(&mut shown, "firstBucket", &first_bucket);
        Some(shown)
    });
    let all = side_by_side(work, MAX_BATCHERS_AT_ONCE).await;
    all.into_iter().flatten().collect()
}

fn read(status: &[u8]) -> Result<Value, Problem> {
    reading::tree(&String::from_utf8_lossy(status)).map_err(Problem::internal)
}
