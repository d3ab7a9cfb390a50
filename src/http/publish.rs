//! `POST /v1/streams/{stream}/messages`: publishes one message or one signed group without a data channel, exactly once.

use super::author_keys;
use super::streams::new_stream;
use crate::api::stream::{Append, Appended, MAX_APPEND_WAIT_MS, Publisher};
use crate::auth::principal as auth;
use crate::auth::sign_in::{Guest, guest, guest_of_key};
use crate::path::{PathParameters, parse_public_key};
use crate::problem::{Kind, Problem, unauthorized};
use crate::random;
use crate::rate_limit;
use crate::request::{Call, MAX_JSON_BYTES, from_json, parse_number};
use crate::response::{Answer, json, put_member};
use alloy_primitives::{Address, B256, Bytes, hex};
use serde::Deserialize;
use serde_json::json;
use std::str::FromStr;
use streamchain_edge_core::publication::{GroupSignature, producer_of_key};
use streamchain_protocol::auth::Rights;
use streamchain_protocol::ids::{ProducerId, ShortId, StreamRef};
use streamchain_protocol::limits::MAX_PAYLOAD_BYTES;
use streamchain_protocol::signed::{PublicKey, Signature};

/// Largest JSON body, bytes: the largest payload in hexadecimal, and what is around it.
const MAX_BODY_BYTES: usize = 2 * MAX_PAYLOAD_BYTES + MAX_JSON_BYTES;

/// A message as JSON: its bytes, or a text.
#[derive(Deserialize)]
struct WantedMessage {
    payload: Option<Bytes>,
    text: Option<String>,
}

impl WantedMessage {
    fn bytes(self) -> Result<Bytes, Problem> {
        match (self.payload, self.text) {
            (Some(payload), None) => Ok(payload),
            (None, Some(text)) => Ok(text.into_bytes().into()),
            _ => Err(Problem::new(
                Kind::BadRequest,
                "expected either payload (0x and digits) or text",
            )),
        }
    }
}

/// A body as JSON: a message, or a signed group with all that it has beside its messages.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    payload: Option<Bytes>,
    text: Option<String>,
    messages: Option<Vec<WantedMessage>>,
    key: Option<PublicKey>,
    previous: Option<B256>,
    signature: Option<Signature>,
    producer: Option<ProducerId>,
    producer_seq: Option<u64>,
}

impl Wanted {
    /// The group that the body is, with its producer and first number.
    fn group(&self) -> Option<(GroupSignature, (ProducerId, u64))> {
        let signed = GroupSignature {
            previous: self.previous?,
            key: self.key?,
            signature: self.signature?,
        };
        Some((signed, (self.producer?, self.producer_seq?)))
    }
}

/// What a request publishes.
struct Published {
    payloads: Vec<Bytes>,
    /// Who numbers them, and the first number; `None` where the request does not say.
    numbered: Option<(ProducerId, u64)>,
    signed: Option<GroupSignature>,
}

