use super::*;
use serde_json::{Value, json};
use streamchain_protocol::B256;
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::keccak256;
use streamchain_protocol::proof::LeafFields;
use streamchain_protocol::proof::merkle::Tree;

const CONTRACT: Address = Address::repeat_byte(0xc0);

/// A receipt for message 5 of an anchor over 4 to 6, and the chain that has it.
fn scene() -> (Value, Evidence) {
    let owner = Address::repeat_byte(7);
    let stream = StreamId::of(owner, &"demo".parse().unwrap());
    let leaf = |seq: u64| {
        let fields = LeafFields {
            stream,
            seq: Seq(seq),
            time: streamchain_protocol::time::UnixMs(1_000 + seq),
            author: owner,
            payload_hash: keccak256(b"hello"),
        };
        fields.leaf()
    };
    let tree = Tree::new(&[leaf(4), leaf(5), leaf(6)]).unwrap();
    let (tx, block_hash) = (B256::repeat_byte(1), B256::repeat_byte(2));
    let receipt = json!({
        "type": "streamchain-receipt", "version": 1, "chainId": 31_337, "contract": CONTRACT,
        "stream": { "id": stream, "owner": owner, "name": "demo" },
        "message": { "seq": 5, "time": 1_005, "author": owner, "payload": "0x68656c6c6f" },
        "leaf": leaf(5), "proof": tree.proof(1).unwrap(), "root": tree.root(),
        "anchor": { "first": 4, "count": 3, "root": tree.root(), "tx": tx, "block": 9, "blockHash": block_hash, "logIndex": 1 },
    });
    let event = Anchored {
        stream: stream.word(),
        anchorer: owner,
        firstSeq: 4,
        count: 3,
        root: tree.root(),
    };
    let log = Log {
        address: CONTRACT,
        topics: event.encode_topics().into_iter().map(|topic| topic.0).collect(),
        data: event.encode_data().into(),
        block_number: 9,
        block_hash,
        transaction_hash: tx,
        log_index: 1,
        removed: false,
    };
    let transaction = ethereum::Receipt {
        transaction_hash: tx,
        block_number: 9,
        block_hash,
        status: 1,
        gas_used: 1,
        logs: vec![log],
    };
    (
        receipt,
        Evidence {
            chain_id: 31_337,
            transaction: Some(transaction),
            finalized: Some(9),
            wallet: None,
        },
    )
}

fn verdict(receipt: &Value, evidence: &Evidence) -> Verdict {
    let receipt: Receipt = match serde_json::from_value(receipt.clone()) {
        Ok(receipt) => receipt,
        Err(error) => return Verdict::not_a_receipt(&error.to_string()),
    };
    verdict_for(&receipt, &trust(), None, evidence)
}

fn trust() -> Trust {
    Trust {
        rpc: String::new(),
        contract: CONTRACT,
        chain_id: None,
        owner: None,
        anchorer: None,
        rounds_owner: None,
    }
}

fn verdict_for(receipt: &Receipt, trust: &Trust, wanted: Option<&StreamRef>, evidence: &Evidence) -> Verdict {
    let offline = Verdict::offline(receipt, trust, wanted, &SignatureArgs::default());
    if offline.holds() {
        judge(offline, receipt, trust, evidence)
    } else {
        offline
    }
}

#[test]
fn a_true_receipt_holds_and_each_step_is_listed() {
    let (receipt, evidence) = scene();
    let verdict = verdict(&receipt, &evidence);
    assert!(verdict.holds(), "{verdict}");
    let text = verdict.to_string();
    for said in [
        "\"demo\"",
        "message 5",
        "leads to root",
        "chain 31337",
        "block 9 is final",
        "The receipt holds.",
    ] {
        assert!(text.contains(said), "{said} in:\n{text}");
    }
}

/// Every field of a JSON document, as paths.
fn fields(value: &Value, path: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(members) => members
            .iter()
            .for_each(|(name, member)| fields(member, &format!("{path}/{name}"), out)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(at, item)| fields(item, &format!("{path}/{at}"), out)),
        _ => out.push(path.to_owned()),
    }
}

