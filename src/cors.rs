//! Cross-origin rules: the API takes no cookies, so any page may use it (Fetch standard, "CORS protocol").

use streamchain_edge_core::request_id::{REQUEST_ID_HEADER, RequestId};
use worker::{Headers, Response};

/// What a page may read of our responses beside the few headers that every page may.
const EXPOSED: &str = "Location, Link, Retry-After, RateLimit, RateLimit-Policy, StreamChain-Access-Token, StreamChain-Author, StreamChain-Owner, StreamChain-Relay, \
                       StreamChain-Streams, StreamChain-Next, StreamChain-Head, X-Request-Id";

/// What a page may send: what the API reads, and what EventSource libraries add. Browsers take `*` for all the others but
/// `Authorization`, so that no preflight fails for a header that nothing here reads.
const ALLOWED_HEADERS: &str = "authorization, content-type, last-event-id, cache-control, prefer, x-request-id, idempotency-key, \
                               streamchain-producer, streamchain-producer-seq, streamchain-key, streamchain-key-proof, streamchain-previous, \
                               streamchain-signature, content-encoding, *";

/// What the API sends is no page: should a browser show it as one, nothing in it runs and nobody frames it.
const NO_DOCUMENT: &str =
    "script-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// How long a browser may remember a preflight's answer, seconds (a day; browsers cap it at two hours or more).
const MAX_AGE_S: &str = "86400";

/// The answer to a preflight.
pub(crate) fn preflight(methods: &str) -> worker::Result<Response> {
    let headers = Headers::new();
    headers.set("allow", methods)?;
    headers.set("access-control-allow-methods", methods)?;
    headers.set("access-control-allow-headers", ALLOWED_HEADERS)?;
    headers.set("access-control-max-age", MAX_AGE_S)?;
    Ok(Response::empty()?.with_status(204).with_headers(headers))
}

/// Adds what every response of the API carries, the id of its request too.
pub(crate) fn open_to_all(response: Response, id: &RequestId) -> worker::Result<Response> {
    // Headers of a response that was fetched can't be changed in place.
    if response.headers().set(REQUEST_ID_HEADER, id.as_str()).is_ok() {
        add_common(response.headers())?;
        return Ok(response);
    }
    let headers = Headers::new();
    for (name, value) in response.headers().entries() {
        headers.append(&name, &value)?;
    }
    headers.set(REQUEST_ID_HEADER, id.as_str())?;
    add_common(&headers)?;
    Ok(response.with_headers(headers))
}

fn add_common(headers: &Headers) -> worker::Result<()> {
    headers.set("access-control-allow-origin", "*")?;
    headers.set("access-control-expose-headers", EXPOSED)?;
    // Resource Timing: so a page learns whether it speaks HTTP/2, and where a slow request waited.
    headers.set("timing-allow-origin", "*")?;
    headers.set("x-content-type-options", "nosniff")?;
    headers.set("referrer-policy", "no-referrer")?;
    headers.set("content-security-policy", NO_DOCUMENT)?;
    if !headers.has("cache-control")? {
        headers.set("cache-control", "no-store")?;
    }
    Ok(())
}
