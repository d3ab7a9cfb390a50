//! One request of the HTTP API with what is needed to answer it.

use crate::api::account::{AccountRequest, account_object};
use crate::api::call::Handle;
use crate::api::relays::{RelaysRequest, relays_object};
use crate::api::stream::{StreamRequest, stream_object};
use crate::clock;
use crate::config::Config;
use crate::problem::{Kind, Problem};
use crate::query;
use alloy_primitives::Address;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use std::rc::Rc;
use streamchain_edge_core::request_id::RequestId;
use streamchain_protocol::ids::{ShortId, StreamRef};
use streamchain_protocol::limits::MAX_EXACT_INTEGER;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::Location;
use worker::js_sys::Reflect;
use worker::{Env, Headers, Request};

/// Largest JSON body of a request by a client, bytes: names and tokens are far below it.
pub(crate) const MAX_JSON_BYTES: usize = 16 * 1024;

/// Most rows on one page of a list, and how many there are unless the request says so.
const MAX_PAGE_ROWS: u64 = 1_000;
const DEFAULT_PAGE_ROWS: u64 = 100;

/// One request with what is needed to answer it.
pub(crate) struct Call {
    request: Request,
    /// What its logs and calls are marked with.
    pub id: RequestId,
    /// The bindings of the Worker.
    pub env: Env,
    /// The settings of the deployment.
    pub config: Rc<Config>,
    /// When it came.
    pub now: UnixMs,
    /// An access token out of the query, where one may stand there.
    pub url_token: Option<String>,
}

impl Call {
    /// A request that has just come.
    pub(crate) fn new(request: Request, id: RequestId, env: Env, config: Rc<Config>) -> Self {
        Self {
            request,
            id,
            env,
            config,
            now: clock::now(),
            url_token: None,
        }
    }

    /// Where the request came from, as Cloudflare says of it: no header of the client counts.
    pub(crate) fn location(&self) -> Option<Location> {
        let cf = Reflect::get(self.request.inner(), &"cf".into()).ok()?;
        let degrees = |name: &str| {
            let value = Reflect::get(&cf, &name.into()).ok()?;
            value.as_string()?.parse::<f64>().ok()
        };
        Location::of_degrees(degrees("latitude")?, degrees("longitude")?)
    }

    /// The request's headers.
    pub(crate) fn headers(&self) -> &Headers {
        self.request.headers()
    }

    /// The host, and the port if it is not the scheme's own, that the request was sent to.
    pub(crate) fn host(&self) -> String {
        let url = self.request.inner().url();
        let rest = url.split_once("://").map_or("", |(_, rest)| rest);
        rest.split('/').next().unwrap_or_default().to_owned()
    }

    /// What routes to a stream's object.
    pub(crate) fn short(&self, stream: &StreamRef) -> ShortId {
        stream.short(self.config.operator)
    }

    /// The object of a stream.
    pub(crate) fn stream(&self, stream: ShortId) -> worker::Result<Handle<StreamRequest>> {
        stream_object(&self.env, &self.id, stream)
    }

    /// The object of an account.
    pub(crate) fn account(&self, account: Address) -> worker::Result<Handle<AccountRequest>> {
        account_object(&self.env, &self.id, account)
    }

    /// The directory of relays.
    pub(crate) fn relays(&self) -> worker::Result<Handle<RelaysRequest>> {
        relays_object(&self.env, &self.id)
    }

    /// A parameter of the query.
    pub(crate) fn query(&self, name: &str) -> Result<Option<String>, Problem> {
        Ok(query::parameter(&self.request.inner().url(), name))
    }

    /// All parameters of the query.
    pub(crate) fn parameters(&self) -> Vec<(String, String)> {
        query::parameters(&self.request.inner().url())
    }

