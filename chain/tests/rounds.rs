//! Rounds: from what streams offer to one anchor for all of them.

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
use streamchain_chain::Machine;
use streamchain_chain::anchorer::Settings;
use streamchain_chain::rounds;
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::proof::AnchorState;
use support::anchoring::{BLOCK_MS, segment, signer, stream};
use support::fake_chain::Orphans;
use support::rounds::*;

/// Three streams with different batchers, each with messages.
fn scene() -> World {
    let mut world = World::new();
    publish_all(&mut world, 5);
    world
}

fn ids() -> [StreamId; 3] {
    [stream_in(3, 0), stream_in(3, 1), stream_in(200, 0)]
}

fn publish_all(world: &mut World, count: u32) {
    for id in ids() {
        world.publish(id, count);
    }
}

mod making {
    use super::*;

    #[test]
    fn one_transaction_anchors_all_streams() {
        let mut world = scene();
        world.settle();
        assert_eq!(world.anchored(), 1);
        assert_eq!(world.database.runs_of(0).len(), 3);
        assert_eq!(world.chain.mined().len(), 1, "it also opens the stream of rounds");
    }

    #[test]
    fn messages_that_come_later_go_into_later_rounds() {
        let mut world = scene();
        for count in 1..6 {
            world.pass(3 * BLOCK_MS);
            publish_all(&mut world, count);
        }
        world.settle();
        assert_eq!(world.anchored(), 6);
        assert!(world.chain.mined().iter().all(|(_, succeeded)| *succeeded));
    }

    #[test]
    fn without_messages_nothing_is_asked_or_sent() {
        let mut world = scene();
        world.settle();
        world.pass(20 * BLOCK_MS);
        let (steps, mined) = (world.steps, world.chain.mined().len());
        world.pass(3_600_000);
        assert_eq!(world.chain.mined().len(), mined);
        assert_eq!(world.steps, steps, "nobody is polled");
        let due = world.anchorer.poll_timeout(world.now);
        assert_eq!(due, None, "the anchorer rests");
    }

    #[test]
    fn a_new_round_waits_until_the_chain_has_the_last_one() {
        let mut world = scene();
        world.pass(4_000);
        world.chain.refuses = Some("the pool is full");
        world.pass(4_000);
        world.node_is_away = true;
        for count in 1..40 {
            publish_all(&mut world, count);
            world.pass(60_000);
        }
        assert!(
            world.database.rounds.len() <= 2,
            "{}",
            world.database.rounds.len()
        );
        world.chain.refuses = None;
        world.settle();
        assert!(
            world.anchored() <= 4,
            "what waited went into few rounds: {}",
            world.anchored()
        );
    }

    #[test]
    fn a_batcher_that_is_away_delays_only_its_own_streams() {
        let mut world = scene();
        world.offer_all(&mut |_| Trouble::None);
        world.away.insert(192);
        world.pass(5 * BLOCK_MS);
        let runs = world.database.runs_of(0);
        assert_eq!(runs.iter().map(|run| run.stream).collect::<Vec<_>>(), {
            let mut expected = ids()[..2].to_vec();
            expected.sort();
            expected
        });
        world.settle();
        assert_eq!(world.anchored(), 2);
    }

    #[test]
    fn a_batcher_whose_answer_was_lost_is_in_the_next_round() {
        let mut world = scene();
        // Both batchers announce and are asked; the answer of one is lost.
        let mut lost = 0;
        world.offer_all(&mut |_| Trouble::None);
        world
            .batchers
            .get_mut(&192)
            .unwrap()
            .machine
            .handle_close(0, None, world.now)
            .unwrap();
        let rows = world.batchers.get_mut(&192).unwrap().machine.take_unsaved();
        for row in rows {
            lost += 1;
            world
                .batchers
                .get_mut(&192)
                .unwrap()
                .rows
                .insert(row.key, row.value.unwrap());
        }
        assert!(lost > 0);
        world.away.insert(192);
        world.pass(3 * BLOCK_MS);
        world.publish(ids()[2], 7);
        world.settle();
        let first = world.database.runs[&(ids()[2], Seq(0))];
        assert_eq!((first.0.count, first.1), (5, 1), "what was frozen stays as it is");
        assert_eq!(world.database.runs[&(ids()[2], Seq(5))].1, 2);
    }

