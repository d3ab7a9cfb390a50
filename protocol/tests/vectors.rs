//! Roots and proofs equal those of OpenZeppelin's own library (contracts/test/vectors/generate.mjs explains the file).

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

#[path = "vectors/rounds.rs"]
mod rounds;

use serde::Deserialize;
use streamchain_protocol::ids::{Seq, StreamId, StreamName};
use streamchain_protocol::proof::LeafFields;
use streamchain_protocol::proof::merkle::{Tree, process_proof};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::{Address, B256, Bytes, keccak256};

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    title: String,
    stream: Stream,
    first: u64,
    count: u64,
    root: B256,
    segments: Vec<Segment>,
    messages: Vec<Message>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stream {
    owner: Address,
    name: StreamName,
    name_hash: B256,
    id: StreamId,
}

#[derive(Deserialize)]
struct Segment {
    first: u64,
    count: u64,
    root: B256,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    seq: u64,
    time: u64,
    author: Address,
    payload: Bytes,
    leaf: B256,
    segment: usize,
    segment_proof: Vec<B256>,
    proof: Vec<B256>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../contracts/test/vectors/merkle.json"))
        .expect("the vectors' shape")
}

/// The message that the file's rule gives for `seq`: time, author, payload.
fn message_at(seq: u64) -> (u64, Address, Vec<u8>) {
    let author = Address::from_word(keccak256(format!("author {}", seq % 5)));
    let block = keccak256(format!("payload {seq}"));
    let length = (u128::from(seq) * 37 % 200) as usize;
    (
        1_767_225_600_000 + 7 * seq,
        author,
        block.iter().copied().cycle().take(length).collect(),
    )
}

fn leaf_at(stream: StreamId, seq: u64) -> B256 {
    let (time, author, payload) = message_at(seq);
    LeafFields {
        stream,
        seq: Seq(seq),
        time: UnixMs(time),
        author,
        payload_hash: keccak256(payload),
    }
    .leaf()
}

#[test]
fn stream_ids_equal_the_vectors() {
    for case in vectors().cases {
        assert_eq!(case.stream.name.hash(), case.stream.name_hash, "{}", case.title);
        assert_eq!(
            StreamId::of(case.stream.owner, &case.stream.name),
            case.stream.id,
            "{}",
            case.title
        );
    }
}

#[test]
fn leaves_equal_the_vectors() {
    for case in vectors().cases {
        for message in case.messages {
            let (time, author, payload) = message_at(message.seq);
            assert_eq!(
                (time, author, Bytes::from(payload)),
                (message.time, message.author, message.payload)
            );
            assert_eq!(
                leaf_at(case.stream.id, message.seq),
                message.leaf,
                "{} seq {}",
                case.title,
                message.seq
            );
        }
    }
}

#[test]
fn roots_and_joined_proofs_equal_the_vectors() {
    for case in vectors().cases {
        let tree = |segment: &Segment| {
            let run = segment.first..segment.first + segment.count;
            Tree::new(&run.map(|seq| leaf_at(case.stream.id, seq)).collect::<Vec<_>>()).expect("has leaves")
        };
        let segments: Vec<Tree> = case.segments.iter().map(tree).collect();
        for (tree, segment) in segments.iter().zip(&case.segments) {
            assert_eq!(tree.root(), segment.root, "{}", case.title);
        }
        let roots: Vec<B256> = segments.iter().map(Tree::root).collect();
        let anchor = Tree::new(&roots).expect("has segments");
        assert_eq!(anchor.root(), case.root, "{}", case.title);
        assert_eq!(
            case.segments.iter().map(|segment| segment.count).sum::<u64>(),
            case.count
        );
        assert_eq!(case.segments[0].first, case.first);

        for message in &case.messages {
            let within = (message.seq - case.segments[message.segment].first) as usize;
            let mut proof = segments[message.segment]
                .proof(within)
                .expect("is in the segment");
            assert_eq!(proof, message.segment_proof, "{} seq {}", case.title, message.seq);
            proof.extend(anchor.proof(message.segment).expect("is in the anchor"));
            assert_eq!(proof, message.proof, "{} seq {}", case.title, message.seq);
            assert_eq!(
                process_proof(message.leaf, &proof),
                case.root,
                "{} seq {}",
                case.title,
                message.seq
            );
        }
    }
}
