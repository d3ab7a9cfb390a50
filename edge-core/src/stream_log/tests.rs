use super::memory::Memory;
use super::*;
use alloy_primitives::{Address, B256, Bytes};
use streamchain_protocol::auth::Right;
use streamchain_protocol::ids::Incarnation;
use streamchain_protocol::limits::SEGMENT_MAX_MESSAGES;
use streamchain_protocol::proof::merkle::Tree;
use streamchain_protocol::proof::{AnchorRef, leaves};
use streamchain_protocol::stream_settings::{Mode, ReadAccess, SettingsChange, StreamSettings};
use streamchain_protocol::wire::{Record, decode_records};

pub(super) fn relay(id: &str) -> RelayId {
    id.parse().unwrap()
}

pub(super) fn run(number: u8) -> Incarnation {
    Incarnation([number; 8])
}

pub(super) fn new_stream() -> NewStream {
    NewStream {
        owner: Address::repeat_byte(7),
        name: "demo".parse().unwrap(),
        settings: StreamSettings::default(),
    }
}

/// `count` records of one producer, numbered from `number` on.
pub(super) fn records(producer: u8, number: u64, count: u64) -> Vec<Record> {
    let record = |producer_seq: u64| Record {
        time: 1_700_000_000_000,
        author: Address::repeat_byte(producer),
        producer: ProducerId([producer; 16]),
        producer_seq,
        payload: Bytes::from(format!("{producer}/{producer_seq}").into_bytes()),
    };
    (number..number + count).map(record).collect()
}

pub(super) fn batch(epoch: u64, first: u64, records: Vec<Record>) -> Batch {
    Batch {
        epoch: Epoch(epoch),
        first: Seq(first),
        records,
    }
}

fn session(number: u8, relay_id: &str, created: u64) -> Session {
    Session {
        id: SessionId([number; 8]),
        author: Address::repeat_byte(1),
        relay: relay(relay_id),
        created,
    }
}

/// A stream that relay `a` has taken up under epoch 1.
fn acquired() -> StreamLog<Memory> {
    let log = StreamLog::in_memory();
    log.step(|log| log.create(&new_stream(), 1_000)).unwrap();
    log.step(|log| log.acquire_epoch(&relay("a"), run(1))).unwrap();
    log
}

