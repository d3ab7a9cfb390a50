use super::*;
use crate::proof::merkle::Tree;
use crate::time::UnixMs;

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
        },
        leaf: leaf(5),
        proof,
        root: anchor.root(),
        anchor: ReceiptAnchor {
            first: Seq(0),
            count: 9,
            root: anchor.root(),
            tx: B256::repeat_byte(4),
            block: 7,
            block_hash: B256::repeat_byte(5),
            log_index: 0,
        },
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
        ("stream.id", |r| r.stream.id.0[31] ^= 1),
        ("stream.owner", |r| r.stream.owner.0[0] ^= 1),
        ("stream.name", |r| r.stream.name = "demo2".parse().unwrap()),
        ("message.seq", |r| r.message.seq.0 += 1),
        ("message.time", |r| r.message.time.0 += 1),
        ("message.author", |r| r.message.author.0[19] ^= 1),
        ("message.payload", |r| {
            r.message.payload = Bytes::from_static(b"other")
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
fn a_message_and_its_leaf_changed_together_fail_at_the_proof() {
    let mut changed = receipt();
    changed.message.time.0 += 1;
    changed.leaf = changed.computed_leaf();
    assert!(matches!(changed.check(), Err(ReceiptError::Proof { .. })));
}
