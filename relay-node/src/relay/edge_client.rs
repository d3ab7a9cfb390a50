//! The relay's requests to the edge, over HTTP.

use crate::core::{Answer, EdgeError, Request, Ticket};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use streamchain_protocol::auth::RelayKey;
use streamchain_protocol::ids::{Incarnation, RelayId};
use streamchain_protocol::wire::decode_records;
use streamchain_protocol::wire::{AcquireEpoch, Registration, Renewed, problem};
use tracing::debug;

/// How long a request may take. A stalled edge is found within this; the batch is then sent again.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Largest answer that is read, bytes: 256 notices with 64 KiB payloads in hex would be more, but the edge sends
/// no chain event above a few KiB in one; what is larger is refused, not read.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// A way to the edge.
#[derive(Clone)]
pub struct EdgeClient {
    http: Client,
    base: String,
    bearer: String,
    incarnation: Incarnation,
}

/// The part of a problem document (RFC 9457) that is read.
#[derive(Debug, Default, Deserialize)]
struct Problem {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    detail: String,
}

impl EdgeClient {
    /// To the edge at `edge` (`https://…`), as `relay`.
    pub fn new(
        edge: &str,
        relay: &RelayId,
        key: &RelayKey,
        incarnation: Incarnation,
    ) -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(Duration::from_secs(5))
            .user_agent(concat!("relay-node/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let base = format!("{}/v1/relays/{relay}", edge.trim_end_matches('/'));
        Ok(Self {
            http,
            base,
            bearer: key.uplink_bearer(relay),
            incarnation,
        })
    }

    /// Registers, or renews.
    pub async fn renew(&self, registration: &Registration) -> Result<Renewed, EdgeError> {
        let request = self.request(Method::PUT, "").body(json(registration)?);
        answer(request.header("content-type", "application/json")).await
    }

    /// Says goodbye: the edge sends nobody here any more.
    pub async fn goodbye(&self) -> Result<(), EdgeError> {
        let request = self.request(Method::DELETE, &format!("?incarnation={}", self.incarnation));
        read(request).await.map(|_| ())
    }

    /// Sends a shard's request.
    pub async fn ask(&self, ticket: Ticket, request: Request) -> Answer {
        let stream = format!("/streams/{}", ticket.stream);
        match request {
            Request::AcquireEpoch { fresh } => Answer::AcquireEpoch(self.acquire_epoch(&stream, fresh).await),
            Request::Producer { epoch, producer } => {
                let path = format!("{stream}/producers/{producer}?epoch={epoch}");
                Answer::Producer(producer, answer(self.request(Method::GET, &path)).await)
            }
            Request::Batch { body } => {
                let request = self.request(Method::POST, &format!("{stream}/batches"));
                Answer::Batch(answer(request.header("content-type", "application/cbor").body(body)).await)
            }
            Request::Inbox { epoch } => {
                let request = self.request(Method::GET, &format!("{stream}/inbox?epoch={epoch}"));
                let unreadable = |error| EdgeError::Unavailable(format!("unreadable messages: {error}"));
                let records = read(request).await;
                Answer::Inbox(records.and_then(|body| decode_records(&body).map_err(unreadable)))
            }
            Request::Release { epoch } => {
                let request = self.request(Method::DELETE, &format!("{stream}?epoch={epoch}"));
                if let Err(refused) = read(request).await {
                    debug!(%refused, "the edge was not told that a stream was let go");
                }
                Answer::Released
            }
        }
    }

    async fn acquire_epoch<T: DeserializeOwned>(
        &self,
        stream: &str,
        fresh: Option<Incarnation>,
    ) -> Result<T, EdgeError> {
        let acquire_epoch = AcquireEpoch {
            incarnation: fresh.unwrap_or(self.incarnation),
        };
        let request = self.request(Method::PUT, stream).body(json(&acquire_epoch)?);
        answer(request.header("content-type", "application/json")).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.bearer)
    }
}

fn json(body: &impl serde::Serialize) -> Result<Vec<u8>, EdgeError> {
    serde_json::to_vec(body).map_err(|error| EdgeError::Refused(error.to_string()))
}

async fn answer<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, EdgeError> {
    let body = read(request).await?;
    // An answer of another shape may come from something between us and the edge: try again.
    serde_json::from_slice(&body)
        .map_err(|error| EdgeError::Unavailable(format!("unreadable answer: {error}")))
}

async fn read(request: RequestBuilder) -> Result<Vec<u8>, EdgeError> {
    let unreachable = |error: reqwest::Error| EdgeError::Unavailable(reason(&error));
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(unreachable)? {
        if body.len() + part.len() > MAX_ANSWER_BYTES {
            return Err(EdgeError::Unavailable("the answer is too large".into()));
        }
        body.extend_from_slice(&part);
    }
    if status.is_success() {
        Ok(body)
    } else {
        Err(refusal(status, &body))
    }
}

/// What a status and its problem document mean for us.
fn refusal(status: StatusCode, body: &[u8]) -> EdgeError {
    let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
    let slug = problem.r#type.rsplit('/').next().unwrap_or_default();
    let detail = || format!("{status} {slug}: {}", problem.detail);
    match (status.as_u16(), slug) {
        (401 | 403, _) => EdgeError::Unauthorized(status.as_u16()),
        (404, "no-such-stream") => EdgeError::NoSuchStream,
        (409, problem::STALE_EPOCH | problem::NOT_LEADER) => EdgeError::NotLeader(detail()),
        (404 | 408 | 429 | 500.., _) => EdgeError::Unavailable(detail()),
        _ => EdgeError::Refused(detail()),
    }
}

/// An error with its causes: reqwest's own text names only the URL.
pub(crate) fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, slug: &str) -> EdgeError {
        let body = format!(r#"{{"type":"https://streamchain.dev/problems/{slug}","detail":"why"}}"#);
        refusal(StatusCode::from_u16(status).unwrap(), body.as_bytes())
    }

    #[test]
    fn what_may_pass_is_told_from_what_will_not() {
        assert!(matches!(refused(409, "stale-epoch"), EdgeError::NotLeader(_)));
        assert!(matches!(refused(409, "not-owner"), EdgeError::NotLeader(_)));
        assert!(matches!(refused(409, "gap"), EdgeError::Refused(_)));
        assert!(matches!(refused(409, "producer-conflict"), EdgeError::Refused(_)));
        assert_eq!(refused(404, "no-such-stream"), EdgeError::NoSuchStream);
        for (status, slug) in [
            (503, "overloaded"),
            (500, "internal"),
            (429, ""),
            (404, ""),
            (401, "unauthorized"),
        ] {
            assert!(refused(status, slug).is_passing(), "{status} {slug}");
        }
        assert!(
            refusal(StatusCode::BAD_GATEWAY, b"<html>").is_passing(),
            "a proxy's page is no answer"
        );
    }
}
