//! Simulates an hour of a large deployment, and prints what each object had to do as JSON. `npm run bench -- rounds` runs it.
//!
//! Arguments: `run <streams> <batchers> <interval seconds> <seconds> <none|away|reorg>`, or `memory <streams> <pending>`, which
//! prints how much memory a process takes that has one batcher with so many streams, after it was restored from its rows.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a simulation that cannot go on should stop"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, keccak256};
use serde_json::{Value, json};
use streamchain_chain::batcher::{Batcher, OfferRun, Offered, Settings};
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::time::UnixMs;
use support::scale::costs::{Dollars, dollars_of_stream};
use support::scale::meters::Meter;
use support::scale::world::{Deployment, Trouble};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments[at].parse::<u64>().expect("a number");
    let printed = match arguments.first().map(String::as_str) {
        Some("run") => {
            let trouble = match arguments[5].as_str() {
                "away" => Trouble::Away(number(4) / 4, 3_600),
                "reorg" => Trouble::Reorg(number(4) / 2, 20),
                _ => Trouble::None,
            };
            simulate(
                number(1) as usize,
                number(2) as u16,
                number(3),
                number(4),
                trouble,
            )
        }
        Some("memory") => memory(number(1), number(2)),
        _ => panic!("run or memory: see the text of this file"),
    };
    println!("{printed}");
}

fn simulate(streams: usize, batchers: u16, interval_s: u64, seconds: u64, trouble: Trouble) -> Value {
    let mut deployment = Deployment::new(streams, batchers, interval_s, trouble);
    deployment.run(seconds);
    let report = deployment.report();
    let meters = &report.meters;
    let interval = interval_s as f64;
    json!({
        "streams": report.streams,
        "batchers": report.batchers,
        "seconds": report.seconds,
        "rounds": report.rounds,
        "transactions": report.transactions,
        "oldestSeconds": report.oldest_s,
        "busiestBatcher": meters.busiest_batcher(),
        "batcherRequestsEachSecond": report.each_second(meters.batcher_requests()) / report.batchers as f64,
        "busiestAnchorer": meters.of(Meter::Anchorer).peak,
        "databaseStatementsEachSecond": report.each_second(meters.of(Meter::Database).total),
        "databaseRowsEachSecond": report.each_second(meters.database_rows),
        "batcherRowsEachSecond": report.each_second(meters.batcher_rows),
        "anchorerRowsEachSecond": report.each_second(meters.anchorer_rows),
        "noticesEachSecond": report.each_second(meters.notices),
        "gasADay": report.gas_a_day(),
        "dollarsAtOneSecond": shown(&dollars_of_stream(&report, 1_000.0, interval)),
        "dollarsAt50Ms": shown(&dollars_of_stream(&report, 50.0, interval)),
    })
}

fn shown(dollars: &Dollars) -> Value {
    json!({
        "all": dollars.all(),
        "worker": dollars.worker,
        "object": dollars.object,
        "duration": dollars.duration,
        "rounds": dollars.rounds,
    })
}

/// The most memory that this process had, in bytes.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kilobytes = line.split_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() * 1_024
}

fn memory(streams: u64, pending: u64) -> Value {
    let settings = || Settings {
        buckets_each: 256,
        operators: (0..100).map(owner).collect(),
        announce_after_ms: 60_000,
    };
    let before = most_memory();
    let mut batcher = Batcher::restore(settings(), []).unwrap();
    let mut rows: BTreeMap<String, String> = BTreeMap::new();
    for round in 0..4 {
        let offered = if round == 3 { pending } else { streams };
        for number in 0..offered {
            offer(&mut batcher, number);
            write(&mut rows, &mut batcher);
        }
        if round < 3 {
            let closed = batcher.handle_close(round, None, UnixMs(0)).unwrap();
            let fixed = streamchain_chain::rounds::GroupRoots {
                round,
                first_bucket: 0,
                roots: closed.roots,
            };
            batcher.handle_fixed(&fixed).unwrap();
            batcher.handle_written(round);
            write(&mut rows, &mut batcher);
        }
    }
    drop(batcher);
    // As the object starts: all its rows, and the machine that is made of them.
    let rows: Vec<(String, String)> = rows.into_iter().collect();
    let pairs = rows.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let batcher = Batcher::restore(settings(), pairs).unwrap();
    json!({ "pending": batcher.pending(), "rows": rows.len(), "bytes": most_memory() - before })
}

fn owner(number: u64) -> Address {
    Address::left_padding_from(&(number + 1).to_be_bytes())
}

fn offer(batcher: &mut Batcher, number: u64) {
    let stream = StreamId(keccak256(number.to_be_bytes()).0);
    let mut first = 0;
    for _ in 0..3 {
        let offer = OfferRun {
            stream,
            owner: owner(number % 100),
            first: Seq(first),
            count: 60,
            root: B256::repeat_byte(1),
            watched: true,
        };
        match batcher.handle_offer(&offer).unwrap() {
            Offered::Unknown => batcher.handle_known(stream, owner(number % 100), None),
            Offered::Answer(answer) if answer.begin.0 == first => return,
            Offered::Answer(answer) => first = answer.begin.0,
        }
    }
}

fn write(rows: &mut BTreeMap<String, String>, batcher: &mut Batcher) {
    for row in batcher.take_unsaved() {
        match row.value {
            Some(value) => rows.insert(row.key, value),
            None => rows.remove(&row.key),
        };
    }
}
