//! What becomes of a batch of the contract's events: notices for streams and their relays, anchors for the Anchorer.

use std::collections::{BTreeSet, HashSet};
use streamchain_chain::listener::{Batch, ChainEvent, EventKind};
use streamchain_protocol::ids::StreamId;
use streamchain_protocol::proof::{AnchorRef, AnchorState};
use streamchain_protocol::util::SortedMap;
use streamchain_protocol::wire::{Notice, NoticeEvent};

fn all(batch: &Batch) -> impl Iterator<Item = &ChainEvent> {
    batch.undone.iter().chain(&batch.seen).chain(&batch.finalized)
}

/// The streams that a batch is about.
pub fn streams(batch: &Batch) -> Vec<StreamId> {
    let named: BTreeSet<StreamId> = all(batch).map(|event| event.stream).collect();
    named.into_iter().collect()
}

/// The batch without the events of streams that are not known: the contract is open to everybody.
pub fn of_known(batch: &Batch, known: &HashSet<StreamId>) -> Batch {
    let kept = |events: &[ChainEvent]| -> Vec<ChainEvent> {
        let kept = events.iter().filter(|event| known.contains(&event.stream));
        kept.cloned().collect()
    };
    Batch {
        undone: kept(&batch.undone),
        seen: kept(&batch.seen),
        finalized: kept(&batch.finalized),
        final_to: batch.final_to,
    }
}

/// Each event of a batch with the state that it is in now, and whether it is seen for the first time: what a
/// reorganisation took back comes first.
pub fn with_states(batch: &Batch) -> impl Iterator<Item = (&ChainEvent, AnchorState, bool)> {
    let undone = batch.undone.iter();
    let undone = undone.map(|event| (event, AnchorState::Reverted, false));
    let seen = batch.seen.iter();
    let seen = seen.map(|event| (event, AnchorState::of(batch.is_final(event)), true));
    let finalized = batch.finalized.iter();
    let finalized = finalized.map(|event| (event, AnchorState::Final, false));
    undone.chain(seen).chain(finalized)
}

/// The notices of a batch, by stream, each stream's in the order of the chain.
pub fn by_stream(batch: &Batch) -> SortedMap<StreamId, Vec<Notice>> {
    let mut notices: SortedMap<StreamId, Vec<Notice>> = SortedMap::default();
    for (event, state, is_new) in with_states(batch) {
        let notice = notice(event, state, is_new);
        notices.or_default(event.stream).push(notice);
    }
    notices
}

/// The payload is sent once: with the first notice of an event.
fn notice(event: &ChainEvent, state: AnchorState, is_new: bool) -> Notice {
    let stream = event.stream.short();
    let event = match &event.kind {
        EventKind::Anchored {
            first, count, root, ..
        } => NoticeEvent::Anchored(AnchorRef {
            first: *first,
            count: (*count).into(),
            root: *root,
            tx: event.tx,
            block: event.block,
            state,
        }),
        EventKind::Published {
            author,
            payload,
            omitted,
        } => NoticeEvent::Chain {
            block: event.block,
            log_index: event.log_index,
            author: *author,
            payload: is_new.then(|| payload.clone()),
            omitted: omitted.filter(|_| is_new),
            tx: event.tx,
            state,
        },
    };
    Notice { stream, event }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, B256, Bytes};

    fn published(stream: u8, block: u64) -> ChainEvent {
        ChainEvent {
            block,
            block_hash: B256::repeat_byte(block as u8),
            log_index: 0,
            tx: B256::repeat_byte(5),
            stream: StreamId([stream; 32]),
            kind: EventKind::Published {
                author: Address::repeat_byte(6),
                payload: Bytes::from_static(b"hi"),
                omitted: None,
            },
        }
    }

    fn batch() -> Batch {
        Batch {
            undone: vec![published(1, 9)],
            seen: vec![published(1, 10), published(2, 20)],
            finalized: vec![published(1, 3)],
            final_to: Some(10),
        }
    }

    fn states(notices: &[Notice]) -> Vec<(u64, AnchorState, bool)> {
        let state = |notice: &Notice| match &notice.event {
            NoticeEvent::Chain {
                block,
                state,
                payload,
                ..
            } => (*block, *state, payload.is_some()),
            other => panic!("{other:?}"),
        };
        notices.iter().map(state).collect()
    }

    #[test]
    fn each_stream_hears_of_its_events_with_their_states() {
        use AnchorState::{Anchored, Final, Reverted};
        let notices = by_stream(&batch());
        let of = |byte| states(notices.get(&StreamId([byte; 32])).unwrap());
        assert_eq!(
            of(1),
            [(9, Reverted, false), (10, Final, true), (3, Final, false)]
        );
        assert_eq!(of(2), [(20, Anchored, true)]);
    }

    #[test]
    fn events_of_streams_that_are_not_known_are_left_out() {
        assert_eq!(streams(&batch()), [StreamId([1; 32]), StreamId([2; 32])]);
        let known = HashSet::from([StreamId([2; 32])]);
        let left = of_known(&batch(), &known);
        assert_eq!(
            (left.undone.len(), left.seen.len(), left.finalized.len()),
            (0, 1, 0)
        );
        assert!(of_known(&batch(), &HashSet::new()).is_empty());
    }
}
