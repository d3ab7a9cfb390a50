//! Whose messages a relay may bring.

use super::*;
use crate::stream_log::authors::{AUTHOR_LIFE_MS, MAX_AUTHORS};

/// A stream with a session of author 1 at relay `a`, which leads it under epoch 1.
fn led() -> StreamLog<Memory> {
    let log = StreamLog::in_memory();
    log.create(&new_stream(), UnixMs(0)).unwrap();
    meet(&log, "a", [1]);
    log.acquire_epoch(&relay("a"), run(1)).unwrap();
    log
}

fn unknown(author: u8) -> Refusal {
    Refusal::UnknownAuthor(Address::repeat_byte(author))
}

fn admit(log: &StreamLog<Memory>, author: Address, at: u64) {
    log.step(|log| log.admit_author(author, &relay("a"), UnixMs(at)))
        .unwrap();
}

#[test]
fn a_stream_that_is_assigned_to_no_relay_goes_to_none() {
    let log = StreamLog::in_memory();
    log.create(&new_stream(), UnixMs(0)).unwrap();
    let taken = log.step(|log| log.acquire_epoch(&relay("a"), run(1)));
    assert_eq!(refusal(taken), Refusal::NotAssigned);
    let state = log.state().unwrap();
    assert_eq!(
        (state.assigned, state.leader, state.epoch),
        (None, None, Epoch(0))
    );
}

#[test]
fn a_batch_with_one_unknown_author_is_refused_whole() {
    let log = led();
    let mut mixed = records(1, 0, 2);
    mixed.extend(records(2, 0, 1));
    let refused = log.step(|log| log.commit(&relay("a"), &batch(1, 0, mixed)));
    assert_eq!(refusal(refused), unknown(2));
    assert_eq!((log.state().unwrap().head, log.batches_kept()), (Seq(0), 0));
    log.commit(&relay("a"), &batch(1, 0, records(1, 0, 2))).unwrap();
}

#[test]
fn an_author_is_known_at_the_relay_of_its_session_alone() {
    let log = led();
    meet(&log, "b", [2]);
    let refused = log.commit(&relay("a"), &batch(1, 0, records(2, 0, 1)));
    assert_eq!(refusal(refused), unknown(2));
    log.acquire_epoch(&relay("b"), run(1)).unwrap();
    log.commit(&relay("b"), &batch(2, 0, records(2, 0, 1))).unwrap();
    let refused = log.commit(&relay("b"), &batch(2, 1, records(1, 0, 1)));
    assert_eq!(
        refusal(refused),
        unknown(1),
        "what one relay had opens nothing to another"
    );
}

#[test]
fn a_session_that_may_not_publish_makes_no_author() {
    let log = led();
    assert!(log.open_session(&session(3, "a", 0), Some(&relay("a"))).unwrap());
    let reader = Session {
        author: Address::repeat_byte(3),
        ..session(4, "a", 0)
    };
    assert!(log.open_session(&reader, Some(&relay("a"))).unwrap());
    assert_eq!(
        refusal(log.commit(&relay("a"), &batch(1, 0, records(3, 0, 1)))),
        unknown(3)
    );
}

#[test]
fn what_came_by_http_needs_no_session() {
    let log = led();
    let posted = records(2, 0, 1);
    let waits = log.step(|log| log.append(&posted)).unwrap();
    assert_eq!(waits, Appended::Waits(relay("a")));
    let forged = log.commit(&relay("a"), &batch(1, 0, records(2, 0, 2)));
    assert_eq!(refusal(forged), unknown(2), "only the message that waits");
    let fetched = batch(1, 0, posted);
    log.commit(&relay("a"), &fetched).unwrap();
    log.commit(&relay("a"), &fetched)
        .expect("a retry finds the inbox empty");
    let more = log.commit(&relay("a"), &batch(1, 1, records(2, 1, 1)));
    assert_eq!(refusal(more), unknown(2));
}