    #[test]
    fn a_round_waits_for_the_lists_and_for_the_database() {
        let mut world = scene();
        world.settle();
        publish_all(&mut world, 1);
        world.offer_all(&mut |_| Trouble::None);
        world.database_is_away = true;
        world.pass(20 * BLOCK_MS);
        assert_eq!(world.anchored(), 1);
        let problem = world
            .anchorer
            .status(world.now)
            .rounds
            .unwrap()
            .problem
            .unwrap_or_default();
        assert!(problem.contains("database is away"), "{problem}");
        world.settle();
    }

    #[test]
    fn an_own_stream_that_became_shared_begins_where_it_ended() {
        let mut world = scene();
        let id = stream_in(9, 9);
        world.publish(id, 100);
        world.publish(id, 11);
        world.streams.get_mut(&id).unwrap().begin = Seq(100);
        world.pass(3 * BLOCK_MS);
        assert_eq!(world.database.runs[&(id, Seq(100))].0.count, 11);
    }

    #[test]
    fn streams_with_anchors_of_their_own_take_turns_with_rounds() {
        let mut world = scene();
        let mut first = 0;
        for _ in 0..10 {
            publish_all(&mut world, 1);
            world.hand_over(&[segment("demo", first, 5)]);
            first += 5;
            world.pass(2 * BLOCK_MS);
        }
        world.settle();
        assert_eq!(world.chain.next_seq(stream("demo")), first);
        assert!(
            world.anchored() >= 8,
            "rounds were not held up: {}",
            world.anchored()
        );
        for block in &world.chain.blocks {
            for tx in &block.txs {
                let anchors = block.receipts.iter().flat_map(|receipt| &receipt.logs);
                let of_tx = anchors.filter(|log| log.transaction_hash == tx.hash);
                let streams: std::collections::BTreeSet<_> = of_tx.map(|log| log.topics[1]).collect();
                assert!(streams.len() <= 1, "rounds travel alone");
            }
        }
    }
}

mod chain {
    use super::*;

    #[test]
    fn a_reorganisation_of_any_depth_brings_the_same_rounds_back() {
        for depth in 1..8 {
            for orphans in [Orphans::Dropped, Orphans::Pooled] {
                let mut world = scene();
                for _ in 0..6 {
                    world.pass(2 * BLOCK_MS);
                    publish_all(&mut world, 2);
                }
                world.chain.reorg(depth, orphans);
                world.listen();
                publish_all(&mut world, 3);
                world.settle();
            }
        }
    }

    #[test]
    fn many_rounds_that_were_taken_back_share_a_transaction() {
        let mut world = scene();
        for _ in 0..6 {
            world.pass(BLOCK_MS + 2_000);
            publish_all(&mut world, 2);
        }
        let before = world.anchored();
        world.chain.reorg(7, Orphans::Dropped);
        world.listen();
        let lost = before - world.anchored();
        assert!(lost >= 4, "{lost} of {before} were taken back");
        let mined = world.chain.mined().len();
        world.pass(3 * BLOCK_MS);
        assert!(world.anchored() >= before);
        assert!(world.chain.mined().len() <= mined + 2, "they came back together");
        world.settle();
    }

    #[test]
    fn a_contract_without_rounds_makes_none_and_says_so() {
        let mut world = scene();
        world.chain.blocks.last_mut().unwrap().after.has_no_rounds = true;
        world.hand_over(&[segment("demo", 0, 5)]);
        world.pass(20 * BLOCK_MS);
        assert_eq!(world.chain.next_seq(stream("demo")), 5, "other streams go on");
        assert_eq!(world.database.rounds.len(), 0);
        let problem = world.anchorer.status(world.now).rounds.unwrap().problem.unwrap();
        assert!(problem.contains("the contract has no rounds"), "{problem}");
        // The account gets a contract with rounds at that address, as after the first deployment of all.
        world.chain.blocks.last_mut().unwrap().after.has_no_rounds = false;
        world.settle();
        assert_eq!(world.anchorer.status(world.now).rounds.unwrap().problem, None);
    }

    #[test]
    fn rounds_of_another_deployment_are_not_taken_for_own_ones() {
        let mut world = scene();
        let rounds = world.rounds_id();
        world.chain.set_stream(rounds, signer().address(), 57);
        world.hand_over(&[segment("demo", 0, 5)]);
        world.pass(10 * BLOCK_MS);
        assert_eq!(world.database.rounds.len(), 0);
        assert_eq!(world.chain.next_seq(stream("demo")), 5, "other streams go on");
        let problem = world.anchorer.status(world.now).rounds.unwrap().problem.unwrap();
        assert!(problem.contains("rounds below 57"), "{problem}");
    }

