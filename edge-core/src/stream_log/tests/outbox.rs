use super::*;

#[test]
fn a_made_segment_stays_the_same_despite_new_commits() {
    let log = acquired();
    log.commit(&relay("a"), &batch(1, 0, records(1, 0, 2))).unwrap();
    log.commit(&relay("a"), &batch(1, 2, records(1, 2, 3))).unwrap();
    let (made, blob) = log.next_segment().unwrap().unwrap();
    assert_eq!((made.segment.first, made.segment.count), (Seq(0), 5));
    log.commit(&relay("a"), &batch(1, 5, records(1, 5, 1))).unwrap();
    assert_eq!(
        log.next_segment().unwrap().unwrap(),
        (made, blob.clone()),
        "a crash, and then the same again"
    );
    let leaves = leaves(log.state().unwrap().id, Seq(0), &blob).unwrap();
    assert_eq!(Some(made.segment.root), merkle::root(&leaves));

    log.mark_flushed(&made, blob.len()).unwrap();
    log.mark_flushed(&made, blob.len()).unwrap();
    assert_eq!((log.state().unwrap().flushed, log.batches_kept()), (Seq(5), 1));
    let (next, _) = log.next_segment().unwrap().unwrap();
    assert_eq!((next.segment.first, next.segment.count), (Seq(5), 1));
}

#[test]
fn a_segment_is_kept_until_the_anchorer_acknowledges_it() {
    let log = acquired();
    log.mark_listed(new_stream().settings).unwrap();
    assert!(!log.has_work().unwrap());
    log.commit(&relay("a"), &batch(1, 0, records(1, 0, 1))).unwrap();
    let (made, blob) = log.next_segment().unwrap().unwrap();
    assert!(
        log.unacked_segments(10).unwrap().is_empty(),
        "the database does not have it yet"
    );
    log.mark_flushed(&made, blob.len()).unwrap();
    let unacked_segments = log.unacked_segments(10).unwrap();
    assert_eq!(
        unacked_segments,
        [OutboxSegment {
            flushed: true,
            ..made
        }]
    );
    assert!(log.has_work().unwrap());
    log.ack_segments(&unacked_segments).unwrap();
    assert!(!log.has_work().unwrap());
}

#[test]
fn of_refused_segments_the_newest_is_kept() {
    let log = acquired();
    log.mark_listed(new_stream().settings).unwrap();
    for first in 0..5 {
        log.commit(&relay("a"), &batch(1, first, records(1, first, 1)))
            .unwrap();
        assert!(log.has_unflushed().unwrap());
        let (made, blob) = log.next_segment().unwrap().unwrap();
        log.mark_flushed(&made, blob.len()).unwrap();
    }
    let refused = log.unacked_segments(10).unwrap();
    log.keep_newest_segment(&refused).unwrap();
    log.keep_newest_segment(&log.unacked_segments(10).unwrap())
        .unwrap();
    assert_eq!(log.unacked_segments(10).unwrap(), refused[4..]);
    assert!(log.has_work().unwrap() && !log.has_unflushed().unwrap());
    log.keep_newest_segment(&[]).unwrap();
}

#[test]
fn whole_batches_are_joined_up_to_the_bound_of_a_segment() {
    let log = acquired();
    let half = MAX_SEGMENT_MESSAGES as u64 / 2 + 1;
    log.commit(&relay("a"), &batch(1, 0, records(1, 0, half)))
        .unwrap();
    log.commit(&relay("a"), &batch(1, half, records(1, half, half)))
        .unwrap();
    let (made, blob) = log.next_segment().unwrap().unwrap();
    assert_eq!(made.segment.count, half);
    log.mark_flushed(&made, blob.len()).unwrap();
    assert_eq!(
        log.state().unwrap().backlog as usize,
        log.next_segment().unwrap().unwrap().1.len()
    );
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
fn an_emitted_segment_fits_a_transaction_and_cuts_batches() {
    let log = emitting(Mode::Payload, 60);
    let mut counts = Vec::new();
    let mut next = 0;
    while let Some((made, blob)) = log.next_segment().unwrap() {
        let (again, same) = log.next_segment().unwrap().unwrap();
        assert_eq!(
            (again, &same),
            (made, &blob),
            "a retry writes the very same segment"
        );
        let numbers: Vec<u64> = decode_records(&blob)
            .unwrap()
            .iter()
            .map(|it| it.producer_seq)
            .collect();
        let expected: Vec<u64> = (next..next + made.segment.count).collect();
        assert_eq!(numbers, expected, "each message once, in order");
        assert_eq!((made.mode, made.prove), (Mode::Payload, true));
        next = made.segment.end().0;
        counts.push(made.segment.count);
        log.mark_flushed(&made, blob.len()).unwrap();
    }
    assert_eq!(counts, [25, 25, 10]);
    assert_eq!(log.batches_kept(), 0);
    assert_eq!(log.state().unwrap().backlog, 0);
}

#[test]
fn a_changed_mode_holds_from_the_next_segment_on() {
    let log = emitting(Mode::Hash, 60);
    let (made, blob) = log.next_segment().unwrap().unwrap();
    log.mark_flushed(&made, blob.len()).unwrap();
    let change = SettingsChange {
        mode: Some(Mode::Root),
        ..SettingsChange::default()
    };
    log.change_settings(&change).unwrap();
    log.commit(&relay("a"), &batch(1, 60, records(1, 60, 5))).unwrap();
    let (rest, _) = log.next_segment().unwrap().unwrap();
    assert_eq!((made.segment.count, made.mode), (25, Mode::Hash));
    assert_eq!(
        (rest.segment.first, rest.segment.count, rest.mode),
        (Seq(25), 40, Mode::Root)
    );
}
