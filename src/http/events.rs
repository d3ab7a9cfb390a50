//! `GET /v1/streams/{stream}/events`: a stream's messages, and what happens to it on chain, as server-sent events.
//!
//! What always holds: an event's id says how far the reader is when it has that event, and behind an id come
//! exactly the events that follow it, each once, whichever instance answers; nothing about a reader is kept
//! anywhere but in its id.
//!
//! The Worker holds the response and asks the Stream object for what is behind the cursor; the object answers when
//! there is something. A page is asked for when the page before was taken, so a slow reader costs one page, and its
//! response ends like every other: after its life, or when it has asked often enough.

use super::marks;
use super::messages::wants_signatures;
use crate::api::stream::{GetOverview, ReadNews};
use crate::auth::principal as auth;
use crate::clock;
use crate::path::PathParameters;
use crate::problem::{Kind, Problem};
use crate::rate_limit;
use crate::request::Call;
use crate::response::Answer;
use crate::storage::history::History;
use crate::storage::page::{Page, read_database, shown};
use futures_util::stream;
use serde_json::json;
use std::fmt::Write;
use std::time::Duration;
use streamchain_edge_core::event_query;
use streamchain_edge_core::stream_log::{Cursor, LogState, News, Reader as Who};
use streamchain_protocol::auth::Right;
use streamchain_protocol::ids::{Seq, StreamRef};
use streamchain_protocol::limits::MAX_EXACT_INTEGER;
use streamchain_protocol::stream_settings::ReadAccess;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::Presence;
use worker::{Delay, Error, Headers, Response, console_error};

/// Longest life of one response, seconds: a reader that vanished unseen costs no more than this. EventSource comes
/// back by itself.
const MAX_LIFE_S: u64 = 300;

/// Most questions of one response: a Worker may send 1,000 requests for one of its own, and each page takes up to
/// three: to the stream, to the database, and about the credentials. Who is there is asked 30 times in the longest life.
const MAX_QUESTIONS: u32 = 300;

/// Least time between two questions, milliseconds: a busy stream is read in larger pages instead of more.
const PACE_MS: u64 = 100;

/// How long the object may wait with its answer, milliseconds. An empty answer becomes a heartbeat.
const WAIT_MS: u64 = 10_000;

/// How often the object is asked who is there, for a reader who wants it, milliseconds: as often as leaders report it.
const PRESENCE_MS: u64 = 10_000;

/// How soon a reader should come back, milliseconds.
const RETRY_MS: u64 = 1_000;

/// Most payload bytes in one page.
const MAX_PAGE_BYTES: usize = 128 * 1024;

/// One reader.
struct Reader {
    call: Call,
    stream: StreamRef,
    who: Who,
    cursor: Cursor,
    /// Whether the reader wants each group's signature before its messages.
    with_signatures: bool,
    /// What the reader was sent of who is there, and when that was asked; `None` for one that does not want it.
    presence: Option<(Option<Presence>, UnixMs)>,
    opening: Option<String>,
    /// When the response ends.
    until: UnixMs,
    questions: u32,
    asked: UnixMs,
}