    #[test]
    fn rounds_that_another_deployment_makes_stop_the_own_ones() {
        let mut world = scene();
        world.settle();
        let rounds = world.rounds_id();
        world.chain.set_stream(rounds, signer().address(), 57);
        for _ in 0..3 {
            publish_all(&mut world, 1);
            world.pass(10 * BLOCK_MS);
        }
        assert_eq!(
            world.database.rounds.len(),
            2,
            "the one that was fixed already, and no other"
        );
        let blocked = world.anchorer.status(world.now).blocked_streams;
        assert!(blocked[0].reason.contains("rounds below 57"), "{blocked:?}");
    }

    #[test]
    fn another_owner_of_the_rounds_has_to_open_them() {
        let owner = Address::repeat_byte(0xaa);
        let rounds = rounds::Settings {
            owner,
            buckets_each: BUCKETS_EACH,
        };
        let mut world = World::with(Settings {
            rounds: Some(rounds),
            ..rounds_settings()
        });
        publish_all(&mut world, 5);
        world.pass(20 * BLOCK_MS);
        assert_eq!((world.anchored(), world.database.rounds.len()), (0, 1));
        let blocked = world.anchorer.status(world.now).blocked_streams;
        assert_eq!(blocked[0].stream, world.rounds_id());
        assert!(blocked[0].reason.contains("has not opened it"), "{blocked:?}");
        publish_all(&mut world, 5);
        world.chain.set_stream(world.rounds_id(), signer().address(), 0);
        world.pass(1_200_000);
        world.settle();
        assert_eq!(world.anchored(), 2);
    }

    #[test]
    fn a_watched_stream_is_notified_of_each_state() {
        let mut world = scene();
        for id in ids() {
            world.streams.get_mut(&id).unwrap().watched = id == ids()[0];
        }
        world.settle();
        world.pass(12 * BLOCK_MS);
        let states: Vec<_> = world
            .notices
            .iter()
            .map(|notice| (notice.stream, notice.anchor.state))
            .collect();
        assert_eq!(
            states,
            [(ids()[0], AnchorState::Anchored), (ids()[0], AnchorState::Final)]
        );
        assert_eq!(
            (world.notices[0].anchor.first, world.notices[0].anchor.count),
            (Seq(0), 5)
        );
    }
}

mod budget {
    use super::*;

    fn world(daily: u64) -> World {
        World::with(Settings {
            daily_gas: Some(daily),
            ..rounds_settings()
        })
    }

    #[test]
    fn other_streams_leave_rounds_their_part_of_the_day() {
        // The fake chain asks for 50,000 gas a transaction; 60,000 are reserved.
        let mut world = world(1_050_000);
        publish_all(&mut world, 1);
        world.pass(3 * BLOCK_MS);
        let mut first = 0;
        for _ in 0..30 {
            world.hand_over(&[segment("demo", first, 5)]);
            first += 5;
            world.pass(2 * BLOCK_MS);
        }
        let own = world.chain.mined().len() - 1;
        assert_eq!(
            own, 15,
            "three quarters of the day's gas, with the last one's reserve"
        );
        for _ in 0..10 {
            publish_all(&mut world, 1);
            world.pass(3 * BLOCK_MS);
        }
        let rounds = world.anchored();
        assert_eq!(rounds, 5, "what is left is for rounds, until it is used up");
        let status = world.anchorer.status(world.now);
        assert!(status.gas_budget.unwrap().waiting);
        world.now = world.now.plus_ms(86_400_000);
        world.settle();
    }
}

mod losses {
    use super::*;

    #[test]
    fn an_anchorer_that_lost_all_it_saved_goes_on_from_the_database() {
        for wait in 0..30 {
            let mut world = scene();
            for _ in 0..3 {
                world.pass(2 * BLOCK_MS);
                publish_all(&mut world, 2);
            }
            world.pass(wait * 2_000);
            world.lose_anchorer();
            publish_all(&mut world, 1);
            world.settle();
        }
    }

    #[test]
    fn another_number_of_batchers_makes_no_rounds() {
        let mut world = scene();
        world.settle();
        let rounds = rounds::Settings {
            owner: signer().address(),
            buckets_each: BUCKETS_EACH / 2,
        };
        world.settings.rounds = Some(rounds);
        world.crash_anchorer();
        publish_all(&mut world, 1);
        world.pass(10 * BLOCK_MS);
        assert_eq!(world.anchored(), 1);
        let problem = world.anchorer.status(world.now).rounds.unwrap().problem.unwrap();
        assert!(problem.contains("BATCHERS was changed"), "{problem}");
    }
}
