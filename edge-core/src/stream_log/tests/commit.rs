use super::super::commit::MAX_BACKLOG_BYTES;
use super::*;

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
fn the_retry_of_the_last_batch_gets_the_same_answer() {
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

/// A commit that writes more than its batch: the stream's row, as a withdrawal was sent, or the rows of the producers too.
fn before_a_larger_commit(messages: u64) -> StreamLog<Memory> {
    let log = acquired();
    let withdrawn = [Some(Address::repeat_byte(9))];
    log.step(|log| log.withdraw(&withdrawn, UnixSec(1))).unwrap();
    let sent = log.commit_as_object(&relay("a"), &batch(1, 0, records(1, 0, messages)));
    assert_eq!(sent.unwrap().withdrawn.len(), 1);
    log
}

#[test]
fn a_commit_that_fails_behind_its_batch_is_done() {
    for (messages, writes) in [(1, 1), (4_096, 1), (4_096, 2)] {
        let log = before_a_larger_commit(messages);
        let next = batch(1, messages, records(1, messages, 2));
        log.rows().writes_left.set(Some(writes));
        let failed = log.commit_as_object(&relay("a"), &next);
        assert!(matches!(failed, Err(LogError::Store(_))), "{messages}, {writes}");
        log.rows().writes_left.set(None);
        for log in [log.restarted(), log] {
            assert_eq!(log.state().unwrap().head, Seq(messages + 2));
            let again = log.commit_as_object(&relay("a"), &next).unwrap();
            assert_eq!(again.committed, Seq(messages + 2));
            let behind = batch(1, messages + 2, records(1, messages + 2, 1));
            log.commit_as_object(&relay("a"), &behind).unwrap();
            let records = log.tail(&owner(), Seq(0), usize::MAX).unwrap().records;
            assert_eq!(decode_records(&records).unwrap().len() as u64, messages + 3);
        }
    }
}

#[test]
fn a_commit_that_fails_with_its_batch_leaves_nothing() {
    let log = before_a_larger_commit(1);
    let before = log.state().unwrap();
    log.rows().writes_left.set(Some(0));
    assert!(
        log.commit_as_object(&relay("a"), &batch(1, 1, records(1, 1, 1)))
            .is_err()
    );
    log.rows().writes_left.set(None);
    assert_eq!(log.restarted().state().unwrap(), before);
    assert_eq!(log.state().unwrap(), before);
}

#[test]
fn what_waits_in_the_inbox_is_committed_in_a_transaction() {
    let log = acquired();
    assert!(log.commits_in_one_write().unwrap());
    let waits = log.step(|log| log.append(&records(8, 0, 1))).unwrap();
    assert!(matches!(waits, Appended::Waits(_)));
    assert!(!log.commits_in_one_write().unwrap());
}

#[test]
fn a_producers_numbers_are_committed_in_order_each_once() {
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
        log.producer(
            &relay("a"),
            Epoch(1),
            ProducerId([number; 16]),
            Some(Address::repeat_byte(number)),
        )
        .unwrap()
        .stored
    };
    assert_eq!((stored(1), stored(2), stored(3)), (Some(4), Some(1), None));
}

#[test]
fn a_producers_state_is_answered_under_the_epoch_only() {
    let log = acquired();
    let asked = log.producer(&relay("a"), Epoch(0), ProducerId([1; 16]), None);
    assert_eq!(
        refusal(asked),
        Refusal::StaleEpoch {
            given: Epoch(0),
            epoch: Epoch(1)
        }
    );
    let asked = log.producer(&relay("b"), Epoch(1), ProducerId([1; 16]), None);
    assert_eq!(refusal(asked), Refusal::NotLeader { relay: relay("a") });
}

#[test]
fn a_backlog_stops_at_its_bound() {
    let log = acquired();
    let mut state = log.state().unwrap();
    state.backlog = MAX_BACKLOG_BYTES + 1;
    log.overwrite(&state).unwrap();
    let refused = refusal(log.commit(&relay("a"), &batch(1, 0, records(1, 0, 1))));
    assert_eq!(refused, Refusal::Backlog(MAX_BACKLOG_BYTES + 1));
}

#[test]
fn a_batch_of_another_epoch_is_refused_with_the_right_one() {
    let log = acquired();
    log.acquire_epoch(&relay("a"), run(2)).unwrap();
    for given in [1, 3, 0].map(Epoch) {
        let right = Refusal::StaleEpoch {
            given,
            epoch: Epoch(2),
        };
        let committed = log.commit(&relay("a"), &batch(given.0, 0, records(1, 0, 1)));
        assert_eq!(refusal(committed), right);
        let asked = log.producer(&relay("a"), given, ProducerId([1; 16]), None);
        assert_eq!(refusal(asked), right);
    }
}
