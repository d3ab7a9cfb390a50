//! A large deployment made small: what `npm run bench -- rounds` does with 100,000 streams.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]
mod support;

use support::scale::costs::dollars_of_stream;
use support::scale::meters::Report;
use support::scale::world::{Deployment, Trouble};

const STREAMS: usize = 400;
const BATCHERS: u16 = 4;
const INTERVAL_S: u64 = 60;
const SECONDS: u64 = 1_800;

fn simulated(trouble: Trouble) -> Report {
    let mut deployment = Deployment::new(STREAMS, BATCHERS, INTERVAL_S, trouble);
    deployment.run(SECONDS);
    deployment.report()
}

/// In ordinary times a message waits for its stream's offer, for the round, and for the round before it to be mined.
const MAX_AGE_S: u64 = 3 * INTERVAL_S;

#[test]
fn every_stream_is_in_a_round_each_interval() {
    let report = simulated(Trouble::None);
    assert!(report.oldest_s <= MAX_AGE_S, "{} s", report.oldest_s);
    let rounds = SECONDS / INTERVAL_S;
    assert!(
        (rounds - 3..=rounds + 1).contains(&report.rounds),
        "{} rounds",
        report.rounds
    );
    let each = report.meters.batcher_rows as f64 / report.meters.offers as f64;
    assert!(each < 2.5, "an offer and its run cost {each} rows in a batcher");
    let dollars = dollars_of_stream(&report, 1_000.0, INTERVAL_S as f64);
    assert!(dollars.rounds > 0.0 && dollars.all() > dollars.rounds);
}

#[test]
fn a_chain_that_was_away_costs_one_round_and_no_more_requests() {
    let usual = simulated(Trouble::None);
    let report = simulated(Trouble::Away(300, 900));
    assert!(report.oldest_s <= MAX_AGE_S, "{} s", report.oldest_s);
    assert!(report.rounds <= usual.rounds - 12, "{} rounds", report.rounds);
    let (busiest, before) = (report.meters.busiest_batcher(), usual.meters.busiest_batcher());
    assert!(
        busiest <= before + 2,
        "{busiest} requests a second, {before} in ordinary times"
    );
}

#[test]
fn a_deep_reorganisation_brings_back_the_same_rounds() {
    let usual = simulated(Trouble::None);
    let report = simulated(Trouble::Reorg(900, 20));
    assert!(report.oldest_s <= MAX_AGE_S, "{} s", report.oldest_s);
    assert!(report.rounds + 1 >= usual.rounds, "{} rounds", report.rounds);
}
