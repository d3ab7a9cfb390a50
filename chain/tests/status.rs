//! The JSON of the status that the HTTP API hands on: the names of its members.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

mod support;

use serde_json::Value;
use support::anchoring::{Anchoring, segment, settings};
use support::fake_chain::FakeChain;
use support::listening::Listening;

fn names(value: &Value) -> Vec<&str> {
    let members = value.as_object().unwrap();
    members.keys().map(String::as_str).collect()
}

#[test]
fn the_anchorers_status_has_these_members() {
    let mut settings = settings();
    settings.daily_gas = Some(10_000_000);
    let mut world = Anchoring::with(settings);
    world.hand_over(&[segment("demo", 0, 10)]);
    world.round();
    let status = serde_json::to_value(world.anchorer.status(world.now)).unwrap();
    let expected = [
        "address",
        "balanceWei",
        "blockedStreams",
        "gasBudget",
        "heldSegments",
        "inFlight",
        "lastError",
        "lastErrorAt",
        "pendingSegments",
        "streamsInDatabase",
    ];
    assert_eq!(names(&status), expected);
    let budget = [
        "daily",
        "foreignShare",
        "foreignUsed",
        "ownerShare",
        "resetsAt",
        "used",
        "waiting",
    ];
    assert_eq!(names(&status["gasBudget"]), budget);
    assert_eq!(
        names(&status["inFlight"]),
        ["anchors", "attempts", "nonce", "sinceMs", "tx"]
    );
}

#[test]
fn the_listeners_status_has_these_members() {
    let world = Listening::new(FakeChain::new(Default::default()));
    let status = serde_json::to_value(world.listener.status()).unwrap();
    let expected = [
        "cursor",
        "doubtfulBlocks",
        "error",
        "finalized",
        "gaps",
        "head",
        "heldEvents",
        "id",
        "lag",
        "lastPollAt",
        "ok",
        "uncheckedBlocks",
    ];
    assert_eq!(names(&status), expected);
}
