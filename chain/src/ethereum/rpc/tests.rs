use super::*;
use alloy_primitives::b256;
use streamchain_protocol::time::UnixSec;

#[test]
fn a_log_query_names_a_block_by_hash_or_a_range_in_hex() {
    let address = Address::repeat_byte(1);
    let topics = vec![B256::repeat_byte(2)];
    let by_range = Request::Logs {
        address,
        topics: topics.clone(),
        streams: Vec::new(),
        blocks: LogBlocks::Range(0, 255),
    };
    assert_eq!(by_range.params()[0]["fromBlock"], "0x0");
    assert_eq!(by_range.params()[0]["toBlock"], "0xff");
    let by_hash = Request::Logs {
        address,
        topics,
        streams: vec![StreamId([4; 32])],
        blocks: LogBlocks::Hash(B256::repeat_byte(3)),
    };
    assert_eq!(
        by_hash.params()[0]["blockHash"],
        format!("{}", B256::repeat_byte(3))
    );
    assert_eq!(
        by_hash.params()[0]["topics"][0][0],
        format!("{}", B256::repeat_byte(2))
    );
    assert_eq!(
        by_hash.params()[0]["topics"][1][0],
        format!("{}", B256::repeat_byte(4))
    );
}

#[test]
fn no_contract_is_asked_by_the_zero_address() {
    let at = BlockId::Latest;
    let (to, data) = (Address::repeat_byte(1), Bytes::from_static(&[2]));
    let call = Request::Call { to, data, at };
    let (program, from) = (Bytes::from_static(&[3]), ASKED_BY);
    for asked in [call, Request::Run { program, from, at }] {
        let body: Value = serde_json::from_str(&asked.body()).unwrap();
        assert_eq!(body["params"][0]["from"], json!(ASKED_BY));
    }
}

#[test]
fn a_block_is_read_and_a_missing_one_is_none() {
    let request = Request::Block(BlockId::Latest);
    let hash = b256!("11aa000000000000000000000000000000000000000000000000000000000011");
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"number":"0x10","hash":"{hash}","parentHash":"{hash}",
        "timestamp":"0x65","transactions":[],"baseFeePerGas":"0x7"}}}}"#
    );
    let expected = Block {
        number: 16,
        hash,
        parent_hash: hash,
        timestamp: UnixSec(0x65),
        logs_bloom: None,
    };
    assert_eq!(request.decode(&body), Ok(Answer::Block(Some(expected))));
    let missing = r#"{"jsonrpc":"2.0","id":1,"result":null}"#;
    assert_eq!(request.decode(missing), Ok(Answer::Block(None)));
}

#[test]
fn headers_are_asked_for_in_a_batch_and_come_in_any_order() {
    let request = Request::Blocks(9, 11);
    let body: Value = serde_json::from_str(&request.body()).unwrap();
    let asked: Vec<_> = (0..3)
        .map(|one| (&body[one]["id"], &body[one]["params"][0]))
        .collect();
    assert_eq!(
        asked,
        [
            (&json!(1), &json!("0x9")),
            (&json!(2), &json!("0xa")),
            (&json!(3), &json!("0xb"))
        ]
    );
    let hash = B256::repeat_byte(1);
    let block = |number: u64| json!({ "id": number, "result": { "number": quantity(number), "hash": hash, "parentHash": hash, "timestamp": "0x1" } });
    let decode = |answers: &[Value]| request.decode(&Value::Array(answers.to_vec()).to_string());
    let Ok(Answer::Blocks(blocks)) = decode(&[block(11), block(9), block(10)]) else {
        panic!("a batch is read")
    };
    assert_eq!(
        blocks.iter().map(|block| block.number).collect::<Vec<_>>(),
        [9, 10, 11]
    );
    let refused = json!({ "id": 2, "error": { "code": -32_005, "message": "too many" } });
    assert!(matches!(
        decode(&[block(9), refused.clone()]),
        Err(RpcError::Node { code: -32_005, .. })
    ));
    assert!(matches!(
        request.decode(&refused.to_string()),
        Err(RpcError::Node { .. })
    ));
    let one = json!({ "id": 1, "result": null });
    assert!(matches!(
        decode(std::slice::from_ref(&one)),
        Err(RpcError::Malformed(_))
    ));
    assert!(matches!(
        request.decode(&one.to_string()),
        Err(RpcError::Malformed(_))
    ));
}

#[test]
fn a_node_that_reports_progress_is_syncing() {
    let progress = r#"{"result":{"currentBlock":"0x1","highestBlock":"0x9"}}"#;
    assert_eq!(Request::Syncing.decode(progress), Ok(Answer::Syncing(true)));
    assert_eq!(
        Request::Syncing.decode(r#"{"result":false}"#),
        Ok(Answer::Syncing(false))
    );
}

#[test]
fn malformed_answers_and_error_objects_are_told_apart() {
    for body in ["", "<html>", "{}", r#"{"result":"0xzz"}"#, r#"{"result":{}}"#] {
        assert!(
            matches!(Request::ChainId.decode(body), Err(RpcError::Malformed(_))),
            "{body}"
        );
    }
    let refused = Request::ChainId.decode(r#"{"error":{"code":-32000,"message":"nonce too low"}}"#);
    assert!(refused.is_err_and(|error| error.is_nonce_too_low()));
}
