use super::*;
use crate::archive::MAX_TAIL_BYTES;
use proptest::prelude::*;

const STREAM: StreamId = StreamId([7; 32]);

fn records(index: usize, length: usize) -> Vec<u8> {
    (0..length).map(|place| (index * 31 + place) as u8).collect()
}

/// A pack of segments of these counts and lengths, from `first` on.
fn builder(first: u64, segments: &[(u32, usize)]) -> PackBuilder {
    let mut pack = PackBuilder::new(STREAM, Seq(first));
    for (index, (count, length)) in segments.iter().enumerate() {
        pack.push(&SegmentToPack {
            first: pack.index.end(),
            count: *count,
            root: B256::repeat_byte(index as u8),
            mode: [Mode::Root, Mode::Hash, Mode::Payload][index % 3],
            prove: index % 2 == 1,
            anchor: [Anchoring::Own, Anchoring::Shared][index / 2 % 2],
            records: &records(index, *length),
        })
        .unwrap();
    }
    pack
}

fn plain(first: Seq, count: u32, records: &[u8]) -> SegmentToPack<'_> {
    SegmentToPack {
        first,
        count,
        root: B256::ZERO,
        mode: Mode::Root,
        prove: false,
        anchor: Anchoring::Own,
        records,
    }
}

fn run(first: u64, count: u32) -> PackedRun {
    PackedRun {
        first: Seq(first),
        count,
        root: B256::repeat_byte(1),
        previous: B256::repeat_byte(2),
        round: first + 100,
    }
}

#[test]
fn the_format_stays() {
    let mut pack = builder(5, &[(2, 3)]);
    pack.push_run(run(4, 9)).unwrap();
    let (bytes, _, tail, digest) = pack.finish().unwrap();
    let one = keccak256(records(0, 3));
    let parts = [
        hex("5343504b01000000"),
        vec![7; 32],
        records(0, 3),
        hex("00000000000000050000000100000001"),
        hex("00000002000000000003"),
        vec![0; 32],
        one.to_vec(),
        hex("000000000000000400000009"),
        vec![1; 32],
        vec![2; 32],
        hex("0000000000000068"),
        hex("000000ae"),
        digest.to_vec(),
        b"SCPK".to_vec(),
    ];
    assert_eq!(bytes, parts.concat());
    assert_eq!(tail, 174 + 40);
}

fn hex(digits: &str) -> Vec<u8> {
    alloy_primitives::hex::decode(digits).unwrap()
}

#[test]
fn a_segment_must_follow_and_fit() {
    let mut pack = builder(5, &[(2, 3)]);
    let mut push = |first, count, records: &[u8]| pack.push(&plain(Seq(first), count, records));
    let at = |first| PackError::Place {
        first: Seq(first),
        end: Seq(7),
    };
    assert_eq!(push(6, 1, b"x"), Err(at(6)), "an overlap");
    assert_eq!(push(8, 1, b"x"), Err(at(8)), "a gap");
    assert_eq!(push(7, 0, b""), Err(at(7)), "nothing");
    assert_eq!(
        push(7, 1, &vec![0; MAX_SEGMENT_BYTES + 1]),
        Err(PackError::Full(Seq(7)))
    );
    assert_eq!(push(7, 1, b"x"), Ok(()));
    assert_eq!(
        PackBuilder::new(STREAM, Seq(0)).finish().unwrap_err(),
        PackError::Empty
    );
}

#[test]
fn a_pack_is_bounded_in_bytes_segments_and_runs() {
    let many = vec![(1, MAX_SEGMENT_BYTES); MAX_PACK_BYTES / MAX_SEGMENT_BYTES];
    let mut pack = builder(0, &many);
    let end = pack.index.end();
    let more = vec![0; MAX_SEGMENT_BYTES];
    let full = Err(PackError::Full(end));
    assert_eq!(pack.push(&plain(end, 1, &more)), full);

    let mut pack = builder(0, &vec![(1, 1); MAX_PACK_SEGMENTS]);
    let end = pack.index.end();
    let full = Err(PackError::Full(end));
    assert_eq!(pack.push(&plain(end, 1, b"x")), full);
    for first in 0..MAX_PACK_RUNS as u64 {
        pack.push_run(run(first, 1)).unwrap();
    }
    let (bytes, index, tail, _) = pack.finish().unwrap();
    assert_eq!(tail as usize, MAX_TAIL_BYTES);
    assert_eq!(PackIndex::of_pack(STREAM, &bytes), Ok(index));
}

