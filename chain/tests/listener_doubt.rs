//! The listener and nodes that are weak, behind, syncing or lying.

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
use streamchain_chain::ethereum::{Answer, BlockId, LogBlocks, Request, RpcError};
use support::fake_chain::{FakeChain, Orphans};
use support::listening::*;

fn chain(events: u64, empty_behind: u64) -> FakeChain {
    let mut chain = FakeChain::new(Address::repeat_byte(1));
    for _ in 0..events {
        let call = publishCall {
            stream: B256::repeat_byte(7),
            payload: vec![1; 40].into(),
        };
        chain.stranger(Address::repeat_byte(0x55), call.abi_encode());
        chain.mine();
    }
    chain.mine_many(empty_behind);
    chain
}

fn refused(message: &str) -> RpcError {
    RpcError::Node {
        code: -32_602,
        message: message.into(),
        revert: None,
    }
}

fn ranges(world: &Listening) -> Vec<u64> {
    let spans = world.asked.iter().filter_map(|request| match request {
        Request::Logs {
            blocks: LogBlocks::Range(from, to),
            ..
        } => Some(to - from + 1),
        _ => None,
    });
    spans.collect()
}

mod reading {
    use super::*;

    #[test]
    fn a_provider_that_allows_ten_blocks_is_read_in_tens() {
        let mut world = Listening::new(chain(400, 0));
        world.chain.log_range = 10;
        world.rounds(3);
        world.agrees();
        let ranges = ranges(&world);
        let refusals = ranges.iter().filter(|range| **range > 10).count();
        assert!(
            refusals < ranges.len() / 3,
            "few queries are refused: {refusals} of {}",
            ranges.len()
        );
    }

    #[test]
    fn a_provider_that_limits_results_is_asked_for_less() {
        let mut world = Listening::new(chain(300, 2_000));
        world.lie = Some(Box::new(|request, outcome| match (request, outcome) {
            (Request::Logs { .. }, Ok(Answer::Logs(logs))) if logs.len() > 50 => {
                Err(refused("query returned more than 50 results"))
            }
            (_, outcome) => outcome,
        }));
        world.rounds(8);
        world.agrees();
        assert!(
            ranges(&world).iter().any(|range| *range > 100),
            "quiet blocks are read in long ranges"
        );
    }

    #[test]
    fn near_the_head_blocks_are_read_by_their_hash() {
        let mut world = Listening::new(chain(30, 0));
        world.rounds(2);
        world.asked.clear();
        world.chain.mine_many(5);
        world.rounds(1);
        assert!(ranges(&world).is_empty());
        let by_hash = |request: &&Request| {
            matches!(
                request,
                Request::Logs {
                    blocks: LogBlocks::Hash(_),
                    ..
                }
            )
        };
        assert_eq!(world.asked.iter().filter(by_hash).count(), 5);
    }

    #[test]
    fn a_quiet_round_costs_two_calls_and_writes_nothing() {
        let mut world = Listening::new(chain(30, 0));
        world.rounds(2);
        world.asked.clear();
        let rows = world.rows.clone();
        world.rounds(1);
        assert_eq!(world.asked.len(), 2, "{:?}", world.asked);
        assert_eq!(world.rows, rows);
    }
}

mod node {
    use super::*;

    #[test]
    fn a_node_that_is_behind_is_waited_for_and_nothing_is_undone() {
        let mut world = Listening::new(chain(30, 0));
        world.rounds(2);
        let known = world.world.clone();
        let taken = world.chain.blocks.split_off(world.chain.blocks.len() - 3);
        world.rounds(3);
        assert_eq!(world.world, known);
        assert_eq!(world.listener.status().error, None);
        world.chain.blocks.extend(taken);
        world.chain.mine();
        world.rounds(2);
        world.agrees();
    }

    #[test]
    fn a_node_whose_height_falls_far_back_is_rejected() {
        let mut world = Listening::new(chain(30, 300));
        world.chain.finalized_depth = 250;
        world.rounds(3);
        let known = world.world.clone();
        let taken = world.chain.blocks.split_off(100);
        world.rounds(3);
        assert_eq!(world.world, known);
        assert!(
            world.distrusted[0].contains("its head is block 99"),
            "{:?}",
            world.distrusted
        );
        assert!(world.listener.status().error.is_some());
        world.chain.blocks.extend(taken);
        world.rounds(2);
        assert_eq!(world.listener.status().error, None);
        world.agrees();
    }

    #[test]
    fn a_node_that_is_syncing_is_rejected() {
        let mut world = Listening::new(chain(30, 0));
        world.lie = Some(Box::new(|request, outcome| match request {
            Request::Syncing => Ok(Answer::Syncing(true)),
            _ => outcome,
        }));
        world.rounds(3);
        assert_eq!(world.known(), 0);
        assert!(
            world
                .listener
                .status()
                .error
                .is_some_and(|error| error.contains("still syncing"))
        );
        world.lie = None;
        world.rounds(3);
        world.agrees();
    }

