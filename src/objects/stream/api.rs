//! What the Worker and the Stream object say to each other.

use crate::objects::own_json;
use alloy_primitives::{Address, Bytes};
use serde::{Deserialize, Serialize};
use streamchain_edge_core::directory::Chosen;
use streamchain_edge_core::stream_log::{LogState, NewStream, News, StoredEvent, Tail};
use streamchain_protocol::auth::Rights;
use streamchain_protocol::ids::{ProducerId, Seq, SessionId};
use streamchain_protocol::wire::Notice;
use worker::{Error, Headers, Response};

/// Longest wait for a message's seq, milliseconds: a relay hears of it with its next renewal, within 2 s.
pub const APPEND_WAIT_MAX_MS: u64 = 5_000;

/// `POST /sessions`
#[derive(Debug, Serialize, Deserialize)]
pub struct OpenSession {
    /// Makes the stream first, should it not be there.
    pub create: Option<NewStream>,
    /// The new session's id.
    pub session: SessionId,
    /// Who opens it.
    pub author: Address,
    /// Whose rights count; `None` for one without credentials.
    pub account: Option<Address>,
    /// Whether that is an operator.
    pub operator: bool,
    /// What its credentials are limited to on this stream.
    pub limit: Rights,
    /// What the client's address is counted by.
    pub client: String,
}

/// The answer to [`OpenSession`].
#[derive(Debug, Serialize, Deserialize)]
pub struct SessionOpened {
    /// Where the client is sent.
    pub chosen: Chosen,
    /// What the session may do.
    pub rights: Rights,
}

/// `POST /withdraw`: these authors' sessions on this stream are over, and may be opened again with other rights.
#[derive(Debug, Serialize, Deserialize)]
pub struct WithdrawHere {
    /// Whose.
    pub authors: Vec<Address>,
}

/// `PUT /members/{address}`
#[derive(Debug, Serialize, Deserialize)]
pub struct Membership {
    /// What the member may do.
    pub rights: Rights,
}

/// One of `GET /members`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Member {
    /// Who.
    pub address: Address,
    /// What the member may do.
    pub rights: Rights,
}

/// `POST /sessions/{session}/signals`
#[derive(Debug, Serialize, Deserialize)]
pub struct PostSignal {
    /// Who asks.
    pub author: Address,
    /// Whose mailbox.
    pub to: SessionId,
    /// What is left there.
    pub signal: String,
}

/// `DELETE /sessions/{session}`
#[derive(Debug, Serialize, Deserialize)]
pub struct EndSession {
    /// Who asks.
    pub author: Address,
}

/// `POST /append`: a message that comes by HTTP. The same producer and number make one message, however often.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Append {
    /// Makes the stream first, should it not be there.
    pub create: Option<NewStream>,
    /// Whether the system itself writes: its own streams take nothing from others.
    #[serde(default)]
    pub system: bool,
    /// Whose rights count.
    pub account: Option<Address>,
    /// Whether that is the operator.
    #[serde(default)]
    pub operator: bool,
    /// What the credentials are limited to.
    #[serde(default)]
    pub limit: Rights,
    /// The client's address, for the rate limits.
    #[serde(default)]
    pub client: String,
    /// Who publishes.
    pub author: Address,
    /// Who numbers it.
    pub producer: ProducerId,
    /// Its number: 0, 1, 2 … for each producer.
    pub producer_seq: u64,
    /// Its bytes.
    pub payload: Bytes,
    /// How long the answer may wait for the message to be stored, milliseconds.
    pub wait_ms: u64,
}

/// The answer to [`Append`].
#[derive(Debug, Serialize, Deserialize)]
pub struct AppendAnswer {
    /// Whether it is stored; else it will be, and asking again tells.
    pub stored: bool,
    /// Its seq, if it is stored and that is remembered.
    pub seq: Option<Seq>,
}

/// `POST /notices`: what the Listener saw of this stream, in the chain's order.
#[derive(Debug, Deserialize)]
pub struct StreamNotices {
    /// What happened.
    pub notices: Vec<Notice>,
}

const STATE_HEADER: &str = "x-state";
const FIRST_HEADER: &str = "x-first";

/// The answer to `GET /tail`: state and first seq in headers, the encoded records as they are in the body.
pub struct TailAnswer;

impl TailAnswer {
    /// Writes it.
    pub fn respond(tail: Tail) -> worker::Result<Response> {
        let headers = Headers::new();
        headers.set(STATE_HEADER, &serde_json::to_string(&tail.state)?)?;
        headers.set(FIRST_HEADER, &tail.first.to_string())?;
        Ok(Response::from_bytes(tail.records)?.with_headers(headers))
    }

    /// Reads it.
    pub async fn read(mut response: Response) -> worker::Result<Tail> {
        let missing = || Error::RustError("the Stream object's answer lacks a header".into());
        let state = response.headers().get(STATE_HEADER)?.ok_or_else(missing)?;
        let state: LogState = own_json(&state)?;
        let first = response
            .headers()
            .get(FIRST_HEADER)?
            .and_then(|text| text.parse().ok());
        let first = Seq(first.ok_or_else(missing)?);
        Ok(Tail {
            state,
            first,
            records: response.bytes().await?,
        })
    }
}

const EVENTS_HEADER: &str = "x-events";

/// The answer to `GET /news`: that to `GET /tail`, and before the records so many lines of three for each event:
/// number, name, JSON.
pub struct NewsAnswer;

impl NewsAnswer {
    /// Writes it.
    pub fn respond(news: News) -> worker::Result<Response> {
        let mut body = String::new();
        for StoredEvent { number, name, json } in &news.events {
            body.push_str(&number.to_string());
            [name, json].into_iter().for_each(|line| {
                body.push('\n');
                body.push_str(line);
            });
            body.push('\n');
        }
        let events = body.len();
        let mut body = body.into_bytes();
        body.extend(news.tail.records);
        let records = Vec::new();
        let response = TailAnswer::respond(Tail { records, ..news.tail })?;
        let headers = response.headers().clone();
        headers.set(EVENTS_HEADER, &events.to_string())?;
        Ok(Response::from_bytes(body)?.with_headers(headers))
    }

    /// Reads it.
    pub async fn read(response: Response) -> worker::Result<News> {
        let out_of_shape = || Error::RustError("the Stream object's news are out of shape".into());
        let events = response.headers().get(EVENTS_HEADER)?;
        let mut tail = TailAnswer::read(response).await?;
        let end: usize = events
            .and_then(|text| text.parse().ok())
            .ok_or_else(out_of_shape)?;
        if end > tail.records.len() {
            return Err(out_of_shape());
        }
        let records = tail.records.split_off(end);
        let text = String::from_utf8(std::mem::replace(&mut tail.records, records));
        let text = text.map_err(|_| out_of_shape())?;
        let mut lines = text.lines();
        let mut events = Vec::new();
        while let Some(number) = lines.next() {
            let (name, json) = (lines.next(), lines.next());
            let (name, json) = name.zip(json).ok_or_else(out_of_shape)?;
            events.push(StoredEvent {
                number: number.parse().map_err(|_| out_of_shape())?,
                name: name.to_owned(),
                json: json.to_owned(),
            });
        }
        Ok(News { tail, events })
    }
}
