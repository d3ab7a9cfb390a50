//! Requests of the Worker's own to servers outside.
//!
//! What always holds: every request ends within its time, and its body is read to the end or cancelled.

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use std::pin::pin;
use std::time::Duration;
use wasm_bindgen::JsValue;
use worker::js_sys::Uint8Array;
use worker::js_sys::futures::JsFuture;
use worker::web_sys::{self, RequestInit};
use worker::{AbortController, AbortSignal, Delay, Error, Fetch, Headers, Method, Request, Response};

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum OutboundError {
    /// No connection, or it broke.
    Transport(String),
    /// Too late: after this many milliseconds.
    Timeout(u64),
    /// The answer is above this many bytes.
    TooLarge(usize),
}

impl From<Error> for OutboundError {
    fn from(error: Error) -> Self {
        Self::Transport(error.to_string())
    }
}

/// What a request may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// For the whole exchange, milliseconds.
    pub timeout_ms: u64,
    /// Of the answer.
    pub max_bytes: usize,
}

/// Posts JSON, with the header `authorization` if there is one; the answer's status and body.
pub(crate) async fn post_json(
    url: &str,
    authorization: Option<&str>,
    body: String,
    bounds: Bounds,
) -> Result<(u16, Vec<u8>), OutboundError> {
    let abort = AbortController::default();
    let exchange = exchange(url, authorization, body, bounds.max_bytes, abort.signal());
    let timeout = Delay::from(Duration::from_millis(bounds.timeout_ms));
    let outcome = match select(pin!(exchange), pin!(timeout)).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => Err(OutboundError::Timeout(bounds.timeout_ms)),
    };
    if outcome.is_err() {
        abort.abort(); // cancels a body that was not read to its end
    }
    outcome
}

async fn exchange(
    url: &str,
    authorization: Option<&str>,
    body: String,
    max_bytes: usize,
    signal: AbortSignal,
) -> Result<(u16, Vec<u8>), OutboundError> {
    let headers = Headers::new();
    headers.set("content-type", "application/json")?;
    if let Some(authorization) = authorization {
        headers.set("authorization", authorization)?;
    }
    let http = request(&Method::Post, url, Some(&headers), Some(&body.into()))?;
    let mut response = Fetch::Request(http).send_with_signal(&signal).await?;
    let status = response.status_code();
    if let Some(length) = stated_length(response.headers())? {
        return match length > max_bytes {
            true => Err(OutboundError::TooLarge(max_bytes)),
            false => Ok((status, read_whole(response).await?)),
        };
    }
    let mut body = Vec::new();
    let mut stream = response.stream()?;
    while let Some(chunk) = stream.next().await {
        body.extend(chunk?);
        if body.len() > max_bytes {
            return Err(OutboundError::TooLarge(max_bytes));
        }
    }
    Ok((status, body))
}

/// How many bytes the body has, where that is certain: what is stated of an encoded body is not what comes of it.
fn stated_length(headers: &Headers) -> Result<Option<usize>, Error> {
    if headers.get("content-encoding")?.is_some() {
        return Ok(None);
    }
    let length = headers.get("content-length")?;
    Ok(length.and_then(|length| length.parse().ok()))
}

/// The body of a response. `Response::bytes` reads it as a stream, which is most of what a small request costs.
pub(crate) async fn read_whole(answered: Response) -> Result<Vec<u8>, Error> {
    let body = web_sys::Response::from(answered).array_buffer()?;
    Ok(Uint8Array::new(&JsFuture::from(body).await?).to_vec())
}

/// A request with a body, if there is one. `worker`'s own `RequestInit` would link what it says of images to Cloudflare.
pub(crate) fn request(
    method: &Method,
    url: &str,
    headers: Option<&Headers>,
    body: Option<&JsValue>,
) -> worker::Result<Request> {
    let init = RequestInit::new();
    init.set_method(method.as_ref());
    if let Some(headers) = headers {
        init.set_headers(headers.0.as_ref());
    }
    if let Some(body) = body {
        init.set_body(body);
    }
    Ok(web_sys::Request::new_with_str_and_init(url, &init)?.into())
}
