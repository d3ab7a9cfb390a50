//! STUN and TURN servers with credentials from a TURN provider's API, in the shape of Cloudflare's TURN service:
//! `POST …/credentials/generate-ice-servers` with `{"ttl": seconds}`, answered by `{"iceServers": …}`.
//!
//! What always holds: at most one request is under way; the servers that clients get are good for at least half of
//! the life that was asked for; a provider that fails is asked again after ever longer waits, and what it gave before
//! is used until it expires.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::util::{Backoff, json};
use streamchain_protocol::webrtc::IceServer;

/// How long credentials are asked for, seconds (a day; the provider gives at most two).
pub const TURN_SERVICE_LIFE_S: u64 = 24 * 3_600;

/// Credentials of this age are renewed, milliseconds: half their life, so that no client gets old ones.
const RENEW_AFTER_MS: u64 = TURN_SERVICE_LIFE_S * 1_000 / 2;

/// The largest answer that is read, bytes: a real one has less than one KiB.
pub const MAX_TURN_SERVICE_ANSWER_BYTES: usize = 16 * 1_024;

/// How long the provider may take, milliseconds. Only the next request to it waits for that.
pub const TURN_SERVICE_TIMEOUT_MS: u64 = 10_000;

/// Most servers taken from an answer: browsers gather from each, and Cloudflare names eight.
const MAX_SERVERS: usize = 12;

/// The longest URL, username or credential, characters: Cloudflare's have about 100.
const MAX_TEXT: usize = 512;

/// The first wait after a failure, milliseconds: a short outage costs few sessions their relayed path.
const RETRY_FIRST_MS: u64 = 10_000;

/// The longest wait after failures, milliseconds: a provider that is back is noticed within ten minutes.
const MAX_RETRY_MS: u64 = 600_000;

/// Why an answer gave no servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TurnServiceError {
    /// The answer is not JSON with `iceServers`.
    #[error("the answer is not a JSON object with iceServers")]
    Shape,
    /// The answer has no server that can be used.
    #[error("the answer names no server that a browser takes")]
    Empty,
}

/// What survives a restart of the object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// The servers, with their credentials.
    pub servers: Vec<IceServer>,
    /// When they were asked for, Unix milliseconds.
    #[serde(rename = "asked_ms")]
    pub asked: UnixMs,
}

/// What the edge knows of the provider.
#[derive(Debug)]
pub struct TurnService {
    issued: Issued,
    /// When the request that is under way began.
    asking: Option<UnixMs>,
    backoff: Backoff,
    /// When it may be asked again, Unix milliseconds.
    retry_at: UnixMs,
}

impl Default for TurnService {
    fn default() -> Self {
        Self {
            issued: Issued::default(),
            asking: None,
            backoff: Backoff::new(RETRY_FIRST_MS, MAX_RETRY_MS),
            retry_at: UnixMs(0),
        }
    }
}

impl TurnService {
    /// Goes on with what an earlier instance was given.
    pub fn restore(issued: Issued) -> Self {
        Self {
            issued,
            ..Self::default()
        }
    }

    /// Returns whether the provider is to be asked now. `true` begins a request: the caller reports its end by
    /// [`Self::handle_answer`] or [`Self::handle_failure`], or else it counts as lost after twice its time.
    pub fn begin(&mut self, now: UnixMs) -> bool {
        let lost = |began: UnixMs| now.since(began) > 2 * TURN_SERVICE_TIMEOUT_MS;
        let fresh = now.since(self.issued.asked) < RENEW_AFTER_MS;
        if fresh || now < self.retry_at || self.asking.is_some_and(|began| !lost(began)) {
            return false;
        }
        self.asking = Some(now);
        true
    }

    /// Takes the body of a successful answer; returns what is to be kept.
    pub fn handle_answer(&mut self, body: &[u8], now: UnixMs) -> Result<&Issued, TurnServiceError> {
        match read(body) {
            Ok(servers) => {
                let asked = self.asking.take().unwrap_or(now);
                self.backoff.succeed();
                self.retry_at = UnixMs(0);
                self.issued = Issued { servers, asked };
                Ok(&self.issued)
            }
            Err(error) => {
                self.handle_failure(now);
                Err(error)
            }
        }
    }

    /// Notes that the provider failed, or did not answer in time.
    pub fn handle_failure(&mut self, now: UnixMs) {
        self.asking = None;
        self.retry_at = now.plus_ms(self.backoff.fail());
    }

    /// Returns whether a request is under way.
    pub fn is_asking(&self) -> bool {
        self.asking.is_some()
    }

    /// Returns when the credentials that are kept end; `None` without any.
    pub fn ends(&self) -> Option<UnixMs> {
        let life_ms = TURN_SERVICE_LIFE_S * 1_000;
        (!self.issued.servers.is_empty()).then(|| self.issued.asked.plus_ms(life_ms))
    }

    /// Returns the servers for clients: none once the credentials have expired.
    pub fn servers(&self, now: UnixMs) -> &[IceServer] {
        match now.since(self.issued.asked) < TURN_SERVICE_LIFE_S * 1_000 {
            true => &self.issued.servers,
            false => &[],
        }
    }
}

/// Returns the servers of an answer: a list of them or a single one, each with one URL or several.
fn read(body: &[u8]) -> Result<Vec<IceServer>, TurnServiceError> {
    let text = std::str::from_utf8(body).map_err(|_| TurnServiceError::Shape)?;
    let answer = json::tree(text).map_err(|_| TurnServiceError::Shape)?;
    let entries = match answer.get("iceServers") {
        Some(Value::Array(entries)) => entries.as_slice(),
        Some(entry @ Value::Object(_)) => std::slice::from_ref(entry),
        _ => return Err(TurnServiceError::Shape),
    };
    let mut servers = Vec::new();
    for entry in entries {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
        let (username, credential) = (text("username"), text("credential"));
        let urls = match entry.get("urls") {
            Some(Value::Array(urls)) => urls.as_slice(),
            Some(url @ Value::String(_)) => std::slice::from_ref(url),
            _ => &[],
        };
        for url in urls.iter().filter_map(Value::as_str) {
            let is_stun = url.starts_with("stun:");
            let known = is_stun || url.starts_with("turn:") || url.starts_with("turns:");
            let parts = [Some(url), username.as_deref(), credential.as_deref()];
            if !known || is_refused_by_browsers(url) || !parts.into_iter().flatten().all(is_plain) {
                continue;
            }
            servers.push(IceServer {
                urls: url.to_owned(),
                username: username.clone().filter(|_| !is_stun),
                credential: credential.clone().filter(|_| !is_stun),
            });
        }
    }
    servers.truncate(MAX_SERVERS);
    match servers.is_empty() {
        true => Err(TurnServiceError::Empty),
        false => Ok(servers),
    }
}

/// Browsers send nothing to port 53, so a server there only costs a client time.
fn is_refused_by_browsers(url: &str) -> bool {
    url.split('?').next().is_some_and(|place| place.ends_with(":53"))
}

/// Returns whether a text can stand between the quotes and brackets of a `Link` header (RFC 8288 §3).
fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\<>".contains(&byte);
    (1..=MAX_TEXT).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
#[path = "turn_service_tests.rs"]
mod tests;