#[test]
fn runs_are_in_order_and_over_messages_of_the_pack() {
    let mut pack = builder(10, &[(5, 1), (5, 1)]);
    assert!(pack.push_run(run(5, 5)).is_err(), "before the pack");
    assert!(pack.push_run(run(20, 5)).is_err(), "behind the pack");
    assert!(pack.push_run(run(12, 0)).is_err(), "of nothing");
    pack.push_run(run(8, 4)).unwrap();
    assert!(pack.push_run(run(11, 4)).is_err(), "over the one before");
    pack.push_run(run(14, 10)).unwrap();
    let (_, index, ..) = pack.finish().unwrap();
    assert_eq!(index.run_over(Seq(11)), Some(&run(8, 4)));
    assert_eq!(index.run_over(Seq(12)), None);
    assert_eq!(index.run_over(Seq(19)), Some(&run(14, 10)));
}

#[test]
fn the_segments_of_a_range_are_found_within_a_number_of_bytes() {
    let (_, index, ..) = builder(10, &[(2, 30), (3, 40), (5, 50)]).finish().unwrap();
    let firsts = |from, to, max| -> Vec<u64> {
        let found = index.within(Seq(from), Seq(to), max);
        found.iter().map(|segment| segment.first.0).collect()
    };
    assert_eq!(firsts(10, 20, 1_000), [10, 12, 15]);
    assert_eq!(firsts(11, 12, 1_000), [10]);
    assert_eq!(firsts(12, 16, 1_000), [12, 15]);
    assert_eq!(firsts(10, 20, 70), [10, 12]);
    assert_eq!(firsts(12, 20, 1), [12], "one at least");
    assert_eq!(firsts(20, 30, 1_000), [0; 0]);
}

#[test]
fn another_streams_pack_is_refused() {
    let (bytes, ..) = builder(0, &[(1, 1)]).finish().unwrap();
    let other = StreamId([8; 32]);
    assert_eq!(PackIndex::of_pack(other, &bytes), Err(BadPack::Header));
    assert!(matches!(
        PackIndex::decode(other, &bytes),
        Err(BadPack::Digest { .. })
    ));
}

proptest! {
    #[test]
    fn what_is_packed_is_read_again_by_range(
        first in 0u64..1_000_000,
        segments in prop::collection::vec((1u32..50, 1usize..300), 1..20),
    ) {
        let (bytes, index, tail, digest) = builder(first, &segments).finish().unwrap();
        prop_assert_eq!(PackIndex::of_pack(STREAM, &bytes), Ok(index.clone()));
        let tail = &bytes[bytes.len() - tail as usize..];
        prop_assert_eq!(PackIndex::decode(STREAM, tail), Ok((index.clone(), digest)));
        for (place, segment) in index.segments.iter().enumerate() {
            let start = segment.offset as usize;
            let range = &bytes[start..start + segment.length as usize];
            prop_assert_eq!(segment.records(segment.offset, range), Ok(&records(place, segments[place].1)[..]));
        }
    }

    #[test]
    fn a_changed_byte_is_found(at in any::<prop::sample::Index>(), flip in 1u8..) {
        let (mut bytes, ..) = builder(3, &[(2, 30), (3, 40)]).finish().unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(PackIndex::of_pack(STREAM, &bytes).is_err());
    }

    #[test]
    fn a_pack_that_is_cut_is_found(at in any::<prop::sample::Index>()) {
        let (bytes, ..) = builder(3, &[(2, 30), (3, 40)]).finish().unwrap();
        let at = at.index(bytes.len());
        prop_assert!(PackIndex::of_pack(STREAM, &bytes[..at]).is_err());
    }
}
