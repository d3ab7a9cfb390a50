//! `/v1/relays/…`: for relays alone, each with its own key.

use super::author_keys;
use crate::api::relays::{Goodbye, Register};
use crate::api::stream::{Acquire, Commit, GetProducer, ReadInbox, Release, ReportPresence};
use crate::auth::bearer::need_relay;
use crate::path::{PathParameters, parse_address, parse_public_key};
use crate::problem::{Kind, Problem};
use crate::request::{Call, from_json};
use crate::response::{Answer, done, encoded, json, respond};
use futures_util::future::{Either, select};
use futures_util::stream::{self, FuturesUnordered, StreamExt};
use std::rc::Rc;
use std::time::Duration;
use streamchain_edge_core::certificates::key_state;
use streamchain_protocol::Address;
use streamchain_protocol::ids::{Epoch, Incarnation, RelayId, ShortId};
use streamchain_protocol::limits::MAX_BUNDLE_BYTES;
use streamchain_protocol::wire::{AcquireEpoch, Batch, Bundle, BundleAnswer, Presence, ProducerState};
use worker::{Delay, Error, Response};

/// Largest registration, bytes: 64 shards with 8 candidates each take about 40 KB.
const MAX_REGISTRATION_BYTES: usize = 64 * 1024;

/// Largest other JSON body of a relay, bytes.
const MAX_SMALL_BYTES: usize = 4 * 1024;

/// Largest report of who is at a stream, bytes: 100 authors with their quotes and commas, the counts and the names of the fields.
const MAX_PRESENCE_BYTES: usize = 8 * 1024;

/// How long answers to a bundle are gathered until those are sent that are there, so that a stream which is slow keeps no
/// other waiting for longer. Answers that are sent together cost a fraction of what a stream of parts costs.
const GATHERED_WITHIN: Duration = Duration::from_millis(100);

/// `PUT /v1/relays/{relay}`: registers, and renews.
pub(crate) async fn register(mut call: Call, at: PathParameters) -> Answer {
    let relay = at.relay()?;
    let key = need_relay(call.headers(), &call.config, &relay)?;
    let registration = call.body(MAX_REGISTRATION_BYTES).await?;
    let asked = Register {
        relay,
        key,
        location: call.location(),
        registration,
    };
    encoded(200, call.relays()?.call(asked).await?.json)
}

/// `DELETE /v1/relays/{relay}`: the end of the run `?incarnation=`, or of any.
pub(crate) async fn goodbye(call: Call, at: PathParameters) -> Answer {
    let call = &call;
    let relay = at.relay()?;
    need_relay(call.headers(), &call.config, &relay)?;
    let incarnation = call
        .query("incarnation")?
        .map(|text| text.parse::<Incarnation>())
        .transpose()?;
    call.relays()?.call(Goodbye { relay, incarnation }).await?;
    done(200)
}

/// `PUT /v1/relays/{relay}/streams/{stream}`: the relay becomes the leader of the stream, or learns whom it is to follow.
pub(crate) async fn acquire_epoch(mut call: Call, at: PathParameters) -> Answer {
    let relay = at.relay()?;
    let stream = &at.stream()?;
    need_relay(call.headers(), &call.config, &relay)?;
    let asked: AcquireEpoch = call.json(MAX_SMALL_BYTES).await?;
    let asked = Acquire { relay, asked };
    encoded(200, call.stream(call.short(stream))?.call(asked).await?.json)
}

/// `DELETE /v1/relays/{relay}/streams/{stream}`: the relay gives the stream back.
pub(crate) async fn release(call: Call, at: PathParameters) -> Answer {
    let call = &call;
    let relay = at.relay()?;
    let stream = &at.stream()?;
    let epoch = epoch(call, &relay)?;
    call.stream(call.short(stream))?
        .call(Release { relay, epoch })
        .await?;
    done(200)
}

/// `PUT /v1/relays/{relay}/streams/{stream}/presence`: the leader reports who is at the stream.
pub(crate) async fn presence(mut call: Call, at: PathParameters) -> Answer {
    let relay = at.relay()?;
    let stream = &at.stream()?;
    let epoch = epoch(&call, &relay)?;
    let presence: Presence = call.json(MAX_PRESENCE_BYTES).await?;
    presence
        .check()
        .map_err(|error| Problem::new(Kind::BadRequest, error.to_string()))?;
    let asked = ReportPresence {
        relay,
        epoch,
        presence,
    };
    call.stream(call.short(stream))?.call(asked).await?;
    done(200)
}

/// `GET /v1/relays/{relay}/streams/{stream}/inbox`: the messages that came by HTTP and wait for the relay.
pub(crate) async fn inbox(call: Call, at: PathParameters) -> Answer {
    let call = &call;
    let relay = at.relay()?;
    let stream = &at.stream()?;
    let epoch = epoch(call, &relay)?;
    let records = call
        .stream(call.short(stream))?
        .call(ReadInbox { relay, epoch })
        .await?;
    respond(200, &[("content-type", "application/octet-stream")], records)
}

