use super::super::events::MAX_EVENTS;
use super::*;
use streamchain_protocol::time::UnixMs;

fn stream() -> StreamLog<Memory> {
    let log = StreamLog::in_memory();
    log.create(&new_stream(), UnixMs(0)).unwrap();
    log
}

fn anchored(first: u64, state: AnchorState) -> NoticeEvent {
    NoticeEvent::Anchored(AnchorRef {
        first: Seq(first),
        count: 5,
        root: B256::ZERO,
        tx: B256::repeat_byte(1),
        block: 9,
        state,
    })
}

fn published(payload: Option<&[u8]>, state: AnchorState) -> NoticeEvent {
    NoticeEvent::Chain {
        block: 9,
        log_index: 2,
        author: Address::ZERO,
        payload: payload.map(Bytes::copy_from_slice),
        omitted: None,
        tx: B256::repeat_byte(2),
        state,
    }
}

fn names(log: &StreamLog<Memory>, after: u64) -> Vec<(u64, String)> {
    let cursor = Cursor {
        event: after,
        seq: Seq(0),
    };
    let news = log.news(&owner(), cursor, usize::MAX).unwrap();
    news.events
        .into_iter()
        .map(|event| (event.number, event.name))
        .collect()
}

fn marks(log: &StreamLog<Memory>) -> (u64, u64, Option<u64>) {
    let state = log.state().unwrap();
    (
        state.anchored.0,
        state.finalized.0,
        state.missing_anchor().map(|seq| seq.0),
    )
}

#[test]
fn a_mark_never_passes_a_run_that_does_not_begin_at_it() {
    use AnchorState::{Anchored, Final, Reverted};
    let log = acquired();
    log.commit(&relay("a"), &batch(1, 0, records(1, 0, 20))).unwrap();
    let say = |first, state| log.apply_notice(&anchored(first, state)).map(drop).unwrap();
    say(5, Anchored);
    assert_eq!(marks(&log), (0, 0, Some(0)));
    say(10, Final);
    assert_eq!(marks(&log), (0, 0, Some(0)));
    say(0, Anchored);
    assert_eq!(marks(&log), (15, 0, None));
    say(0, Final);
    assert_eq!(marks(&log), (15, 5, None));
    say(5, Final);
    assert_eq!(marks(&log), (15, 15, None));
    say(15, Anchored);
    say(15, Reverted);
    assert_eq!(marks(&log), (15, 15, None));
}

#[test]
fn a_run_in_a_round_vouches_for_those_before_it() {
    use AnchorState::{Anchored, Final, Reverted};
    let log = acquired();
    log.commit(&relay("a"), &batch(1, 0, records(1, 0, 20))).unwrap();
    let say = |first, state| log.apply_round(&anchored(first, state)).map(drop).unwrap();
    say(10, Reverted);
    assert_eq!(marks(&log), (0, 0, None));
    say(5, Anchored);
    assert_eq!(marks(&log), (10, 0, None));
    say(10, Final);
    assert_eq!(marks(&log), (15, 15, None));
    say(15, Anchored);
    say(15, Reverted);
    assert_eq!(marks(&log), (15, 15, None));
    say(40, Final);
    assert_eq!(marks(&log), (20, 20, None), "never behind the head");
}

#[test]
fn a_run_in_a_round_vouches_for_no_own_anchor() {
    use AnchorState::{Anchored, Final};
    let log = acquired();
    log.commit(&relay("a"), &batch(1, 0, records(1, 0, 20))).unwrap();
    log.change(|state, _| {
        state.begin_runs(Seq(5));
        Ok(())
    })
    .unwrap();
    let round = |first, state| log.apply_round(&anchored(first, state)).map(drop).unwrap();
    let own = |first, state| log.apply_notice(&anchored(first, state)).map(drop).unwrap();
    round(10, Anchored);
    assert_eq!(marks(&log), (0, 0, Some(0)), "its own anchor was not seen");
    own(0, Anchored);
    round(10, Final);
    assert_eq!(marks(&log), (15, 0, None));
    own(0, Final);
    round(10, Final);
    assert_eq!(marks(&log), (15, 15, None));
}