/// `GET /v1/streams/{stream}/events`
pub(crate) async fn get(mut call: Call, at: PathParameters) -> Answer {
    let stream = at.stream()?;
    let given = cursor(&call)?;
    call.url_token = call.query("access_token")?;
    let permit = auth::need(&call, &stream, Right::Read).await?;
    let life = call.number("life")?.unwrap_or(MAX_LIFE_S).clamp(1, MAX_LIFE_S);
    let from = call.number("from")?.map(Seq);
    let with_signatures = wants_signatures(&call)?;
    // Behind everything: only the state is wanted yet.
    let behind = Cursor {
        event: MAX_EXACT_INTEGER,
        seq: Seq(MAX_EXACT_INTEGER),
    };
    let who = auth::reader_of(permit.principal.as_ref(), call.short(&stream));
    let mut news = read_news(&call, &stream, who, behind, 0).await?;
    marks::refresh(&call, &mut news.tail.state).await;
    let state = &news.tail.state;
    let cursor = given.unwrap_or(Cursor {
        event: state.events.next - 1,
        seq: from.unwrap_or(state.head),
    });
    if cursor.seq > state.head || cursor.event >= state.events.next {
        let detail = format!("{cursor} is not reached yet: the stream is at {}", here(state));
        return Err(Problem::new(Kind::BadRequest, detail));
    }
    let now = call.now;
    let until = now.plus_ms(life * 1_000);
    let token_end = permit.principal.map(|one| one.claims.exp.plus_s(1).to_ms());
    let reader = Reader {
        stream,
        who,
        cursor,
        with_signatures,
        presence: wants_presence(&call)?.then_some((None, UnixMs(0))),
        opening: Some(opening(cursor, state)),
        // A response never outlives the token that it was asked for with.
        until: token_end.map_or(until, |end| end.min(until)),
        questions: 0,
        asked: UnixMs(0),
        call,
    };
    let pages = stream::unfold(reader, |mut reader| async move {
        let page = reader.next().await.unwrap_or_else(|problem| {
            // The reader comes back with its cursor.
            console_error!("request {}: events: {problem}", reader.call.id);
            None
        });
        page.map(|page| (Ok::<Vec<u8>, Error>(page.into_bytes()), reader))
    });
    let headers = Headers::new();
    headers.set("content-type", "text/event-stream; charset=utf-8")?;
    // Proxies that gather responses would hold the events back.
    headers.set("x-accel-buffering", "no")?;
    // And so would those that compress them.
    headers.set("cache-control", "no-store, no-transform")?;
    Ok(Response::from_stream(pages)?.with_headers(headers))
}

/// Whether the reader wants to know who is there.
fn wants_presence(call: &Call) -> Result<bool, Problem> {
    match call.query("presence")?.as_deref() {
        None | Some("0") => Ok(false),
        Some("1") => Ok(true),
        Some(_) => Err(Problem::new(Kind::BadRequest, "presence: expected 0 or 1")),
    }
}

fn here(state: &LogState) -> Cursor {
    Cursor {
        event: state.events.next - 1,
        seq: state.head,
    }
}

/// Where the reader goes on.
fn cursor(call: &Call) -> Result<Option<Cursor>, Problem> {
    let (header, parameters) = (call.headers().get("last-event-id")?, call.parameters());
    let query = parameters
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let given = event_query::cursor(header.as_deref(), query)
        .map_err(|error| Problem::new(Kind::BadRequest, error.to_string()))?;
    given.map(str::parse::<Cursor>).transpose().map_err(|error| {
        Problem::new(
            Kind::BadRequest,
            format!("Last-Event-ID, lastEventId or after: {error}"),
        )
    })
}

/// Asks the Stream object for what is behind the cursor.
async fn read_news(
    call: &Call,
    stream: &StreamRef,
    reader: Who,
    cursor: Cursor,
    wait_ms: u64,
) -> Result<News, Problem> {
    let asked = ReadNews {
        reader,
        client: rate_limit::client(call.headers(), &call.config),
        event: cursor.event,
        seq: cursor.seq,
        wait_ms,
    };
    call.stream(call.short(stream))?.call(asked).await
}

/// What every response begins with.
fn opening(cursor: Cursor, state: &LogState) -> String {
    let mut text = format!("retry: {RETRY_MS}\n");
    let marks = json!({
        "stream": state.id, "epoch": state.epoch, "head": state.head, "stored": state.head,
        "anchored": state.anchored, "final": state.finalized,
    });
    put(&mut text, cursor, "state", &marks.to_string());
    text
}

fn put(text: &mut String, cursor: Cursor, name: &str, json: &str) {
    // Writing to a text does not fail.
    let _ = write!(text, "id: {cursor}\nevent: {name}\ndata: {json}\n\n");
}

