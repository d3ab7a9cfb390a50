//! Makes sure that the alarms of the Anchorer, the batchers, the Listener and the Archiver are armed: the platform drops one
//! that fails too often.

use crate::api::anchorer::{EnsureAnchorer, anchorer_object};
use crate::api::archiver::{EnsureArchiver, archiver_object};
use crate::api::batcher::{EnsureBatcher, batcher_of_group};
use crate::api::call::within;
use crate::api::listener::{EnsureListener, listener_object};
use crate::api::side_by_side::side_by_side;
use crate::config::Config;
use crate::problem::Problem;
use std::time::Duration;
use streamchain_edge_core::request_id::RequestId;
use worker::{Env, console_error};

/// How long the watchdog waits for an object.
const TIMEOUT: Duration = Duration::from_millis(5_000);
/// Most batchers that are asked at a time.
const MAX_BATCHERS_AT_ONCE: usize = 64;

/// Arms the alarms where they are not. What fails is logged: it is tried again.
pub(crate) async fn ensure_chain_objects(env: &Env, id: &RequestId) {
    let config = match Config::of(env) {
        Ok(config) => config,
        Err(error) => return console_error!("{error}"),
    };
    let anchorer = async { anchorer_object(env, id, &config)?.call(EnsureAnchorer {}).await };
    log("Anchorer", id, within(TIMEOUT, anchorer).await);
    let batchers = config.batchers.groups().map(|first_bucket| async move {
        let batcher = async {
            batcher_of_group(env, id, first_bucket)?
                .call(EnsureBatcher {})
                .await
        };
        log("Batcher", id, within(TIMEOUT, batcher).await);
    });
    side_by_side(batchers, MAX_BATCHERS_AT_ONCE).await;
    let listener = async {
        match listener_object(env, id, &config)? {
            Some(listener) => listener.call(EnsureListener {}).await,
            None => Ok(()),
        }
    };
    log("Listener", id, within(TIMEOUT, listener).await);
    let archiver = async { archiver_object(env, id)?.call(EnsureArchiver {}).await };
    log("Archiver", id, within(TIMEOUT, archiver).await);
}

fn log(object: &str, id: &RequestId, armed: Result<(), Problem>) {
    if let Err(error) = armed {
        console_error!("request {id}: the {object} was not armed: {error}");
    }
}