fn refusal<T: std::fmt::Debug>(step: Step<T, Memory>) -> Refusal {
    match step {
        Err(LogError::Refused(refusal)) => refusal,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn a_stream_is_made_once_and_nothing_is_there_before() {
    let log = StreamLog::in_memory();
    assert_eq!(refusal(log.state()), Refusal::NoSuchStream);
    let (state, created) = log.create(&new_stream(), 5).unwrap();
    assert!(created && state.created == 5 && state.head == Seq(0));
    let (again, created) = log.create(&new_stream(), 9).unwrap();
    assert!(!created);
    assert_eq!(again, state);
}

#[test]
fn the_same_run_of_a_relay_gets_the_same_epoch_and_another_run_a_higher_one() {
    let log = acquired();
    let epoch = |id: &str, incarnation| {
        log.acquire_epoch(&relay(id), incarnation)
            .map(|taken| taken.epoch.0)
    };
    assert_eq!(epoch("a", run(1)).unwrap(), 1);
    assert_eq!(epoch("a", run(2)).unwrap(), 2);
    assert_eq!(
        refusal(epoch("b", run(1))),
        Refusal::NotLeader { relay: relay("a") }
    );
}

#[test]
fn a_relay_that_was_replaced_can_store_nothing_more() {
    let log = acquired();
    log.commit(&relay("a"), &batch(1, 0, records(1, 0, 2))).unwrap();
    assert!(log.open_session(&session(1, "b", 0), Some(&relay("a"))).unwrap());
    // Until the new relay takes the stream up, the old one goes on.
    log.commit(&relay("a"), &batch(1, 2, records(1, 2, 1))).unwrap();
    let taken = log.acquire_epoch(&relay("b"), run(1)).unwrap();
    assert_eq!((taken.epoch, taken.head), (Epoch(2), Seq(3)));
    let late = log.commit(&relay("a"), &batch(1, 3, records(1, 3, 1)));
    assert_eq!(
        refusal(late),
        Refusal::StaleEpoch {
            given: Epoch(1),
            epoch: Epoch(2)
        }
    );
    let thief = log.commit(&relay("a"), &batch(2, 3, records(1, 3, 1)));
    assert_eq!(refusal(thief), Refusal::NotLeader { relay: relay("b") });
    assert_eq!(
        refusal(log.acquire_epoch(&relay("a"), run(1))),
        Refusal::NotLeader { relay: relay("b") }
    );
}

#[test]
fn a_batch_must_begin_at_the_head() {
    let log = acquired();
    assert_eq!(
        log.commit(&relay("a"), &batch(1, 0, records(1, 0, 3)))
            .unwrap()
            .committed,
        Seq(3)
    );
    for first in [0, 2, 4] {
        let refused = refusal(log.commit(&relay("a"), &batch(1, first, records(1, 3, 1))));
        assert_eq!(
            refused,
            Refusal::Gap {
                given: Seq(first),
                expected: Seq(3)
            }
        );
    }
}

#[test]
fn the_retry_of_the_last_batch_is_answered_like_the_first_time_and_stores_nothing() {
    let log = acquired();
    let first = batch(1, 0, records(1, 0, 3));
    log.commit(&relay("a"), &first).unwrap();
    let before = log.state().unwrap();
    assert_eq!(log.commit(&relay("a"), &first).unwrap().committed, Seq(3));
    assert_eq!((log.state().unwrap(), log.batches_kept()), (before, 1));
    let changed = batch(1, 0, records(2, 0, 3));
    assert_eq!(
        refusal(log.commit(&relay("a"), &changed)),
        Refusal::Gap {
            given: Seq(0),
            expected: Seq(3)
        }
    );
}

#[test]
fn a_producers_numbers_are_stored_in_order_each_once() {
    let log = acquired();
    let producer = ProducerId([1; 16]);
    let conflict = |given, stored| Refusal::ProducerConflict {
        producer,
        given,
        stored,
    };
    let late_start = log.commit(&relay("a"), &batch(1, 0, records(1, 1, 1)));
    assert_eq!(refusal(late_start), conflict(1, None));
    log.commit(&relay("a"), &batch(1, 0, records(1, 0, 3))).unwrap();
    assert_eq!(
        refusal(log.commit(&relay("a"), &batch(1, 3, records(1, 2, 1)))),
        conflict(2, Some(2))
    );
    assert_eq!(
        refusal(log.commit(&relay("a"), &batch(1, 3, records(1, 4, 1)))),
        conflict(4, Some(2))
    );
    let mut mixed = records(1, 3, 1);
    mixed.extend(records(2, 0, 2));
    mixed.extend(records(1, 4, 1));
    log.commit(&relay("a"), &batch(1, 3, mixed)).unwrap();
    let stored = |number| {
        log.producer(&relay("a"), Epoch(1), ProducerId([number; 16]))
            .unwrap()
            .stored
    };
    assert_eq!((stored(1), stored(2), stored(3)), (Some(4), Some(1), None));
}

#[test]
fn how_far_a_producer_got_is_told_under_the_epoch_only() {
    let log = acquired();
    let asked = log.producer(&relay("a"), Epoch(0), ProducerId([1; 16]));
    assert_eq!(
        refusal(asked),
        Refusal::StaleEpoch {
            given: Epoch(0),
            epoch: Epoch(1)
        }
    );
    let asked = log.producer(&relay("b"), Epoch(1), ProducerId([1; 16]));
    assert_eq!(refusal(asked), Refusal::NotLeader { relay: relay("a") });
}

#[test]
fn a_sealed_segment_stays_the_same_whatever_is_committed_meanwhile() {
    let log = acquired();
    log.commit(&relay("a"), &batch(1, 0, records(1, 0, 2))).unwrap();
    log.commit(&relay("a"), &batch(1, 2, records(1, 2, 3))).unwrap();
    let (sealed, blob) = log.seal().unwrap().unwrap();
    assert_eq!((sealed.first, sealed.count), (Seq(0), 5));
    log.commit(&relay("a"), &batch(1, 5, records(1, 5, 1))).unwrap();
    assert_eq!(
        log.seal().unwrap().unwrap(),
        (sealed.clone(), blob.clone()),
        "a crash, and then the same again"
    );
    let root = Tree::new(&leaves(log.state().unwrap().id, Seq(0), &blob).unwrap())
        .unwrap()
        .root();
    assert_eq!(sealed.root, root);

    log.flushed(&sealed, blob.len()).unwrap();
    log.flushed(&sealed, blob.len()).unwrap();
    assert_eq!((log.state().unwrap().flushed, log.batches_kept()), (Seq(5), 1));
    let (next, _) = log.seal().unwrap().unwrap();
    assert_eq!((next.first, next.count), (Seq(5), 1));
}

#[test]
fn a_segment_is_kept_in_mind_until_the_anchorer_knows_it() {
    let log = acquired();
    log.listed(StreamSettings::default()).unwrap();
    assert!(!log.has_work().unwrap());
    log.commit(&relay("a"), &batch(1, 0, records(1, 0, 1))).unwrap();
    let (sealed, blob) = log.seal().unwrap().unwrap();
    assert!(
        log.unacked_segments(10).unwrap().is_empty(),
        "the database does not have it yet"
    );
    log.flushed(&sealed, blob.len()).unwrap();
    let unacked_segments = log.unacked_segments(10).unwrap();
    assert_eq!(
        unacked_segments,
        [Segment {
            stored: true,
            ..sealed
        }]
    );
    assert!(log.has_work().unwrap());
    log.ack_segments(&unacked_segments).unwrap();
    assert!(!log.has_work().unwrap());
}

#[test]
fn batches_are_joined_whole_and_no_further_than_a_segment_may_be() {
    let log = acquired();
    let half = SEGMENT_MAX_MESSAGES as u64 / 2 + 1;
    log.commit(&relay("a"), &batch(1, 0, records(1, 0, half)))
        .unwrap();
    log.commit(&relay("a"), &batch(1, half, records(1, half, half)))
        .unwrap();
    let (sealed, blob) = log.seal().unwrap().unwrap();
    assert_eq!(sealed.count, half);
    log.flushed(&sealed, blob.len()).unwrap();
    assert_eq!(
        log.state().unwrap().backlog as usize,
        log.seal().unwrap().unwrap().1.len()
    );
}

#[test]
fn a_reader_finds_below_flushed_nothing_and_above_it_everything() {
    let log = acquired();
    log.commit(&relay("a"), &batch(1, 0, records(1, 0, 4))).unwrap();
    let (sealed, blob) = log.seal().unwrap().unwrap();
    log.flushed(&sealed, blob.len()).unwrap();
    log.commit(&relay("a"), &batch(1, 4, records(1, 4, 2))).unwrap();
    log.commit(&relay("a"), &batch(1, 6, records(1, 6, 2))).unwrap();
    let tail = |from| log.tail(Seq(from), 1 << 20).unwrap();
    let count = |tail: &Tail| decode_records(&tail.records).unwrap().len();
    assert_eq!(
        (tail(0).first, count(&tail(0)), tail(0).state.flushed),
        (Seq(4), 4, Seq(4))
    );
    assert_eq!(
        (tail(7).first, count(&tail(7))),
        (Seq(6), 2),
        "whole batches: the reader passes over the rest"
    );
    assert_eq!((tail(8).first, count(&tail(8))), (Seq(8), 0));
    assert_eq!(count(&log.tail(Seq(4), 1).unwrap()), 2, "one batch at least");
}

#[test]
fn sessions_meet_at_one_relay_even_when_two_are_opened_at_once() {
    let log = StreamLog::in_memory();
    log.create(&new_stream(), 0).unwrap();
    assert!(log.open_session(&session(1, "a", 0), None).unwrap());
    assert!(
        !log.open_session(&session(2, "b", 0), None).unwrap(),
        "it must choose again"
    );
    assert!(log.open_session(&session(2, "a", 0), Some(&relay("a"))).unwrap());
    assert!(
        log.open_session(&session(3, "b", 0), Some(&relay("a"))).unwrap(),
        "relay a died"
    );
    assert_eq!(log.state().unwrap().assigned, Some(relay("b")));
}

#[test]
fn a_session_is_ended_by_its_author_alone_and_forgotten_in_a_day() {
    let log = StreamLog::in_memory();
    log.create(&new_stream(), 0).unwrap();
    log.open_session(&session(1, "a", 0), None).unwrap();
    let id = SessionId([1; 8]);
    let stranger = log.session_of(id, Address::repeat_byte(2));
    assert_eq!(refusal(stranger), Refusal::NotYourSession);
    assert_eq!(
        log.session_of(id, Address::repeat_byte(1)).unwrap().relay,
        relay("a")
    );
    log.open_session(&session(2, "a", sessions::SESSION_LIFE_MS + 1), Some(&relay("a")))
        .unwrap();
    assert_eq!(
        (log.sessions_kept(), refusal(log.session_of(id, Address::ZERO))),
        (1, Refusal::NoSuchSession)
    );
}

#[test]
fn what_the_chain_says_moves_the_marks_and_may_be_said_twice() {
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
        let state = log.mark(&anchor).unwrap();
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

#[test]
fn a_backlog_that_the_database_does_not_take_stops_at_its_bound() {
    let log = acquired();
    let mut state = log.state().unwrap();
    state.backlog = BACKLOG_MAX_BYTES + 1;
    log.rows().put_state(&state).unwrap();
    let refused = refusal(log.commit(&relay("a"), &batch(1, 0, records(1, 0, 1))));
    assert_eq!(refused, Refusal::Backlog(BACKLOG_MAX_BYTES + 1));
}

/// A stream of this mode with one batch of `count` messages of 3,000 bytes each.
fn emitting(mode: Mode, count: u64) -> StreamLog<Memory> {
    let log = acquired();
    let change = SettingsChange {
        mode: Some(mode),
        prove: Some(true),
        ..SettingsChange::default()
    };
    log.change_settings(&change).unwrap();
    let mut large = records(1, 0, count);
    for record in &mut large {
        record.payload = vec![record.producer_seq as u8; 3_000].into();
    }
    log.commit(&relay("a"), &batch(1, 0, large)).unwrap();
    log
}

#[test]
fn what_goes_on_chain_is_cut_to_what_a_transaction_takes_even_inside_a_batch() {
    let log = emitting(Mode::Payload, 60);
    let mut counts = Vec::new();
    let mut next = 0;
    while let Some((sealed, blob)) = log.seal().unwrap() {
        let (again, same) = log.seal().unwrap().unwrap();
        assert_eq!(
            (again, &same),
            (sealed.clone(), &blob),
            "a retry writes the very same segment"
        );
        let numbers: Vec<u64> = decode_records(&blob)
            .unwrap()
            .iter()
            .map(|it| it.producer_seq)
            .collect();
        let expected: Vec<u64> = (next..next + sealed.count).collect();
        assert_eq!(numbers, expected, "each message once, in order");
        assert_eq!((sealed.mode, sealed.prove), (Mode::Payload, true));
        next = sealed.end().0;
        counts.push(sealed.count);
        log.flushed(&sealed, blob.len()).unwrap();
    }
    assert_eq!(counts, [25, 25, 10]);
    assert_eq!(log.batches_kept(), 0);
    assert_eq!(log.state().unwrap().backlog, 0);
}

#[test]
fn a_mode_that_changes_inside_a_batch_holds_from_the_next_segment_on() {
    let log = emitting(Mode::Hash, 60);
    let (sealed, blob) = log.seal().unwrap().unwrap();
    log.flushed(&sealed, blob.len()).unwrap();
    let change = SettingsChange {
        mode: Some(Mode::Root),
        ..SettingsChange::default()
    };
    log.change_settings(&change).unwrap();
    log.commit(&relay("a"), &batch(1, 60, records(1, 60, 5))).unwrap();
    let (rest, _) = log.seal().unwrap().unwrap();
    assert_eq!((sealed.count, sealed.mode), (25, Mode::Hash));
    assert_eq!((rest.first, rest.count, rest.mode), (Seq(25), 40, Mode::Root));
}

#[test]
fn a_changed_setting_is_written_to_the_database_again() {
    let log = acquired();
    let before = log.state().unwrap().settings;
    log.step(|log| log.listed(before)).unwrap();
    assert!(!log.has_work().unwrap());
    let change = SettingsChange {
        read: Some(ReadAccess::Private),
        ..SettingsChange::default()
    };
    let after = log.step(|log| log.change_settings(&change)).unwrap();
    assert_eq!(
        (after.settings.read, after.settings.mode, after.listed),
        (ReadAccess::Private, Mode::Root, false)
    );
    // The write that was under way had the old settings.
    log.step(|log| log.listed(before)).unwrap();
    assert!(
        log.has_work().unwrap(),
        "the new settings are not in the database"
    );
    log.step(|log| log.listed(after.settings)).unwrap();
    assert!(!log.has_work().unwrap());
}

#[test]
fn a_member_has_its_rights_until_they_are_taken_away() {
    let log = acquired();
    let (member, rights) = (Address::repeat_byte(5), Rights::of(&[Right::Write]));
    let given = |log: &StreamLog<Memory>| log.access(Some(member)).unwrap().member;
    assert_eq!(given(&log), Rights::NONE);
    log.step(|log| log.put_member(member, rights)).unwrap();
    assert_eq!(given(&log), rights);
    assert_eq!(log.access(None).unwrap().member, Rights::NONE);
    log.step(|log| log.drop_member(member)).unwrap();
    assert_eq!(given(&log), Rights::NONE);
    let again = log.step(|log| log.drop_member(member));
    assert!(matches!(again, Err(LogError::Refused(Refusal::NoSuchMember(_)))));
}

#[test]
fn a_stream_has_so_many_members_and_no_more() {
    let log = acquired();
    let member =
        |index: usize| Address::from_word(alloy_primitives::B256::from(alloy_primitives::U256::from(index)));
    for index in 0..MEMBERS_MAX {
        log.put_member(member(index), Rights::ALL).unwrap();
    }
    let surplus = log.step(|log| log.put_member(member(MEMBERS_MAX), Rights::ALL));
    assert!(matches!(surplus, Err(LogError::Refused(Refusal::TooManyMembers))));
    log.step(|log| log.put_member(member(0), Rights::NONE)).unwrap();
}
