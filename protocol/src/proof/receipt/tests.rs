use super::*;
use crate::ids::{Seq, StreamName};
use crate::omitted::Omitted;
use crate::proof::bucket::{BUCKETS, BucketRoot, Buckets, bucket_of, bucket_proof, bucket_root, round_root};
use crate::proof::range::{append, path, range_leaf};
use crate::proof::run::{RunEntry, run_proof};
use crate::time::UnixMs;
use crate::util::merkle::Tree;
use alloy_primitives::Bytes;
use alloy_primitives::keccak256;
use std::collections::BTreeMap;

fn receipt() -> Receipt {
    let owner = Address::repeat_byte(9);
    let name: StreamName = "demo".parse().unwrap();
    let id = StreamId::of(owner, &name);
    let leaf = |seq: u64| {
        LeafFields {
            stream: id,
            seq: Seq(seq),
            time: UnixMs(1_000 + seq),
            author: Address::repeat_byte(1),
            payload_hash: keccak256(seq.to_be_bytes()),
        }
        .leaf()
    };
    let segments: Vec<Tree> = [0..3u64, 3..4, 4..9]
        .into_iter()
        .map(|run| Tree::new(&run.map(leaf).collect::<Vec<_>>()).unwrap())
        .collect();
    let anchor = Tree::new(&segments.iter().map(Tree::root).collect::<Vec<_>>()).unwrap();
    let mut proof = segments[2].proof(1).unwrap();
    proof.extend(anchor.proof(2).unwrap());
    Receipt {
        r#type: RECEIPT_TYPE.into(),
        version: RECEIPT_VERSION,
        chain_id: 31_337,
        contract: Address::repeat_byte(3),
        stream: ReceiptStream { id, owner, name },
        message: ReceiptMessage {
            seq: Seq(5),
            time: UnixMs(1_005),
            author: Address::repeat_byte(1),
            payload: Bytes::copy_from_slice(&5u64.to_be_bytes()),
            erased: None,
        },
        leaf: leaf(5),
        proof,
        root: anchor.root(),
        round: None,
        anchor: ReceiptAnchor {
            first: Seq(0),
            count: 9,
            root: anchor.root(),
            tx: B256::repeat_byte(4),
            block: 7,
            block_hash: B256::repeat_byte(5),
            log_index: 0,
        },
        author: None,
    }
}

#[test]
fn a_joined_proof_leads_from_the_message_to_the_anchor() {
    assert_eq!(receipt().check(), Ok(()));
    let text = serde_json::to_string(&receipt()).unwrap();
    assert_eq!(serde_json::from_str::<Receipt>(&text).unwrap(), receipt());
}

