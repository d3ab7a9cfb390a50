//! The listener and limits of log queries in any words.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

mod support;

use alloy_primitives::{Address, B256};
use alloy_sol_types::SolCall;
use streamchain_chain::abi::IStreamChain::publishCall;
use streamchain_chain::ethereum::{Answer, Request, RpcError};
use support::fake_chain::FakeChain;
use support::listening::*;

const STRANGER: Address = Address::repeat_byte(0x55);

fn publish(chain: &mut FakeChain, stream: u8, bytes: usize) {
    let call = publishCall {
        stream: B256::repeat_byte(stream),
        payload: vec![1; bytes].into(),
    };
    chain.stranger(STRANGER, call.abi_encode());
}

fn refused(message: &str) -> RpcError {
    RpcError::Node {
        code: -32_000,
        message: message.into(),
        revert: None,
    }
}

fn busy(words: &'static str, code: i64) -> Listening {
    let mut chain = FakeChain::new(Address::repeat_byte(1));
    for _ in 0..300 {
        publish(&mut chain, 7, 10);
        chain.mine();
    }
    chain.mine_many(1_000);
    let mut world = Listening::new(chain);
    world.lie = Some(Box::new(move |request, outcome| match (request, outcome) {
        (Request::Logs { .. }, Ok(Answer::Logs(logs))) if logs.len() > 50 => Err(RpcError::Node {
            code,
            message: words.into(),
            revert: None,
        }),
        (_, outcome) => outcome,
    }));
    world
}

#[test]
fn what_fails_again_and_again_shrinks_whatever_it_says() {
    for (words, code) in [
        ("query exceeds max results 50, retry with the range 1-50", -32_000),
        ("nope", -32_000),
        ("Internal error", -32_603),
        ("no", -32_005),
        ("", 0),
        ("your plan's capacity is exceeded", -32_000),
    ] {
        let mut world = busy(words, code);
        world.pass_time(600_000);
        world.agrees();
        assert_eq!(world.listener.status().lag, 0, "{words}");
    }
}

#[test]
fn what_nobody_understands_is_not_asked_in_a_burst() {
    let mut world = Listening::new(FakeChain::new(Address::repeat_byte(1)));
    world.chain.mine_many(500);
    world.lie = Some(Box::new(|request, outcome| match request {
        Request::Logs { .. } => Err(refused("quota of the day is used up")),
        _ => outcome,
    }));
    world.pass_time(60_000);
    let queries = world
        .asked
        .iter()
        .filter(|request| matches!(request, Request::Logs { .. }));
    assert!(queries.count() < 30);
}
