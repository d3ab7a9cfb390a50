//! Answers of real nodes that a strict reader takes wrongly: the table is shared with the page's reader.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop"
)]

use alloy_primitives::{Address, B256, Bytes};
use serde_json::{Value, json};
use streamchain_chain::ethereum::{Answer, BlockId, Endpoints, LogBlocks, Request, RpcError};
use streamchain_protocol::time::UnixMs;

const TABLE: &str = include_str!("../../tests/fixtures/odd-answers.json");

fn request(method: &str) -> Request {
    match method {
        "eth_chainId" => Request::ChainId,
        "eth_syncing" => Request::Syncing,
        "eth_getBlockByNumber" => Request::Block(BlockId::Finalized),
        "eth_getTransactionReceipt" => Request::Receipt(B256::repeat_byte(0x33)),
        "eth_getLogs" => Request::Logs {
            address: Address::ZERO,
            topics: Vec::new(),
            streams: Vec::new(),
            blocks: LogBlocks::Range(1, 50),
        },
        "eth_call" => Request::Call {
            to: Address::ZERO,
            data: Bytes::new(),
            at: BlockId::Latest,
        },
        other => panic!("the table has the method {other}"),
    }
}

fn shown(answer: &Answer) -> Value {
    match answer {
        Answer::ChainId(id) => json!(id),
        Answer::Syncing(syncing) => json!(syncing),
        Answer::Logs(logs) => json!(vec![Value::Null; logs.len()]),
        Answer::Block(Some(block)) => json!({ "number": block.number, "hash": block.hash }),
        Answer::Receipt(Some(receipt)) => {
            json!({ "status": receipt.status, "block": receipt.block_number, "blockHash": receipt.block_hash })
        }
        Answer::Block(None) | Answer::Receipt(None) => json!("none"),
        other => panic!("{other:?}"),
    }
}

/// What is done with an answer, in the words of the table.
fn judged(request: &Request, outcome: Result<Answer, RpcError>) -> Value {
    let now = UnixMs(0);
    let next = |count| {
        let mut endpoints = Endpoints::new(1, count);
        endpoints.handle_outcome(0, request, &outcome, now);
        endpoints.choose(request, &[], now).map(|choice| choice.index)
    };
    let (of_one, of_two) = (next(1), next(2));
    match outcome {
        Ok(answer) if shown(&answer) == "none" => json!({ "is": "none" }),
        Ok(answer) => json!({ "is": "value", "value": shown(&answer) }),
        Err(error) if request.is_answered_by(&error) => {
            json!({ "is": "revert", "data": error.revert().unwrap() })
        }
        Err(_) if of_one.is_none() => json!({ "is": "limited" }),
        Err(_) if of_two == Some(1) => json!({ "is": "elsewhere" }),
        Err(error) => json!({ "is": "kept", "error": error.to_string() }),
    }
}

#[test]
fn every_odd_answer_is_read_as_the_table_says() {
    let table: Value = serde_json::from_str(TABLE).unwrap();
    let answers = table["answers"].as_array().unwrap();
    assert!(answers.len() >= 60);
    let mut wrong = Vec::new();
    for entry in answers {
        let request = request(entry["method"].as_str().unwrap());
        let status = entry["status"].as_u64().unwrap_or(200) as u16;
        let body = match entry["text"].as_str() {
            Some(text) => text.to_owned(),
            None => entry["body"].to_string(),
        };
        let outcome = request.decode_response(status, &body);
        let said = format!("{outcome:?}");
        let judged = judged(&request, outcome);
        if judged != entry["expected"] {
            wrong.push(format!("{}: {judged}, from {said}", entry["name"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