    /// A number in the query.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        self.query(name)?
            .map(|text| parse_number(name, &text))
            .transpose()
    }

    /// How many rows the page of a list may hold.
    pub(crate) fn page_rows(&self) -> Result<usize, Problem> {
        let asked = self.number("limit")?.unwrap_or(DEFAULT_PAGE_ROWS);
        Ok(asked.clamp(1, MAX_PAGE_ROWS) as usize)
    }

    /// Whether the client asks for `media_type` by name.
    pub(crate) fn accepts(&self, media_type: &str) -> Result<bool, Problem> {
        Ok(self
            .headers()
            .get("accept")?
            .is_some_and(|accept| accept.contains(media_type)))
    }

    /// Whether the client names this preference (RFC 7240).
    pub(crate) fn prefers(&self, preference: &str) -> Result<bool, Problem> {
        let prefer = self.headers().get("prefer")?.unwrap_or_default();
        let names = prefer.split(',').filter_map(|one| one.split(';').next());
        Ok(names
            .map(str::trim)
            .any(|name| name.eq_ignore_ascii_case(preference)))
    }

    /// Refuses a body of any other type.
    pub(crate) fn need_type(&self, expected: &str) -> Result<(), Problem> {
        let given = self.headers().get("content-type")?.unwrap_or_default();
        let essence = given.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case(expected) {
            return Ok(());
        }
        let detail = format!("content-type is {given:?}: expected {expected}");
        Err(Problem::new(Kind::UnsupportedType, detail).header("accept-post", expected))
    }

    /// Refuses a body that is encoded (RFC 9110 §8.4): it would be stored and shown as the bytes that came.
    fn need_plain(&self) -> Result<(), Problem> {
        let given = self.headers().get("content-encoding")?.unwrap_or_default();
        if is_identity(&given) {
            return Ok(());
        }
        let detail = format!("content-encoding is {given:?}: expected none, or identity");
        Err(Problem::new(Kind::UnsupportedType, detail).header("accept-encoding", "identity"))
    }

    /// The body, read no further than `limit` bytes.
    pub(crate) async fn body(&mut self, limit: usize) -> Result<Vec<u8>, Problem> {
        self.need_plain()?;
        let too_large = || Problem::new(Kind::TooLarge, format!("the body is above {limit} bytes"));
        let stated = self
            .headers()
            .get("content-length")?
            .and_then(|length| length.parse::<usize>().ok());
        if stated.is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        if self.request.inner().body().is_none() {
            return Ok(Vec::new());
        }
        // A body has the length that it was stated to have (RFC 9112 §6.3). Reading it at once costs a fraction of a stream.
        if stated.is_some() {
            return Ok(self.request.bytes().await?);
        }
        let mut body = Vec::new();
        let mut chunks = self.request.stream()?;
        while let Some(chunk) = chunks.next().await {
            body.extend(chunk?);
            if body.len() > limit {
                return Err(too_large());
            }
        }
        Ok(body)
    }

    /// The body as JSON.
    pub(crate) async fn json<T: DeserializeOwned>(&mut self, limit: usize) -> Result<T, Problem> {
        from_json(&self.body(limit).await?)
    }
}

/// Whether the codings of a body leave its bytes as they are.
fn is_identity(codings: &str) -> bool {
    let mut codings = codings.split(',').map(str::trim);
    codings.all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case("identity"))
}

/// A decimal number that all parts carry exactly.
pub(crate) fn parse_number(name: &str, text: &str) -> Result<u64, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text
        .parse()
        .ok()
        .filter(|number| digits && *number <= MAX_EXACT_INTEGER);
    number.ok_or_else(|| {
        Problem::new(
            Kind::BadRequest,
            format!("{name}: expected a number from 0 to 2^53 - 1"),
        )
    })
}

/// Reads JSON.
pub(crate) fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    Ok(streamchain_protocol::util::json::from_bytes(body)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_body_that_is_not_encoded_is_read() {
        for plain in ["", "identity", "Identity", "identity, identity"] {
            assert!(is_identity(plain), "{plain}");
        }
        for encoded in ["gzip", "br", "GZIP", "identity, gzip", "deflate,", "x-unknown"] {
            assert!(!is_identity(encoded), "{encoded}");
        }
    }
}
