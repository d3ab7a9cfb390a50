//! Signed groups: whole or not at all, each behind its producer's group before it.

use super::super::groups::MAX_PUBLICATION_BYTES;
use super::super::inbox::{MAX_FETCH_BYTES, MAX_INBOX_MESSAGES};
use super::super::inbox_shares::{InboxShares, MAX_NETWORK_MESSAGES};
use super::*;
use streamchain_protocol::limits::{EMITTED_OVERHEAD, MAX_BATCH_BYTES, MAX_EMITTED_BYTES};
use streamchain_protocol::signed::{
    ChainError, GroupError, GroupHeader, GroupWalker, MAX_GROUP_BYTES, MAX_GROUP_MESSAGES, PublicKey,
    Signature, Walked,
};
use streamchain_protocol::stream_settings::Signed;

/// A group of `count` messages of one producer, numbered from `number` on, behind the group `previous`.
pub(super) fn group(producer: u8, number: u64, count: u64, previous: B256) -> Vec<Record> {
    let mut group = records(producer, number, count);
    group[0].group = Some(GroupHeader {
        count: u16::try_from(count).unwrap(),
        previous,
        key: PublicKey::from_bytes([2; 33]).unwrap(),
        signature: Signature([producer; 64]),
    });
    group
}

/// The digest of a group on the stream of these tests.
pub(super) fn digest(group: &[Record]) -> B256 {
    let new = new_stream();
    let mut walker = GroupWalker::new(streamchain_protocol::ids::StreamId::of(new.owner, &new.name));
    let walked = group.iter().map(|record| walker.push(record).unwrap()).last();
    match walked {
        Some(Walked::Group(group)) => group.signed.digest(),
        other => panic!("expected a whole group, got {other:?}"),
    }
}

/// As a relay of this version asks for the epoch.
pub(super) fn asks(number: u8) -> AcquireEpoch {
    AcquireEpoch {
        incarnation: run(number),
        groups: true,
        follows: false,
        lost: None,
        closed: false,
    }
}

/// A stream that a relay of this version leads under epoch 1.
fn led() -> StreamLog<Memory> {
    let log = StreamLog::in_memory();
    log.step(|log| log.create(&new_stream(), UnixMs(1_000))).unwrap();
    meet(&log, "a", 0..10);
    log.step(|log| log.acquire_epoch(&relay("a"), asks(1))).unwrap();
    log
}

fn state_of(log: &StreamLog<Memory>, producer: u8) -> ProducerState {
    let (id, author) = (ProducerId([producer; 16]), Address::repeat_byte(producer));
    let epoch = log.state().unwrap().epoch;
    log.producer(&relay("a"), epoch, id, Some(author)).unwrap()
}

fn broken(log: &StreamLog<Memory>, first: u64, records: Vec<Record>) -> ChainError {
    match refusal(log.step(|log| log.commit(&relay("a"), &batch(1, first, records)))) {
        Refusal::BrokenChain { error, .. } => error,
        other => panic!("expected a broken chain, got {other}"),
    }
}

fn require(log: &StreamLog<Memory>, signed: Signed) {
    let change = SettingsChange {
        signed: Some(signed),
        ..SettingsChange::default()
    };
    log.step(|log| log.change_settings(&change)).unwrap();
}

#[test]
fn a_group_follows_its_producers_group_before_it() {
    let log = led();
    let first = group(1, 0, 3, B256::ZERO);
    let second = group(1, 3, 2, digest(&first));
    log.commit(
        &relay("a"),
        &batch(1, 0, [first.clone(), second.clone()].concat()),
    )
    .unwrap();
    for log in [&log, &log.restarted()] {
        let known = state_of(log, 1);
        assert_eq!((known.stored, known.digest), (Some(4), Some(digest(&second))));
    }
    let wrong = group(1, 5, 1, digest(&first));
    assert!(matches!(
        broken(&log, 5, wrong),
        ChainError::Previous { first: 5, .. }
    ));
    let head = log.state().unwrap().head;
    assert_eq!(head, Seq(5), "a refused batch leaves nothing");
}

#[test]
fn a_first_group_names_none_before_it() {
    let log = led();
    let wrong = group(1, 0, 1, B256::repeat_byte(9));
    assert!(matches!(
        broken(&log, 0, wrong),
        ChainError::Previous { first: 0, .. }
    ));
}

