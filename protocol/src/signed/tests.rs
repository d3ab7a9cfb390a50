//! The chain of a producer, and the groups in a run of messages.

use super::*;
use crate::ids::{ProducerId, StreamId};
use crate::record::{Record, decode_records, encode_records};
use crate::time::UnixMs;
use alloy_primitives::{Address, B256, Bytes, keccak256};
use proptest::prelude::*;

const STREAM: StreamId = StreamId([5; 32]);

fn key() -> PublicKey {
    PublicKey::from_bytes([2; 33]).unwrap()
}

fn record(author: u8, producer_seq: u64, group: Option<GroupHeader>) -> Record {
    Record {
        time: UnixMs(1),
        author: Address::repeat_byte(author),
        producer: ProducerId([2; 16]),
        producer_seq,
        payload: Bytes::from(vec![author; producer_seq as usize % 7]),
        group,
    }
}

fn header(count: u16, previous: B256) -> GroupHeader {
    GroupHeader {
        count,
        previous,
        key: key(),
        signature: Signature([7; 64]),
    }
}

/// A group of an author's producer.
fn group(author: u8, first: u64, count: u16, previous: B256) -> Vec<Record> {
    let member = |index: u64| {
        record(
            author,
            first + index,
            (index == 0).then(|| header(count, previous)),
        )
    };
    (0..u64::from(count)).map(member).collect()
}

/// Everything that the walker finds, or where it fails.
fn walked(records: &[Record]) -> Result<Vec<SignedGroup>, GroupError> {
    let mut walker = GroupWalker::new(STREAM);
    let mut found = Vec::new();
    for record in records {
        if let Walked::Group(group) = walker.push(record)? {
            found.push(group);
        }
    }
    walker.finish().map(|()| found)
}

/// Groups of one producer of these sizes, each behind the one before.
fn groups(sizes: &[u16]) -> Vec<Vec<Record>> {
    let (mut first, mut previous) = (0, B256::ZERO);
    let mut made = Vec::new();
    for size in sizes {
        let records = group(1, first, *size, previous);
        previous = walked(&records).unwrap()[0].signed.digest();
        first += u64::from(*size);
        made.push(records);
    }
    made
}

/// Follows one producer through records; `Err` with what is wrong first.
fn followed(records: &[Record]) -> Result<(), String> {
    let (mut walker, mut chain) = (GroupWalker::new(STREAM), ProducerChain::default());
    for record in records {
        let walked = walker.push(record).map_err(|error| error.to_string())?;
        let follows = match walked {
            Walked::Unsigned => chain.push_unsigned(record.producer_seq),
            Walked::Inside => Ok(()),
            Walked::Group(group) => chain.push_group(&group.signed).map(|_| ()),
        };
        follows.map_err(|error| error.to_string())?;
    }
    walker.finish().map_err(|error| error.to_string())
}

mod walker {
    use super::*;

    #[test]
    fn groups_are_found_between_messages_without_signatures() {
        let [unsigned, behind] = [record(3, 0, None), record(3, 1, None)];
        let one = group(1, 0, 3, B256::ZERO);
        let records = [vec![unsigned], one.clone(), vec![behind]].concat();
        let found = walked(&records).unwrap();
        let hashes: Vec<B256> = one.iter().map(|record| keccak256(&record.payload)).collect();
        assert_eq!(found.len(), 1);
        let signed = found[0].signed;
        assert_eq!((signed.first, signed.count, signed.end()), (0, 3, 3));
        assert_eq!(signed.root, group_root(0, &hashes));
        assert_eq!(found[0].hashes, hashes);
    }

    #[test]
    fn a_group_that_is_cut_or_mixed_is_an_error() {
        let one = group(1, 0, 3, B256::ZERO);
        let cut = |found| {
            Err(GroupError::Cut {
                first: 0,
                count: 3,
                found,
            })
        };
        assert_eq!(walked(&one[..2]), cut(2), "the end is missing");
        let mut others = vec![
            [&one[..1], &[record(3, 1, None)]].concat(),
            [&one[..1], &[record(1, 2, None)]].concat(),
            [&one[..1], &group(1, 1, 1, B256::ZERO)[..]].concat(),
        ];
        let mut producer = record(1, 1, None);
        producer.producer = ProducerId([9; 16]);
        others.push([&one[..1], &[producer]].concat());
        for other in others {
            assert_eq!(walked(&other), cut(1));
        }
    }

    #[test]
    fn payloads_above_the_limit_are_no_group() {
        let mut two = group(1, 0, 2, B256::ZERO);
        two[0].payload = vec![0; MAX_GROUP_BYTES].into();
        two[1].payload = Bytes::new();
        assert!(walked(&two).is_ok());
        two[1].payload = vec![0].into();
        let bytes = MAX_GROUP_BYTES as u64 + 1;
        assert_eq!(walked(&two), Err(GroupError::TooLarge { first: 0, bytes }));
    }

    #[test]
    fn numbers_at_the_end_of_their_range_do_no_harm() {
        let mut two = group(1, u64::MAX, 1, B256::ZERO);
        two[0].group = Some(header(2, B256::ZERO));
        two.push(two[0].clone());
        two[1].group = None;
        assert!(walked(&two).is_ok() || walked(&two).is_err());
    }
}

