//! What is stored, read over the edge's HTTP interface, page by page.

use super::ledger::{Anchor, Segment};
use super::rounds::BucketList;
use crate::core::retry::Backoff;
use crate::random::random_seed;
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::time::Duration;
use streamchain_protocol::ids::{Seq, StreamId, StreamName, StreamRef};
use streamchain_protocol::limits::MAX_HISTORY_MESSAGES;
use streamchain_protocol::signed::{Certificate, PublicKey};
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::util::BackoffBounds;
use streamchain_protocol::util::SplitMix64;
use streamchain_protocol::{Address, B256};

/// How long the edge may take for one page.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How often a page that could not be read is asked for again.
const MAX_RETRIES: u32 = 3;
/// The waits before that: an edge that restarts is back within seconds.
const RETRY_WAITS: BackoffBounds = BackoffBounds {
    first_ms: 2_000,
    max_ms: 8_000,
};
/// Rows of one page of segments or anchors: the most that the edge gives.
const PAGE_ROWS: u64 = 1_000;
/// Frames one after the other (RFC 8742).
const CBOR_SEQUENCE: &str = "application/cbor-seq";

/// `GET /v1/config`, as far as it is needed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Config {
    /// The block that the contract was deployed in, or an earlier one.
    #[serde(default)]
    pub contract_block: u64,
    /// Who owns the stream of rounds; the operator, unless the edge says otherwise.
    #[serde(default)]
    rounds_owner: Option<Address>,
    #[serde(default)]
    operator: Option<Address>,
}

impl Config {
    /// Returns whose rounds the edge says that its messages are in.
    pub(super) fn rounds_owner(&self) -> Option<Address> {
        self.rounds_owner.or(self.operator)
    }
}

/// A stream, as the edge lists it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct StreamEntry {
    pub id: StreamId,
    pub name: StreamName,
    pub owner: Address,
}

/// How far a stream is, as the edge says.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct StreamProgress {
    pub anchored: Seq,
}

#[derive(Deserialize)]
struct Streams {
    streams: Vec<StreamEntry>,
    cursor: Option<String>,
}

#[derive(Deserialize)]
struct SegmentRow {
    first: Seq,
    count: u64,
    root: B256,
}

#[derive(Deserialize)]
struct SegmentPage {
    segments: Vec<SegmentRow>,
    next: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnchorRow {
    first: Seq,
    count: u64,
    root: B256,
    block: u64,
    block_hash: B256,
    log_index: u64,
    state: String,
}

#[derive(Deserialize)]
struct AnchorPage {
    anchors: Vec<AnchorRow>,
    next: Option<u64>,
}

/// A request that was not answered with what it asked for.
struct Refused {
    /// `None`: there was no answer at all.
    status: Option<StatusCode>,
    again: bool,
    reason: String,
}

#[derive(Clone)]
pub(super) struct EdgeReader {
    http: Client,
    base: String,
    token: Option<String>,
}

impl EdgeReader {
    /// From the edge at `url`; with an access token, if one is needed to read.
    pub(super) fn new(url: &str, token: Option<&str>) -> Result<Self, String> {
        let http = Client::builder().timeout(TIMEOUT).build();
        Ok(Self {
            http: http.map_err(|error| error.to_string())?,
            base: format!("{}/v1", url.trim_end_matches('/')),
            token: token.map(str::to_owned),
        })
    }

    pub(super) async fn config(&self) -> Result<Config, String> {
        self.json("/config").await
    }

    pub(super) async fn stream(&self, stream: &StreamRef) -> Result<StreamEntry, String> {
        self.json(&format!("/streams/{stream}")).await
    }

    /// Whether a stream may be read.
    pub(super) async fn may_read(&self, stream: StreamId) -> Result<bool, String> {
        let path = format!("/streams/{stream}/messages?limit=1");
        match self.try_get(&path, CBOR_SEQUENCE).await {
            Ok(_) => Ok(true),
            Err(refused) => match refused.status {
                Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Ok(false),
                // The reading itself tries again, and says what is wrong.
                _ => Ok(true),
            },
        }
    }

    pub(super) async fn progress(&self, stream: StreamId) -> Result<StreamProgress, String> {
        self.json(&format!("/streams/{stream}")).await
    }

    pub(super) async fn streams(&self) -> Result<Vec<StreamEntry>, String> {
        let mut all = Vec::new();
        let mut path = "/streams".to_owned();
        loop {
            let page: Streams = self.json(&path).await?;
            all.extend(page.streams);
            match page.cursor {
                Some(cursor) => path = format!("/streams?cursor={cursor}"),
                None => return Ok(all),
            }
        }
    }

    /// All anchors that the edge lists of a stream.
    pub(super) async fn anchors(&self, stream: StreamId) -> Result<Vec<Anchor>, String> {
        let mut all = Vec::new();
        let mut from = Some(0);
        while let Some(first) = from {
            let path = format!("/streams/{stream}/anchors?from={first}&limit={PAGE_ROWS}");
            // A stream of which nothing is stored has no row yet, and so no anchors.
            let Some(page) = self.json_or_missing::<AnchorPage>(&path).await? else {
                break;
            };
            all.extend(page.anchors.into_iter().map(|row| Anchor {
                first: row.first,
                count: row.count,
                root: row.root,
                block: row.block,
                block_hash: row.block_hash,
                log_index: row.log_index,
                is_final: row.state == "final",
                round: None,
            }));
            from = page.next;
        }
        Ok(all)
    }

