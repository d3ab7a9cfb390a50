//! Blocks whose events a node gives by stream alone.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

mod support;

use alloy_primitives::Address;
use streamchain_chain::ethereum::{Request, RpcError};
use support::fake_chain::FakeChain;
use support::listening::*;

const MAX_ANSWER: usize = 400_000;

/// Two large events of a stream that nobody knows, and one of a stream that was seen before.
fn mixed(chain: &mut FakeChain) {
    publish(chain, 66, 300_000);
    publish(chain, 7, 20);
    publish(chain, 66, 300_000);
}

/// Log queries and nothing else, each with a bounded answer.
fn without_receipts(world: &mut Listening) {
    world.lie = Some(Box::new(|request, outcome| match request {
        Request::Receipt(_) | Request::BlockReceipts(_) | Request::BlockTransactions(_) => {
            Err(refused("no such method"))
        }
        _ => match outcome {
            Ok(answer) if size(&answer) > MAX_ANSWER => Err(RpcError::TooLarge(MAX_ANSWER)),
            outcome => outcome,
        },
    }));
}

#[test]
fn events_of_known_streams_are_found_before_it_is_a_gap() {
    let mut chain = FakeChain::new(Address::repeat_byte(1));
    publish(&mut chain, 7, 10);
    chain.mine();
    mixed(&mut chain);
    chain.mine();
    publish(&mut chain, 8, 10);
    chain.mine();
    let mut world = Listening::new(chain);
    without_receipts(&mut world);
    world.pass_time(120_000);
    assert_eq!(world.known(), 3, "that of stream 7 as well");
    let status = world.listener.status();
    assert_eq!(
        (status.lag, status.gaps.len(), status.ok),
        (0, 1, false),
        "{status:?}"
    );
    world.lie = None;
    world.pass_time(600_000);
    world.agrees();
    assert!(world.listener.status().ok);
}

#[test]
fn large_events_of_known_streams_do_not_hide_the_others() {
    let mut chain = FakeChain::new(Address::repeat_byte(1));
    for stream in 1..=40 {
        publish(&mut chain, stream, 10);
    }
    chain.mine();
    for stream in 1..=40 {
        publish(&mut chain, stream, if stream % 20 == 0 { 300_000 } else { 10 });
    }
    chain.mine();
    let mut world = Listening::new(chain);
    without_receipts(&mut world);
    world.pass_time(120_000);
    assert_eq!(world.known(), 78, "all but the two large ones");
    let queries = world.asked.iter().filter(|request| match request {
        Request::Logs { streams, .. } => !streams.is_empty(),
        _ => false,
    });
    assert!(queries.count() <= 64);
}
