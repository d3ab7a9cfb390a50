//! `/v1/streams/{stream}/messages`: history, joined from the archive, the database and the Stream object without a seam.

use crate::api::stream::ReadTail;
use crate::auth::principal as auth;
use crate::path::PathParameters;
use crate::request::Call;
use crate::response::{Answer, json, respond};
use crate::storage::history::History;
use crate::storage::page::{Page, read_database, shown};
use serde_json::{Value, json};
use streamchain_edge_core::stream_log::Tail;
use streamchain_protocol::auth::Right;
use streamchain_protocol::ids::Seq;
use streamchain_protocol::limits::{HISTORY_DEFAULT_MESSAGES, MAX_HISTORY_BYTES, MAX_HISTORY_MESSAGES};
use streamchain_protocol::wire::StoredPayload;
use streamchain_protocol::wire::cbor::Writer;

/// RFC 8742.
const CBOR_SEQUENCE: &str = "application/cbor-seq";

/// `GET /v1/streams/{stream}/messages`
pub(crate) async fn list(call: Call, at: PathParameters) -> Answer {
    let call = &call;
    let stream = &at.stream()?;
    let permit = auth::need(call, stream, Right::Read).await?;
    let from = Seq(call.number("from")?.unwrap_or(0));
    let limit = call.number("limit")?.unwrap_or(HISTORY_DEFAULT_MESSAGES as u64);
    let limit = limit.clamp(1, MAX_HISTORY_MESSAGES as u64);
    // The object first: its `flushed` says how far the database is to be read (see `Log::tail`).
    let asked = ReadTail {
        reader: auth::reader_of(permit.principal.as_ref(), call.short(stream)),
        from,
        max_bytes: MAX_HISTORY_BYTES,
    };
    let tail = call.stream(call.short(stream))?.call(asked).await?;
    let to = Seq(from.0.saturating_add(limit)).min(tail.state.head);
    let mut page = Page::new(from, to, MAX_HISTORY_BYTES);
    read_database(&History::of(&call.env)?, &tail, &mut page).await?;
    if !page.is_full() {
        page.take(tail.first, &tail.records)?;
    }
    if call.accepts(CBOR_SEQUENCE)? {
        // Clients of the version before read items of four elements only.
        let with_erased = call.query("erased")?.as_deref() == Some("1");
        as_cbor(&page, &tail, with_erased)
    } else {
        as_json(&page, &tail)
    }
}

fn as_json(page: &Page, tail: &Tail) -> Answer {
    let messages: Vec<Value> = page.messages.iter().map(shown).collect();
    let state = &tail.state;
    let response = json(
        200,
        &json!({
            "stream": state.id, "from": page.from, "messages": messages, "next": page.next(), "head": state.head,
        }),
    )?;
    response.headers().set("vary", "accept")?;
    Ok(response)
}

fn as_cbor(page: &Page, tail: &Tail, with_erased: bool) -> Answer {
    let mut body = Vec::with_capacity(page.bytes + 64 * page.messages.len());
    for (seq, record) in &page.messages {
        let mut writer = Writer::new(&mut body);
        let (payload, erased) = match &record.payload {
            StoredPayload::Kept(payload) => (payload.as_ref(), None),
            StoredPayload::Erased(erased) => ([].as_slice(), Some(erased).filter(|_| with_erased)),
        };
        writer
            .array(if erased.is_some() { 5 } else { 4 })
            .uint(seq.0)
            .uint(record.time.0)
            .bytes(record.author.as_slice())
            .bytes(payload);
        if let Some(erased) = erased {
            writer.array(2).uint(erased.size).bytes(erased.digest.as_slice());
        }
    }
    let (next, head) = (page.next().to_string(), tail.state.head.to_string());
    let headers = [
        ("content-type", CBOR_SEQUENCE),
        ("vary", "accept"),
        ("streamchain-next", &next),
        ("streamchain-head", &head),
    ];
    respond(200, &headers, body)
}
