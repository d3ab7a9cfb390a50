//! `POST /v1/streams/{stream}/messages`: publishes one message without a data channel, exactly once.

use super::streams::new_stream;
use crate::api::stream::{Append, Appended, MAX_APPEND_WAIT_MS, Publisher};
use crate::auth::principal as auth;
use crate::auth::sign_in::{Guest, new_guest};
use crate::path::PathParameters;
use crate::problem::{Kind, Problem, unauthorized};
use crate::random;
use crate::rate_limit;
use crate::request::{Call, MAX_JSON_BYTES, from_json};
use crate::response::{Answer, json};
use alloy_primitives::{Address, Bytes, hex};
use serde::Deserialize;
use serde_json::json;
use streamchain_edge_core::publication::producer_of_key;
use streamchain_protocol::auth::Rights;
use streamchain_protocol::ids::{ProducerId, StreamRef};
use streamchain_protocol::limits::MAX_PAYLOAD_BYTES;

/// Largest JSON body, bytes: the largest payload in hexadecimal, and what is around it.
const MAX_BODY_BYTES: usize = 2 * MAX_PAYLOAD_BYTES + MAX_JSON_BYTES;

/// A message as JSON: its bytes, or a text.
#[derive(Deserialize)]
struct Wanted {
    payload: Option<Bytes>,
    text: Option<String>,
}

/// `POST /v1/streams/{stream}/messages`
pub(crate) async fn post(mut call: Call, at: PathParameters) -> Answer {
    let stream = &at.stream()?;
    let principal = auth::principal(&call).await?;
    let guest = match &principal {
        Some(_) => None,
        None => Some(guest(&call)?),
    };
    let (author, account) = match (&principal, &guest) {
        (Some(one), _) => (one.author, one.account),
        (None, Some(guest)) => (guest.author, guest.author),
        (None, None) => return Err(unauthorized("this needs an access token")),
    };
    let (producer, producer_seq) = numbered(&call, stream, author)?;
    let payload = payload(&mut call).await?;
    let wait_ms = if wants_answer_at_once(&call)? {
        0
    } else {
        MAX_APPEND_WAIT_MS
    };
    let create = match stream {
        StreamRef::Name(name) if call.config.auto_create && !name.is_system() => {
            Some(new_stream(&call, name.clone())?)
        }
        _ => None,
    };
    let short = call.short(stream);
    let publisher = Publisher {
        account,
        operator: principal.as_ref().is_some_and(|one| one.operator),
        limit: principal.as_ref().map_or(Rights::ALL, |one| one.scope.on(short)),
        client: rate_limit::client(call.headers(), &call.config),
    };
    let append = Append {
        create,
        publisher: Some(publisher),
        author,
        producer,
        producer_seq,
        payload,
        wait_ms,
    };
    let Appended { stored, seq } = call.stream(short)?.call(append).await?;
    let status = if stored { 201 } else { 202 };
    let response = json(
        status,
        &json!({
            "stored": stored, "seq": seq, "author": author, "producer": producer, "producerSeq": producer_seq,
        }),
    )?;
    let headers = response.headers();
    headers.set("streamchain-author", &hex::encode_prefixed(author))?;
    if let Some(guest) = guest {
        headers.set("streamchain-access-token", &guest.token)?;
    }
    match seq {
        Some(seq) => {
            let location = format!("/v1/streams/{short}/messages?from={seq}&limit=1");
            response.headers().set("location", &location)?;
        }
        None if !stored => response.headers().set("retry-after", "1")?,
        None => {}
    }
    Ok(response)
}

/// The author of a message that comes without credentials. A number or key of the client's says which message of one
/// author it is, and the next request would have another author: so it needs credentials.
fn guest(call: &Call) -> Result<Guest, Problem> {
    for name in [
        "streamchain-producer",
        "streamchain-producer-seq",
        "idempotency-key",
    ] {
        if call.headers().has(name)? {
            let detail = format!("{name} counts for one author: this needs an access token");
            return Err(unauthorized(&detail));
        }
    }
    new_guest(&call.config, call.now)
}

/// Whether the answer shall not wait for the relay that gives the message its seq: `Prefer: respond-async` (RFC 7240
/// §4.1). So a client that has several messages sends them one behind the other, without that wait between them.
fn wants_answer_at_once(call: &Call) -> Result<bool, Problem> {
    call.prefers("respond-async")
}

/// The message's number: the client's own, or one that its idempotency key stands for, or a new one.
fn numbered(call: &Call, stream: &StreamRef, author: Address) -> Result<(ProducerId, u64), Problem> {
    let headers = call.headers();
    let (producer, number) = (
        headers.get("streamchain-producer")?,
        headers.get("streamchain-producer-seq")?,
    );
    match (producer, number, headers.get("idempotency-key")?) {
        (Some(producer), Some(number), None) => {
            let number = crate::request::parse_number("StreamChain-Producer-Seq", &number)?;
            Ok((producer.parse()?, number))
        }
        (None, None, Some(key)) => {
            let producer = producer_of_key(author, call.short(stream), &key);
            Ok((producer.ok_or_else(out_of_shape)?, 0))
        }
        (None, None, None) => Ok((ProducerId(random::bytes()?), 0)),
        _ => Err(out_of_shape()),
    }
}

fn out_of_shape() -> Problem {
    let detail = "expected StreamChain-Producer and StreamChain-Producer-Seq, or an Idempotency-Key of 1 to 256 \
                  characters, or none of them";
    Problem::new(Kind::BadRequest, detail)
}

async fn payload(call: &mut Call) -> Result<Bytes, Problem> {
    if call.need_type("application/octet-stream").is_ok() {
        return Ok(call.body(MAX_PAYLOAD_BYTES).await?.into());
    }
    call.need_type("application/json")
        .map_err(|problem| problem.header("accept-post", "application/octet-stream, application/json"))?;
    let wanted: Wanted = from_json(&call.body(MAX_BODY_BYTES).await?)?;
    match (wanted.payload, wanted.text) {
        (Some(payload), None) => Ok(payload),
        (None, Some(text)) => Ok(text.into_bytes().into()),
        _ => Err(Problem::new(
            Kind::BadRequest,
            "expected either payload (0x and digits) or text",
        )),
    }
}
