//! `verify-stream` over rounds, against operators who forge them: each of these deployments has a contract that everybody
//! believes, and an edge and rounds that are the forger's.

use super::http::{Reply, serve};
use super::{CHAIN, HONEST, verify_stream};
use alloy_sol_types::SolEvent;
use serde_json::{Value, json};
use streamchain_chain::abi::Anchored;
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::proof::bucket::{
    BUCKETS, BucketRoot, Buckets, bucket_of, bucket_proof, bucket_root, round_root,
};
use streamchain_protocol::proof::merkle;
use streamchain_protocol::proof::run::RunEntry;
use streamchain_protocol::proof::{LeafFields, rounds_stream};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::cbor::Writer;
use streamchain_protocol::{Address, B256, keccak256};

const OWNER: Address = Address::repeat_byte(7);
const OPERATOR: Address = Address::repeat_byte(0x0b);
const OPERATOR_KEY: Address = Address::repeat_byte(0x0c);
/// The runs of the stream: messages 0 to 2, 3 and 4, and 5.
const RUNS: [(u64, u32); 3] = [(0, 3), (3, 2), (5, 1)];
const MESSAGES: u64 = 6;

fn demo() -> StreamId {
    super::demo_of(OWNER)
}

fn payload(seq: u64) -> Vec<u8> {
    format!("message {seq}").into_bytes()
}

/// The root over messages of the stream.
fn root_of(first: u64, count: u32) -> B256 {
    let leaf = |seq: u64| {
        let fields = LeafFields {
            stream: demo(),
            seq: Seq(seq),
            time: UnixMs(1_000 + seq),
            author: OWNER,
            payload_hash: keccak256(payload(seq)),
        };
        fields.leaf()
    };
    let leaves: Vec<B256> = (first..first + u64::from(count)).map(leaf).collect();
    merkle::root(&leaves).unwrap()
}

fn run(first: u64, count: u32, previous: B256) -> RunEntry {
    RunEntry {
        stream: demo(),
        first: Seq(first),
        count,
        root: root_of(first, count),
        previous,
    }
}

/// A deployment: the runs in each of its rounds, and which lists the edge gives.
struct Deployment {
    rounds: Vec<Vec<RunEntry>>,
    /// The lists as they are shown, where they are not those of the rounds; `None`: withheld.
    shown: Vec<(usize, Option<Vec<RunEntry>>)>,
    /// Who owns the stream of rounds.
    operator: Address,
    /// How many messages the edge says are anchored.
    anchored: u64,
}

impl Deployment {
    /// Four rounds, the third without a run of the stream, each with a run of a neighbour in its bucket.
    fn honest() -> Self {
        let mut previous = B256::ZERO;
        let mut rounds: Vec<Vec<RunEntry>> = RUNS
            .iter()
            .map(|(first, count)| {
                let run = run(*first, *count, previous);
                previous = run.leaf();
                vec![run]
            })
            .collect();
        rounds.insert(2, Vec::new());
        for (index, round) in rounds.iter_mut().enumerate() {
            let mut neighbour = run(0, 1, B256::ZERO);
            neighbour.stream.0[31] ^= 1;
            neighbour.first = Seq(index as u64);
            round.push(neighbour);
            round.sort_by_key(|run| run.stream);
        }
        Self {
            rounds,
            shown: Vec::new(),
            operator: OPERATOR,
            anchored: MESSAGES,
        }
    }

    /// The run of the stream in a round that has one.
    fn own(&mut self, round: usize) -> &mut RunEntry {
        self.rounds[round]
            .iter_mut()
            .find(|run| run.stream == demo())
            .unwrap()
    }

    fn buckets(&self, round: usize) -> Buckets {
        let mut buckets = [BucketRoot::default(); BUCKETS];
        buckets[usize::from(bucket_of(demo()))] = bucket_root(&self.rounds[round]);
        buckets
    }

    fn list(&self, round: usize) -> Reply {
        let bucket = bucket_of(demo());
        let shown = self.shown.iter().find(|(at, _)| *at == round);
        let entries = match shown {
            Some((_, None)) => return Reply::Missing,
            Some((_, Some(entries))) => entries.clone(),
            None => self.rounds[round].clone(),
        };
        let proof = bucket_proof(round as u64, bucket, &self.buckets(round));
        Reply::Json(json!({ "round": round, "bucket": bucket, "proof": proof, "entries": entries }))
    }