/// Fails if the receipt, which has more than so many fields, holds with any of them changed.
fn assert_each_field_counts((receipt, evidence): &(Value, Evidence), more_than: usize) {
    let mut paths = vec![];
    fields(receipt, "", &mut paths);
    assert!(paths.len() > more_than, "{paths:?}");
    for path in paths {
        let mut changed = receipt.clone();
        let field = changed.pointer_mut(&path).unwrap();
        *field = match field {
            Value::Number(number) => json!(number.as_u64().unwrap() + 1),
            Value::String(text) => {
                let last = if text.ends_with('1') { '2' } else { '1' };
                json!(format!("{}{last}", &text[..text.len() - 1]))
            }
            other => panic!("{path}: {other}"),
        };
        assert!(!verdict(&changed, evidence).holds(), "{path} was changed");
    }
}

#[test]
fn a_receipt_with_any_field_changed_does_not_hold() {
    assert_each_field_counts(&scene(), 18);
}

#[test]
fn a_receipt_with_a_missing_or_failed_transaction_fails() {
    let (receipt, evidence) = scene();
    let gone = Evidence {
        transaction: None,
        ..evidence.clone()
    };
    assert!(verdict(&receipt, &gone).to_string().contains("in no block"));
    let mut failed = evidence;
    failed.transaction.as_mut().unwrap().status = 0;
    assert!(verdict(&receipt, &failed).to_string().contains("reverted"));
}

#[test]
fn an_event_that_says_something_else_does_not_do() {
    let (receipt, evidence) = scene();
    let with = |change: fn(&mut Log)| {
        let mut evidence = evidence.clone();
        change(&mut evidence.transaction.as_mut().unwrap().logs[0]);
        verdict(&receipt, &evidence)
    };
    assert!(!with(|log| log.address = Address::ZERO).holds());
    assert!(!with(|log| log.topics[1] = B256::ZERO).holds(), "another stream");
    assert!(!with(|log| log.topics[0] = B256::ZERO).holds(), "another event");
    assert!(!with(|log| log.data = vec![0; 96].into()).holds());
    assert!(!with(|log| log.removed = true).holds());
}

#[test]
fn a_block_that_is_not_final_is_said_but_does_not_fail() {
    let (receipt, evidence) = scene();
    for finalized in [Some(8), None] {
        let verdict = verdict(
            &receipt,
            &Evidence {
                finalized,
                ..evidence.clone()
            },
        );
        assert!(verdict.holds() && verdict.to_string().contains('!'), "{verdict}");
    }
}

/// The verdict on the true receipt by someone who believes as `change` says.
fn believing(change: impl FnOnce(&mut Trust), wanted: Option<&str>) -> Verdict {
    let (receipt, evidence) = scene();
    let receipt: Receipt = serde_json::from_value(receipt).unwrap();
    let mut trust = trust();
    change(&mut trust);
    let wanted = wanted.map(|text| text.parse().unwrap());
    verdict_for(&receipt, &trust, wanted.as_ref(), &evidence)
}

#[test]
fn owner_stream_anchorer_and_chain_can_be_required() {
    let (owner, forger) = (Address::repeat_byte(7), Address::repeat_byte(8));
    let id = |owner| StreamId::of(owner, &"demo".parse().unwrap()).to_string();
    assert!(believing(|trust| trust.owner = Some(owner), Some("demo")).holds());
    assert!(believing(|trust| trust.anchorer = Some(owner), Some(&id(owner))).holds());
    assert!(believing(|trust| trust.chain_id = Some(31_337), None).holds());

    let refused = [
        believing(|trust| trust.owner = Some(forger), None),
        believing(|trust| trust.anchorer = Some(forger), None),
        believing(|trust| trust.chain_id = Some(1), None),
        believing(|trust| trust.contract = forger, None),
        believing(|_| {}, Some(&id(forger))),
        believing(|trust| trust.owner = Some(owner), Some("other")),
    ];
    for verdict in refused {
        assert!(!verdict.holds(), "{verdict}");
        assert!(verdict.to_string().contains("does not hold"), "{verdict}");
    }
}

#[test]
fn whom_the_result_rests_on_is_said() {
    let owner = Address::repeat_byte(7).to_string();
    let open = believing(|_| {}, None).to_string();
    assert!(open.contains(&format!("the anchor is by {owner}")), "{open}");
    assert!(open.contains("--owner, --anchorer"), "{open}");
    let required = believing(|trust| trust.owner = Some(Address::repeat_byte(7)), None).to_string();
    assert!(!required.contains("--owner"), "{required}");
}