    /// The lists of a bucket of these rounds, asked for side by side; `None` where the edge has none.
    pub(super) async fn bucket_lists(
        &self,
        rounds: &[u64],
        bucket: u8,
    ) -> Result<Vec<Option<BucketList>>, String> {
        let ask = |round: &u64| {
            let (edge, path) = (self.clone(), format!("/rounds/{round}/buckets/{bucket}"));
            tokio::spawn(async move { edge.json_or_missing(&path).await })
        };
        let asked: Vec<_> = rounds.iter().map(ask).collect();
        let mut lists = Vec::with_capacity(asked.len());
        for list in asked {
            lists.push(list.await.map_err(|error| error.to_string())??);
        }
        Ok(lists)
    }

    /// A stream's segments, one after the other.
    pub(super) fn segments(&self, stream: StreamId) -> Segments<'_> {
        Segments {
            edge: self,
            stream,
            page: VecDeque::new(),
            from: Some(0),
        }
    }

    /// A page of a stream's messages from `from` on, and the stream's head; an error names the request.
    pub(super) async fn messages(&self, stream: StreamId, from: Seq) -> Result<(Seq, Vec<u8>), String> {
        let path = format!(
            "/streams/{stream}/messages?from={from}&limit={MAX_HISTORY_MESSAGES}&erased=1&signatures=1"
        );
        let page = self.get(&path, CBOR_SEQUENCE).await?;
        let (head, body) = page.ok_or_else(|| format!("{}{path}: the edge has no such stream", self.base))?;
        let head = head.ok_or_else(|| format!("{}{path}: the answer names no head", self.base))?;
        Ok((Seq(head), body))
    }

    /// The certificate of an author's key that covers a second and is for a stream, or else the newest; `None` where the edge has
    /// none.
    pub(super) async fn certificate(
        &self,
        (stream, name): (StreamId, &StreamName),
        author: Address,
        key: &PublicKey,
        at: UnixSec,
    ) -> Result<Option<Certificate>, String> {
        let path = format!("/authors/{author}/keys/{key}?at={at}&stream={stream}&name={name}");
        let Some((_, body)) = self.get(&path, "application/json").await? else {
            return Ok(None);
        };
        // A certificate of another shape vouches for nothing.
        Ok(serde_json::from_slice(&body).ok())
    }

    async fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T, String> {
        let found = self.json_or_missing(path).await?;
        found.ok_or_else(|| format!("{}{path}: the edge has no such thing", self.base))
    }

    /// `None`: 404.
    async fn json_or_missing<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, String> {
        let Some((_, body)) = self.get(path, "application/json").await? else {
            return Ok(None);
        };
        let value = serde_json::from_slice(&body);
        value
            .map(Some)
            .map_err(|error| format!("{}{path}: {error}", self.base))
    }

    async fn get(&self, path: &str, accept: &str) -> Result<Option<(Option<u64>, Vec<u8>)>, String> {
        let (mut tries, mut backoff) = (0, Backoff::default());
        let mut jitter = SplitMix64::new(random_seed());
        loop {
            tries += 1;
            match self.try_get(path, accept).await {
                Err(refused) if refused.again && tries <= MAX_RETRIES => {
                    tokio::time::sleep(backoff.fail(RETRY_WAITS, &mut jitter)).await;
                }
                Err(refused) => return Err(format!("{}{path}: {}", self.base, refused.reason)),
                Ok(found) => return Ok(found),
            }
        }
    }

    /// The stream's head, if the answer says it, and the body; `None`: 404.
    async fn try_get(&self, path: &str, accept: &str) -> Result<Option<(Option<u64>, Vec<u8>)>, Refused> {
        let broken = |error: reqwest::Error| Refused {
            status: None,
            again: true,
            reason: crate::error_text::with_causes(&error),
        };
        let mut request = self
            .http
            .get(format!("{}{path}", self.base))
            .header("accept", accept);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.map_err(broken)?;
        let status = response.status();
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let head = header(&response, "streamchain-head");
        let body = response.bytes().await.map_err(broken)?;
        if !status.is_success() {
            let text = String::from_utf8_lossy(&body).into_owned();
            return Err(Refused {
                status: Some(status),
                again: status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS,
                reason: format!("{status} {text}"),
            });
        }
        Ok(Some((head, body.to_vec())))
    }
}

fn header(response: &Response, name: &str) -> Option<u64> {
    response.headers().get(name)?.to_str().ok()?.parse().ok()
}

pub(super) struct Segments<'a> {
    edge: &'a EdgeReader,
    stream: StreamId,
    page: VecDeque<Segment>,
    /// Where the next page begins; `None`: there is none.
    from: Option<u64>,
}

impl Segments<'_> {
    pub(super) async fn next(&mut self) -> Result<Option<Segment>, String> {
        while self.page.is_empty() {
            let Some(from) = self.from else {
                return Ok(None);
            };
            let path = format!("/streams/{}/segments?from={from}&limit={PAGE_ROWS}", self.stream);
            let page = self.edge.json_or_missing::<SegmentPage>(&path).await?;
            let page = page.unwrap_or(SegmentPage {
                segments: Vec::new(),
                next: None,
            });
            self.from = page.next;
            self.page = page
                .segments
                .into_iter()
                .map(|row| Segment {
                    first: row.first,
                    count: row.count,
                    root: row.root,
                })
                .collect();
        }
        Ok(self.page.pop_front())
    }
}
