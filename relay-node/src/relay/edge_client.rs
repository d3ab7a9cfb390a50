//! The relay's requests to the edge, over HTTP.
//!
//! What always holds: every request carries an `x-request-id` of its own, and every one that fails is logged with it
//! and with the id that the edge answered, if it did. So an entry of the relay's log is found in the edge's, and the
//! other way round.

use crate::core::{Answer, EdgeError, Loss, LostLeader, Request, Ticket};
use crate::error_text::with_causes;
use crate::random::random_seed;
use crate::relay::edge_status::EdgeStatus;
use crate::relay::feature_support::FeatureSupport;
use bytes::Bytes;
use reqwest::{Client, Method, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::{Duration, Instant};
use streamchain_protocol::auth::RelayKey;
use streamchain_protocol::ids::{Incarnation, RelayId, ShortId};
use streamchain_protocol::wire::decode_records;
use streamchain_protocol::wire::{
    AcquireEpoch, Acquired, Bundle, BundleAnswer, Committed, Presence, ProducerKey, Registration, Renewed,
    problem,
};
use tracing::{debug, info};

/// How long a request may take. A stalled edge is found within this; the batch is then sent again.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may take to be established.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Largest answer that is read, bytes: 256 notices with 64 KiB payloads in hex would be more, but the edge sends
/// no chain event above a few KiB in one; what is larger is refused, not read.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// The header that names a request in both logs.
const REQUEST_ID: &str = "x-request-id";

const JSON: &str = "application/json";
const CBOR: &str = "application/cbor";

/// Sends requests to one edge as one relay.
#[derive(Clone)]
pub struct EdgeClient {
    http: Client,
    base: String,
    bearer: String,
    incarnation: Incarnation,
    /// Whether the relay can follow others.
    follows: bool,
    status: Arc<EdgeStatus>,
    bundle_support: Arc<FeatureSupport>,
    presence_support: Arc<FeatureSupport>,
}

/// The part of a problem document (RFC 9457) that is read.
#[derive(Debug, Default, Deserialize)]
struct Problem {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    detail: String,
}

/// A request, as far as its kind differs from others.
struct Call {
    method: Method,
    /// Behind `/v1/relays/{relay}`.
    path: String,
    /// The content type, and the content.
    body: Option<(&'static str, Bytes)>,
}

impl Call {
    fn new(method: Method, path: String) -> Self {
        let body = None;
        Self { method, path, body }
    }

    fn json(method: Method, path: String, body: &impl serde::Serialize) -> Result<Self, EdgeError> {
        let body = serde_json::to_vec(body).map_err(|error| EdgeError::Refused(error.to_string()))?;
        Ok(Self {
            body: Some((JSON, body.into())),
            ..Self::new(method, path)
        })
    }
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
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("relay-node/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            http,
            base: format!("{}/v1/relays/{relay}", edge.trim_end_matches('/')),
            bearer: key.uplink_bearer(relay),
            incarnation,
            follows: false,
            status: Arc::default(),
            bundle_support: Arc::default(),
            presence_support: Arc::default(),
        })
    }

    /// The same for a relay that can follow others, or not.
    pub(super) fn following(self, follows: bool) -> Self {
        Self { follows, ..self }
    }

    /// How the edge answers, for the metrics.
    pub(super) fn status(&self) -> Arc<EdgeStatus> {
        self.status.clone()
    }

    /// Whether the edge takes bundles, as far as it is known.
    pub(super) fn bundle_support(&self) -> &FeatureSupport {
        &self.bundle_support
    }

    /// Registers, or renews the registration.
    pub(super) async fn renew(&self, registration: &Registration) -> Result<Renewed, EdgeError> {
        let call = Call::json(Method::PUT, String::new(), registration)?;
        let renewed = self.exchange_whole(call, json).await;
        self.status.set_registered(renewed.is_ok());
        renewed
    }

    /// Ends the registration: the edge sends no client to this relay any more.
    pub(super) async fn goodbye(&self) -> Result<(), EdgeError> {
        let path = format!("?incarnation={}", self.incarnation);
        self.exchange_whole(Call::new(Method::DELETE, path), nothing)
            .await
    }

    /// Sends a shard's request, and returns the answer that the shard is to take.
    pub(super) async fn send(&self, ticket: Ticket, request: Request) -> Answer {
        let stream = format!("/streams/{}", ticket.stream);
        match request {
            Request::AcquireEpoch { fresh, lost } => self.acquire_epoch(stream, fresh, lost).await,
            Request::Producer { epoch, lookup } => {
                let ProducerKey { author, id } = lookup.producer;
                let key = lookup
                    .key
                    .map_or(String::new(), |key| format!("&key={}", key.to_base64()));
                let path = format!("{stream}/producers/{id}?epoch={epoch}&author={author}{key}");
                Answer::Producer(
                    lookup,
                    self.exchange_whole(Call::new(Method::GET, path), json).await,
                )
            }
            Request::Batch { body } => {
                let call = Call {
                    body: Some((CBOR, body)),
                    ..Call::new(Method::POST, format!("{stream}/batches"))
                };
                Answer::Batch(self.exchange_whole(call, json).await)
            }
            Request::Inbox { epoch } => {
                let path = format!("{stream}/inbox?epoch={epoch}");
                let unreadable = |error| EdgeError::Unavailable(format!("unreadable messages: {error}"));
                let records = |body: &[u8]| decode_records(body).map_err(unreadable);
                Answer::Inbox(self.exchange_whole(Call::new(Method::GET, path), records).await)
            }
            Request::Presence { epoch, presence } => {
                self.report_presence(format!("{stream}/presence?epoch={epoch}"), &presence)
                    .await;
                Answer::PresenceTaken
            }
            Request::Release { epoch } => {
                let path = format!("{stream}?epoch={epoch}");
                // Nothing depends on it: an epoch that is not released ends when another relay acquires one.
                let _ = self
                    .exchange_whole(Call::new(Method::DELETE, path), nothing)
                    .await;
                Answer::Released
            }
        }
    }

    /// Reports who is at a stream. Nothing depends on it: that the relay leads no more, it learns from its batches.
    async fn report_presence(&self, path: String, presence: &Presence) {
        let now = Instant::now();
        if let Ok(call) = Call::json(Method::PUT, path, presence)
            && self.presence_support.is_likely(now)
        {
            let known = self.exchange_whole(call, nothing).await;
            // An edge of the version before has no such resource, and one with too much to do is spared it.
            if known.is_err_and(|error| !matches!(error, EdgeError::NotLeader(_))) {
                self.presence_support.handle_refusal(now);
            }
        }
    }

    /// Posts a bundle, and passes its answers on as they come. Returns whether the edge knows bundles.
    pub(super) async fn post_bundle(
        &self,
        bundle: &Bundle<Bytes>,
        mut answered: impl FnMut(BundleAnswer),
    ) -> Result<bool, EdgeError> {
        let call = Call {
            body: Some((CBOR, bundle.encode().into())),
            ..Call::new(Method::POST, "/batches".to_owned())
        };
        let received = async |mut response: Response| {
            let status = response.status();
            if !status.is_success() {
                return match status.as_u16() {
                    400 | 404 | 405 | 413 | 415 => Ok(false),
                    _ => Err(refusal(status, problem_of(&whole(response).await?))),
                };
            }
            let (mut text, mut length) = (Vec::new(), 0);
            while let Some(part) = response.chunk().await.map_err(unreachable)? {
                length = within_limit(length + part.len())?;
                text.extend_from_slice(&part);
                while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                    answered(json(text.get(..end).unwrap_or_default())?);
                    text.drain(..=end);
                }
            }
            Ok(true)
        };
        self.exchange(call, received).await
    }

    /// What the answer to one batch of a bundle says.
    pub(super) fn committed(&self, stream: ShortId, answer: BundleAnswer) -> Result<Committed, EdgeError> {
        let BundleAnswer { status, body, .. } = answer;
        let unreadable = |error| EdgeError::Unavailable(format!("unreadable answer: {error}"));
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        let committed = match status.is_success() {
            true => serde_json::from_value(body).map_err(unreadable),
            false => Err(refusal(status, serde_json::from_value(body).unwrap_or_default())),
        };
        self.status.count(&committed);
        if let Err(error) = &committed {
            info!(%stream, %error, "the edge refused a batch of a bundle");
        }
        committed
    }

    async fn acquire_epoch(
        &self,
        stream: String,
        fresh: Option<Incarnation>,
        lost: Option<LostLeader>,
    ) -> Answer {
        let incarnation = fresh.unwrap_or(self.incarnation);
        let asked = AcquireEpoch {
            incarnation,
            groups: true,
            follows: self.follows,
            lost: lost.map(|lost| lost.epoch),
            closed: lost.is_some_and(|lost| lost.loss == Loss::PortClosed),
        };
        let call = match Call::json(Method::PUT, stream, &asked) {
            Ok(call) => call,
            Err(error) => return Answer::AcquireEpoch(Err(error)),
        };
        match self.exchange_whole(call, json).await {
            Ok(Acquired::Leads(grant)) => Answer::AcquireEpoch(Ok(grant)),
            Ok(Acquired::Follows { follow }) => Answer::Follow(Box::new(follow)),
            Err(error) => Answer::AcquireEpoch(Err(error)),
        }
    }

    /// Sends a request and reads the whole body of its answer, which must be one of success.
    async fn exchange_whole<T>(
        &self,
        call: Call,
        read: impl FnOnce(&[u8]) -> Result<T, EdgeError>,
    ) -> Result<T, EdgeError> {
        let received = async |response: Response| {
            let status = response.status();
            let body = whole(response).await?;
            match status.is_success() {
                true => read(&body),
                false => Err(refusal(status, problem_of(&body))),
            }
        };
        self.exchange(call, received).await
    }

    /// Sends a request, has its answer read, counts it, and logs it when it failed.
    async fn exchange<T>(
        &self,
        call: Call,
        read: impl AsyncFnOnce(Response) -> Result<T, EdgeError>,
    ) -> Result<T, EdgeError> {
        let id = format!("{:016x}", random_seed());
        let what = format!("{} {}", call.method, call.path);
        let mut edge_id = None;
        let result = match self.begin(call, &id).await {
            Ok(response) => {
                let given = response.headers().get(REQUEST_ID);
                let given = given.and_then(|id| id.to_str().ok()).unwrap_or("-");
                edge_id = Some(given.to_owned());
                read(response).await
            }
            Err(error) => Err(error),
        };
        self.status.count(&result);
        if let Err(error) = &result {
            let edge_request_id = edge_id.as_deref().unwrap_or("-");
            match edge_id {
                // There is no answer at all. At a higher level an edge that is down would fill the log with every retry.
                None => debug!(request = what, request_id = id, %error, "the edge did not answer"),
                Some(_) => {
                    info!(request = what, request_id = id, edge_request_id, %error, "request to the edge failed")
                }
            }
        }
        result
    }

    /// Sends a request, until the head of its answer is there.
    async fn begin(&self, call: Call, id: &str) -> Result<Response, EdgeError> {
        let url = format!("{}{}", self.base, call.path);
        let mut request = self.http.request(call.method, url).bearer_auth(&self.bearer);
        if let Some((kind, body)) = call.body {
            request = request.header("content-type", kind).body(body);
        }
        request.header(REQUEST_ID, id).send().await.map_err(unreachable)
    }
}

