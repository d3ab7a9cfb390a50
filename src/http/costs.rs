//! `/v1/costs`: what a message costs on chain in each mode, at the node's present fees.

use crate::api::anchorer::{EstimateCosts, anchorer_object};
use crate::api::call::within;
use crate::path::PathParameters;
use crate::problem::{Kind, Problem};
use crate::request::Call;
use crate::response::{Answer, encoded};
use std::time::Duration;

/// How long the node may take for the estimates.
const TIMEOUT: Duration = Duration::from_millis(8_000);

/// `GET /v1/costs`
pub(crate) async fn get(call: Call, _at: PathParameters) -> Answer {
    let call = &call;
    let anchorer = anchorer_object(&call.env, &call.id, &call.config)?;
    match within(TIMEOUT, anchorer.call(EstimateCosts {})).await {
        Ok(costs) => encoded(200, costs.json),
        Err(error) => Err(Problem::new(
            Kind::ChainUnreachable,
            format!("the costs can't be estimated now: {error}"),
        )
        .header("retry-after", "10")),
    }
}