#[test]
fn a_run_ahead_that_is_taken_back_is_forgotten() {
    use AnchorState::{Anchored, Reverted};
    let log = acquired();
    log.commit(&relay("a"), &batch(1, 0, records(1, 0, 20))).unwrap();
    let say = |first, state| log.apply_notice(&anchored(first, state)).map(drop).unwrap();
    say(10, Anchored);
    say(10, Reverted);
    assert_eq!(marks(&log), (0, 0, None));
    say(0, Anchored);
    assert_eq!(marks(&log), (5, 0, None));
}

#[test]
fn a_repeated_notice_is_one_event_and_a_reverted_one_returns() {
    use AnchorState::{Anchored, Final, Reverted};
    let log = stream();
    let notices = [
        published(Some(b"hi"), Anchored),
        published(Some(b"hi"), Anchored),
        published(None, Reverted),
        published(None, Reverted),
        published(Some(b"hi"), Anchored),
        published(None, Final),
        published(Some(b"hi"), Anchored),
        anchored(0, Anchored),
        anchored(0, Final),
        anchored(0, Final),
    ];
    for event in &notices {
        log.step(|log| log.apply_notice(event)).unwrap();
    }
    let expected = ["chain", "reorg", "chain", "final", "anchored", "final"];
    let expected: Vec<_> = (1..).zip(expected.map(str::to_owned)).collect();
    assert_eq!(names(&log, 0), expected);
    assert_eq!(
        names(&log, 4),
        expected[4..],
        "a reader goes on exactly behind its last event"
    );
    assert_eq!(names(&log, 6), []);
}

#[test]
fn the_newest_events_are_kept_within_both_bounds() {
    let log = stream();
    for first in 0..MAX_EVENTS + 10 {
        log.apply_notice(&anchored(first * 5, AnchorState::Anchored))
            .unwrap();
    }
    let events = log.state().unwrap().events;
    assert_eq!((events.first, events.next), (11, MAX_EVENTS + 11));
    let large = vec![7; 5 << 20];
    log.apply_notice(&published(Some(&large), AnchorState::Anchored))
        .unwrap();
    let mut again = published(Some(&large), AnchorState::Anchored);
    if let NoticeEvent::Chain { block, .. } = &mut again {
        *block += 1;
    }
    log.apply_notice(&again).unwrap();
    let events = log.state().unwrap().events;
    assert_eq!(
        events.next - events.first,
        1,
        "one that is above the bound alone is kept alone"
    );
    assert!(events.bytes < 11 << 20, "{}", events.bytes);
}

#[test]
fn anchors_move_anchored_and_finalized_and_may_be_repeated() {
    let log = acquired();
    log.commit(&relay("a"), &batch(1, 0, records(1, 0, 10))).unwrap();
    let marks = |first, end, said| {
        let anchor = AnchorRef {
            first: Seq(first),
            count: end - first,
            root: B256::ZERO,
            tx: B256::ZERO,
            block: 1,
            state: said,
        };
        let state = log.apply_notice(&NoticeEvent::Anchored(anchor)).unwrap();
        (state.anchored.0, state.finalized.0)
    };
    assert_eq!(marks(0, 4, AnchorState::Anchored), (4, 0));
    assert_eq!(marks(4, 8, AnchorState::Anchored), (8, 0));
    assert_eq!(marks(0, 4, AnchorState::Final), (8, 4));
    assert_eq!(marks(4, 8, AnchorState::Reverted), (4, 4));
    assert_eq!(marks(4, 8, AnchorState::Reverted), (4, 4));
    assert_eq!(marks(0, 4, AnchorState::Anchored), (4, 4));
    assert_eq!(
        marks(4, 99, AnchorState::Anchored),
        (10, 4),
        "never above the head"
    );
}
