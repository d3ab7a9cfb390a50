//! Deliveries of webhooks. The receiver is chosen by a stream's owner: nothing of what it answers is read but the status, and
//! redirects are not followed, for only the URL itself was checked.

use super::fetch::OutboundError;
use futures_util::future::{Either, select};
use std::pin::pin;
use std::time::Duration;
use worker::web_sys::{self, RequestInit, RequestRedirect};
use worker::{AbortController, Delay, Fetch, Headers};

/// How long a receiver may take until it answers, milliseconds.
const TIMEOUT_MS: u64 = 10_000;

/// Posts a delivery; the status of the answer.
pub(crate) async fn post(url: &str, headers: &[(&str, &str)], body: &str) -> Result<u16, OutboundError> {
    let all = Headers::new();
    for (name, value) in headers {
        all.set(name, value)?;
    }
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_headers(all.0.as_ref());
    init.set_body(&body.into());
    init.set_redirect(RequestRedirect::Manual);
    let request = web_sys::Request::new_with_str_and_init(url, &init).map_err(worker::Error::from)?;
    let abort = AbortController::default();
    let signal = abort.signal();
    let request = Fetch::Request(request.into());
    let exchange = request.send_with_signal(&signal);
    let timeout = Delay::from(Duration::from_millis(TIMEOUT_MS));
    let outcome = match select(pin!(exchange), pin!(timeout)).await {
        Either::Left((response, _)) => response
            .map(|response| response.status_code())
            .map_err(OutboundError::from),
        Either::Right(_) => Err(OutboundError::Timeout(TIMEOUT_MS)),
    };
    abort.abort(); // cancels the body, or the request
    outcome
}
