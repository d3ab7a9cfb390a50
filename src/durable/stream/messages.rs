//! What the Worker and the Stream object say to each other.

use alloy_primitives::{Address, Bytes};
use serde::{Deserialize, Serialize};
use streamchain_protocol::directory::Chosen;
use streamchain_protocol::ids::{ProducerId, Seq, SessionId};
use streamchain_protocol::log::{LogState, NewStream, Tail};
use streamchain_protocol::rights::Rights;
use streamchain_protocol::uplink::NoticeEvent;
use worker::{Error, Headers, Response};

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
    /// Whether the system itself writes: its own streams take nothing else.
    pub system: bool,
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
    pub notices: Vec<StreamNotice>,
}

/// One of [`StreamNotices`].
#[derive(Debug, Deserialize)]
pub struct StreamNotice {
    /// What happened; the stream's id beside it is this object's own.
    #[serde(flatten)]
    pub event: NoticeEvent,
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
        let state: LogState = serde_json::from_str(&state)?;
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
