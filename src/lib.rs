//! The StreamChain edge: signaling, storage and anchoring as a Cloudflare Worker.
//!
//! A request comes in at [`fetch`]; [`router`] finds its route in [`routes`]; one file of `http` answers it and asks a
//! Durable Object (`objects`) or the database (`storage::d1`). Nothing here decides: the rules are in
//! `streamchain-protocol`, `streamchain-edge-core` and `streamchain-chain`, which know no Worker.

mod api;
mod audit;
mod auth;
mod clock;
mod config;
mod cors;
mod counters;
mod http;
mod objects;
mod outbound;
mod path;
mod problem;
mod query;
mod random;
mod rate_limit;
mod request;
mod response;
mod router;
mod routes;
mod storage;

use worker::{Context, Env, Request, Response, ScheduleContext, ScheduledEvent, event};

/// Runs once for each instance of the Worker.
#[event(start)]
fn start() {
    console_error_panic_hook::set_once();
}

/// Answers one HTTP request.
#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> worker::Result<Response> {
    router::serve(request, env, context).await
}

/// The watchdog: re-arms what goes on by itself, should its alarm have been dropped.
#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    objects::watchdog::ensure_chain_objects(&env, &api::call::new_request_id()).await;
}
