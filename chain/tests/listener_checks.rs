//! Blocks far behind the head: what log queries over ranges leave out is found by the headers, within a budget.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

mod support;

use alloy_primitives::{Address, Bloom};
use streamchain_chain::ethereum::{Answer, LogBlocks, Request, RpcError};
use support::fake_chain::{FakeChain, Orphans};
use support::listening::*;

/// A chain that is so many blocks ahead of the listener, with an event in every tenth block.
fn ahead(blocks: u64) -> Listening {
    let mut chain = FakeChain::new(Address::repeat_byte(1));
    for block in 0..blocks {
        if block.is_multiple_of(10) {
            publish(&mut chain, (block / 10) as u8, 10);
        }
        chain.mine();
    }
    Listening::new(chain)
}

/// The node has no events for queries over ranges.
fn no_ranges(request: &Request, outcome: Result<Answer, RpcError>) -> Result<Answer, RpcError> {
    match request {
        Request::Logs {
            blocks: LogBlocks::Range(..),
            ..
        } => Ok(Answer::Logs(Vec::new())),
        _ => outcome,
    }
}

fn header_requests(world: &Listening) -> usize {
    let asked = world.asked.iter();
    asked
        .filter(|request| matches!(request, Request::Blocks(..)))
        .count()
}

#[test]
fn a_range_answered_without_events_is_found_by_the_headers() {
    let mut world = ahead(400);
    world.lie = Some(Box::new(no_ranges));
    world.rounds(1);
    assert!(world.known() < 3, "only what is near the head");
    assert_eq!(world.listener.status().lag, 0);
    world.pass_time(600_000);
    world.agrees();
    let status = world.listener.status();
    assert_eq!((status.unchecked_blocks, status.doubtful_blocks), (0, 0));
}

#[test]
fn events_that_one_block_lacks_are_found_too() {
    let mut world = ahead(400);
    world.lie = Some(Box::new(|request, outcome| match (request, outcome) {
        (Request::Logs { .. }, Ok(Answer::Logs(logs))) => {
            let others = logs.into_iter().filter(|log| log.block_number != 201);
            Ok(Answer::Logs(others.collect()))
        }
        (_, outcome) => outcome,
    }));
    world.rounds(1);
    let before = world.known();
    world.pass_time(600_000);
    world.agrees();
    assert_eq!(world.known(), before + 1, "by the block's receipts");
}

#[test]
fn a_pass_compares_a_bounded_number_of_headers() {
    let mut world = ahead(1_000);
    world.rounds(1);
    assert_eq!(
        world.listener.status().lag,
        0,
        "reading does not wait for headers"
    );
    let (first, left) = (header_requests(&world), world.listener.status().unchecked_blocks);
    assert!(first <= 6 && left >= 1_000 - 8 - 6 * 16, "{first} {left}");
    world.rounds(1);
    assert!(header_requests(&world) <= 2 * 6);
    world.pass_time(60_000);
    assert_eq!(world.listener.status().unchecked_blocks, 0);
    assert!(header_requests(&world) <= 1_000 / 16 + 2, "each once");
}

#[test]
fn headers_wait_while_many_blocks_are_in_doubt() {
    let mut world = ahead(400);
    let full = Bloom::repeat_byte(0xff);
    world.lie = Some(Box::new(move |request, outcome| match (request, outcome) {
        (Request::Blocks(..), Ok(Answer::Blocks(mut blocks))) => {
            for block in &mut blocks {
                block.logs_bloom = Some(Box::new(full));
            }
            Ok(Answer::Blocks(blocks))
        }
        (Request::BlockReceipts(_) | Request::BlockTransactions(_), _) => {
            Err(RpcError::Malformed("no such method".into()))
        }
        (_, outcome) => outcome,
    }));
    for _ in 0..200 {
        world.rounds(1);
        let status = world.listener.status();
        assert!(status.doubtful_blocks <= 32 + 16, "{status:?}");
    }
    world.lie = None;
    world.pass_time(7_200_000);
    assert_eq!(world.listener.status().doubtful_blocks, 0);
    assert_eq!(world.listener.status().unchecked_blocks, 0);
    world.agrees();
}

#[test]
fn a_node_without_batches_is_asked_header_by_header() {
    let mut world = ahead(60);
    world.lie = Some(Box::new(|request, outcome| match request {
        Request::Blocks(..) => Err(RpcError::Malformed("no batches".into())),
        _ => no_ranges(request, outcome),
    }));
    world.pass_time(600_000);
    world.agrees();
    assert_eq!(world.listener.status().unchecked_blocks, 0);
    assert!(world.listener.status().ok, "{:?}", world.listener.status());
}

#[test]
fn what_is_not_compared_outlives_crashes_and_forks() {
    let mut world = ahead(300);
    world.lie = Some(Box::new(no_ranges));
    world.rounds(1);
    for _ in 0..6 {
        world.crash();
        world.rounds(1);
    }
    world.crash();
    world.chain.reorg(6, Orphans::Dropped);
    world.chain.mine_many(8);
    world.pass_time(900_000);
    world.agrees();
    assert_eq!(world.listener.status().unchecked_blocks, 0);
    let left = world.rows.keys().filter(|key| key.starts_with("unchecked/"));
    assert_eq!(left.count(), 0);
}

#[test]
fn headers_that_do_not_follow_each_other_are_not_compared() {
    let mut world = ahead(100);
    world.lie = Some(Box::new(|request, outcome| match (request, outcome) {
        (Request::Blocks(..), Ok(Answer::Blocks(mut blocks))) => {
            blocks.pop();
            Ok(Answer::Blocks(blocks))
        }
        (Request::Block(_), Ok(Answer::Block(Some(block)))) if block.number == 1 => Ok(Answer::Block(None)),
        (_, outcome) => no_ranges(request, outcome),
    }));
    world.pass_time(120_000);
    let status = world.listener.status();
    assert!(status.unchecked_blocks > 80, "{status:?}");
    assert_eq!((status.ok, status.lag), (true, 0));
    world.lie = None;
    world.pass_time(1_200_000);
    world.agrees();
}