mod chain {
    use super::*;

    #[test]
    fn groups_behind_each_other_follow() {
        assert_eq!(followed(&groups(&[1, 3, 256, 2]).concat()), Ok(()));
    }

    #[test]
    fn signed_and_unsigned_messages_are_never_mixed() {
        let signed = groups(&[2]).concat();
        let behind = [signed, vec![record(1, 2, None)]].concat();
        assert!(followed(&behind).unwrap_err().contains("is not signed"));
        let late = [vec![record(1, 0, None)], group(1, 1, 1, B256::ZERO)].concat();
        assert!(followed(&late).unwrap_err().contains("is signed, but"));
    }

    #[test]
    fn a_refused_group_changes_nothing() {
        let made = groups(&[2, 2, 2]);
        let signed: Vec<GroupDigest> = made.iter().map(|one| walked(one).unwrap()[0].signed).collect();
        let mut chain = ProducerChain::default();
        chain.push_group(&signed[0]).unwrap();
        let before = chain;
        assert_eq!(
            chain.push_group(&signed[2]),
            Err(ChainError::Gap { next: 2, given: 4 })
        );
        assert_eq!(
            chain.push_group(&signed[0]),
            Err(ChainError::Repeated { next: 2, given: 0 })
        );
        assert_eq!(chain.push_unsigned(2), Err(ChainError::UnsignedBehindSigned(2)));
        assert_eq!(chain, before);
        assert!(chain.push_group(&signed[1]).is_ok());
        assert_eq!(chain, ProducerChain::behind(4, Some(signed[1].digest())));
    }

    proptest! {
        /// Groups left out, repeated or exchanged, at any place, are found.
        #[test]
        fn every_change_of_the_order_is_found(
            sizes in prop::collection::vec(1u16..5, 2..6),
            at in any::<prop::sample::Index>(),
            other in any::<prop::sample::Index>(),
            what in 0..3,
        ) {
            let mut made = groups(&sizes);
            let (at, other) = (at.index(made.len()), other.index(made.len()));
            match what {
                // Without its last group a stream is one that goes on.
                0 => { prop_assume!(at + 1 < made.len()); made.remove(at); }
                1 => { let again = made[at].clone(); made.insert(other.max(at), again); }
                _ => { prop_assume!(at != other); made.swap(at, other); }
            }
            prop_assert!(followed(&made.concat()).is_err());
        }

        /// A changed message is found at the next group, even where its own signature were never checked.
        #[test]
        fn a_change_is_found_by_the_next_group(sizes in prop::collection::vec(1u16..5, 2..6), at in any::<prop::sample::Index>()) {
            let mut made = groups(&sizes);
            let last = made.pop().unwrap();
            let mut records = made.concat();
            let at = at.index(records.len());
            records[at].payload = Bytes::from_static(b"another payload");
            prop_assert!(followed(&[records, last].concat()).is_err());
        }
    }
}

mod stored {
    use super::*;
    use alloy_primitives::hex;

    #[test]
    fn the_stored_format_of_a_groups_first_message_stays() {
        let one = record(1, 2, Some(header(256, B256::repeat_byte(9))));
        let blob = encode_records(&[one.clone(), record(1, 3, None)]);
        let expected = format!(
            "8601540101010101010101010101010101010101010101500202020202020202020202020202020202420101\
             84190100{}{}{}85",
            ["5820", &"09".repeat(32)].concat(),
            ["5821", &"02".repeat(33)].concat(),
            ["5840", &"07".repeat(64)].concat(),
        );
        assert!(
            hex::encode(&blob).starts_with(&expected),
            "{}",
            hex::encode(&blob)
        );
        assert_eq!(decode_records(&blob).unwrap(), [one, record(1, 3, None)]);
    }

    #[test]
    fn a_header_stays_within_its_stated_size() {
        let mut with = record(1, 0, Some(header(256, B256::ZERO)));
        let size = encode_records(&[with.clone()]).len();
        assert!(size <= with.max_encoded_bytes());
        with.group = None;
        assert!(size - encode_records(&[with]).len() <= GroupHeader::MAX_BYTES);
    }

    #[test]
    fn headers_of_another_shape_are_refused() {
        let good = encode_records(&[record(1, 0, Some(header(3, B256::ZERO)))]);
        let at = good.windows(2).position(|two| two == [0x84, 3]).unwrap();
        let with = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bad = good.clone();
            change(&mut bad);
            decode_records(&bad)
        };
        assert!(with(&|_| ()).is_ok());
        assert!(with(&|bad| bad[at + 1] = 0).is_err(), "no messages");
        assert!(
            with(&|bad| {
                bad.splice(at + 1..at + 2, [0x19, 1, 1]);
            })
            .is_err(),
            "257 messages"
        );
        assert!(with(&|bad| bad[at] = 0x83).is_err(), "an item less");
        assert!(
            with(&|bad| bad[at + 2 + 34 + 2] = 4).is_err(),
            "a key that is not compressed"
        );
        assert!(with(&|bad| bad[0] = 0x87).is_err(), "an item more in the record");
        assert!(decode_records(&good[..good.len() - 1]).is_err(), "cut");
    }
}
