//! Requests to Durable Objects: internal HTTP, where only method, path and query count.

use super::own_json;
use crate::outbound::fetch::request;
use crate::problem::Problem;
use futures_util::future::{Either, select};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::pin::pin;
use std::time::Duration;
use wasm_bindgen::JsValue;
use worker::js_sys::Uint8Array;
use worker::{Delay, Error, Response, Stub};

pub use worker::Method;

/// Sends a request to an object. Its answer may be a problem document: see [`Response::status_code`].
pub async fn call(
    stub: &Stub,
    method: Method,
    path: &str,
    body: Option<JsValue>,
) -> worker::Result<Response> {
    let url = format!("https://internal{path}");
    stub.fetch_with_request(request(&method, &url, None, body.as_ref())?)
        .await
}

/// A body of JSON.
pub fn json_body<T: Serialize>(body: &T) -> worker::Result<Option<JsValue>> {
    Ok(Some(serde_json::to_string(body)?.into()))
}

/// A body of bytes.
pub fn bytes_body(body: &[u8]) -> Option<JsValue> {
    Some(Uint8Array::from(body).into())
}

/// The outcome of a call whose problem, if any, goes to the client as it is.
pub enum Outcome<T> {
    /// What was asked for.
    Done(T),
    /// A response with a problem document.
    Refused(Response),
}

/// The JSON in an object's answer.
pub async fn outcome<T: DeserializeOwned>(mut response: Response) -> Result<Outcome<T>, Problem> {
    if response.status_code() >= 400 {
        return Ok(Outcome::Refused(response));
    }
    let text = response.text().await?;
    Ok(Outcome::Done(own_json(&text)?))
}

/// The JSON in an object's answer, where any refusal is our own fault.
pub async fn expect_json<T: DeserializeOwned>(mut response: Response) -> worker::Result<T> {
    let text = response.text().await?;
    match response.status_code() {
        200..300 => own_json(&text),
        status => Err(Error::RustError(format!("status {status}: {text}"))),
    }
}

/// What `work` gives, or an error once `limit` is over.
pub async fn within<T>(limit: Duration, work: impl Future<Output = worker::Result<T>>) -> worker::Result<T> {
    match select(pin!(work), pin!(Delay::from(limit))).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => Err(Error::RustError(format!(
            "no answer within {} ms",
            limit.as_millis()
        ))),
    }
}