#[test]
fn a_receipt_with_any_field_changed_fails() {
    type Change = (&'static str, fn(&mut Receipt));
    let changes: Vec<Change> = vec![
        ("type", |r| r.r#type = "other".into()),
        ("version", |r| r.version = 2),
        ("version", |r| r.version = 3),
        ("round", |r| r.round = round_receipt().round),
        ("stream.id", |r| r.stream.id.0[31] ^= 1),
        ("stream.owner", |r| r.stream.owner.0[0] ^= 1),
        ("stream.name", |r| r.stream.name = "demo2".parse().unwrap()),
        ("message.seq", |r| r.message.seq.0 += 1),
        ("message.time", |r| r.message.time.0 += 1),
        ("message.author", |r| r.message.author.0[19] ^= 1),
        ("message.payload", |r| {
            r.message.payload = Bytes::from_static(b"other")
        }),
        ("message.erased", |r| {
            r.message.erased = Some(Omitted::of(&r.message.payload))
        }),
        ("leaf", |r| r.leaf.0[0] ^= 1),
        ("proof[0]", |r| r.proof[0].0[0] ^= 1),
        ("proof cut", |r| r.proof.truncate(1)),
        ("proof long", |r| r.proof = vec![B256::ZERO; 65]),
        ("root", |r| r.root.0[0] ^= 1),
        ("anchor.root", |r| r.anchor.root.0[0] ^= 1),
        ("anchor.first", |r| r.anchor.first = Seq(6)),
        ("anchor.count", |r| r.anchor.count = 5),
    ];
    for (field, change) in changes {
        let mut changed = receipt();
        change(&mut changed);
        assert!(
            changed.check().is_err(),
            "a receipt with another {field} must fail"
        );
    }
}

#[test]
fn the_receipt_of_an_erased_message_holds_by_its_hash() {
    let mut erased = receipt();
    erased.message.erased = Some(Omitted::of(&erased.message.payload));
    assert_eq!(erased.check(), Err(ReceiptError::ErasedPayload));
    erased.message.payload = Bytes::new();
    assert_eq!(erased.check(), Ok(()));
    erased.message.erased = Some(Omitted::of(b"other"));
    assert!(matches!(erased.check(), Err(ReceiptError::Leaf { .. })));
}

#[test]
fn a_message_and_its_leaf_changed_together_fail_at_the_proof() {
    let mut changed = receipt();
    changed.message.time.0 += 1;
    changed.leaf = changed.computed_leaf();
    assert!(matches!(changed.check(), Err(ReceiptError::Proof { .. })));
}

#[test]
fn version_1_is_written_as_it_always_was() {
    let text = serde_json::to_value(receipt()).unwrap();
    let names: Vec<&String> = text.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "anchor", "chainId", "contract", "leaf", "message", "proof", "root", "stream", "type", "version"
        ]
    );
}

/// The round in which [`round_receipt`]'s message is.
const ROUND: u64 = 5;
/// How many rounds the range has.
const ROUNDS: u64 = 7;

/// The stream of rounds of the operator.
fn operators() -> ReceiptStream {
    let owner = Address::repeat_byte(0x0b);
    ReceiptStream {
        id: rounds_stream(owner),
        owner,
        name: ROUNDS_NAME.parse().unwrap(),
    }
}

/// The way from a round with this root to its peak, the other rounds having roots of no meaning.
fn range_of(root: B256) -> ReceiptRange {
    let mut nodes: BTreeMap<(u8, u64), B256> = BTreeMap::new();
    for round in 0..ROUNDS {
        let root = if round == ROUND {
            root
        } else {
            keccak256([round as u8])
        };
        let leaf = range_leaf(operators().id, round, root);
        let made = append(round, leaf, |height| {
            nodes.get(&(height, (round >> height) - 1)).copied()
        });
        nodes.extend(
            made.unwrap()
                .iter()
                .map(|node| ((node.height, node.index), node.hash)),
        );
    }
    let proof: Vec<B256> = path(ROUND, ROUNDS).unwrap().iter().map(|at| nodes[at]).collect();
    ReceiptRange {
        peak: process_proof(range_leaf(operators().id, ROUND, root), &proof),
        proof,
    }
}

/// The message of [`receipt`], its run being in a round with a run of another stream in its bucket.
fn round_receipt() -> Receipt {
    let own = receipt();
    let run = RunEntry {
        stream: own.stream.id,
        first: own.anchor.first,
        count: 9,
        root: own.root,
        previous: B256::repeat_byte(6),
    };
    let mut other = run;
    other.stream.0[31] ^= 1;
    let mut runs = [run, other];
    runs.sort_by_key(|run| run.stream);
    let index = runs.iter().position(|one| *one == run).unwrap();
    let mut buckets: Buckets = [BucketRoot::default(); BUCKETS];
    let bucket = bucket_of(own.stream.id);
    buckets[usize::from(bucket)] = bucket_root(&runs);
    let root = round_root(ROUND, &buckets);
    Receipt {
        version: ROUND_RECEIPT_VERSION,
        round: Some(ReceiptRound {
            stream: operators(),
            run: ReceiptRun {
                first: run.first,
                count: run.count,
                previous: run.previous,
                proof: run_proof(&runs, index).unwrap(),
            },
            bucket: ReceiptBucket {
                runs: 2,
                root: bucket_root(&runs).root,
                proof: bucket_proof(ROUND, bucket, &buckets),
            },
            range: Some(range_of(root)),
        }),
        anchor: ReceiptAnchor {
            first: Seq(ROUND),
            count: 1,
            root,
            ..own.anchor.clone()
        },
        ..own
    }
}