#[test]
fn an_unknown_author_is_brought_as_it_waits_signed_or_not() {
    let log = led();
    let signed = groups::group(2, 0, 2, B256::ZERO);
    log.acquire_epoch(&relay("a"), groups::asks(2)).unwrap();
    log.step(|log| log.append(&signed)).unwrap();
    log.step(|log| log.append(&records(3, 0, 1))).unwrap();
    let unsigned = log.commit(&relay("a"), &batch(2, 0, records(2, 0, 1)));
    assert_eq!(refusal(unsigned), unknown(2));
    let made_up = log.commit(&relay("a"), &batch(2, 0, groups::group(3, 0, 1, B256::ZERO)));
    assert_eq!(refusal(made_up), unknown(3));
    log.commit(&relay("a"), &batch(2, 0, signed)).unwrap();
    log.commit(&relay("a"), &batch(2, 2, records(3, 0, 1))).unwrap();
}

#[test]
fn sessions_that_were_forgotten_go_on() {
    let log = led();
    // A day later others come, and the row of the session goes.
    let later = crate::stream_log::sessions::SESSION_LIFE_MS + 2_000;
    log.open_session(&session(9, "a", later), Some(&relay("a")))
        .unwrap();
    assert_eq!(log.sessions_kept(), 1);
    log.commit(&relay("a"), &batch(1, 0, records(1, 0, 1))).unwrap();
    // The process of the relay is another one; its clients open sessions again in their time.
    log.acquire_epoch(&relay("a"), run(2)).unwrap();
    log.commit(&relay("a"), &batch(2, 1, records(1, 1, 1))).unwrap();
}

#[test]
fn a_leader_of_the_version_before_goes_on() {
    let log = led();
    let mut state = log.state().unwrap();
    state.checks_authors = false;
    log.overwrite(&state).unwrap();
    log.commit(&relay("a"), &batch(1, 0, records(2, 0, 1))).unwrap();
    log.acquire_epoch(&relay("a"), run(1)).unwrap();
    log.commit(&relay("a"), &batch(1, 1, records(2, 1, 1))).unwrap();
    log.acquire_epoch(&relay("a"), run(2)).unwrap();
    let refused = log.commit(&relay("a"), &batch(2, 2, records(2, 2, 1)));
    assert_eq!(refusal(refused), unknown(2), "another run has other sessions");
}

#[test]
fn the_check_writes_nothing_and_reads_once_an_epoch() {
    let log = led();
    log.commit(&relay("a"), &batch(1, 0, records(1, 0, 1))).unwrap();
    let (reads, writes) = (log.rows().author_reads.get(), log.rows().writes.get());
    log.commit(&relay("a"), &batch(1, 1, records(1, 1, 8))).unwrap();
    assert_eq!(log.rows().author_reads.get(), reads);
    let of_commit = log.rows().writes.get() - writes;
    log.acquire_epoch(&relay("a"), run(2)).unwrap();
    let (reads, writes) = (log.rows().author_reads.get(), log.rows().writes.get());
    log.commit(&relay("a"), &batch(2, 9, records(1, 9, 8))).unwrap();
    assert_eq!(log.rows().author_reads.get(), reads + 1);
    assert_eq!(log.rows().writes.get() - writes, of_commit);
}

#[test]
fn authors_are_bounded_in_number_and_time() {
    let log = led();
    let kept = |author| log.rows().author(author, &relay("a")).unwrap().is_some();
    let first = Address::repeat_byte(1);
    admit(&log, first, 2_000);
    let writes = log.rows().writes.get();
    admit(&log, first, 3_000);
    assert_eq!(
        log.rows().writes.get(),
        writes,
        "a page that reloads writes nothing"
    );
    admit(&log, Address::repeat_byte(2), AUTHOR_LIFE_MS + 1_000);
    assert!(kept(first));
    admit(&log, Address::repeat_byte(3), AUTHOR_LIFE_MS + 1_001);
    assert!(!kept(first), "thirty days after its last session");
    let at = UnixMs(AUTHOR_LIFE_MS + 2_000);
    for number in 1..MAX_AUTHORS as u64 {
        let author = Address::from_word(B256::from(alloy_primitives::U256::from(number + 100)));
        log.rows().put_author(author, &relay("a"), at).unwrap();
    }
    assert!(kept(Address::repeat_byte(2)));
    admit(&log, Address::repeat_byte(4), at.0);
    assert!(!kept(Address::repeat_byte(2)), "the newest are kept");
}
