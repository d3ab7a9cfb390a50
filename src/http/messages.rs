//! `/v1/streams/{stream}/messages`: history, joined from the archive, the database and the Stream object without a seam.

use crate::api::stream::ReadTail;
use crate::auth::principal as auth;
use crate::path::PathParameters;
use crate::problem::Problem;
use crate::request::Call;
use crate::response::{Answer, json, put_member, respond};
use crate::storage::history::History;
use serde_json::{Value, json};
use streamchain_edge_core::stream_log::Tail;
use streamchain_protocol::auth::Right;
use streamchain_protocol::ids::{ProducerId, Seq};
use streamchain_protocol::limits::{HISTORY_DEFAULT_MESSAGES, MAX_HISTORY_BYTES, MAX_HISTORY_MESSAGES};
use streamchain_protocol::signed::GroupHeader;
use streamchain_protocol::wire::cbor::Writer;
use streamchain_protocol::wire::{StoredPayload, StoredRecord, decode_stored_records};

/// RFC 8742.
const CBOR_SEQUENCE: &str = "application/cbor-seq";

/// A message of a page.
pub(super) struct Message {
    /// Its seq.
    pub(super) seq: Seq,
    /// What is stored of it.
    pub(super) record: StoredRecord,
    /// The seq of the first message of its group; `None` when it is not signed.
    pub(super) group: Option<Seq>,
}

/// A signed group with messages on a page. It may begin before the page, and end behind it.
#[derive(Clone, Copy)]
pub(super) struct PageGroup {
    /// The seq of its first message.
    pub(super) seq: Seq,
    producer: ProducerId,
    producer_seq: u64,
    header: GroupHeader,
}

impl PageGroup {
    /// As JSON shows it.
    pub(super) fn shown(&self) -> Value {
        let header = &self.header;
        json!({
            "seq": self.seq, "count": header.count, "producer": self.producer, "producerSeq": self.producer_seq,
            "previous": header.previous, "key": header.key, "signature": header.signature,
        })
    }
}

/// A page of a stream's messages, filled in the order of seq.
pub(super) struct Page {
    from: Seq,
    /// One past the last seq that may be on it.
    to: Seq,
    /// What there is so far.
    pub(super) messages: Vec<Message>,
    /// The groups of these messages, in order.
    pub(super) groups: Vec<PageGroup>,
    bytes: usize,
    max_bytes: usize,
}

impl Page {
    /// An empty page for messages below `to`, with at most about `max_bytes` of payload.
    pub(super) fn new(from: Seq, to: Seq, max_bytes: usize) -> Self {
        Self {
            from,
            to,
            messages: Vec::new(),
            groups: Vec::new(),
            bytes: 0,
            max_bytes,
        }
    }

    fn next(&self) -> Seq {
        self.messages.last().map_or(self.from, |last| last.seq.next())
    }

    /// Whether no more is to be taken.
    pub(super) fn is_full(&self) -> bool {
        self.next() >= self.to || self.bytes >= self.max_bytes
    }

    /// Takes what fits of a run of encoded records that begins at `first`. No run begins inside a group: neither segments nor
    /// batches do.
    pub(super) fn take(&mut self, first: Seq, records: &[u8]) -> Result<(), Problem> {
        let records = decode_stored_records(records).map_err(Problem::internal)?;
        // The group that was begun last, and the seq behind it.
        let mut group: Option<(PageGroup, Seq)> = None;
        for (index, record) in records.into_iter().enumerate() {
            let seq = Seq(first.0 + index as u64);
            if let Some(header) = record.group {
                let begun = PageGroup {
                    seq,
                    producer: record.producer,
                    producer_seq: record.producer_seq,
                    header,
                };
                group = Some((begun, Seq(seq.0 + u64::from(header.count))));
            }
            if seq < self.next() {
                continue;
            }
            let length = match &record.payload {
                StoredPayload::Kept(payload) => payload.len(),
                StoredPayload::Erased(_) => 0,
            };
            let fits = self.bytes + length <= self.max_bytes || self.messages.is_empty();
            if seq != self.next() || seq >= self.to || !fits {
                self.to = self.to.min(self.next());
                return Ok(());
            }
            self.bytes += length;
            let of = group.filter(|(_, end)| seq < *end).map(|(begun, _)| begun);
            if let Some(begun) = of
                && self.groups.last().is_none_or(|last| last.seq != begun.seq)
            {
                self.groups.push(begun);
            }
            let group = of.map(|begun| begun.seq);
            self.messages.push(Message { seq, record, group });
        }
        Ok(())
    }
}

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
    let with_signatures = wants_signatures(call)?;
    if call.accepts(CBOR_SEQUENCE)? {
        // Clients of the version before read items of four elements only.
        let with_erased = call.query("erased")?.as_deref() == Some("1");
        as_cbor(&page, &tail, with_erased, with_signatures)
    } else {
        as_json(&page, &tail, with_signatures)
    }
}