    /// The log of a round, in the block behind it.
    fn log(&self, round: usize) -> Value {
        let event = Anchored {
            stream: rounds_stream(self.operator).word(),
            anchorer: OPERATOR_KEY,
            firstSeq: round as u64,
            count: 1,
            root: round_root(round as u64, &self.buckets(round)),
        };
        let topics: Vec<B256> = event.encode_topics().into_iter().map(|topic| topic.0).collect();
        let data = format!("0x{}", alloy_primitives::hex::encode(event.encode_data()));
        json!({
            "address": HONEST, "topics": topics, "data": data, "blockNumber": hex(block_of(round)),
            "blockHash": hash(block_of(round)), "transactionHash": keccak256([round as u8]), "logIndex": "0x0",
        })
    }

    /// The URLs of the edge and of a node of the chain.
    fn start(self) -> (String, String) {
        let logs: Vec<Value> = (0..self.rounds.len()).map(|round| self.log(round)).collect();
        let node = serve(move |_, request| {
            let result = node_says(&logs, request);
            Reply::Json(json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }))
        });
        (serve(move |path, _| self.edge_says(path)), node)
    }

    fn edge_says(&self, path: &str) -> Reply {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let stream = format!("/v1/streams/{}", demo());
        let entry = json!({ "id": demo(), "name": "demo", "owner": OWNER, "anchored": self.anchored });
        let is_first_page = query.starts_with("from=0");
        match path {
            "/v1/config" => {
                Reply::Json(json!({ "contractBlock": 0, "operator": OWNER, "roundsOwner": self.operator }))
            }
            "/v1/streams" => Reply::Json(json!({ "streams": [entry] })),
            path if path == stream => Reply::Json(entry),
            path if path == format!("{stream}/anchors") => Reply::Json(json!({ "anchors": [] })),
            path if path == format!("{stream}/segments") => {
                let segment = |(first, count): &(u64, u32)| json!({ "first": first, "count": count, "root": root_of(*first, *count) });
                let segments: Vec<Value> = RUNS.iter().map(segment).collect();
                Reply::Json(json!({ "segments": segments }))
            }
            path if path == format!("{stream}/messages") && is_first_page => {
                Reply::Messages(MESSAGES, messages())
            }
            path if path == format!("{stream}/messages") => Reply::Messages(MESSAGES, Vec::new()),
            path => {
                let mut parts = path.trim_start_matches("/v1/rounds/").split("/buckets/");
                let round = parts.next().and_then(|part| part.parse().ok());
                round.map_or(Reply::Missing, |round| self.list(round))
            }
        }
    }
}

fn messages() -> Vec<u8> {
    let mut body = Vec::new();
    for seq in 0..MESSAGES {
        Writer::new(&mut body)
            .array(4)
            .uint(seq)
            .uint(1_000 + seq)
            .bytes(OWNER.as_slice())
            .bytes(&payload(seq));
    }
    body
}

fn hex(number: u64) -> String {
    format!("{number:#x}")
}

fn hash(block: u64) -> B256 {
    keccak256(block.to_be_bytes())
}

fn block_of(round: usize) -> u64 {
    round as u64 + 1
}

/// A chain of six blocks, all final, with these logs.
fn node_says(logs: &[Value], request: &Value) -> Value {
    const NEWEST: u64 = 6;
    let param = &request["params"][0];
    let number = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or(NEWEST)
    };
    match request["method"].as_str().unwrap_or_default() {
        "eth_chainId" => json!(hex(CHAIN)),
        "eth_syncing" => json!(false),
        "eth_getBlockByNumber" if number(param) > NEWEST => Value::Null,
        "eth_getBlockByNumber" => {
            let block = number(param);
            let parent = hash(block.wrapping_sub(1));
            json!({ "number": hex(block), "hash": hash(block), "parentHash": parent, "timestamp": hex(block) })
        }
        "eth_getLogs" => {
            let is_in = |log: &&Value| match &param["blockHash"] {
                Value::Null => {
                    let at = number(&log["blockNumber"]);
                    (number(&param["fromBlock"])..=number(&param["toBlock"])).contains(&at)
                }
                hash => log["blockHash"] == *hash,
            };
            logs.iter().filter(is_in).cloned().collect()
        }
        _ => Value::Null,
    }
}

