//! The rows that the machines save keep their form: those of earlier versions are still in use.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

mod support;

use std::collections::BTreeMap;

use alloy_primitives::Address;
use alloy_sol_types::SolCall;
use streamchain_chain::abi::IStreamChain::publishCall;
use streamchain_protocol::stream_settings::Mode;
use support::anchoring::{Anchoring, emitted, segment, settings, stream};
use support::fake_chain::FakeChain;
use support::listening::Listening;

const ANCHORER_ROWS: &str = include_str!("fixtures/anchorer-rows.tsv");
const LISTENER_ROWS: &str = include_str!("fixtures/listener-rows.tsv");

fn parse(text: &str) -> BTreeMap<String, String> {
    let rows = text.lines().filter_map(|line| line.split_once('\t'));
    rows.map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Two streams, one of them with its messages on chain, and the transaction that anchors them.
fn anchoring() -> Anchoring {
    let mut settings = settings();
    settings.daily_gas = Some(10_000_000);
    let mut world = Anchoring::with(settings);
    world.chain.mine();
    world.hand_over(&[segment("demo", 0, 10), segment("demo", 10, 5)]);
    world.hand_over_emitted(&[emitted("other", 0, 3, Mode::Payload, 4)]);
    world.round();
    world
}

/// One event of each kind, none of them final.
fn listening() -> Listening {
    let mut world = anchoring();
    world.chain.mine();
    let (stream, payload) = (stream("demo").word(), b"hi".to_vec().into());
    let call = publishCall { stream, payload };
    world.chain.stranger(Address::repeat_byte(1), call.abi_encode());
    world.chain.mine_many(2);
    let mut world = Listening::new(std::mem::replace(&mut world.chain, FakeChain::new(Address::ZERO)));
    world.chain.finalized_depth = 3;
    world.rounds(3);
    world
}

#[test]
fn the_anchorer_writes_the_rows_of_before() {
    let mut rows = anchoring().rows;
    // Kinds of rows that earlier versions did not have, and pass over.
    rows.retain(|key, _| !key.starts_with("gas-shares/1/") && key != "gas-parts/1");
    assert_eq!(rows, parse(ANCHORER_ROWS));
}

#[test]
fn the_listener_writes_the_rows_of_before() {
    assert_eq!(listening().rows, parse(LISTENER_ROWS));
}

#[test]
fn the_anchorer_goes_on_from_the_rows_of_before() {
    let mut world = anchoring();
    world.rows = parse(ANCHORER_ROWS);
    world.crash();
    let status = world.anchorer.status(world.now);
    assert_eq!((status.held_segments, status.pending_segments), (3, 3));
    assert_eq!(status.in_flight.map(|flight| flight.anchors), Some(2));
    assert_eq!(status.gas_budget.map(|budget| budget.used), Some(60_000));
    world.blocks(1);
    assert_eq!(world.anchors(stream("demo")), [(0, 15)]);
}

#[test]
fn the_listener_goes_on_from_the_rows_of_before() {
    let mut world = listening();
    world.rows = parse(LISTENER_ROWS);
    world.crash();
    let status = world.listener.status();
    assert_eq!((status.held_events, status.cursor), (3, 5));
    world.chain.finalized_depth = 0;
    world.rounds(1);
    assert_eq!(world.listener.status().held_events, 0);
    world.agrees();
}

#[test]
fn segments_saved_without_a_mode_are_anchored_by_root() {
    let mut world = anchoring();
    let plain = |value: &String| value.replace(r#","mode":"root","prove":false"#, "");
    world.rows = parse(ANCHORER_ROWS)
        .iter()
        .filter(|(key, _)| *key != "flight")
        .map(|(key, value)| (key.clone(), plain(value)))
        .collect();
    assert!(
        world
            .rows
            .values()
            .any(|value| value.starts_with(r#"{"count":10,"root":"0x"#) && !value.contains("mode"))
    );
    world.crash();
    world.round();
    world.blocks(1);
    assert_eq!(world.anchors(stream("demo")), [(0, 15)]);
}