/// `POST /v1/streams/{stream}/messages`
pub(crate) async fn post(mut call: Call, at: PathParameters) -> Answer {
    let stream = &at.stream()?;
    let principal = auth::principal(&call).await?;
    let guest = match &principal {
        Some(_) => None,
        None => guest_of_key(&call).await?,
    };
    let published = published(&mut call).await?;
    let guest = match (&principal, guest) {
        (None, None) => Some(unnamed_guest(&call, &published).await?),
        (_, guest) => guest,
    };
    let (author, account) = match (&principal, &guest) {
        (Some(one), _) => (one.author, one.account),
        (None, Some(guest)) => (guest.author, guest.author),
        (None, None) => return Err(unauthorized("this needs an access token")),
    };
    let (producer, producer_seq) = match published.numbered {
        Some(numbered) => numbered,
        None => unnumbered(&call, stream, author)?,
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
    if let Some(signed) = &published.signed {
        author_keys::check(&call, author, signed.key, stream, Some(&publisher)).await??;
    }
    let count = published.payloads.len();
    // A client that has several messages sends them one behind the other, without waiting for the relay that gives each its seq
    // (`Prefer: respond-async`, RFC 7240 §4.1).
    let wait_ms = if call.prefers("respond-async")? {
        0
    } else {
        MAX_APPEND_WAIT_MS
    };
    let append = Append {
        create,
        publisher: Some(publisher),
        author,
        producer,
        producer_seq,
        payloads: published.payloads,
        signed: published.signed,
        wait_ms,
    };
    let appended = call.stream(short)?.call(append).await?;
    let of = (author, producer, producer_seq, count);
    let response = answer(short, &appended, of)?;
    if let Some(guest) = guest {
        response.headers().set("streamchain-access-token", &guest.token)?;
    }
    Ok(response)
}

/// What is said of a publication: its author, producer, first number, and how many messages it has.
fn answer(
    short: ShortId,
    appended: &Appended,
    (author, producer, producer_seq, count): (Address, ProducerId, u64, usize),
) -> Answer {
    let (stored, seq) = (appended.stored, appended.seq);
    let mut shown = json!({
        "stored": stored, "seq": seq, "author": author, "producer": producer, "producerSeq": producer_seq,
    });
    if let Some(digest) = appended.digest {
        put_member(&mut shown, "count", &count);
        put_member(&mut shown, "digest", &digest);
    }
    let response = json(if stored { 201 } else { 202 }, &shown)?;
    let headers = response.headers();
    headers.set("streamchain-author", &hex::encode_prefixed(author))?;
    match seq {
        Some(seq) => {
            let location = format!("/v1/streams/{short}/messages?from={seq}&limit={count}");
            headers.set("location", &location)?;
        }
        None if !stored => headers.set("retry-after", "1")?,
        None => {}
    }
    Ok(response)
}

/// The author of a message that comes without credentials and without a key. A number or key of the client's says which
/// message of one author it is, and the next request would have another author: so it needs credentials.
async fn unnamed_guest(call: &Call, published: &Published) -> Result<Guest, Problem> {
    if published.signed.is_some() {
        let detail =
            "a signed message needs an access token, or StreamChain-Key-Proof for an author that is its key";
        return Err(unauthorized(detail));
    }
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
    guest(call).await
}

/// What the request publishes, by its headers and its body.
async fn published(call: &mut Call) -> Result<Published, Problem> {
    let numbered = numbered(call)?;
    let signed = signed_by_headers(call)?;
    if signed.is_some() && numbered.is_none() {
        return Err(out_of_shape());
    }
    if call.need_type("application/octet-stream").is_ok() {
        let payloads = vec![call.body(MAX_PAYLOAD_BYTES).await?.into()];
        return Ok(Published {
            payloads,
            numbered,
            signed,
        });
    }
    call.need_type("application/json")
        .map_err(|problem| problem.header("accept-post", "application/octet-stream, application/json"))?;
    let wanted: Wanted = from_json(&call.body(MAX_BODY_BYTES).await?)?;
    let group = wanted.group();
    let Some(messages) = wanted.messages else {
        let (payload, text) = (wanted.payload, wanted.text);
        return Ok(Published {
            payloads: vec![WantedMessage { payload, text }.bytes()?],
            numbered,
            signed,
        });
    };
    let has_headers = signed.is_some() || numbered.is_some() || call.headers().has("idempotency-key")?;
    let (signed, numbered) = group.filter(|_| !has_headers).ok_or_else(|| {
        let detail =
            "messages: expected key, previous, signature, producer and producerSeq beside them, and no headers for these";
        Problem::new(Kind::BadRequest, detail)
    })?;
    let payloads = messages.into_iter().map(WantedMessage::bytes);
    Ok(Published {
        payloads: payloads.collect::<Result<_, _>>()?,
        numbered: Some(numbered),
        signed: Some(signed),
    })
}

/// The signature of a group of one, in headers.
fn signed_by_headers(call: &Call) -> Result<Option<GroupSignature>, Problem> {
    let headers = call.headers();
    let Some(signature) = headers.get("streamchain-signature")? else {
        return Ok(None);
    };
    let wrong = |detail: &str| Problem::new(Kind::BadRequest, detail);
    let signature = Signature::from_base64(&signature).map_err(|error| wrong(&error.to_string()))?;
    let key = headers.get("streamchain-key")?;
    let key = key.ok_or_else(|| wrong("StreamChain-Key: expected the key that signed"))?;
    let previous = headers.get("streamchain-previous")?.unwrap_or_default();
    let previous = B256::from_str(&previous)
        .ok()
        .filter(|_| previous.starts_with("0x"));
    Ok(Some(GroupSignature {
        previous: previous
            .ok_or_else(|| wrong("StreamChain-Previous: expected 0x and 64 hexadecimal digits"))?,
        key: parse_public_key(&key)?,
        signature,
    }))
}

/// The client's own number of the message, in headers.
fn numbered(call: &Call) -> Result<Option<(ProducerId, u64)>, Problem> {
    let headers = call.headers();
    let (producer, number) = (
        headers.get("streamchain-producer")?,
        headers.get("streamchain-producer-seq")?,
    );
    match (producer, number, headers.get("idempotency-key")?) {
        (Some(producer), Some(number), None) => {
            let number = parse_number("StreamChain-Producer-Seq", &number)?;
            Ok(Some((producer.parse()?, number)))
        }
        (None, None, _) => Ok(None),
        _ => Err(out_of_shape()),
    }
}

/// The number of a message that the client does not number: one that its idempotency key stands for, or a new one.
fn unnumbered(call: &Call, stream: &StreamRef, author: Address) -> Result<(ProducerId, u64), Problem> {
    match call.headers().get("idempotency-key")? {
        Some(key) => {
            let producer = producer_of_key(author, call.short(stream), &key);
            Ok((producer.ok_or_else(out_of_shape)?, 0))
        }
        None => Ok((ProducerId(random::bytes()?), 0)),
    }
}

fn out_of_shape() -> Problem {
    let detail = "expected StreamChain-Producer and StreamChain-Producer-Seq, or an Idempotency-Key of 1 to 256 \
                  characters, or none of them; a signed message needs the first two";
    Problem::new(Kind::BadRequest, detail)
}
