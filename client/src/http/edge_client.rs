//! One edge, and the credentials for it.

use super::token::Token;
use crate::core::{Failure, Fatal, SignGroups};
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use streamchain_protocol::ids::StreamRef;
use streamchain_protocol::time::UnixSec;

pub use reqwest::Method;

/// How long a request may take: a publication waits up to five seconds for the stream's leader.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection may take to be established.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest answer that is read, bytes: a page of history has about 1 MiB of payloads, twice that in hexadecimal digits.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// The header with a guest's new token.
const NEW_TOKEN: &str = "streamchain-access-token";

/// Requests to one edge.
#[derive(Clone)]
pub struct EdgeClient {
    http: Client,
    base: String,
    token: Arc<Mutex<Option<Token>>>,
    /// The key that the guest is, where a guest is made.
    pub(super) key: Option<Arc<dyn SignGroups>>,
    /// How far the edge's clock is ahead of the one here, seconds.
    pub(super) ahead_s: Arc<AtomicI64>,
}

/// The answer that opens a session.
#[derive(Debug, Clone)]
pub struct SessionAnswer {
    /// The SDP answer.
    pub sdp: String,
    /// The path of the session, with which it is ended.
    pub location: String,
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// The part of a problem document that is read.
#[derive(Debug, Default, Deserialize)]
struct Problem {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    title: String,
    stored: Option<u64>,
}

/// An error with its causes: the text of a `reqwest` error alone names only the URL.
pub(super) fn no_edge(error: &reqwest::Error) -> Failure {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    Failure::NoEdge(text)
}

/// The failure that an answer stands for.
pub(super) fn refusal(status: u16, headers: &HeaderMap, body: &[u8]) -> Failure {
    let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
    let slug = problem.r#type.rsplit('/').next().unwrap_or_default().to_owned();
    let detail = if problem.detail.is_empty() {
        problem.title
    } else {
        problem.detail
    };
    let retry_after = headers.get("retry-after").and_then(|value| value.to_str().ok());
    Failure::Refused {
        status,
        slug,
        detail,
        retry_ms: retry_after
            .and_then(|text| text.parse::<u64>().ok())
            .map(|seconds| seconds.saturating_mul(1_000)),
        stored: problem.stored,
    }
}

/// Seconds since the Unix epoch, by this machine's clock.
pub(super) fn wall_clock() -> UnixSec {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixSec(now.as_secs())
}

pub(super) fn unreadable(error: &dyn std::fmt::Display) -> Failure {
    Failure::NoEdge(format!("unreadable answer: {error}"))
}

impl EdgeClient {
    /// Returns a client of the edge at `edge` (`https://…`), with an access token or API key if there is one.
    pub fn new(edge: &str, token: Option<&str>) -> Result<Self, Fatal> {
        let is_url = reqwest::Url::parse(edge).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !is_url {
            return Err(Fatal::System(format!(
                "{edge}: expected the URL of an edge, http:// or https://"
            )));
        }
        let http = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("streamchain-client/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Fatal::System(error.to_string()))?;
        if let Some(text) = token
            && HeaderValue::from_str(text).is_err()
        {
            return Err(Fatal::System(
                "the access token has characters that no token has".into(),
            ));
        }
        Ok(Self {
            http,
            base: edge.trim_end_matches('/').to_owned(),
            token: Arc::new(Mutex::new(token.map(Token::new))),
            key: None,
            ahead_s: Arc::default(),
        })
    }

    /// Returns the same client, which becomes the guest that this key is if it has no credentials.
    pub fn with_key(self, key: Arc<dyn SignGroups>) -> Self {
        Self {
            key: Some(key),
            ..self
        }
    }

    /// Returns whether it has credentials: those that it was given, or a guest's.
    pub fn has_token(&self) -> bool {
        self.token().is_some()
    }

    /// Returns the URL of the edge without a slash at its end.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    pub(super) fn token(&self) -> MutexGuard<'_, Option<Token>> {
        // Nothing panics while it is held.
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_token(&self, text: &str) {
        *self.token() = Some(Token::new(text));
    }

    /// Begins a request without credentials.
    pub(super) fn bare_request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Begins a request with the credentials, if there are any.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.bare_request(method, path);
        match self.token().as_ref() {
            Some(token) => request.bearer_auth(&token.text),
            None => request,
        }
    }

