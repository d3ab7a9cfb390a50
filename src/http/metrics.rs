//! `/v1/metrics`: the status as Prometheus reads it, for operators and for whoever scrapes it for them.

use super::status;
use crate::auth::bearer::bearer;
use crate::auth::principal as auth;
use crate::path::PathParameters;
use crate::problem::Problem;
use crate::request::Call;
use crate::response::{Answer, respond};
use streamchain_edge_core::metrics::metrics_of;
use streamchain_protocol::auth::mac_bytes;

/// The text format's own type.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /v1/metrics`: with `METRICS_TOKEN` as the bearer, or an operator's access token.
pub(crate) async fn get(call: Call, _at: PathParameters) -> Answer {
    let call = &call;
    if !is_scrape(call)? {
        auth::need_operator(call).await?;
    }
    let text = metrics_of(&status::read(call).await);
    respond(
        200,
        &[("content-type", CONTENT_TYPE), ("cache-control", "no-store")],
        text.into_bytes(),
    )
}

/// Whether the request has the token for scrapes.
fn is_scrape(call: &Call) -> Result<bool, Problem> {
    let (given, expected) = (bearer(call.headers())?, &call.config.metrics_token);
    // MACs are compared instead of the texts, so that the time shows no prefix of the right one.
    let mac = |text: &str| mac_bytes(&call.config.master.audit_key(), &[b"metrics", text.as_bytes()]);
    Ok(given
        .zip(expected.as_ref())
        .is_some_and(|(given, expected)| mac(&given) == mac(expected)))
}
