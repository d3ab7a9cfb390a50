//! Gives Stream objects what became of their anchors, and then the relays of those streams.

use crate::api::call::within;
use crate::api::relays::{PostNotices, RelayNotice, relays_object};
use crate::api::side_by_side::side_by_side;
use crate::api::stream::{ApplyNotices, NoticesApplied, stream_object};
use crate::problem::{Kind, Problem};
use std::time::Duration;
use streamchain_edge_core::request_id::RequestId;
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::wire::Notice;
use worker::{Env, console_error};

/// Most notices in one call of a Stream object: each has a payload of 64 KiB at most.
const MAX_NOTICES_AT_ONCE: usize = 32;
/// Most Stream objects that are notified at a time: each may take as long as the time-out, and the others go on.
const MAX_STREAMS_AT_ONCE: usize = 32;
/// Most notices in one call of the Relays object: it keeps them all in one step.
const MAX_RELAY_NOTICES_AT_ONCE: usize = 256;
/// How long an object may take.
pub(crate) const OBJECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The notices for one stream, in the order of the chain.
pub(crate) struct StreamNotices {
    /// The stream.
    pub stream: StreamId,
    /// The notices.
    pub notices: Vec<Notice>,
    /// Whether they are about runs in rounds: then all runs before the first are on the chain too.
    pub in_rounds: bool,
}

/// What became of notices.
#[derive(Default)]
pub(crate) struct Notified {
    /// The last failure of a Stream object, if any.
    pub failed: Option<Problem>,
    /// Streams that lack the anchor over a message, although that of a later one was seen.
    pub missing: Vec<(StreamId, Seq)>,
}

/// Notifies the streams side by side, then their relays. A stream that fails does not keep the others waiting.
pub(crate) async fn notify(
    env: &Env,
    id: &RequestId,
    streams: Vec<StreamNotices>,
) -> Result<Notified, Problem> {
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
                for_relays.extend(one.notices.into_iter().map(|notice| RelayNotice {
                    relay: relay.clone(),
                    notice,
                }));
            }
            Err(error) => {
                console_error!("request {id}: notices: stream {}: {error}", one.stream);
                notified.failed = Some(error);
            }
        }
    }
    notify_relays(env, id, for_relays).await?;
    Ok(notified)
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
        match within(OBJECT_TIMEOUT, object.call(asked)).await {
            Ok(answer) => applied = answer,
            Err(problem) if problem.kind() == Kind::NoSuchStream => return Ok(applied),
            Err(problem) => return Err(problem),
        }
    }
    Ok(applied)
}

async fn notify_relays(env: &Env, id: &RequestId, mut notices: Vec<RelayNotice>) -> Result<(), Problem> {
    while !notices.is_empty() {
        let behind = notices.split_off(notices.len().min(MAX_RELAY_NOTICES_AT_ONCE));
        let relays = relays_object(env, id)?;
        within(OBJECT_TIMEOUT, relays.call(PostNotices { notices })).await?;
        notices = behind;
    }
    Ok(())
}