#[test]
fn a_producer_signs_always_or_never() {
    let log = led();
    let signed = group(1, 0, 1, B256::ZERO);
    log.commit(&relay("a"), &batch(1, 0, signed.clone())).unwrap();
    log.commit(&relay("a"), &batch(1, 1, records(2, 0, 1))).unwrap();
    assert_eq!(
        broken(&log, 2, records(1, 1, 1)),
        ChainError::UnsignedBehindSigned(1)
    );
    let late = group(2, 1, 1, B256::ZERO);
    assert_eq!(broken(&log, 2, late), ChainError::SignedBehindUnsigned(1));
    let mixed = [group(3, 0, 1, B256::ZERO), records(3, 1, 1)].concat();
    assert_eq!(broken(&log, 2, mixed), ChainError::UnsignedBehindSigned(1));
}

#[test]
fn a_producer_id_signs_for_its_author_alone() {
    let log = led();
    log.commit(&relay("a"), &batch(1, 0, group(1, 0, 2, B256::ZERO)))
        .unwrap();
    let mut other = records(1, 0, 2);
    other
        .iter_mut()
        .for_each(|record| record.author = Address::repeat_byte(2));
    log.commit(&relay("a"), &batch(1, 2, other)).unwrap();
    assert!(state_of(&log, 1).digest.is_some());
}

#[test]
fn a_batch_has_whole_groups() {
    let log = led();
    let whole = group(1, 0, 3, B256::ZERO);
    let foreign = [&whole[..2], &records(2, 0, 1)[..], &whole[2..]].concat();
    let mut large = whole.clone();
    large[1].payload = Bytes::from(vec![0; MAX_GROUP_BYTES]);
    for part in [whole[..2].to_vec(), foreign, large] {
        let refused = refusal(log.commit(&relay("a"), &batch(1, 0, part)));
        assert!(matches!(refused, Refusal::Group(_)), "{refused}");
    }
    let end = refusal(log.commit(&relay("a"), &batch(1, 0, whole[1..].to_vec())));
    assert!(
        matches!(end, Refusal::ProducerConflict { given: 1, .. }),
        "without its header it is no group: {end}"
    );
    assert_eq!(log.state().unwrap().head, Seq(0));
}

#[test]
fn where_signatures_are_required_a_relay_brings_signed_messages() {
    let log = led();
    let posted = records(2, 0, 1);
    log.step(|log| log.append(&posted)).unwrap();
    require(&log, Signed::Required);
    let unsigned = log.commit(&relay("a"), &batch(1, 0, records(1, 0, 1)));
    assert_eq!(refusal(unsigned), Refusal::Unsigned(Address::repeat_byte(1)));
    let signed = batch(1, 0, group(1, 0, 2, B256::ZERO));
    log.commit(&relay("a"), &signed).unwrap();
    let waited = log.commit(&relay("a"), &batch(1, 2, posted));
    waited.expect("it was taken before the change");
    let grant = log.acquire_epoch(&relay("a"), asks(1)).unwrap();
    assert_eq!((grant.epoch, grant.signed), (Epoch(1), Some(Signed::Required)));
    require(&log, Signed::Optional);
    log.commit(&relay("a"), &batch(1, 3, records(3, 0, 1))).unwrap();
}

#[test]
fn a_waiting_group_lets_no_unsigned_message_in() {
    let log = led();
    require(&log, Signed::Required);
    let waiting = group(20, 0, 2, B256::ZERO);
    log.step(|log| log.append(&waiting)).unwrap();
    let forged = log.step(|log| log.commit(&relay("a"), &batch(1, 0, records(20, 0, 1))));
    assert_eq!(refusal(forged), Refusal::UnknownAuthor(Address::repeat_byte(20)));
    meet(&log, "a", [20]);
    let forged = log.step(|log| log.commit(&relay("a"), &batch(1, 0, records(20, 0, 1))));
    assert_eq!(refusal(forged), Refusal::Unsigned(Address::repeat_byte(20)));
    assert_eq!(log.state().unwrap().inbox.messages, 2, "the group still waits");
    log.commit(&relay("a"), &batch(1, 0, waiting)).unwrap();
}

