//! Gives Stream objects what became of their anchors, and then the relays of those streams.

use crate::api::call::within;
use crate::api::relays::{PostNotices, RelayNotice, relays_object};
use crate::api::side_by_side::side_by_side;
use crate::api::stream::{ApplyNotices, NoticesApplied, stream_object};
use crate::problem::{Kind, Problem};
use std::collections::BTreeMap;
use std::time::Duration;
use streamchain_chain::batcher::{NotifyStreams, RunNotice};
use streamchain_edge_core::request_id::RequestId;
use streamchain_protocol::ids::{RelayId, Seq, ShortId, StreamId};
use streamchain_protocol::wire::{Notice, NoticeEvent, RunInRound};
use worker::{Env, console_error};

/// Most notices in one call of a Stream object: each has a payload of 64 KiB at most.
const MAX_NOTICES_AT_ONCE: usize = 32;
/// Most Stream objects that are notified at a time: each may take as long as the time-out, and the others go on.
const MAX_STREAMS_AT_ONCE: usize = 32;
/// Most notices in one call of the Relays object: it keeps them all in one step.
const MAX_RELAY_NOTICES_AT_ONCE: usize = 256;
/// Most runs in one notice of a round: about 40 KB.
const MAX_RUNS_IN_NOTICE: usize = 256;
/// How long an object may take.
pub(crate) const OBJECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The notices for one stream, in the order of the chain.
pub(crate) struct StreamNotices {
    /// The stream.
    stream: StreamId,
    /// The notices.
    notices: Vec<Notice>,
    /// Whether they are about runs in rounds: then all runs before the first are on the chain too.
    in_rounds: bool,
}

impl StreamNotices {
    /// Of anchors of the stream's own, and of what was published to it.
    pub(crate) fn own(stream: StreamId, notices: Vec<Notice>) -> Self {
        Self {
            stream,
            notices,
            in_rounds: false,
        }
    }
}

/// What became of notices.
#[derive(Default)]
pub(crate) struct Notified {
    /// The streams that were not notified, or whose relays were not, and why.
    pub failed: Vec<(StreamId, Problem)>,
    /// Streams that lack the anchor over a message, although that of a later one was seen.
    pub missing: Vec<(StreamId, Seq)>,
}

/// Notifies the streams side by side, then their relays. A stream that fails does not keep the others waiting.
pub(crate) async fn notify(env: &Env, id: &RequestId, streams: Vec<StreamNotices>) -> Notified {
    let work = streams.into_iter().map(|one| async move {
        let applied = notify_stream(env, id, &one).await;
        (one, applied)
    });
    let (mut notified, mut for_relays) = (Notified::default(), Vec::new());
    for (one, applied) in side_by_side(work, MAX_STREAMS_AT_ONCE).await {
        match applied {
            Ok(applied) => {
                if let Some(missing) = applied.missing_anchor {
                    notified.missing.push((one.stream, missing));
                }
                let Some(relay) = applied.relay else { continue };
                let for_relay = one.notices.into_iter().map(|notice| RelayNotice {
                    relay: relay.clone(),
                    notice,
                });
                for_relays.push((one.stream, for_relay.collect()));
            }
            Err(error) => {
                console_error!("request {id}: notices: stream {}: {error}", one.stream);
                notified.failed.push((one.stream, error));
            }
        }
    }
    let failed = notify_relays(env, id, for_relays).await;
    notified.failed.extend(failed);
    notified
}

