//! Whom `verify` and `verify-stream` believe, against a forger who has a contract, a stream, a receipt and an edge.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on"
)]

#[path = "verify/forgeries.rs"]
mod forgeries;
#[path = "support/http.rs"]
mod http;
#[path = "verify/rounds.rs"]
mod rounds;
#[path = "verify/wallets.rs"]
mod wallets;

use alloy_sol_types::SolEvent;
use serde_json::{Value, json};
use std::process::Command;
use streamchain_chain::abi::Anchored;
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::proof::LeafFields;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::{Address, B256, keccak256};

const HONEST: Address = Address::repeat_byte(0xc0);
const FORGER: Address = Address::repeat_byte(0xf0);
const CHAIN: u64 = 31_337;

fn demo_of(owner: Address) -> StreamId {
    StreamId::of(owner, &"demo".parse().unwrap())
}

/// Answers HTTP requests by their path and body with JSON, until the test program ends. Returns its URL.
fn serve(answer: impl Fn(&str, &Value) -> Value + Send + 'static) -> String {
    http::serve(move |path, body| match answer(path, body) {
        Value::Null => http::Reply::Messages(0, Vec::new()),
        answer => http::Reply::Json(answer),
    })
}

/// A receipt of message 0 of `owner`'s stream `demo`, and a node whose chain has its anchor by `contract`.
fn anchored(contract: Address, owner: Address) -> (String, String) {
    let stream = demo_of(owner);
    let fields = LeafFields {
        stream,
        seq: Seq(0),
        time: UnixMs(1_000),
        author: owner,
        payload_hash: keccak256(b"hello"),
    };
    let root = fields.leaf();
    let (tx, block_hash) = (B256::repeat_byte(1), B256::repeat_byte(2));
    let receipt = json!({
        "type": "streamchain-receipt", "version": 1, "chainId": CHAIN, "contract": contract,
        "stream": { "id": stream, "owner": owner, "name": "demo" },
        "message": { "seq": 0, "time": 1_000, "author": owner, "payload": "0x68656c6c6f" },
        "leaf": root, "proof": [], "root": root,
        "anchor": { "first": 0, "count": 1, "root": root, "tx": tx, "block": 9, "blockHash": block_hash, "logIndex": 0 },
    });
    let event = Anchored {
        stream: stream.word(),
        anchorer: owner,
        firstSeq: 0,
        count: 1,
        root,
    };
    let topics: Vec<B256> = event.encode_topics().into_iter().map(|topic| topic.0).collect();
    let data = format!("0x{}", alloy_primitives::hex::encode(event.encode_data()));
    let transaction = json!({
        "transactionHash": tx, "blockNumber": "0x9", "blockHash": block_hash, "status": "0x1", "gasUsed": "0x1",
        "logs": [{
            "address": contract, "topics": topics, "data": data, "blockNumber": "0x9", "blockHash": block_hash,
            "transactionHash": tx, "logIndex": "0x0", "removed": false,
        }],
    });
    let node = serve(move |_, request| {
        let result = match request["method"].as_str().unwrap_or_default() {
            "eth_chainId" => json!("0x7a69"),
            "eth_getTransactionReceipt" => transaction.clone(),
            _ => Value::Null,
        };
        json!({ "jsonrpc": "2.0", "id": request["id"], "result": result })
    });
    (receipt.to_string(), node)
}

/// Exit code and output, without a configuration file of the person who runs the tests.
fn relay_node(args: &[&str]) -> (Option<i32>, String) {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_relay-node"));
    for name in ["STREAMCHAIN_RPC", "STREAMCHAIN_EDGE", "STREAMCHAIN_VERIFY_CONFIG"] {
        command.env_remove(name);
    }
    let ended = command
        .args(args)
        .env("XDG_CONFIG_HOME", home.path())
        .output()
        .unwrap();
    let said = [ended.stdout, ended.stderr].concat();
    (ended.status.code(), String::from_utf8_lossy(&said).into_owned())
}

fn verify((receipt, node): &(String, String), more: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipt.json");
    std::fs::write(&path, receipt).unwrap();
    let args = [&["verify", path.to_str().unwrap(), "--rpc", node], more].concat();
    relay_node(&args)
}

#[test]
fn a_receipt_does_not_name_the_contract_that_is_believed() {
    let forged = anchored(FORGER, FORGER);
    let (code, said) = verify(&forged, &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--contract"), "{said}");
    let (code, said) = verify(&forged, &["--contract", &HONEST.to_string()]);
    assert_eq!(code, Some(1), "{said}");
}

#[test]
fn a_stream_of_the_same_name_does_not_hold() {
    let (owner, contract) = (Address::repeat_byte(7), HONEST.to_string());
    let (owner_text, id) = (owner.to_string(), demo_of(owner).to_string());
    let forged = anchored(HONEST, FORGER);
    let wanted: [&[&str]; 4] = [
        &["--owner", &owner_text],
        &["--stream", &id],
        &["--owner", &owner_text, "--stream", "demo"],
        &["--anchorer", &owner_text],
    ];
    let honest = anchored(HONEST, owner);
    for required in wanted {
        let args = [&["--contract", &contract], required].concat();
        let (code, said) = verify(&forged, &args);
        assert_eq!(code, Some(1), "{required:?}: {said}");
        let (code, said) = verify(&honest, &args);
        assert_eq!(code, Some(0), "{required:?}: {said}");
    }
    let (code, said) = verify(&forged, &["--contract", &contract, "--stream", "demo"]);
    assert_eq!(code, Some(2), "a name alone is nobody's: {said}");
    assert!(said.contains("--owner"), "{said}");
    let (code, said) = verify(&forged, &["--contract", &contract]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains(&FORGER.to_string()) && said.contains("--owner"),
        "{said}"
    );
}

#[test]
fn a_configuration_file_says_whom_to_believe() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("verify.json");
    let owner = Address::repeat_byte(7);
    let text = json!({ "chainId": CHAIN, "contract": HONEST, "owner": owner }).to_string();
    std::fs::write(&config, text).unwrap();
    let config = ["--config", config.to_str().unwrap()];
    assert_eq!(verify(&anchored(HONEST, owner), &config).0, Some(0));
    assert_eq!(verify(&anchored(HONEST, FORGER), &config).0, Some(1));
    assert_eq!(verify(&anchored(FORGER, FORGER), &config).0, Some(1));
    let other_chain = [&config[..], &["--chain-id", "1"]].concat();
    assert_eq!(verify(&anchored(HONEST, owner), &other_chain).0, Some(1));
}

