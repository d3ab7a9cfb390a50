//! Rounds when something is lost for good, or a batcher cannot write for long: they go on, and nobody waits for ever.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]
mod support;

use streamchain_protocol::ids::StreamId;
use support::anchoring::{BLOCK_MS, signer};
use support::rounds::*;

/// The batchers of these streams are those that begin with the buckets 0, 64 and 192.
fn ids() -> [StreamId; 3] {
    [stream_in(0, 0), stream_in(70, 1), stream_in(255, 0)]
}

fn publish_all(world: &mut World) {
    for id in ids() {
        world.publish(id, 3);
    }
}

fn problem(world: &World) -> Option<String> {
    world.anchorer.status(world.now).rounds.unwrap().problem
}

mod a_database_that_is_lost {
    use super::*;

    /// The contract has so many rounds, and nobody else has anything.
    fn lost(rounds: u64) -> World {
        let mut world = World::new();
        while world.anchored() < rounds {
            publish_all(&mut world);
            world.pass(2 * BLOCK_MS);
        }
        world.settle();
        world.lose_all();
        publish_all(&mut world);
        world
    }

    #[test]
    fn rounds_go_on_behind_those_that_the_contract_has() {
        for rounds in [1, 6, 7] {
            let mut world = lost(rounds);
            let before = world.anchored();
            world.pass(10 * BLOCK_MS);
            assert_eq!(world.anchored(), before, "another deployment might make more");
            let reason = problem(&world).unwrap();
            assert!(reason.contains("taken for lost"), "{reason}");
            for _ in 0..4 {
                world.crash_anchorer();
                world.pass(600_000);
            }
            assert!(world.anchored() > before);
            assert_eq!(problem(&world), None);
            for _ in 0..5 {
                publish_all(&mut world);
                world.pass(3 * BLOCK_MS);
            }
            world.settle();
            assert_eq!(*world.database.rounds.first_key_value().unwrap().0, before);
        }
    }

    #[test]
    fn an_anchorer_that_is_lost_again_goes_on_too() {
        let mut world = lost(5);
        world.pass(2_400_000);
        for _ in 0..3 {
            world.lose_anchorer();
            publish_all(&mut world);
            world.pass(10 * BLOCK_MS);
            world.settle();
        }
    }

    #[test]
    fn rounds_that_another_deployment_still_makes_are_left_to_it() {
        let mut world = lost(3);
        let (rounds, mut next) = (world.rounds_id(), world.anchored());
        for _ in 0..10 {
            next += 1;
            world.chain.set_stream(rounds, signer().address(), next);
            world.pass(900_000);
        }
        assert_eq!(world.anchored(), next);
        assert!(world.database.rounds.is_empty());
        assert!(problem(&world).is_some());
    }

    #[test]
    fn a_contract_without_the_peaks_of_its_rounds_is_not_believed() {
        let mut world = World::new();
        let rounds = world.rounds_id();
        world.chain.set_stream(rounds, signer().address(), 57);
        publish_all(&mut world);
        world.pass(7_200_000);
        assert_eq!((world.anchored(), world.database.rounds.len()), (57, 0));
    }
}

mod a_batcher_that_writes_no_list {
    use super::*;

    /// The batcher at bucket 64 does not write, or writes and does not say so.
    fn failing(does_write: bool) -> World {
        let mut world = World::new();
        publish_all(&mut world);
        world.settle();
        world.unwriting.insert(64, does_write);
        publish_all(&mut world);
        world
    }

    fn end(world: &World, id: StreamId) -> u64 {
        world.database.newest_run(id).map_or(0, |run| run.end().0)
    }

    #[test]
    fn delays_the_others_by_a_few_minutes_once() {
        for does_write in [false, true] {
            let mut world = failing(does_write);
            let before = world.anchored();
            world.pass(120_000);
            assert_eq!(
                world.anchored(),
                before,
                "its runs are in the round as long as that may be"
            );
            assert!(problem(&world).unwrap().contains("waits for batcher 64"));
            world.pass(120_000);
            assert_eq!(world.anchored(), before + 1);
            let status = world.anchorer.status(world.now).rounds.unwrap();
            assert_eq!(status.left_out, [64]);
            assert!(status.problem.unwrap().contains("was made without batcher 64"));
            for round in 2..4 {
                world.publish(ids()[0], 1);
                world.pass(4 * BLOCK_MS);
                assert_eq!(
                    world.anchored(),
                    before + round,
                    "the next ones do not wait for it"
                );
            }
            world.settle();
            world.pass(400_000);
            publish_all(&mut world);
            world.settle();
            let status = world.anchorer.status(world.now).rounds.unwrap();
            assert_eq!((status.left_out.len(), status.problem), (0, None));
        }
    }

    #[test]
    fn loses_and_doubles_nothing_whoever_dies_meanwhile() {
        for does_write in [false, true] {
            for step in 0..12 {
                let mut world = failing(does_write);
                for minute in 0..12 {
                    if minute == step {
                        world.crash_anchorer();
                        for batcher in world.batchers.values_mut() {
                            batcher.crash();
                        }
                    }
                    if minute == 9 {
                        world.unwriting.clear();
                    }
                    publish_all(&mut world);
                    world.pass(60_000);
                }
                world.settle();
            }
        }
    }

    #[test]
    fn is_asked_less_and_less_often_and_the_others_go_on() {
        let mut world = failing(false);
        let before = world.anchored();
        for _ in 0..60 {
            world.publish(ids()[0], 1);
            world.publish(ids()[1], 1);
            world.pass(120_000);
        }
        let made = world.anchored() - before;
        assert!(made > 45, "{made} rounds in two hours of two minutes each");
        assert_eq!(end(&world, ids()[0]), world.streams[&ids()[0]].head().0);
        world.settle();
    }

    #[test]
    fn alone_in_a_round_does_not_keep_those_who_come_later_waiting() {
        for does_write in [false, true] {
            let mut world = World::new();
            world.unwriting.insert(64, does_write);
            world.publish(ids()[1], 3);
            world.pass(240_000);
            assert_eq!(world.anchored(), 0);
            world.publish(ids()[0], 3);
            world.pass(6 * BLOCK_MS);
            assert_eq!(world.anchored(), 1);
            world.settle();
        }
    }
}