fn verify(deployment: Deployment, more: &[&str]) -> (Option<i32>, String) {
    let (edge, node) = deployment.start();
    let contract = HONEST.to_string();
    verify_stream(&edge, &node, &[&["--contract", &contract], more].concat())
}

/// What is said of a deployment whose operator did this.
fn forged(change: impl FnOnce(&mut Deployment)) -> String {
    let mut deployment = Deployment::honest();
    change(&mut deployment);
    let (code, said) = verify(deployment, &["--rounds-owner", &OPERATOR.to_string()]);
    assert_eq!(code, Some(1), "{said}");
    said
}

#[test]
fn an_honest_deployment_agrees_and_says_whose_rounds_it_has() {
    let operator = OPERATOR.to_string();
    let (code, said) = verify(Deployment::honest(), &["--rounds-owner", &operator]);
    assert_eq!(code, Some(0), "{said}");
    for part in [
        "6 messages in 3 segments under 3 anchors",
        "3 of the anchors are runs in rounds",
        &format!("rounds of {operator}: 4"),
        &OPERATOR_KEY.to_string(),
    ] {
        assert!(said.contains(part), "{part} in:\n{said}");
    }
}

#[test]
fn two_runs_over_one_seq_are_found() {
    let said = forged(|deployment| {
        let before = *deployment.own(1);
        let again = run(3, 2, before.leaf());
        deployment.rounds[2].push(again);
        deployment.rounds[2].sort_by_key(|run| run.stream);
        deployment.own(3).previous = again.leaf();
    });
    assert!(said.contains("the run of messages 3 to 4 in round 2"), "{said}");
    assert!(said.contains("overlaps the one before"), "{said}");
}

#[test]
fn two_runs_of_a_stream_in_one_round_are_found() {
    let said = forged(|deployment| {
        let twice = *deployment.own(1);
        let at = deployment.rounds[1].iter().position(|run| *run == twice).unwrap();
        deployment.rounds[1].insert(at, twice);
    });
    assert!(said.contains("its stream id is not greater"), "{said}");
}

#[test]
fn a_run_that_was_left_out_is_found() {
    let said = forged(|deployment| deployment.rounds[1].retain(|run| run.stream != demo()));
    assert!(said.contains("leaves out messages from 3 on"), "{said}");
}

#[test]
fn a_run_that_does_not_follow_its_previous_is_found() {
    let said = forged(|deployment| deployment.own(3).previous = keccak256("another past"));
    assert!(said.contains("as the run before it, which is"), "{said}");
}

#[test]
fn a_list_that_does_not_give_the_root_is_found() {
    let said = forged(|deployment| {
        let mut entries = deployment.rounds[1].clone();
        entries.retain(|run| run.stream != demo());
        deployment.shown.push((1, Some(entries)));
    });
    assert!(said.contains("of round 1 gives root"), "{said}");
}

#[test]
fn a_list_that_is_withheld_is_found() {
    let said = forged(|deployment| deployment.shown.push((2, None)));
    assert!(said.contains("withholds the list of bucket"), "{said}");
}

#[test]
fn messages_that_are_not_those_of_the_run_are_found() {
    let said = forged(|deployment| {
        deployment.own(0).root = keccak256("other messages");
        let leaf = deployment.own(0).leaf();
        deployment.own(1).previous = leaf;
        let leaf = deployment.own(1).leaf();
        deployment.own(3).previous = leaf;
    });
    assert!(said.contains("the stored messages give"), "{said}");
}

#[test]
fn rounds_of_somebody_else_say_nothing() {
    let forger = || {
        let mut deployment = Deployment::honest();
        deployment.operator = Address::repeat_byte(0xf0);
        deployment.anchored = 0;
        deployment
    };
    let (owner, operator) = (OWNER.to_string(), OPERATOR.to_string());
    let (code, said) = verify(forger(), &["--rounds-owner", &operator]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("6 stored messages wait for an anchor"), "{said}");

    let (code, said) = verify(forger(), &["--owner", &owner]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("whose rounds?"), "{said}");

    let (code, said) = verify(forger(), &["--anchorer", &owner]);
    assert_eq!(code, Some(1), "{said}");

    let (code, said) = verify(forger(), &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("compare the owner of the rounds"), "{said}");
}
