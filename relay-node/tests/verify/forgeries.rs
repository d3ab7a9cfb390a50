//! The table of forgeries (contracts/test/vectors/forgeries.mjs explains it): what somebody with all the operator's keys can try, as
//! receipts and as whole streams. The edge and the chain say what the operator wants; only the authors' keys are not the operator's.

use super::http::{Reply, serve};
use super::{verify, verify_stream};
use alloy_primitives::hex;
use alloy_sol_types::SolEvent;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use streamchain_chain::abi::Anchored;
use streamchain_chain::ethereum::eip191;
use streamchain_protocol::ids::StreamId;
use streamchain_protocol::proof::Receipt;
use streamchain_protocol::signed::{Certificate, PublicKey};
use streamchain_protocol::wire::cbor::Writer;
use streamchain_protocol::wire::{Record, decode_records};
use streamchain_protocol::{Address, B256, Bytes};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Table {
    pub contract: Address,
    operator: Address,
    pub stream: Value,
    contract_wallets: Vec<ContractWallet>,
    pub receipts: Vec<ReceiptCase>,
    pub streams: Vec<StreamCase>,
}

#[derive(Clone, Deserialize)]
pub(super) struct ContractWallet {
    address: Address,
    message: String,
    signature: Bytes,
}

#[derive(Deserialize)]
pub(super) struct ReceiptCase {
    pub title: String,
    pub receipt: Value,
    holds: bool,
    wrong: Option<String>,
    #[serde(default)]
    stripped: bool,
}

#[derive(Deserialize)]
pub(super) struct StreamCase {
    pub title: String,
    records: Bytes,
    certificates: Vec<Vouched>,
    holds: bool,
    wrong: Option<String>,
    #[serde(default)]
    hidden: bool,
    #[serde(default)]
    unvouched: bool,
}

#[derive(Clone, Deserialize)]
pub(super) struct Vouched {
    author: Address,
    key: PublicKey,
    #[serde(flatten)]
    certificate: Certificate,
}

pub(super) fn table() -> Table {
    let text = include_str!("../../../contracts/test/vectors/forgeries.json");
    serde_json::from_str(text).expect("the file's shape")
}

/// The transaction in which the operator anchored what a receipt's anchor says.
fn transaction(table: &Table, receipt: &Receipt) -> Value {
    let anchor = &receipt.anchor;
    let event = Anchored {
        stream: receipt.stream.id.word(),
        anchorer: table.operator,
        firstSeq: anchor.first.0,
        count: u32::try_from(anchor.count).unwrap(),
        root: anchor.root,
    };
    let topics: Vec<B256> = event.encode_topics().into_iter().map(|topic| topic.0).collect();
    let block = format!("{:#x}", anchor.block);
    json!({
        "transactionHash": anchor.tx, "blockNumber": block, "blockHash": anchor.block_hash, "status": "0x1",
        "gasUsed": "0x1",
        "logs": [{
            "address": table.contract, "topics": topics, "data": hex::encode_prefixed(event.encode_data()),
            "blockNumber": block, "blockHash": anchor.block_hash, "transactionHash": anchor.tx,
            "logIndex": format!("{:#x}", anchor.log_index), "removed": false,
        }],
    })
}

/// A node of a chain that has all anchors of the table and its contract wallets.
fn node(table: &Table) -> String {
    node_with(table, |accepts| match accepts {
        true => json!({ "result": format!("0x1626ba7e{}", "00".repeat(28)) }),
        false => json!({ "result": "0x" }),
    })
}

/// The same, whose contracts answer with what `called` says, an error or a result: it is given whether a wallet of the table accepts.
pub(super) fn node_with(table: &Table, called: impl Fn(bool) -> Value + Send + 'static) -> String {
    let transactions: HashMap<String, Value> = table
        .receipts
        .iter()
        .map(|case| serde_json::from_value::<Receipt>(case.receipt.clone()).unwrap())
        .map(|receipt| (receipt.anchor.tx.to_string(), transaction(table, &receipt)))
        .collect();
    let wallets = table.contract_wallets.clone();
    let block = |number: u64| {
        json!({
            "number": format!("{number:#x}"), "hash": B256::repeat_byte(number as u8 + 1),
            "parentHash": B256::repeat_byte(number as u8), "timestamp": "0x1",
            "logsBloom": format!("0x{}", "00".repeat(256)), "transactions": [],
        })
    };
    serve(move |_, request| {
        let first = &request["params"][0];
        let result = match request["method"].as_str().unwrap_or_default() {
            "eth_chainId" => json!("0x7a69"),
            "eth_syncing" => json!(false),
            "eth_getTransactionReceipt" => transactions
                .get(first.as_str().unwrap())
                .cloned()
                .unwrap_or_default(),
            "eth_getBlockByNumber" => match first.as_str() {
                Some("0x0" | "finalized") => block(0),
                _ => block(1),
            },
            "eth_getLogs" => json!([]),
            "eth_call" => {
                let mut answer = called(accepts(&wallets, first));
                answer["jsonrpc"] = json!("2.0");
                answer["id"] = request["id"].clone();
                return Reply::Json(answer);
            }
            _ => Value::Null,
        };
        Reply::Json(json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }))
    })
}

