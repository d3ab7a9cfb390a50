use super::*;
use streamchain_protocol::Address;
use streamchain_protocol::B256;
use streamchain_protocol::ids::ProducerId;
use streamchain_protocol::signed::{GroupHeader, PublicKey, Signature};
use streamchain_protocol::time::UnixMs;

fn message(seq: u64) -> Message {
    Message {
        seq: Seq(seq),
        time: UnixMs(0),
        author: Address::ZERO,
        payload: vec![seq as u8],
        erased: None,
        signature: None,
    }
}

fn signature(seq: u64, count: u16) -> Arc<MessageSignature> {
    Arc::new(MessageSignature {
        seq: Seq(seq),
        producer: ProducerId([1; 16]),
        producer_seq: 0,
        header: GroupHeader {
            count,
            previous: B256::ZERO,
            key: PublicKey::from_bytes([2; 33]).unwrap(),
            signature: Signature([0; 64]),
        },
    })
}

/// Takes a message as `Authors` does; `history` is what the edge has before it, if it is asked.
fn take(
    groups: &mut Groups,
    seq: u64,
    signature: &Arc<MessageSignature>,
    history: &[u64],
) -> Result<Vec<u64>, Fault> {
    groups.check_next(Seq(seq))?;
    if groups.lacks(signature, Seq(seq))? > 0 {
        let before = history.iter().copied().map(message).collect();
        groups.begin(signature, before)?;
    }
    let whole = groups.push(signature, message(seq))?.unwrap_or_default();
    Ok(whole.iter().map(|message| message.seq.0).collect())
}

#[test]
fn a_group_is_whole_with_its_last_message() {
    let mut groups = Groups::default();
    let (first, second) = (signature(4, 2), signature(6, 1));
    assert_eq!(take(&mut groups, 4, &first, &[]), Ok(vec![]));
    assert_eq!(take(&mut groups, 5, &first, &[]), Ok(vec![4, 5]));
    assert_eq!(take(&mut groups, 6, &second, &[]), Ok(vec![6]));
}

#[test]
fn a_reader_may_begin_inside_a_group() {
    let mut groups = Groups::default();
    assert_eq!(groups.lacks(&signature(0, 3), Seq(2)), Ok(2));
    assert_eq!(take(&mut groups, 2, &signature(0, 3), &[0, 1]), Ok(vec![0, 1, 2]));
    assert_eq!(take(&mut groups, 3, &signature(3, 1), &[]), Ok(vec![3]));
}

#[test]
fn no_group_begins_among_messages_that_were_read() {
    let mut groups = Groups::default();
    take(&mut groups, 0, &signature(0, 1), &[]).unwrap();
    take(&mut groups, 1, &signature(1, 1), &[]).unwrap();
    let hidden = take(&mut groups, 2, &signature(0, 3), &[0, 1]);
    assert_eq!(
        hidden,
        Err("its group would begin among messages that were read before")
    );

    let mut groups = Groups::default();
    groups.push_unsigned(Seq(0)).unwrap();
    assert!(take(&mut groups, 1, &signature(0, 2), &[0]).is_err());
}

#[test]
fn a_reader_that_goes_on_began_before() {
    let mut groups = Groups::behind(Some(Seq(2)));
    assert!(take(&mut groups, 2, &signature(0, 3), &[0, 1]).is_err());

    // A connection that ends inside a group begins again where the group does.
    let mut groups = Groups::default();
    take(&mut groups, 0, &signature(0, 1), &[]).unwrap();
    take(&mut groups, 1, &signature(1, 3), &[]).unwrap();
    groups.go_on();
    assert!(groups.lacks(&signature(0, 3), Seq(1)).is_err());
    for (seq, whole) in [(1, vec![]), (2, vec![]), (3, vec![1, 2, 3])] {
        assert_eq!(take(&mut groups, seq, &signature(1, 3), &[]), Ok(whole));
    }

    // One that ends before the first group was whole may begin inside a group again.
    let mut groups = Groups::default();
    take(&mut groups, 1, &signature(0, 3), &[0]).unwrap();
    groups.go_on();
    assert_eq!(take(&mut groups, 1, &signature(0, 3), &[0]), Ok(vec![]));
    assert_eq!(take(&mut groups, 2, &signature(0, 3), &[]), Ok(vec![0, 1, 2]));
}

#[test]
fn every_message_is_the_next_one() {
    let mut groups = Groups::default();
    groups.push_unsigned(Seq(3)).unwrap();
    for seq in [3, 5, 2] {
        assert!(groups.push_unsigned(Seq(seq)).is_err());
        assert!(take(&mut groups, seq, &signature(seq, 1), &[]).is_err(), "{seq}");
    }
    assert_eq!(take(&mut groups, 4, &signature(4, 2), &[]), Ok(vec![]));
    assert!(groups.push_unsigned(Seq(5)).is_err(), "it is inside a group");
    assert!(take(&mut groups, 6, &signature(4, 2), &[]).is_err());
}

#[test]
fn history_must_have_the_messages_of_the_group() {
    for wrong in [&[0, 0][..], &[1, 0], &[1, 2], &[5, 6], &[1, 1], &[7, 1]] {
        let mut groups = Groups::default();
        let taken = take(&mut groups, 2, &signature(0, 3), wrong);
        assert!(taken.is_err(), "{wrong:?}");
    }
    let mut groups = Groups::default();
    assert!(take(&mut groups, 2, &signature(0, 3), &[0]).is_err(), "too few");
}

#[test]
fn the_messages_of_a_group_have_one_author_and_header() {
    let mut groups = Groups::default();
    take(&mut groups, 0, &signature(0, 3), &[]).unwrap();
    assert!(
        take(&mut groups, 1, &signature(0, 2), &[]).is_err(),
        "another header"
    );
    let other = Message {
        author: Address::repeat_byte(1),
        ..message(1)
    };
    assert!(groups.push(&signature(0, 3), other).is_err(), "another author");
    for (seq, count) in [(0, 0), (0, 1), (2, 3), (0, 257)] {
        let lacks = groups.lacks(&signature(seq, count), Seq(1));
        assert!(lacks.is_err(), "{count} from {seq} on");
    }
}