/// `GET /v1/relays/{relay}/streams/{stream}/producers/{producer}`: how far a producer got; with `?key=`, whether that key signs
/// for the author too.
pub(crate) async fn producer(call: Call, at: PathParameters) -> Answer {
    let call = &call;
    let relay = at.relay()?;
    let stream = &at.stream()?;
    let producer = at.producer()?;
    let epoch = epoch(call, &relay)?;
    let asked = GetProducer {
        relay,
        epoch,
        producer,
        author: author(call)?,
    };
    let author = asked.author;
    let known = call.stream(call.short(stream))?.call(asked).await?.json;
    let (Some(key), Some(author)) = (call.query("key")?, author) else {
        return encoded(200, known);
    };
    let mut state: ProducerState = from_json(&known)?;
    let key = parse_public_key(&key)?;
    let checked = author_keys::check(call, author, key, stream, None).await?;
    state.key = Some(key_state(checked));
    json(200, &state)
}

/// The epoch in the query, of a relay that shows its key.
fn epoch(call: &Call, relay: &RelayId) -> Result<Epoch, Problem> {
    need_relay(call.headers(), &call.config, relay)?;
    let epoch = call.number("epoch")?.map(Epoch);
    epoch.ok_or_else(|| Problem::new(Kind::BadRequest, "epoch: expected a number in the query"))
}

/// The author in the query, whose producer is meant.
fn author(call: &Call) -> Result<Option<Address>, Problem> {
    call.query("author")?
        .map(|author| parse_address(&author))
        .transpose()
}

/// `POST /v1/relays/{relay}/streams/{stream}/batches`: stores a batch.
pub(crate) async fn batch(mut call: Call, at: PathParameters) -> Answer {
    let relay = at.relay()?;
    let stream = &at.stream()?;
    need_relay(call.headers(), &call.config, &relay)?;
    call.need_type("application/cbor")?;
    let batch = call.body(Batch::MAX_BODY_BYTES).await?;
    let committed = call
        .stream(call.short(stream))?
        .call_method(Commit { relay, batch })
        .await?;
    encoded(200, committed.json)
}

/// `POST /v1/relays/{relay}/batches`: stores batches of several streams, side by side.
pub(crate) async fn bundle(mut call: Call, at: PathParameters) -> Answer {
    let relay = at.relay()?;
    need_relay(call.headers(), &call.config, &relay)?;
    call.need_type("application/cbor")?;
    let body = call.body(MAX_BUNDLE_BYTES).await?;
    let call = Rc::new(call);
    let batches = Bundle::decode(&body)?;
    let commits = batches.batches().iter().enumerate();
    let mut under_way: FuturesUnordered<_> = commits
        .map(|(position, (stream, batch))| {
            let asked = Commit {
                relay: relay.clone(),
                batch: batch.to_vec(),
            };
            answer_to_one(call.clone(), position, *stream, asked)
        })
        .collect();
    let first = gathered(&mut under_way).await;
    if under_way.is_empty() {
        return respond(200, &[("content-type", "application/x-ndjson")], first);
    }
    let parts = stream::unfold((Some(first), under_way), async |(first, mut under_way)| {
        let lines = match first {
            Some(lines) => lines,
            None => gathered(&mut under_way).await,
        };
        (!lines.is_empty()).then_some((Ok::<_, Error>(lines), (None, under_way)))
    });
    let answer = Response::from_stream(Box::pin(parts))?;
    answer.headers().set("content-type", "application/x-ndjson")?;
    Ok(answer)
}

/// The lines that are there within a time, at least one; none when all were given.
async fn gathered(under_way: &mut FuturesUnordered<impl Future<Output = Vec<u8>>>) -> Vec<u8> {
    let (mut lines, mut patience) = (Vec::new(), Delay::from(GATHERED_WITHIN));
    loop {
        match select(under_way.next(), &mut patience).await {
            Either::Left((Some(line), _)) => lines.extend(line),
            Either::Left((None, _)) => return lines,
            Either::Right(_) if !lines.is_empty() => return lines,
            Either::Right(_) => patience = Delay::from(GATHERED_WITHIN),
        }
    }
}

/// The line of the answer that says what became of one batch.
async fn answer_to_one(call: Rc<Call>, position: usize, stream: ShortId, asked: Commit) -> Vec<u8> {
    let committed = match call.stream(stream) {
        Ok(object) => object.call_method(asked).await,
        Err(error) => Err(error.into()),
    };
    match committed {
        Ok(committed) => BundleAnswer::line(position, 200, &committed.json),
        Err(problem) => {
            let problem = problem.shown();
            BundleAnswer::line(position, problem.word().1, &problem.to_json(&call.id))
        }
    }
}
