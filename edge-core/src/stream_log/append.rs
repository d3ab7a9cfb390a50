//! Messages that come by HTTP instead of a data channel.
//!
//! What always holds: while a relay leads the stream only that relay gives seqs, so the messages wait for it to fetch
//! them. The edge commits them itself only under an epoch of its own, so that a relay that comes back late is refused.

use super::commit::commit;
use super::error::{LogError, Refusal};
use super::groups::Publication;
use super::live::Live;
use super::state::ProducerMark;
use super::store::{LogStore, Step};
use streamchain_protocol::ids::{Epoch, Incarnation, RelayId, Seq};
use streamchain_protocol::wire::{Batch, Record, decode_records};

/// The run under which the edge leads a stream: there is only one edge.
const EDGE_RUN: Incarnation = Incarnation([0; 8]);

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It is committed, under this seq if that is still remembered.
    Committed(Option<Seq>),
    /// It waits for this relay.
    Waits(RelayId),
}

/// Takes a message or a group, once: asked again with the same producer and numbers, returns what became of it.
pub(super) fn append<S: LogStore>(live: &mut Live, store: &S, records: &[Record]) -> Step<Appended, S> {
    let publication = Publication::of(live.state.id, records)?;
    let producer = publication.producer;
    let seq = || store.seq_of(producer, publication.first).map_err(LogError::Store);
    let committed = live.producer(store, producer).map_err(LogError::Store)?;
    if let Some(mark) = committed.filter(|mark| publication.last() <= mark.last) {
        publication.check_repeats(mark)?;
        return Ok(Appended::Committed(seq()?));
    }
    let waiting = store.last_waiting(producer).map_err(LogError::Store)?;
    match waiting.filter(|mark| publication.last() <= mark.last) {
        Some(mark) => publication.check_repeats(mark)?,
        None => {
            publication.check_follows(waiting.or(committed))?;
            if let Some(seq) = append_next(live, store, &publication)? {
                return Ok(Appended::Committed(Some(seq)));
            }
        }
    }
    if let Some(relay) = live.state.relay_leader() {
        return Ok(Appended::Waits(relay.clone()));
    }
    commit_waiting(live, store)?;
    Ok(Appended::Committed(seq()?))
}

/// Returns what became of records that [`append`] took. Asked again and again while they wait, so nothing is hashed meanwhile.
pub(super) fn appended<S: LogStore>(live: &mut Live, store: &S, records: &[Record]) -> Step<Appended, S> {
    let last = records.last().ok_or(Refusal::NotOnePublication)?;
    let covers = |mark: ProducerMark| last.producer_seq <= mark.last;
    let committed = live
        .producer(store, last.producer_key())
        .map_err(LogError::Store)?;
    let waiting = store.last_waiting(last.producer_key()).map_err(LogError::Store)?;
    match live.state.relay_leader() {
        Some(relay) if waiting.is_some_and(covers) && !committed.is_some_and(covers) => {
            Ok(Appended::Waits(relay.clone()))
        }
        _ => append(live, store, records),
    }
}

/// Takes what its producer publishes next: returns the seq when it is committed, `None` when it waits.
fn append_next<S: LogStore>(
    live: &mut Live,
    store: &S,
    publication: &Publication<'_>,
) -> Step<Option<Seq>, S> {
    let is_signed = publication.digest().is_some();
    if !is_signed && !live.state.settings.signed.is_optional() {
        return Err(Refusal::SignatureRequired.into());
    }
    let has_leader = live.state.relay_leader().is_some();
    if !has_leader && live.state.inbox.messages == 0 {
        let head = live.state.head;
        commit_as_edge(live, store, publication.records.to_vec())?;
        return Ok(Some(head));
    }
    if has_leader && is_signed && !live.state.takes_groups {
        return Err(Refusal::NoGroupsAtRelay.into());
    }
    live.state.inbox.add(store, publication)?;
    Ok(None)
}

/// Ends the leadership of a relay that has nothing uncommitted; the edge then commits what waits. A relay that does not
/// lead the stream under this epoch follows it no longer.
pub(super) fn release<S: LogStore>(live: &mut Live, store: &S, relay: &RelayId, epoch: Epoch) -> Step<(), S> {
    if live.state.check_leader(relay, epoch).is_err() {
        live.state.unfollow(relay);
        return Ok(());
    }
    live.state.leader = None;
    commit_waiting(live, store)
}

/// Commits what waits for a relay that is dead, unless another relay leads the stream.
pub(super) fn take_over<S: LogStore>(live: &mut Live, store: &S, dead: &RelayId) -> Step<(), S> {
    match live.state.relay_leader() {
        Some(leader) if leader != dead => Ok(()),
        _ => commit_waiting(live, store),
    }
}

/// Commits all that waits, under an epoch of the edge's own.
pub(super) fn commit_waiting<S: LogStore>(live: &mut Live, store: &S) -> Step<(), S> {
    while live.state.inbox.messages > 0 {
        let (before, head) = (live.state.inbox.messages, live.state.head);
        let bytes = live.state.inbox.records(store, true).map_err(LogError::Store)?;
        let records = decode_records(&bytes).map_err(|_| LogError::Corrupt(head))?;
        commit_as_edge(live, store, records)?;
        if live.state.inbox.messages >= before {
            return Err(LogError::Corrupt(head));
        }
    }
    Ok(())
}

/// Commits records behind the head, under an epoch of the edge's own.
fn commit_as_edge<S: LogStore>(live: &mut Live, store: &S, records: Vec<Record>) -> Step<(), S> {
    let edge = RelayId::edge();
    let (epoch, first) = live.state.grant_epoch(&edge, EDGE_RUN);
    let batch = Batch {
        epoch,
        first,
        records,
    };
    commit(live, store, &edge, &batch).map(drop)
}