/// Whether the client asks for what a verifier of signatures needs.
pub(super) fn wants_signatures(call: &Call) -> Result<bool, Problem> {
    Ok(call.query("signatures")?.as_deref() == Some("1"))
}

/// Takes what the database and the archive have of the page.
pub(super) async fn read_database(history: &History, tail: &Tail, page: &mut Page) -> Result<(), Problem> {
    let end = page.to.min(tail.state.flushed);
    if page.from >= end {
        return Ok(());
    }
    let rows = history
        .with_records(tail.state.id, page.from, end, page.max_bytes)
        .await?;
    for row in rows {
        page.take(row.first, &row.records)?;
    }
    if page.next() < end {
        // The byte limit came first: what the object has is for a later page.
        page.to = page.next();
    }
    Ok(())
}

fn as_json(page: &Page, tail: &Tail, with_signatures: bool) -> Answer {
    let messages: Vec<Value> = page.messages.iter().map(shown).collect();
    let state = &tail.state;
    let mut body = json!({
        "stream": state.id, "from": page.from, "messages": messages, "next": page.next(), "head": state.head,
    });
    if with_signatures {
        let groups: Vec<Value> = page.groups.iter().map(PageGroup::shown).collect();
        put_member(&mut body, "groups", &groups);
    }
    let response = json(200, &body)?;
    response.headers().set("vary", "accept")?;
    Ok(response)
}

/// A message as JSON shows it: an erased one has no payload, and `erased` says what is known of it.
pub(super) fn shown(message: &Message) -> Value {
    let Message { seq, record, group } = message;
    let (payload, erased) = record.payload.clone().shown();
    let mut shown = json!({"seq": seq, "time": record.time, "author": record.author, "payload": payload});
    if let Some(erased) = erased {
        put_member(&mut shown, "erased", &erased);
    }
    if group.is_some() {
        put_member(&mut shown, "signed", &true);
    }
    shown
}

/// Items of four elements. An erased message has a fifth where the client asks for it; one that is signed has, where the client
/// asks for signatures, a fifth (null unless it is erased) and a sixth: its group at the first of the group's messages on the
/// page, and the seq of the group's first message at the others.
fn as_cbor(page: &Page, tail: &Tail, with_erased: bool, with_signatures: bool) -> Answer {
    let mut body = Vec::with_capacity(page.bytes + 64 * page.messages.len());
    let mut groups = page.groups.iter().peekable();
    for Message { seq, record, group } in &page.messages {
        let mut writer = Writer::new(&mut body);
        let (payload, erased) = match &record.payload {
            StoredPayload::Kept(payload) => (payload.as_ref(), None),
            StoredPayload::Erased(erased) => ([].as_slice(), Some(erased).filter(|_| with_erased)),
        };
        let group = group.filter(|_| with_signatures);
        let items = match (erased, group) {
            (_, Some(_)) => 6,
            (Some(_), None) => 5,
            (None, None) => 4,
        };
        writer
            .array(items)
            .uint(seq.0)
            .uint(record.time.0)
            .bytes(record.author.as_slice())
            .bytes(payload);
        if let Some(erased) = erased {
            writer.array(2).uint(erased.size).bytes(erased.digest.as_slice());
        }
        let Some(group) = group else { continue };
        if erased.is_none() {
            writer.uint_or_null(None);
        }
        match groups.next_if(|begun| begun.seq == group) {
            Some(begun) => write_group(&mut writer, begun),
            None => drop(writer.uint(group.0)),
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

/// `[seq, count, producer, producer_seq, previous, key, signature]`
fn write_group(writer: &mut Writer<'_>, group: &PageGroup) {
    let header = &group.header;
    writer
        .array(7)
        .uint(group.seq.0)
        .uint(header.count.into())
        .bytes(&group.producer.0)
        .uint(group.producer_seq)
        .bytes(header.previous.as_slice())
        .bytes(header.key.as_bytes())
        .bytes(&header.signature.0);
}