#[test]
fn a_message_leads_by_its_run_and_bucket_to_a_round() {
    let receipt = round_receipt();
    assert_eq!(receipt.check(), Ok(()));
    let text = serde_json::to_string(&receipt).unwrap();
    assert_eq!(serde_json::from_str::<Receipt>(&text).unwrap(), receipt);
    assert_eq!(receipt.anchored_stream(), &operators());

    let mut without_range = receipt;
    without_range.round.as_mut().unwrap().range = None;
    assert_eq!(without_range.check(), Ok(()), "the range is for contracts");
}

/// A change to the part of a receipt that leads to a round.
type RoundChange = (&'static str, fn(&mut ReceiptRound));

#[test]
fn a_receipt_of_a_round_with_any_field_changed_fails() {
    let changes: Vec<RoundChange> = vec![
        ("stream.id", |r| r.stream.id.0[0] ^= 1),
        ("stream.owner", |r| r.stream.owner.0[0] ^= 1),
        ("stream.name", |r| r.stream.name = "_rounds2".parse().unwrap()),
        ("run.first", |r| r.run.first = Seq(1)),
        ("run.count", |r| r.run.count += 1),
        ("run.previous", |r| r.run.previous = B256::ZERO),
        ("run.proof", |r| r.run.proof[0].0[0] ^= 1),
        ("run.proof cut", |r| r.run.proof.clear()),
        ("run.proof long", |r| r.run.proof = vec![B256::ZERO; 65]),
        ("bucket.runs", |r| r.bucket.runs += 1),
        ("bucket.root", |r| r.bucket.root.0[0] ^= 1),
        ("bucket.proof", |r| r.bucket.proof[7].0[0] ^= 1),
        ("bucket.proof cut", |r| r.bucket.proof.truncate(7)),
        ("bucket.proof long", |r| r.bucket.proof.push(B256::ZERO)),
        ("range.proof long", |r| {
            r.range.as_mut().unwrap().proof = vec![B256::ZERO; 65]
        }),
        ("range.proof", |r| r.range.as_mut().unwrap().proof[0].0[0] ^= 1),
        ("range.proof cut", |r| r.range.as_mut().unwrap().proof.clear()),
        ("range.peak", |r| r.range.as_mut().unwrap().peak.0[0] ^= 1),
    ];
    for (field, change) in changes {
        let mut changed = round_receipt();
        change(changed.round.as_mut().unwrap());
        assert!(
            changed.check().is_err(),
            "a receipt with another {field} must fail"
        );
    }
    for (field, change) in [
        ("seq", (|r| r.message.seq.0 += 1) as fn(&mut Receipt)),
        ("root", |r| r.root.0[0] ^= 1),
        ("round", |r| r.round = None),
        ("version", |r| r.version = 1),
        ("anchor.first", |r| r.anchor.first.0 += 1),
        ("anchor.count", |r| r.anchor.count = 2),
        ("anchor.root", |r| r.anchor.root.0[0] ^= 1),
    ] {
        let mut changed = round_receipt();
        change(&mut changed);
        assert!(
            changed.check().is_err(),
            "a receipt with another {field} must fail"
        );
    }
}

#[test]
fn a_run_that_does_not_cover_the_message_fails() {
    // The whole way is genuine; only the range that the run was anchored with does not have the message.
    let mut receipt = round_receipt();
    receipt.message.seq = Seq(9);
    receipt.leaf = receipt.computed_leaf();
    receipt.proof.clear();
    receipt.root = receipt.leaf;
    assert!(matches!(receipt.check(), Err(ReceiptError::RunRange { .. })));
}