    #[test]
    fn a_fork_below_the_finalized_block_is_rejected() {
        let mut world = Listening::new(chain(30, 0));
        world.rounds(3);
        let known = world.world.clone();
        world.chain.reorg(20, Orphans::Dropped); // finalized were all but the newest 8
        world.chain.mine_many(30);
        world.rounds(5);
        assert_eq!(world.world, known, "nothing was undone");
        let error = world.listener.status().error.unwrap();
        assert!(error.contains("it denies the finalized block"), "{error}");
    }

    #[test]
    fn finality_before_the_first_block_says_nothing() {
        let mut world = Listening::new(chain(3, 0)); // finalized is block 0, as on every young chain
        world.rounds(2);
        assert_eq!(world.listener.status().finalized, None);
        world.chain.blocks[0].hash = B256::repeat_byte(9); // a local node may make another genesis when it starts again
        world.chain.mine();
        world.rounds(2);
        assert_eq!(world.listener.status().error, None);
        world.agrees();
    }

    #[test]
    fn a_wrong_finalized_hash_is_rejected() {
        let mut world = Listening::new(chain(30, 0));
        world.rounds(2);
        world.lie = Some(Box::new(|request, outcome| match (request, outcome) {
            (Request::Block(BlockId::Finalized), Ok(Answer::Block(Some(mut block)))) => {
                block.hash = B256::repeat_byte(3);
                Ok(Answer::Block(Some(block)))
            }
            (_, outcome) => outcome,
        }));
        world.chain.mine();
        world.rounds(1);
        assert!(!world.distrusted.is_empty());
        world.lie = None;
        world.rounds(3);
        world.agrees();
    }

    #[test]
    fn logs_that_were_not_asked_for_are_rejected() {
        type Change = fn(&mut streamchain_chain::ethereum::Log);
        let changes: [Change; 5] = [
            |log| log.address = Address::ZERO,
            |log| log.block_number += 1,
            |log| log.block_hash = B256::ZERO,
            |log| log.removed = true,
            |log| log.topics[0] = B256::ZERO,
        ];
        for change in changes {
            let mut world = Listening::new(chain(0, 30));
            world.rounds(2);
            world.chain.blocks.truncate(31);
            let mut fresh = chain(1, 0);
            world.chain.pool.append(&mut fresh.pool);
            let call = publishCall {
                stream: B256::repeat_byte(7),
                payload: vec![1].into(),
            };
            world
                .chain
                .stranger(Address::repeat_byte(0x55), call.abi_encode());
            world.chain.mine();
            world.lie = Some(Box::new(move |_, outcome| {
                outcome.map(|answer| match answer {
                    Answer::Logs(mut logs) => {
                        logs.iter_mut().for_each(change);
                        Answer::Logs(logs)
                    }
                    other => other,
                })
            }));
            world.rounds(1);
            assert_eq!(world.known(), 0);
            assert_eq!(world.distrusted.len(), 1);
            world.lie = None;
            world.rounds(2);
            world.agrees();
        }
    }
}

mod changing_chain {
    use super::*;

    #[test]
    fn a_block_that_changes_while_it_is_read_is_read_again() {
        let mut world = Listening::new(chain(30, 0));
        world.rounds(2);
        world.chain.mine();
        world.lie = Some(Box::new(|request, outcome| match request {
            Request::Logs {
                blocks: LogBlocks::Hash(_),
                ..
            } => Err(refused("unknown block")),
            _ => outcome,
        }));
        world.rounds(1);
        assert!(world.listener.status().error.is_some());
        world.lie = None;
        world.rounds(2);
        world.agrees();
        assert_eq!(world.listener.status().error, None);
    }

    #[test]
    fn a_chain_without_finality_is_followed() {
        let mut world = Listening::new(chain(30, 0));
        world.lie = Some(Box::new(|request, outcome| match request {
            Request::Block(BlockId::Finalized) => Err(refused("finalized block not found")),
            _ => outcome,
        }));
        world.rounds(2);
        assert_eq!(world.known(), 30);
        assert!(world.world.values().all(|(_, is_final)| !is_final));
        world.chain.reorg(12, Orphans::Dropped);
        world.rounds(3);
        assert_eq!(world.known(), 18);
    }

    #[test]
    fn many_blocks_are_read_in_bounded_rounds() {
        let mut world = Listening::new(chain(0, 3_000));
        world.chain.log_range = 5;
        world.next_round();
        let first = world.asked.len();
        assert!(first <= 401, "{first} calls in one round");
        world.rounds(10);
        assert_eq!(world.listener.status().lag, 0);
    }
}