#[test]
fn by_http_a_signature_is_required_of_what_is_new() {
    let log = StreamLog::in_memory();
    log.create(&new_stream(), UnixMs(0)).unwrap();
    let old = records(1, 0, 1);
    log.append(&old).unwrap();
    require(&log, Signed::Required);
    assert_eq!(log.append(&old).unwrap(), Appended::Committed(Some(Seq(0))));
    assert_eq!(refusal(log.append(&records(1, 1, 1))), Refusal::SignatureRequired);
    let signed = group(2, 0, 3, B256::ZERO);
    assert_eq!(log.append(&signed).unwrap(), Appended::Committed(Some(Seq(1))));
}

#[test]
fn a_repeated_group_is_known_by_its_numbers() {
    let log = StreamLog::in_memory();
    log.create(&new_stream(), UnixMs(0)).unwrap();
    let first = group(1, 0, 3, B256::ZERO);
    let second = group(1, 3, 2, digest(&first));
    let seq = |seq| Appended::Committed(Some(Seq(seq)));
    assert_eq!(log.append(&first).unwrap(), seq(0));
    assert_eq!(log.append(&second).unwrap(), seq(3));
    assert_eq!(log.append(&second).unwrap(), seq(3));
    assert_eq!(log.append(&first).unwrap(), seq(0));
    assert_eq!(log.state().unwrap().head, Seq(5));
    let overlapping = group(1, 4, 2, digest(&first));
    let mut other = second.clone();
    other[0].payload = Bytes::from_static(b"something else");
    for wrong in [overlapping, other] {
        let refused = refusal(log.append(&wrong));
        let expected = Some(4);
        assert!(
            matches!(refused, Refusal::ProducerConflict { stored, .. } if stored == expected),
            "{refused}"
        );
    }
    let unsigned = refusal(log.append(&records(1, 2, 1)));
    assert!(matches!(unsigned, Refusal::BrokenChain { .. }), "{unsigned}");
}

#[test]
fn a_group_waits_and_is_fetched_whole() {
    let log = led();
    let first = group(1, 0, 3, B256::ZERO);
    let second = group(1, 3, 2, digest(&first));
    for publication in [&first, &second, &first] {
        let waits = log.step(|log| log.append(publication)).unwrap();
        assert_eq!(waits, Appended::Waits(relay("a")));
    }
    assert_eq!(log.state().unwrap().inbox.messages, 5);
    assert_eq!(log.appended(&first).unwrap(), Appended::Waits(relay("a")));
    let fetched = decode_records(&log.waiting(&relay("a"), Epoch(1)).unwrap()).unwrap();
    assert_eq!(fetched, [first.clone(), second.clone()].concat());
    let answer = log.commit(&relay("a"), &batch(1, 0, first.clone())).unwrap();
    assert_eq!((answer.committed, answer.waiting), (Seq(3), 2));
    assert_eq!(log.appended(&first).unwrap(), Appended::Committed(Some(Seq(0))));
    log.step(|log| log.take_over(&relay("a"))).unwrap();
    assert_eq!(log.append(&second).unwrap(), Appended::Committed(Some(Seq(3))));
    let inbox = log.state().unwrap().inbox;
    assert_eq!((inbox.messages, inbox.bytes), (0, 0));
}

#[test]
fn what_a_commit_makes_impossible_waits_no_longer() {
    let log = led();
    let first = group(1, 0, 2, B256::ZERO);
    let second = group(1, 2, 1, digest(&first));
    log.append(&first).unwrap();
    log.append(&second).unwrap();
    log.append(&records(2, 0, 1)).unwrap();
    // The author published another group under the same numbers over the data channel.
    let mut other = group(1, 0, 1, B256::ZERO);
    other[0].payload = Bytes::from_static(b"something else");
    let answer = log.commit(&relay("a"), &batch(1, 0, other)).unwrap();
    assert_eq!(answer.waiting, 1, "what others published");
    let left = decode_records(&log.waiting(&relay("a"), Epoch(1)).unwrap()).unwrap();
    assert_eq!(left, records(2, 0, 1));
    let refused = refusal(log.appended(&first));
    assert!(
        matches!(refused, Refusal::ProducerConflict { .. }),
        "the author is told of what did not become stored: {refused}"
    );
}