/// Whether a call asks a wallet about a signature that it accepts.
fn accepts(wallets: &[ContractWallet], call: &Value) -> bool {
    let (to, data) = (call["to"].as_str(), call["data"].as_str());
    wallets.iter().any(|wallet| {
        let question = eip191::ask_contract(eip191::hash(&wallet.message), wallet.signature.clone());
        to.and_then(|to| to.parse().ok()) == Some(wallet.address)
            && data.and_then(|data| data.parse().ok()) == Some(question)
    })
}

/// A text that the output has where this is what is wrong.
fn shown(wrong: &str) -> &'static [&'static str] {
    match wrong {
        "signature" => &["the signature is not key"],
        "time" => &["the key was valid from second"],
        "message" => &[
            "author: group",
            "author: producerSeq",
            "author: the message leads to",
        ],
        "key" => &["author: the key is author", "certificate", "nobody vouches"],
        _ => &[
            "is missing",
            "are missing",
            "comes again",
            "left out or changed",
            "cut or mixed",
            "--require-signature",
        ],
    }
}

#[test]
fn every_forged_receipt_is_found() {
    let table = table();
    let (node, contract) = (node(&table), table.contract.to_string());
    for case in &table.receipts {
        let receipt = (case.receipt.to_string(), node.clone());
        let (code, said) = verify(&receipt, &["--contract", &contract]);
        assert_eq!(code, Some(i32::from(!case.holds)), "{}: {said}", case.title);
        if let Some(wrong) = &case.wrong {
            let is_shown = shown(wrong).iter().any(|text| said.contains(text));
            assert!(is_shown, "{}: expected {wrong} in: {said}", case.title);
        }
        let by_operator = said.contains("the operator attests that");
        assert_eq!(by_operator, case.stripped && case.holds, "{}: {said}", case.title);
    }
}

#[test]
fn what_only_the_operator_attests_can_be_refused() {
    let table = table();
    let (node, contract) = (node(&table), table.contract.to_string());
    for case in table.receipts.iter().filter(|case| case.holds) {
        let receipt = (case.receipt.to_string(), node.clone());
        let (code, said) = verify(&receipt, &["--contract", &contract, "--require-signature"]);
        assert_eq!(code, Some(i32::from(case.stripped)), "{}: {said}", case.title);
    }
}

#[test]
fn a_known_key_counts_for_the_author_that_it_is_named_for() {
    let table = table();
    let (node, contract) = (node(&table), table.contract.to_string());
    let mut services = 0;
    for case in table.receipts.iter().filter(|case| case.holds) {
        let Some(key) = case.receipt["author"]["key"].as_str() else {
            continue;
        };
        let author = case.receipt["message"]["author"].as_str().unwrap();
        let receipt = (case.receipt.to_string(), node.clone());
        let with = |known: &str| {
            let args = [
                "--contract",
                &contract,
                "--require-signature",
                "--author-key",
                known,
            ];
            verify(&receipt, &args)
        };
        let signed = format!("Author {author} signed message");
        let says = |said: &str| said.to_lowercase().contains(&signed.to_lowercase());

        let (code, said) = with(&format!("{author}={key}"));
        assert_eq!(code, Some(0), "{}: {said}", case.title);
        assert!(says(&said), "{}: {said}", case.title);
        // Whose a service's key is, only the operator says where the caller names another author, or none.
        let is_service = case.receipt["author"]["certificate"]["kind"] == "service";
        services += u32::from(is_service);
        let (code, said) = with(&format!("0x{}={key}", "77".repeat(20)));
        assert_eq!(code, Some(i32::from(is_service)), "{}: {said}", case.title);
        let (code, said) = with(key);
        assert_eq!(code, Some(0), "{}: the key is known: {said}", case.title);
        assert_eq!(says(&said), !is_service, "{}: {said}", case.title);
        let by_operator = said.contains("the operator alone attests that the key is");
        assert_eq!(by_operator, is_service, "{}: {said}", case.title);
    }
    assert!(services > 0, "the table has a service's receipt");
}

