//! The resources of the HTTP API, one file each: read the request, ask an object or the database, answer.

pub mod anchors;
pub mod assets;
pub mod audit;
pub mod auth;
pub mod chain;
pub mod config;
pub mod costs;
pub mod events;
pub mod ice_servers;
pub mod keys;
pub mod members;
pub mod messages;
pub mod publish;
pub mod receipts;
pub mod relays;
pub mod segments;
pub mod sessions;
pub mod signals;
pub mod status;
pub mod streams;

use crate::config::Config;
use crate::problem::{Kind, Problem};
use crate::query;
use crate::store;
use futures_util::StreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::rc::Rc;
use streamchain_protocol::auth::Right;
use streamchain_protocol::ids::{ShortId, StreamId, StreamRef};
use streamchain_protocol::limits::EXACT_INTEGER_MAX;
use worker::{D1Database, Date, Env, Headers, Request, Response};

/// A response, or the problem that becomes one.
pub type Answer = Result<Response, Problem>;

/// Largest JSON body of a request by a client, bytes: names and tokens are far below it.
pub const JSON_MAX_BYTES: usize = 16 * 1024;

/// Most rows on one page of a list, and how many there are unless the request says so.
const PAGE_MAX_ROWS: u64 = 1_000;
const PAGE_DEFAULT_ROWS: u64 = 100;

/// One request with what is needed to answer it.
pub struct Call {
    request: Request,
    /// Bindings.
    pub env: Env,
    /// Settings.
    pub config: Rc<Config>,
    /// When it came, Unix milliseconds.
    pub now_ms: u64,
    /// An access token out of the query, where one may stand there.
    pub url_token: Option<String>,
}

impl Call {
    /// A request that has just come.
    pub fn new(request: Request, env: Env, config: Rc<Config>) -> Self {
        Self {
            request,
            env,
            config,
            now_ms: Date::now().as_millis(),
            url_token: None,
        }
    }

    /// The request's headers.
    pub fn headers(&self) -> &Headers {
        self.request.headers()
    }

    /// The host, and the port if it is not the scheme's own, that the request was sent to.
    pub fn host(&self) -> String {
        let url = self.request.inner().url();
        let rest = url.split_once("://").map_or("", |(_, rest)| rest);
        rest.split('/').next().unwrap_or_default().to_owned()
    }

    /// What routes to a stream's object.
    pub fn short(&self, stream: &StreamRef) -> ShortId {
        stream.short(self.config.operator)
    }

    /// A parameter of the query.
    pub fn query(&self, name: &str) -> Result<Option<String>, Problem> {
        Ok(query::parameter(&self.request.inner().url(), name))
    }

    /// A number in the query.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        self.query(name)?
            .map(|text| parse_number(name, &text))
            .transpose()
    }

    /// How many rows the page of a list may hold.
    pub fn page_rows(&self) -> Result<usize, Problem> {
        let asked = self.number("limit")?.unwrap_or(PAGE_DEFAULT_ROWS);
        Ok(asked.clamp(1, PAGE_MAX_ROWS) as usize)
    }

    /// Whether the client asks for `media_type` by name.
    pub fn accepts(&self, media_type: &str) -> Result<bool, Problem> {
        Ok(self
            .headers()
            .get("accept")?
            .is_some_and(|accept| accept.contains(media_type)))
    }

    /// Refuses a body of any other type.
    pub fn need_type(&self, expected: &str) -> Result<(), Problem> {
        let given = self.headers().get("content-type")?.unwrap_or_default();
        let essence = given.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case(expected) {
            return Ok(());
        }
        let detail = format!("content-type is {given:?}: expected {expected}");
        Err(Problem::new(Kind::UnsupportedType, detail).header("accept-post", expected))
    }

    /// The body, read no further than `limit` bytes.
    pub async fn body(&mut self, limit: usize) -> Result<Vec<u8>, Problem> {
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
        let mut body = Vec::with_capacity(stated.unwrap_or(0));
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
    pub async fn json<T: DeserializeOwned>(&mut self, limit: usize) -> Result<T, Problem> {
        from_json(&self.body(limit).await?)
    }
}

/// Rows that the database holds of one stream, for whom may read it: a page at a time.
pub struct StreamRows {
    /// Where they are.
    pub db: D1Database,
    /// Whose they are.
    pub stream: StreamId,
    /// Most rows of the page that is asked for.
    pub limit: usize,
}

impl StreamRows {
    /// Refuses whom the stream is not for, and a stream that is not there.
    pub async fn of(call: &Call, stream: &StreamRef) -> Result<Self, Problem> {
        crate::auth::need(call, stream, Right::Read).await?;
        let limit = call.page_rows()?;
        let db = call.env.d1("DB")?;
        let found = store::streams::find(&db, call.short(stream)).await?;
        let absent = "there is no such stream, or nothing of it is stored yet";
        let stream = found.ok_or_else(|| Problem::new(Kind::NoSuchStream, absent))?.id;
        Ok(Self { db, stream, limit })
    }

    /// The row behind which there may be more: the last of a full page.
    pub fn last<'a, T>(&self, page: &'a [T]) -> Option<&'a T> {
        page.last().filter(|_| page.len() == self.limit)
    }
}

/// A decimal number that all parts carry exactly.
pub fn parse_number(name: &str, text: &str) -> Result<u64, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text
        .parse()
        .ok()
        .filter(|number| digits && *number <= EXACT_INTEGER_MAX);
    number.ok_or_else(|| {
        Problem::new(
            Kind::BadRequest,
            format!("{name}: expected a number from 0 to 2^53 - 1"),
        )
    })
}

/// A response of bytes.
pub fn respond(status: u16, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let all = Headers::new();
    headers
        .iter()
        .try_for_each(|(name, value)| all.append(name, value))?;
    Ok(Response::from_bytes(body)?.with_status(status).with_headers(all))
}

/// A JSON response.
pub fn json<T: Serialize>(status: u16, body: &T) -> Answer {
    let text = serde_json::to_string(body).map_err(Problem::internal)?;
    respond(status, &[("content-type", "application/json")], text.into_bytes())
}

/// A JSON response of an object whose absent members are left out.
pub fn json_without_nulls(status: u16, mut body: Value) -> Answer {
    if let Value::Object(members) = &mut body {
        members.retain(|_, value| !value.is_null());
    }
    json(status, &body)
}

/// Reads JSON.
pub fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    Ok(streamchain_protocol::util::json::from_bytes(body)?)
}

/// `GET /v1/health`: the Worker runs. Touches nothing else.
pub fn health() -> Answer {
    json(200, &serde_json::json!({"ok": true}))
}