#[test]
fn a_relay_of_the_version_before_is_given_no_groups() {
    let log = led();
    let waiting = group(1, 0, 2, B256::ZERO);
    log.append(&waiting).unwrap();
    log.append(&records(2, 0, 1)).unwrap();
    log.step(|log| log.acquire_epoch(&relay("a"), run(2))).unwrap();
    let fetched = decode_records(&log.waiting(&relay("a"), Epoch(2)).unwrap()).unwrap();
    assert_eq!(fetched, records(2, 0, 1));
    assert_eq!(
        refusal(log.append(&group(3, 0, 1, B256::ZERO))),
        Refusal::NoGroupsAtRelay
    );
    log.step(|log| log.release(&relay("a"), Epoch(2))).unwrap();
    assert_eq!(log.state().unwrap().head, Seq(3), "the edge stores what waited");
}

#[test]
fn a_group_counts_as_its_messages_in_the_inbox() {
    let (log, mut shares) = (led(), InboxShares::default());
    let most = MAX_GROUP_MESSAGES as u64;
    let mut post = |author: u8, count: u64, network: &str| {
        let records = group(author, 0, count, B256::ZERO);
        log.step(|log| shares.append(log, &records, network))
    };
    post(1, most - 1, "one").unwrap();
    assert_eq!(
        refusal(post(2, 2, "one")),
        Refusal::InboxShare(MAX_NETWORK_MESSAGES - 1)
    );
    post(2, 1, "one").unwrap();
    for (author, network) in [(3, "two"), (4, "three"), (5, "four")] {
        post(author, most, network).unwrap();
    }
    assert_eq!(
        refusal(post(6, 1, "five")),
        Refusal::InboxFull(MAX_INBOX_MESSAGES)
    );
}

#[test]
fn the_largest_group_fits_what_is_fetched_and_one_transaction() {
    let log = led();
    let mut largest = group(1, 0, MAX_GROUP_MESSAGES as u64, B256::ZERO);
    let each = MAX_GROUP_BYTES / MAX_GROUP_MESSAGES;
    largest
        .iter_mut()
        .for_each(|record| record.payload = Bytes::from(vec![7; each]));
    assert!(encode_records(&largest).len() <= MAX_PUBLICATION_BYTES);
    const { assert!(MAX_FETCH_BYTES + MAX_PUBLICATION_BYTES <= MAX_BATCH_BYTES) };
    const { assert!(MAX_GROUP_BYTES + MAX_GROUP_MESSAGES * EMITTED_OVERHEAD <= 120 * 1024) };
    let change = SettingsChange {
        mode: Some(Mode::Payload),
        ..SettingsChange::default()
    };
    log.change_settings(&change).unwrap();
    let alone = records(2, 0, 1);
    log.commit(&relay("a"), &batch(1, 0, [alone, largest].concat()))
        .unwrap();
    let cut = log.next_segment().unwrap().unwrap();
    assert_eq!(cut.0.segment.count, 1, "the group would be cut");
    log.mark_flushed(&cut.0, cut.1.len()).unwrap();
    let (made, records) = log.next_segment().unwrap().unwrap();
    assert_eq!(made.segment.count, MAX_GROUP_MESSAGES as u64);
    assert!(records.len() < MAX_EMITTED_BYTES + MAX_PUBLICATION_BYTES);
}

#[test]
fn a_commit_of_groups_writes_its_batch_alone() {
    let log = led();
    let first = group(1, 0, 2, B256::ZERO);
    log.commit(&relay("a"), &batch(1, 0, first.clone())).unwrap();
    let writes = log.writes();
    let second = group(1, 2, 2, digest(&first));
    log.commit(&relay("a"), &batch(1, 2, second)).unwrap();
    assert_eq!(log.writes() - writes, 1);
}

#[test]
fn a_publication_is_one_message_or_one_group() {
    let log = StreamLog::in_memory();
    log.create(&new_stream(), UnixMs(0)).unwrap();
    let two = [group(1, 0, 1, B256::ZERO), group(2, 0, 1, B256::ZERO)].concat();
    for wrong in [
        vec![],
        records(1, 0, 2),
        two,
        group(1, 0, 3, B256::ZERO)[..2].to_vec(),
    ] {
        assert_eq!(refusal(log.append(&wrong)), Refusal::NotOnePublication);
    }
    let mut gap = group(1, 0, 2, B256::ZERO);
    gap[1].producer_seq = 2;
    assert!(matches!(
        refusal(log.append(&gap)),
        Refusal::Group(GroupError::Cut { .. })
    ));
    assert_eq!(log.state().unwrap().head, Seq(0));
}