fn unreachable(error: reqwest::Error) -> EdgeError {
    EdgeError::Unavailable(with_causes(&error))
}

/// The length, unless an answer is longer than any that the edge gives.
fn within_limit(length: usize) -> Result<usize, EdgeError> {
    match length <= MAX_ANSWER_BYTES {
        true => Ok(length),
        false => {
            let text = format!("the answer has more than {MAX_ANSWER_BYTES} bytes");
            Err(EdgeError::Unavailable(text))
        }
    }
}

async fn whole(mut response: Response) -> Result<Vec<u8>, EdgeError> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(unreachable)? {
        within_limit(body.len() + part.len())?;
        body.extend_from_slice(&part);
    }
    Ok(body)
}

fn problem_of(body: &[u8]) -> Problem {
    serde_json::from_slice(body).unwrap_or_default()
}

/// An answer of another shape may come from something between relay and edge: the request is sent again.
fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, EdgeError> {
    serde_json::from_slice(body)
        .map_err(|error| EdgeError::Unavailable(format!("unreadable answer: {error}")))
}

fn nothing(_: &[u8]) -> Result<(), EdgeError> {
    Ok(())
}

/// The error that a status and its problem document stand for.
fn refusal(status: StatusCode, problem: Problem) -> EdgeError {
    let slug = problem.r#type.rsplit('/').next().unwrap_or_default();
    let detail = || format!("{status} {slug}: {}", problem.detail);
    match (status.as_u16(), slug) {
        (401 | 403, _) => EdgeError::Unauthorized(status.as_u16()),
        (404, "no-such-stream") => EdgeError::NoSuchStream,
        (409, problem::STALE_EPOCH | problem::NOT_LEADER | problem::UNREACHABLE) => {
            EdgeError::NotLeader(detail())
        }
        (404 | 408 | 429 | 500.., _) => EdgeError::Unavailable(detail()),
        _ => EdgeError::Refused(detail()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, slug: &str) -> EdgeError {
        let body = format!(r#"{{"type":"https://streamchain.dev/problems/{slug}","detail":"why"}}"#);
        refusal(StatusCode::from_u16(status).unwrap(), problem_of(body.as_bytes()))
    }

    #[test]
    fn what_may_succeed_later_is_sent_again() {
        assert!(matches!(refused(409, "stale-epoch"), EdgeError::NotLeader(_)));
        assert!(matches!(refused(409, "not-owner"), EdgeError::NotLeader(_)));
        assert!(matches!(
            refused(409, "leader-unreachable"),
            EdgeError::NotLeader(_)
        ));
        assert!(matches!(refused(409, "gap"), EdgeError::Refused(_)));
        assert!(matches!(refused(409, "producer-conflict"), EdgeError::Refused(_)));
        assert!(matches!(refused(409, "unknown-author"), EdgeError::Refused(_)));
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
            refusal(StatusCode::BAD_GATEWAY, problem_of(b"<html>")).is_passing(),
            "a proxy's page is no answer"
        );
    }
}
