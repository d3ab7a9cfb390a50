//! The anchorer and nodes that refuse a transaction in words that nobody knows.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

mod support;

use alloy_primitives::B256;
use streamchain_chain::ethereum::{Answer, Request, RpcError};
use support::anchoring::*;
use support::fake_chain::GWEI;

fn one_segment() -> Anchoring {
    let mut world = Anchoring::new();
    world.hand_over(&[segment("demo", 0, 10)]);
    world
}

#[test]
fn a_pool_that_wants_more_is_given_more_whatever_it_says() {
    let mut world = one_segment();
    let mut sent = 0;
    world.lie = Some(Box::new(move |request, outcome| match (request, outcome) {
        (Request::Send(_), Ok(_)) => {
            sent += 1;
            match sent {
                1..=3 => Err(RpcError::Node {
                    code: -32_603,
                    message: "too cheap".into(),
                    revert: None,
                }),
                _ => Ok(Answer::Sent(B256::ZERO)),
            }
        }
        (Request::Transaction(_), Ok(_)) => Ok(Answer::Known(false)),
        (_, outcome) => outcome,
    }));
    world.round();
    world.pass_time(60_000);
    let fees: Vec<u128> = world.chain.pool.iter().map(|tx| tx.tip).collect();
    assert_eq!(fees.len(), 1, "each attempt replaces the one before");
    assert!(fees[0] >= 8 * GWEI, "{fees:?}");
}

#[test]
fn a_transaction_that_the_node_knows_is_accepted_whatever_it_says() {
    let mut world = one_segment();
    world.lie = Some(Box::new(|request, outcome| match (request, outcome) {
        (Request::Send(_), Ok(_)) => Err(RpcError::Node {
            code: -32_000,
            message: "we have that one".into(),
            revert: None,
        }),
        (_, outcome) => outcome,
    }));
    world.round();
    world.blocks(2);
    assert_eq!(world.chain.received.len(), 1);
    assert_eq!(world.anchors(stream("demo")), [(0, 10)]);
}
