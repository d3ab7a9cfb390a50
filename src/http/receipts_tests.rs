use super::*;
use crate::storage::d1::anchors::ChainState;
use alloy_primitives::Bytes;
use streamchain_protocol::ids::{ProducerId, StreamId};
use streamchain_protocol::stream_settings::StreamSettings;
use streamchain_protocol::wire::{Record, encode_records};

/// A stream whose segments have these sizes, all under one anchor.
fn sources(sizes: &[u64], wanted: usize) -> Sources {
    let owner = Address::repeat_byte(7);
    let name: streamchain_protocol::ids::StreamName = "demo".parse().unwrap();
    let id = StreamId::of(owner, &name);
    let record = |seq: u64| Record {
        time: 1_700_000_000_000 + seq,
        author: Address::repeat_byte(1),
        producer: ProducerId([2; 16]),
        producer_seq: seq,
        payload: Bytes::from(seq.to_string().into_bytes()),
    };
    let mut first = 0;
    let mut segments = Vec::new();
    for count in sizes {
        let records = encode_records((first..first + count).map(record).collect::<Vec<_>>().iter());
        let root = Tree::new(&leaves(id, Seq(first), &records).unwrap())
            .unwrap()
            .root();
        segments.push(SegmentRow {
            first: Seq(first),
            count: *count,
            root,
            records,
        });
        first += count;
    }
    let roots: Vec<B256> = segments.iter().map(|segment| segment.root).collect();
    Sources {
        chain_id: 31_337,
        contract: Address::repeat_byte(9),
        stream: StreamRow {
            id,
            owner,
            name,
            settings: StreamSettings::default(),
            created: 0,
            place: 1,
        },
        anchor: AnchorRow {
            first: Seq(0),
            count: first,
            root: Tree::new(&roots).unwrap().root(),
            tx: B256::repeat_byte(3),
            block: 12,
            block_hash: B256::repeat_byte(4),
            log_index: 0,
            state: ChainState::Anchored,
        },
        segment: segments[wanted].clone(),
        covered: segments,
    }
}

#[test]
fn every_message_under_an_anchor_of_uneven_segments_has_a_receipt_that_checks() {
    let sizes = [1, 5, 2, 3, 1, 4, 7];
    for (index, size) in sizes.iter().enumerate() {
        let first: u64 = sizes[..index].iter().sum();
        for seq in first..first + size {
            let receipt = build(&sources(&sizes, index), Seq(seq)).unwrap();
            assert_eq!(receipt.check(), Ok(()), "seq {seq}");
            assert_eq!(receipt.message.payload, Bytes::from(seq.to_string().into_bytes()));
        }
    }
}

#[test]
fn a_message_outside_its_segment_has_none() {
    assert!(build(&sources(&[2, 2], 1), Seq(0)).is_none());
    assert!(build(&sources(&[2, 2], 1), Seq(4)).is_none());
}

#[test]
fn a_missing_segment_is_found_by_the_check() {
    let mut sources = sources(&[2, 2, 2], 1);
    sources.covered.remove(2);
    assert!(build(&sources, Seq(2)).unwrap().check().is_err());
}