/// An edge that lists one stream `demo`, with this id and owner, and names its own contract.
fn edge_with(id: StreamId, owner: Address) -> String {
    let stream = json!({ "id": id, "name": "demo", "owner": owner, "anchored": 0 });
    serve(move |path, _| match path {
        "/v1/config" => json!({ "chainId": CHAIN, "contract": FORGER, "contractBlock": 0 }),
        "/v1/streams" => json!({ "streams": [stream.clone()] }),
        _ => stream.clone(),
    })
}

fn verify_stream(edge: &str, node: &str, more: &[&str]) -> (Option<i32>, String) {
    relay_node(&[&["verify-stream", "--edge", edge, "--rpc", node], more].concat())
}

#[test]
fn an_edge_does_not_name_the_contract_or_the_owner() {
    let owner = Address::repeat_byte(7);
    let (contract, owner_text) = (HONEST.to_string(), owner.to_string());
    let (_, node) = anchored(HONEST, FORGER);
    let (code, said) = verify_stream(&edge_with(demo_of(FORGER), FORGER), &node, &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--contract"), "{said}");

    let mut believed = vec!["--contract", contract.as_str(), "--owner", owner_text.as_str()];
    let (code, said) = verify_stream(&edge_with(demo_of(FORGER), FORGER), &node, &believed);
    assert_eq!(code, Some(2), "nothing of the owner was compared: {said}");
    believed.extend(["--stream", "demo"]);
    let (code, said) = verify_stream(&edge_with(demo_of(FORGER), FORGER), &node, &believed);
    assert_eq!(code, Some(1), "{said}");
    let (code, said) = verify_stream(&edge_with(demo_of(FORGER), owner), &node, &believed);
    assert_eq!(code, Some(1), "the forger's id under the owner's name: {said}");
    assert!(said.contains("whose id is"), "{said}");
}

/// A node whose newest block, by its header, may have events, and which gives none of them for the first `refusals`
/// questions for receipts.
fn doubtful_node(refusals: u32) -> String {
    let asked = std::sync::atomic::AtomicU32::new(0);
    let hash = |number: u64| B256::repeat_byte(number as u8 + 1);
    let block = move |number: u64, bloom: &str| {
        json!({
            "number": format!("{number:#x}"), "hash": hash(number), "parentHash": hash(number.saturating_sub(1)),
            "timestamp": "0x1", "logsBloom": format!("0x{}", bloom.repeat(256)), "transactions": [],
        })
    };
    serve(move |_, request| {
        let parameters = &request["params"];
        let result = match request["method"].as_str().unwrap_or_default() {
            "eth_chainId" => json!("0x7a69"),
            "eth_syncing" => json!(false),
            "eth_getBlockByNumber" => match parameters[0].as_str().unwrap_or_default() {
                "0x0" | "finalized" => block(0, "00"),
                _ => block(1, "ff"),
            },
            "eth_getLogs" => json!([]),
            "eth_getBlockReceipts"
                if asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= refusals =>
            {
                json!([])
            }
            _ => Value::Null,
        };
        json!({ "jsonrpc": "2.0", "id": request["id"], "result": result })
    })
}

#[test]
fn blocks_that_the_check_gave_up_on_are_said() {
    let owner = Address::repeat_byte(7);
    let stream = json!({ "id": demo_of(owner), "name": "demo", "owner": owner, "anchored": 0 });
    let edge = serve(move |path, _| match path.split('?').next().unwrap_or_default() {
        "/v1/config" => json!({ "contractBlock": 0 }),
        "/v1/streams" => json!({ "streams": [stream.clone()] }),
        path if path.ends_with("/messages") => Value::Null,
        path if path.ends_with("/anchors") => json!({ "anchors": [] }),
        path if path.ends_with("/segments") => json!({ "segments": [] }),
        _ => stream.clone(),
    });
    let contract = HONEST.to_string();
    let node = doubtful_node(u32::MAX);
    let believed = ["--contract", contract.as_str(), "--patience", "0"];
    let (code, said) = verify_stream(&edge, &node, &believed);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("gave up on 1 blocks"), "{said}");
    let json = [&believed[..], &["--json"]].concat();
    let (_, said) = verify_stream(&edge, &node, &json);
    assert!(said.contains("\"doubtfulBlocks\":1"), "{said}");
}
