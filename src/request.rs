//! Requests as the platform takes them: to Durable Objects, and to servers outside.

use wasm_bindgen::JsValue;
use worker::web_sys::{self, RequestInit};
use worker::{Headers, Method, Request};

/// A request with a body, if there is one. `worker`'s own `RequestInit` would link what it says of images to Cloudflare.
pub fn request(
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
