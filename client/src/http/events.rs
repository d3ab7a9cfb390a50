//! Server-sent events of a stream.

use super::edge_client::{EdgeClient, Method, no_edge, refusal, unreadable};
use crate::core::{EventStreamParser, Failure, Message, MessageSignature, ServerEvent};
use reqwest::Response;
use serde::Deserialize;
use std::collections::VecDeque;
use std::time::Duration;
use streamchain_protocol::ids::{ProducerId, Seq, StreamRef};
use streamchain_protocol::signed::{GroupHeader, PublicKey, Signature};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::Omitted;
use streamchain_protocol::{Address, B256, Bytes};

/// The edge sends a comment at least every 15 s; a response that is silent for longer is dead.
const SILENCE: Duration = Duration::from_secs(40);

/// How long the edge may take until it begins to answer.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(30);

/// The part of a problem document that is kept of a refused event stream, bytes.
const MAX_PROBLEM_BYTES: usize = 16 * 1024;

/// An open event stream.
#[derive(Debug)]
pub struct Events {
    response: Response,
    parser: EventStreamParser,
    events: VecDeque<ServerEvent>,
}

/// A message as events have it.
#[derive(Deserialize)]
struct Shown {
    seq: Seq,
    time: UnixMs,
    author: Address,
    payload: Bytes,
    erased: Option<Omitted>,
}

impl EdgeClient {
    /// Opens the event stream of a stream: from a cursor that an event's id gave, from a seq, or from now on.
    pub async fn events(
        &self,
        stream: &StreamRef,
        from: Option<Seq>,
        cursor: Option<&str>,
    ) -> Result<Events, Failure> {
        let from = from.map(|from| format!("from={from}"));
        self.open_events(stream, &from.unwrap_or_default(), cursor).await
    }

    /// Opens the event stream from a seq, with the signatures of the messages.
    pub(crate) async fn signed_events(&self, stream: &StreamRef, from: Seq) -> Result<Events, Failure> {
        self.open_events(stream, &format!("from={from}&signatures=1"), None)
            .await
    }

    async fn open_events(
        &self,
        stream: &StreamRef,
        query: &str,
        cursor: Option<&str>,
    ) -> Result<Events, Failure> {
        self.renew().await;
        let path = format!("/v1/streams/{stream}/events?{query}");
        let mut request = self
            .request(Method::GET, &path)
            .header("accept", "text/event-stream");
        if let Some(cursor) = cursor {
            request = request.header("last-event-id", cursor);
        }
        let sent = tokio::time::timeout(BEGIN_TIMEOUT, request.send()).await;
        let sent = sent.map_err(|_| Failure::NoEdge("no answer in 30 s".into()))?;
        let mut response = sent.map_err(|error| no_edge(&error))?;
        let status = response.status().as_u16();
        if status == 200 {
            return Ok(Events {
                response,
                parser: EventStreamParser::default(),
                events: VecDeque::new(),
            });
        }
        let mut body = Vec::new();
        while body.len() < MAX_PROBLEM_BYTES
            && let Ok(Some(part)) = response.chunk().await
        {
            body.extend_from_slice(&part);
        }
        Err(refusal(status, response.headers(), &body))
    }
}

impl Events {
    /// Returns the next event; `None` at the end of the response, after which one comes back with the last id.
    pub async fn next(&mut self) -> Result<Option<ServerEvent>, Failure> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            let chunk = tokio::time::timeout(SILENCE, self.response.chunk()).await;
            let chunk = chunk.map_err(|_| Failure::NoEdge("the event stream is silent".into()))?;
            let Some(bytes) = chunk.map_err(|error| no_edge(&error))? else {
                return Ok(None);
            };
            let events = self.parser.push(&bytes).map_err(|error| unreadable(&error))?;
            self.events.extend(events);
        }
    }
}

/// Returns the message of a `stored` event.
pub(crate) fn message(event: &ServerEvent) -> Result<Message, Failure> {
    let shown: Shown = serde_json::from_str(&event.data).map_err(|error| unreadable(&error))?;
    Ok(Message {
        seq: shown.seq,
        time: shown.time,
        author: shown.author,
        payload: shown.payload.to_vec(),
        erased: shown.erased,
        signature: None,
    })
}

/// The event `signature`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ShownSignature {
    seq: Seq,
    count: u16,
    producer: ProducerId,
    producer_seq: u64,
    previous: B256,
    key: PublicKey,
    signature: Signature,
}

/// Returns what a `signature` event says of the messages that follow it.
pub(crate) fn signature(event: &ServerEvent) -> Result<MessageSignature, Failure> {
    let shown: ShownSignature = serde_json::from_str(&event.data).map_err(|error| unreadable(&error))?;
    Ok(MessageSignature {
        seq: shown.seq,
        producer: shown.producer,
        producer_seq: shown.producer_seq,
        header: GroupHeader {
            count: shown.count,
            previous: shown.previous,
            key: shown.key,
            signature: shown.signature,
        },
    })
}