#[test]
fn numbers_that_no_stream_reaches_are_shown_without_harm() {
    assert_eq!(span(Seq(5), 3), "5 to 7");
    assert_eq!(
        span(Seq(u64::MAX), u64::MAX),
        format!("{} to {}", u64::MAX, u64::MAX - 1)
    );
    assert_eq!(span(Seq(0), 0), "0 to 0");
}

mod rounds {
    //! Receipts of version 2, those of the contract's vectors, with the event of their round.
    use super::*;

    const OPERATOR_KEY: Address = Address::repeat_byte(0x0a);

    /// A receipt of the vectors and the chain that has its round.
    fn round_scene() -> (Value, Evidence) {
        let text = include_str!("../../../../contracts/test/vectors/rounds.json");
        let file: Value = serde_json::from_str(text).unwrap();
        let value = file["receipts"][8].clone();
        let receipt: Receipt = serde_json::from_value(value.clone()).unwrap();
        let (_, mut evidence) = scene();
        let event = Anchored {
            stream: receipt.anchored_stream().id.word(),
            anchorer: OPERATOR_KEY,
            firstSeq: receipt.anchor.first.0,
            count: 1,
            root: receipt.anchor.root,
        };
        let transaction = evidence.transaction.as_mut().unwrap();
        transaction.transaction_hash = receipt.anchor.tx;
        transaction.block_number = receipt.anchor.block;
        transaction.block_hash = receipt.anchor.block_hash;
        let log = &mut transaction.logs[0];
        log.address = receipt.contract;
        log.topics = event.encode_topics().into_iter().map(|topic| topic.0).collect();
        log.data = event.encode_data().into();
        log.log_index = receipt.anchor.log_index;
        evidence.finalized = Some(receipt.anchor.block);
        (value, evidence)
    }

    fn owners(receipt: &Value) -> (Address, Address) {
        let receipt: Receipt = serde_json::from_value(receipt.clone()).unwrap();
        (receipt.stream.owner, receipt.round.unwrap().stream.owner)
    }

    #[test]
    fn a_true_receipt_of_a_round_holds_and_says_whose() {
        let (receipt, evidence) = round_scene();
        let verdict = verdict(&receipt, &evidence);
        assert!(verdict.holds(), "{verdict}");
        let text = verdict.to_string();
        let (_, operator) = owners(&receipt);
        for said in [
            "the run covers messages",
            "runs of bucket",
            "as round",
            &format!("the anchor is by {OPERATOR_KEY}"),
            &format!("of {operator}"),
            "--rounds-owner",
        ] {
            assert!(text.contains(said), "{said} in:\n{text}");
        }
    }

    #[test]
    fn a_receipt_of_a_round_with_any_field_changed_does_not_hold() {
        assert_each_field_counts(&round_scene(), 30);
    }

    #[test]
    fn the_round_must_be_an_event_of_the_stream_of_rounds() {
        let (receipt, evidence) = round_scene();
        let with = |change: fn(&mut Log)| {
            let mut evidence = evidence.clone();
            change(&mut evidence.transaction.as_mut().unwrap().logs[0]);
            verdict(&receipt, &evidence)
        };
        assert!(!with(|log| log.topics[1] = B256::ZERO).holds(), "another stream");
        // The same round of somebody else, whose stream of rounds has the same name.
        assert!(!with(|log| log.topics[1] = B256::repeat_byte(1)).holds());
        assert!(!with(|log| log.data = vec![0; 96].into()).holds(), "another root");
    }

    #[test]
    fn the_owner_of_the_rounds_and_the_anchorer_can_be_required() {
        let (receipt, evidence) = round_scene();
        let (owner, operator) = owners(&receipt);
        let receipt: Receipt = serde_json::from_value(receipt).unwrap();
        let believing = |change: &dyn Fn(&mut Trust)| {
            let mut trust = trust();
            change(&mut trust);
            verdict_for(&receipt, &trust, None, &evidence).holds()
        };
        assert!(believing(&|trust| trust.rounds_owner = Some(operator)));
        assert!(believing(&|trust| trust.anchorer = Some(OPERATOR_KEY)));
        assert!(
            !believing(&|trust| trust.rounds_owner = Some(owner)),
            "another's rounds"
        );
        assert!(
            !believing(&|trust| trust.anchorer = Some(owner)),
            "another's anchor"
        );
    }
}