impl Reader {
    /// The next part of the response; `None` at its end.
    async fn next(&mut self) -> Result<Option<String>, Problem> {
        if let Some(opening) = self.opening.take() {
            return Ok(Some(opening));
        }
        let now = clock::now();
        let wait = self.asked.plus_ms(PACE_MS).since(now);
        Delay::from(Duration::from_millis(wait)).await;
        let now = now.plus_ms(wait);
        if now >= self.until || self.questions >= MAX_QUESTIONS {
            return Ok(None);
        }
        self.questions += 1;
        let left = WAIT_MS.min(self.until.since(now));
        let news = read_news(&self.call, &self.stream, self.who, self.cursor, left).await;
        self.asked = clock::now();
        match news {
            Ok(news) => self.page(news).await,
            // The stream refuses: the reader comes back with its cursor and gets the reason.
            Err(problem) if problem.word().1 < 500 || problem.kind() == Kind::Overloaded => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    /// The page of these news, unless the credentials that it is for were revoked meanwhile; the stream itself was asked
    /// whether this reader may have it. A public stream is for everybody, whatever the credentials.
    async fn page(&mut self, news: News) -> Result<Option<String>, Problem> {
        let is_private = news.tail.state.settings.read == ReadAccess::Private;
        let mut text = self.write(news).await?;
        self.write_presence(&mut text).await?;
        if is_private {
            self.call.now = clock::now();
            match auth::principal(&self.call).await {
                Ok(_) => {}
                // The reader comes back with its cursor and gets the reason.
                Err(refused) if refused.word().1 < 500 => return Ok(None),
                Err(problem) => return Err(problem),
            }
        }
        Ok(Some(text))
    }

    /// Who is there, if the reader wants it and it changed since it was sent last. The stream has just answered this reader, so it may
    /// read it.
    async fn write_presence(&mut self, text: &mut String) -> Result<(), Problem> {
        let now = clock::now();
        let Some((known, asked)) = &mut self.presence else {
            return Ok(());
        };
        if now.since(*asked) < PRESENCE_MS {
            return Ok(());
        }
        *asked = now;
        let short = self.call.short(&self.stream);
        let found = self.call.stream(short)?.call(GetOverview {}).await?.presence;
        if found.is_some() && *known != found {
            put(text, self.cursor, "presence", &json!(found).to_string());
            *known = found;
        }
        Ok(())
    }

    /// Messages first, and events once the reader has all messages: an anchor never comes before what it is about.
    async fn write(&mut self, news: News) -> Result<String, Problem> {
        let News { tail, events } = news;
        let state = &tail.state;
        let mut text = String::new();
        if self.cursor.seq < state.head {
            let mut page = Page::new(self.cursor.seq, state.head, MAX_PAGE_BYTES);
            read_database(&History::of(&self.call.env)?, &tail, &mut page).await?;
            if !page.is_full() {
                page.take(tail.first, &tail.records)?;
            }
            let mut groups = page.groups.iter().peekable();
            for message in &page.messages {
                // A group that began before the cursor was shown then, or can't be verified from here on.
                while let Some(group) = groups.next_if(|group| group.seq <= message.seq) {
                    if self.with_signatures && group.seq == message.seq {
                        put(&mut text, self.cursor, "signature", &group.shown().to_string());
                    }
                }
                self.cursor.seq = message.seq.next();
                put(&mut text, self.cursor, "stored", &shown(message).to_string());
            }
        }
        if self.cursor.seq >= state.head {
            let first = state.events.first;
            if self.cursor.event + 1 < first {
                let lost = json!({ "from": self.cursor.event + 1, "to": first });
                self.cursor.event = first - 1;
                put(&mut text, self.cursor, "gap", &lost.to_string());
            }
            for event in events {
                self.cursor.event = event.number;
                put(&mut text, self.cursor, &event.name, &event.json);
            }
        }
        if text.is_empty() {
            text.push_str(": \n\n");
        }
        Ok(text)
    }
}