/// Notifies the streams of a round as [`notify`] does. Each relay gets one notice for all of its streams that are notified
/// together; the streams that were not notified, or whose relays were not, are returned.
pub(crate) async fn notify_of_round(env: &Env, id: &RequestId, notices: &NotifyStreams) -> Vec<StreamId> {
    let work = notices.notices.iter().map(|notice| async move {
        let one = StreamNotices {
            stream: notice.stream,
            notices: vec![Notice {
                stream: notice.stream.short(),
                event: NoticeEvent::Anchored(notice.anchor),
            }],
            in_rounds: true,
        };
        (notice, notify_stream(env, id, &one).await)
    });
    let mut failed = Vec::new();
    let mut by_relay: BTreeMap<RelayId, Vec<&RunNotice>> = BTreeMap::new();
    for (notice, applied) in side_by_side(work, MAX_STREAMS_AT_ONCE).await {
        match applied {
            Ok(NoticesApplied { relay: None, .. }) => {}
            Ok(NoticesApplied {
                relay: Some(relay), ..
            }) => by_relay.entry(relay).or_default().push(notice),
            Err(error) => {
                console_error!("request {id}: notices: stream {}: {error}", notice.stream);
                failed.push(notice.stream);
            }
        }
    }
    for (relay, runs) in by_relay {
        let of_round = rounds_of(&runs).into_iter().map(|notice| RelayNotice {
            relay: relay.clone(),
            notice,
        });
        if let Err(error) = post(env, id, of_round.collect()).await {
            console_error!("request {id}: notices: relay {relay}: {error}");
            failed.extend(runs.iter().map(|run| run.stream));
        }
    }
    failed
}

/// The notices that a relay gets of its streams' runs in one round: one, unless these are very many.
fn rounds_of(runs: &[&RunNotice]) -> Vec<Notice> {
    let of_chunk = |runs: &[&RunNotice]| {
        let anchor = runs.first()?.anchor;
        let event = NoticeEvent::Round {
            tx: anchor.tx,
            block: anchor.block,
            state: anchor.state,
            runs: runs.iter().map(|run| in_round(run)).collect(),
        };
        let stream = ShortId::EVERY;
        Some(Notice { stream, event })
    };
    runs.chunks(MAX_RUNS_IN_NOTICE).filter_map(of_chunk).collect()
}

fn in_round(run: &RunNotice) -> RunInRound {
    let RunNotice { stream, anchor } = run;
    RunInRound {
        stream: stream.short(),
        first: anchor.first,
        count: anchor.count,
        root: anchor.root,
    }
}

/// A stream that was never used here has nothing to say.
async fn notify_stream(env: &Env, id: &RequestId, one: &StreamNotices) -> Result<NoticesApplied, Problem> {
    let mut applied = NoticesApplied {
        relay: None,
        missing_anchor: None,
    };
    for notices in one.notices.chunks(MAX_NOTICES_AT_ONCE) {
        let asked = ApplyNotices {
            notices: notices.to_vec(),
            in_rounds: one.in_rounds,
        };
        let object = stream_object(env, id, one.stream.short())?;
        match within(OBJECT_TIMEOUT, object.call_method(asked)).await {
            Ok(answer) => applied = answer,
            Err(problem) if problem.kind() == Kind::NoSuchStream => return Ok(applied),
            Err(problem) => return Err(problem),
        }
    }
    Ok(applied)
}

/// Returns the streams whose relays were not notified.
async fn notify_relays(
    env: &Env,
    id: &RequestId,
    streams: Vec<(StreamId, Vec<RelayNotice>)>,
) -> Vec<(StreamId, Problem)> {
    let mut failed = Vec::new();
    let (mut together, mut notices) = (Vec::new(), Vec::new());
    let count = streams.len();
    for (place, (stream, of_stream)) in streams.into_iter().enumerate() {
        together.push(stream);
        notices.extend(of_stream);
        if notices.len() < MAX_RELAY_NOTICES_AT_ONCE && place + 1 < count {
            continue;
        }
        let posted = post(env, id, std::mem::take(&mut notices)).await;
        let together = together.drain(..);
        if let Err(error) = posted {
            console_error!("request {id}: notices: relays: {error}");
            let reason = error.to_string();
            failed.extend(together.map(|stream| (stream, Problem::internal(&reason))));
        }
    }
    failed
}

async fn post(env: &Env, id: &RequestId, notices: Vec<RelayNotice>) -> Result<(), Problem> {
    let relays = relays_object(env, id)?;
    within(OBJECT_TIMEOUT, relays.call(PostNotices { notices }))
        .await
        .map(drop)
}