    /// Sends a request and reads the whole answer, with its status.
    pub(super) async fn ask(&self, request: RequestBuilder) -> Result<(u16, Answered), Failure> {
        let sent = request.timeout(TIMEOUT).send().await;
        let mut response = sent.map_err(|error| no_edge(&error))?;
        let status = response.status().as_u16();
        let body = whole(&mut response).await?;
        let headers = response.headers().clone();
        Ok((status, Answered { headers, body }))
    }

    /// Sends a request and reads the whole answer; one that is not a success is a failure. A guest's new token is kept.
    pub(super) async fn exchange(&self, request: RequestBuilder) -> Result<Answered, Failure> {
        let (status, Answered { headers, body }) = self.ask(request).await?;
        if !(200..300).contains(&status) {
            return Err(refusal(status, &headers, &body));
        }
        if let Some(token) = headers.get(NEW_TOKEN).and_then(|value| value.to_str().ok()) {
            *self.token() = Some(Token::new(token));
        }
        Ok(Answered { headers, body })
    }

    /// Renews the token if it is about to end. One that can't be renewed is used until it ends.
    pub(super) async fn renew(&self) {
        let now = wall_clock();
        if self
            .token()
            .as_ref()
            .is_some_and(|token| token.wants_renewal(now))
        {
            let _ = self.new_token("/v1/auth/token").await;
            return;
        }
        let ends = self.token().as_ref().is_some_and(|token| token.guest_ends(now));
        if ends && self.is_own_guest() {
            let _ = self.prove_guest().await;
        }
    }

    /// Becomes a guest if there are no credentials.
    pub(super) async fn need_token(&self) -> Result<(), Failure> {
        if self.token().is_some() {
            return Ok(());
        }
        match self.key {
            Some(_) => self.prove_guest().await,
            None => self.new_token("/v1/auth/guest").await,
        }
    }

    async fn new_token(&self, path: &str) -> Result<(), Failure> {
        #[derive(Deserialize)]
        struct Given {
            token: String,
        }
        let request = self
            .request(Method::POST, path)
            .header("content-type", "application/json");
        let given: Given = json(&self.exchange(request.body("{}")).await?.body)?;
        *self.token() = Some(Token::new(&given.token));
        Ok(())
    }

    /// Asks for JSON, with a JSON body if there is one.
    pub async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<T, Failure> {
        self.renew().await;
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        json(&self.exchange(request).await?.body)
    }

    /// Opens a session with this offer.
    pub async fn open_session(&self, stream: &StreamRef, offer: String) -> Result<SessionAnswer, Failure> {
        self.renew().await;
        let request = self
            .request(Method::POST, &format!("/v1/streams/{stream}/sessions"))
            .header("content-type", "application/sdp")
            .body(offer);
        let answered = self.exchange(request).await?;
        let location = answered
            .headers
            .get("location")
            .and_then(|value| value.to_str().ok());
        Ok(SessionAnswer {
            sdp: String::from_utf8(answered.body).map_err(|error| unreadable(&error))?,
            location: location.unwrap_or_default().to_owned(),
        })
    }

    /// Ends a session.
    pub async fn end_session(&self, location: &str) -> Result<(), Failure> {
        self.exchange(self.request(Method::DELETE, location))
            .await
            .map(|_| ())
    }
}

pub(super) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| unreadable(&error))
}

async fn whole(response: &mut Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| no_edge(&error))? {
        if body.len() + part.len() > MAX_ANSWER_BYTES {
            return Err(unreadable(&format!("more than {MAX_ANSWER_BYTES} bytes")));
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_read_from_answers() {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", HeaderValue::from_static("2"));
        let body =
            br#"{"type":"https://streamchain.dev/problems/producer-conflict","detail":"why","stored":7}"#;
        assert_eq!(
            refusal(409, &headers, body),
            Failure::Refused {
                status: 409,
                slug: "producer-conflict".into(),
                detail: "why".into(),
                retry_ms: Some(2_000),
                stored: Some(7),
            }
        );
        assert!(!refusal(502, &headers, b"<html>").is_final());
        assert!(refusal(403, &headers, b"").is_final());
    }

    #[test]
    fn what_is_no_url_is_refused_at_once() {
        assert!(EdgeClient::new("streamchain.example", None).is_err());
        assert!(EdgeClient::new("ftp://streamchain.example", None).is_err());
        assert!(EdgeClient::new("http://127.0.0.1:8787/", Some("bad\ntoken")).is_err());
    }
}