/// A stream's messages as history gives them with `signatures=1`, in pages that begin anew at each third message.
fn history(records: &[Record], from: usize) -> Vec<u8> {
    let mut body = Vec::new();
    let mut group: Option<(usize, &Record)> = None;
    for (seq, record) in records.iter().enumerate() {
        if record.group.is_some() {
            group = Some((seq, record));
        }
        let place = group.filter(|(first, begins)| {
            let count = begins.group.map_or(0, |header| usize::from(header.count));
            seq < first + count && (record.author, record.producer) == (begins.author, begins.producer)
        });
        if seq < from || seq >= from + 3 {
            continue;
        }
        let mut writer = Writer::new(&mut body);
        let items = if place.is_some() { 6 } else { 4 };
        writer.array(items).uint(seq as u64).uint(record.time.0);
        writer.bytes(record.author.as_slice()).bytes(&record.payload);
        let Some((first, begins)) = place else { continue };
        writer.null();
        match begins.group {
            // The header comes at the group's first message on the page.
            Some(header) if seq == first || seq == from => {
                writer.array(7).uint(first as u64).uint(u64::from(header.count));
                writer.bytes(&begins.producer.0).uint(begins.producer_seq);
                writer
                    .bytes(header.previous.as_slice())
                    .bytes(header.key.as_bytes());
                writer.bytes(&header.signature.0);
            }
            _ => {
                writer.uint(first as u64);
            }
        }
    }
    body
}

/// An edge that has one stream with these messages, none of which is anchored yet.
pub(super) fn edge(stream: &Value, case: &StreamCase) -> String {
    let (stream, certificates) = (stream.clone(), case.certificates.clone());
    let records = decode_records(&case.records).unwrap();
    serve(move |path, _| {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let from = query.split('&').find_map(|part| part.strip_prefix("from="));
        let from = from.and_then(|from| from.parse().ok()).unwrap_or_default();
        match path {
            "/v1/config" => Reply::Json(json!({ "contractBlock": 0 })),
            path if path.ends_with("/messages") => {
                assert!(query.contains("signatures=1"), "{query}");
                Reply::Messages(records.len() as u64, history(&records, from))
            }
            path if path.ends_with("/anchors") => Reply::Json(json!({ "anchors": [] })),
            path if path.ends_with("/segments") => Reply::Json(json!({ "segments": [] })),
            path if path.starts_with("/v1/authors/") => {
                let named = format!(
                    "&stream={}&name={}",
                    stream["id"].as_str().unwrap(),
                    stream["name"].as_str().unwrap()
                );
                assert!(
                    query.contains(&named),
                    "{query}: a key may have certificates for other streams"
                );
                let asked = |one: &&Vouched| path == format!("/v1/authors/{}/keys/{}", one.author, one.key);
                let found = certificates.iter().find(asked);
                found.map_or(Reply::Missing, |one| {
                    Reply::Json(serde_json::to_value(&one.certificate).unwrap())
                })
            }
            _ => {
                let mut entry = stream.clone();
                entry["anchored"] = json!(0);
                Reply::Json(entry)
            }
        }
    })
}

#[test]
fn every_forged_stream_is_found() {
    let table = table();
    let node = node(&table);
    let id: StreamId = table.stream["id"].as_str().unwrap().parse().unwrap();
    let (contract, id) = (table.contract.to_string(), id.to_string());
    for case in &table.streams {
        let edge = edge(&table.stream, case);
        let args = ["--contract", &contract, "--stream", &id];
        let (code, said) = verify_stream(&edge, &node, &args);
        let agrees = case.holds || case.hidden || case.unvouched;
        assert_eq!(code, Some(i32::from(!agrees)), "{}: {said}", case.title);
        let (code, strictly) = verify_stream(&edge, &node, &[&args[..], &["--require-signature"]].concat());
        let is_signed = case.holds && !said.contains("are not signed");
        assert_eq!(code, Some(i32::from(!is_signed)), "{}: {strictly}", case.title);
        if let Some(wrong) = &case.wrong {
            let is_shown = shown(wrong).iter().any(|text| strictly.contains(text));
            assert!(is_shown, "{}: expected {wrong} in: {strictly}", case.title);
            for said in [&said, &strictly] {
                check_unvouched(case, wrong, said);
            }
        }
    }
}

/// Where nobody vouches for keys, it is said of each group of theirs, and no message of those counts as signed by its author.
fn check_unvouched(case: &StreamCase, wrong: &str, said: &str) {
    let title = &case.title;
    if !matches!(wrong, "key" | "time") {
        return assert!(!said.contains("not vouched for"), "{title}: {said}");
    }
    let (groups, signed, unvouched) = match title.starts_with("a wallet's groups") {
        true => (3, 0, 8),
        false => (1, 3, 4), // the page's own group, and one by the operator's key
    };
    let named = said.matches("! not vouched for: the group that ends").count();
    assert_eq!(named, groups, "{title}: {said}");
    let counted = [
        format!("{signed} messages are signed by their authors"),
        format!("{unvouched} by keys that nobody vouches for"),
    ];
    for text in counted {
        assert!(said.contains(&text), "{title}: expected {text} in: {said}");
    }
}
