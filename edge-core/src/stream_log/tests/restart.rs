//! A commit writes its batch alone; an object that is started anew knows what the one before it knew.

use super::*;

fn commit(log: &StreamLog<Memory>, first: u64, count: u64) -> Committed {
    log.step(|log| log.commit(&relay("a"), &batch(1, first, records(1, first, count))))
        .unwrap()
}

/// Runs a step; returns how many rows it wrote.
fn rows_of<T>(log: &StreamLog<Memory>, step: impl FnOnce(&StreamLog<Memory>) -> T) -> u64 {
    let before = log.writes();
    step(log);
    log.writes() - before
}

#[test]
fn a_commit_writes_one_row() {
    let log = acquired();
    for first in [0, 2, 4] {
        assert_eq!(rows_of(&log, |log| commit(log, first, 2)), 1);
    }
    assert_eq!(rows_of(&log, |log| commit(log, 4, 2)), 0, "a retry writes none");
    assert_eq!(rows_of(&log.restarted(), |log| commit(log, 6, 2)), 1);
}

#[test]
fn a_message_of_the_edge_writes_its_batch_and_its_seq() {
    let log = StreamLog::in_memory();
    log.create(&new_stream(), UnixMs(0)).unwrap();
    let append = |log: &StreamLog<Memory>, number| {
        let record = records(1, number, 1).remove(0);
        log.step(|log| log.append(std::slice::from_ref(&record))).unwrap()
    };
    append(&log, 0); // takes the epoch
    assert_eq!(rows_of(&log, |log| append(log, 1)), 2);
}

#[test]
fn a_segment_that_is_acked_at_once_costs_few_rows() {
    let log = acquired();
    commit(&log, 0, 2);
    commit(&log, 2, 2);
    let (made, blob) = log.next_segment().unwrap().unwrap();
    let flush = |log: &StreamLog<Memory>| log.mark_flushed_and_acked(&made, blob.len()).unwrap();
    // Its stream's row, one producer, and the batches; before it, its intent in the stream's row.
    assert_eq!(rows_of(&log, flush), 3);
    assert_eq!(log.unacked_segments(10).unwrap(), []);
    assert!(!log.has_unflushed().unwrap() || !log.state().unwrap().listed);
}

#[test]
fn a_restart_keeps_head_backlog_producers_and_retries() {
    let log = acquired();
    commit(&log, 0, 3);
    commit(&log, 3, 2);
    let after = log.restarted();
    assert_eq!(after.state().unwrap(), log.state().unwrap());
    let stored = |log: &StreamLog<Memory>, author| {
        let asked = log.producer(&relay("a"), Epoch(1), ProducerId([1; 16]), author);
        asked.unwrap().stored
    };
    for author in [Some(Address::repeat_byte(1)), None] {
        assert_eq!(stored(&after, author), Some(4), "{author:?}");
    }
    assert_eq!(
        commit(&after, 3, 2).committed,
        Seq(5),
        "the retry of the last batch"
    );
    let again = after.commit(&relay("a"), &batch(1, 5, records(1, 4, 1)));
    assert!(matches!(
        refusal(again),
        Refusal::ProducerConflict { stored: Some(4), .. }
    ));
    assert_eq!(commit(&after, 5, 1).committed, Seq(6));
}

#[test]
fn a_segment_made_before_a_restart_is_written_as_it_was() {
    let log = acquired();
    commit(&log, 0, 2);
    let made = log.next_segment().unwrap().unwrap();
    let log = log.restarted();
    commit(&log, 2, 2);
    assert_eq!(log.next_segment().unwrap().unwrap(), made);
    log.mark_flushed(&made.0, made.1.len()).unwrap();
    let log = log.restarted();
    assert_eq!(log.state().unwrap().flushed, Seq(2));
    assert_eq!(log.next_segment().unwrap().unwrap().0.segment.first, Seq(2));
}

#[test]
fn a_segment_that_the_version_before_made_is_written_first() {
    let log = acquired();
    commit(&log, 0, 2);
    commit(&log, 2, 1);
    let (whole, _) = log.next_segment().unwrap().unwrap();
    let mut state = acquired().state().unwrap();
    (state.head, state.backlog) = (Seq(3), log.state().unwrap().backlog);
    let log = log.restarted();
    log.overwrite(&state).unwrap();
    let cut = OutboxSegment {
        segment: Segment {
            count: 2,
            ..whole.segment
        },
        ..whole
    };
    log.rows().put_segment(&cut).unwrap();
    let (made, blob) = log.next_segment().unwrap().unwrap();
    assert_eq!(made, cut);
    log.mark_flushed_and_acked(&made, blob.len()).unwrap();
    assert_eq!(log.unacked_segments(10).unwrap(), [], "its row is gone");
    let rest = log.next_segment().unwrap().unwrap().0;
    assert_eq!((rest.segment.first, rest.segment.count), (Seq(2), 1));
}

#[test]
fn what_is_read_again_after_a_restart_is_bounded() {
    let log = acquired();
    let (mut head, mut most) = (0, 0);
    for _ in 0..40 {
        commit(&log, head, 500);
        head += 500;
        let from = log.state().unwrap().unsaved_from.map_or(head, |from| from.0);
        most = most.max(head - from);
    }
    assert!(most <= 4_096, "{most} messages without rows of their producers");
    assert_eq!(log.restarted().state().unwrap(), log.state().unwrap());
}
