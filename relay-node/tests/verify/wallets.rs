//! Contract wallets that turn on their own messages: whatever they answer, the rest of the stream is checked.

use super::forgeries::{edge, node_with, table};
use super::{verify, verify_stream};
use serde_json::{Value, json};

const GOOD: &str = "a contract wallet's groups, and a page's behind them";
const CUT: &str = "a contract wallet's groups, and one left out behind them";

/// What `verify-stream` says of a stream of the table where the chain's wallets answer so.
fn checked(
    title: &str,
    wallet: impl Fn(bool) -> Value + Send + 'static,
    more: &[&str],
) -> (Option<i32>, String) {
    let table = table();
    let case = table.streams.iter().find(|case| case.title == title).unwrap();
    let (node, edge) = (node_with(&table, wallet), edge(&table.stream, case));
    let (contract, id) = (table.contract.to_string(), table.stream["id"].as_str().unwrap());
    let believed = ["--contract", &contract, "--stream", id];
    verify_stream(&edge, &node, &[&believed, more].concat())
}

/// Answers of hostile wallets, as nodes give them.
fn refusals() -> [Value; 6] {
    let words = "rate limit: too many requests";
    let data = "0x08c379a0";
    [
        json!({ "result": "0x" }),
        json!({ "result": format!("0xffffffff{}", "00".repeat(28)) }),
        json!({ "result": format!("0x{}", "00".repeat(200_000)) }),
        json!({ "error": { "code": 3, "message": format!("execution reverted: {words}"), "data": data } }),
        json!({ "error": { "code": -32000, "message": format!("execution reverted: {words}") } }),
        json!({ "error": { "code": -32603, "message": words, "data": { "message": words, "data": data } } }),
    ]
}

#[test]
fn a_wallet_that_says_no_does_not_end_the_check() {
    for refusal in refusals() {
        let answer = refusal.clone();
        let (code, said) = checked(GOOD, move |_| answer.clone(), &[]);
        assert_eq!(code, Some(0), "{refusal}: {said}");
        let counted = "8 messages are signed by their authors (6 groups of 2 producers, none missing); \
                       8 by keys that nobody vouches for";
        assert!(said.contains(counted), "{refusal}: {said}");
        let reason = "the author's account does not accept the signature";
        assert_eq!(said.matches(reason).count(), 3, "{refusal}: {said}");
    }
}

#[test]
fn what_is_behind_a_hostile_wallet_is_still_found() {
    for refusal in refusals() {
        let answer = refusal.clone();
        let (code, said) = checked(CUT, move |_| answer.clone(), &[]);
        assert_eq!(code, Some(1), "{refusal}: {said}");
        assert!(
            said.contains("numbers") || said.contains("missing"),
            "{refusal}: {said}"
        );
        assert_eq!(said.matches("! not vouched for").count(), 3, "{refusal}: {said}");
    }
}

#[test]
fn required_signatures_refuse_such_a_wallet_alone() {
    let refuses = |_| json!({ "result": "0x" });
    let (code, said) = checked(GOOD, refuses, &["--require-signature", "--json"]);
    assert_eq!(code, Some(1), "{said}");
    let said: Value = serde_json::from_str(&said).unwrap();
    let stream = &said["streams"][0];
    assert!(
        stream["difference"].as_str().unwrap().contains("message 2:"),
        "{said}"
    );
    assert_eq!(stream["difference"], stream["refused"], "{said}");
    assert_eq!(stream["messages"], 16, "all was read: {said}");
    let (signatures, unvouched) = (&stream["signatures"], &stream["unvouched"]);
    assert_eq!(
        (&signatures["byAuthors"], &signatures["unvouched"]),
        (&json!(8), &json!(8))
    );
    assert_eq!(
        (&unvouched["groups"], &unvouched["messages"]),
        (&json!(3), &json!(8))
    );
    let named = unvouched["first"].as_array().unwrap();
    let seqs: Vec<_> = named.iter().map(|group| group["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, [2, 6, 7]);
    assert_eq!(named[0]["forged"], false, "{said}");
}

#[test]
fn a_question_without_an_answer_is_the_wallets_fault() {
    let silent = |_| json!({ "error": { "code": -32603, "message": "Internal error" } });
    let (code, said) = checked(GOOD, silent, &[]);
    assert_eq!(code, Some(0), "{said}");
    let reason = "the node has no answer about the author's contract wallet";
    assert_eq!(said.matches(reason).count(), 3, "{said}");
}

#[test]
fn a_wallet_is_asked_once_about_a_certificate() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    for answer in ["0x".to_owned(), format!("0x1626ba7e{}", "00".repeat(28))] {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = asked.clone();
        let answered = move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
            json!({ "result": answer })
        };
        let (code, said) = checked(GOOD, answered, &[]);
        assert_eq!((code, asked.load(Ordering::Relaxed)), (Some(0), 1), "{said}");
    }
}

#[test]
fn a_receipt_that_a_wallet_reverts_does_not_hold() {
    let table = table();
    let mut cases = table.receipts.iter();
    let case = cases
        .find(|case| case.title == "a contract wallet's message")
        .unwrap();
    for refusal in refusals() {
        let answer = refusal.clone();
        let receipt = (
            case.receipt.to_string(),
            node_with(&table, move |_| answer.clone()),
        );
        let (code, said) = verify(&receipt, &["--contract", &table.contract.to_string()]);
        assert_eq!(code, Some(1), "{refusal}: {said}");
        assert!(
            said.contains("neither the account's own nor its contract's"),
            "{refusal}: {said}"
        );
    }
}
