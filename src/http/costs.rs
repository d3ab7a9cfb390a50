//! `/v1/costs`: what a message costs on chain in each mode, at the node's present fees.

use crate::objects::anchorer_stub;
use crate::objects::call::{Method, call as ask, expect_json, within};
use crate::problem::{Kind, Problem};
use crate::request::Call;
use crate::response::{Answer, json};
use serde_json::Value;
use std::time::Duration;

/// How long the node may take for the estimates.
const PATIENCE: Duration = Duration::from_millis(8_000);

/// `GET /v1/costs`
pub async fn get(call: &Call) -> Answer {
    let asked = async {
        let stub = anchorer_stub(&call.env, &call.config)?;
        expect_json::<Value>(ask(&stub, Method::Get, "/costs", None).await?).await
    };
    match within(PATIENCE, asked).await {
        Ok(costs) => json(200, &costs),
        Err(error) => Err(Problem::new(
            Kind::ChainUnreachable,
            format!("the costs can't be estimated now: {error}"),
        )
        .header("retry-after", "10")),
    }
}
