//! Rounds when processes die and messages are lost, doubled or late, at every step.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]
mod support;

use proptest::prelude::*;
use streamchain_protocol::ids::StreamId;
use support::anchoring::BLOCK_MS;
use support::fake_chain::Orphans;
use support::rounds::*;

fn ids() -> [StreamId; 4] {
    [
        stream_in(0, 0),
        stream_in(70, 1),
        stream_in(70, 2),
        stream_in(255, 0),
    ]
}

fn scene(trouble: Trouble, at: u64) -> World {
    let mut plan = |step| if step == at { trouble } else { Trouble::None };
    let mut world = World::new();
    for count in 1..3 {
        for id in ids() {
            world.publish(id, count);
        }
        world.pass_with(BLOCK_MS + 4_000, &mut plan);
    }
    world
}

#[test]
fn one_trouble_at_any_step_loses_and_doubles_nothing() {
    let steps = scene(Trouble::None, 0).steps;
    assert!(steps > 60, "the scene has steps to fail at: {steps}");
    for trouble in Trouble::ALL {
        for at in 1..=steps {
            let mut world = scene(trouble, at);
            world.settle();
            assert!(world.anchored() >= 1, "{trouble:?} at step {at}");
        }
    }
}

#[test]
fn troubles_all_the_time_lose_and_double_nothing() {
    for trouble in Trouble::ALL {
        for every in [3, 7] {
            let mut plan = |step| if step % every == 0 { trouble } else { Trouble::None };
            let mut world = World::new();
            for count in 1..20 {
                for id in ids() {
                    world.publish(id, count);
                }
                world.pass_with(BLOCK_MS, &mut plan);
                world.deliver_late();
            }
            world.settle();
        }
    }
}

#[derive(Clone, Debug)]
enum Act {
    Publish(u8, u8, u32),
    Pass(u64, Option<(u64, usize)>),
    Reorg(u64, bool),
    Away(u8, bool),
    DatabaseAway(bool),
    NodeAway(bool),
    CrashAnchorer,
    LoseAnchorer,
    CrashBatcher(u8),
    Late,
    Offer,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (any::<u8>(), 0..3u8, 1..50u32).prop_map(|(bucket, number, count)| Act::Publish(bucket, number, count)),
        8 => (1..20u64, proptest::option::of((1..40u64, 0..Trouble::ALL.len())))
            .prop_map(|(steps, trouble)| Act::Pass(steps * 2_000, trouble)),
        1 => (1..8u64, any::<bool>()).prop_map(|(depth, pooled)| Act::Reorg(depth, pooled)),
        1 => (0..4u8, any::<bool>()).prop_map(|(group, away)| Act::Away(group, away)),
        1 => any::<bool>().prop_map(Act::DatabaseAway),
        1 => any::<bool>().prop_map(Act::NodeAway),
        1 => Just(Act::CrashAnchorer),
        1 => Just(Act::LoseAnchorer),
        1 => (0..4u8).prop_map(Act::CrashBatcher),
        1 => Just(Act::Late),
        2 => Just(Act::Offer),
    ]
}

fn perform(world: &mut World, act: Act) {
    match act {
        Act::Publish(bucket, number, count) => world.publish(stream_in(bucket / 16 * 16, number), count),
        Act::Pass(ms, None) => world.pass(ms),
        Act::Pass(ms, Some((every, trouble))) => {
            let trouble = Trouble::ALL[trouble];
            world.pass_with(ms, &mut |step| {
                if step % every == 0 { trouble } else { Trouble::None }
            });
        }
        Act::Reorg(depth, pooled) => {
            let orphans = if pooled { Orphans::Pooled } else { Orphans::Dropped };
            let depth = depth.min(world.chain.head().number.saturating_sub(1));
            world.chain.reorg(depth, orphans);
            world.listen();
        }
        Act::Away(group, true) => drop(world.away.insert(group * BUCKETS_EACH as u8)),
        Act::Away(group, false) => drop(world.away.remove(&(group * BUCKETS_EACH as u8))),
        Act::DatabaseAway(away) => world.database_is_away = away,
        Act::NodeAway(away) => world.node_is_away = away,
        Act::CrashAnchorer => world.crash_anchorer(),
        Act::LoseAnchorer => world.lose_anchorer(),
        Act::CrashBatcher(group) => world
            .batchers
            .get_mut(&(group * BUCKETS_EACH as u8))
            .unwrap()
            .crash(),
        Act::Late => world.deliver_late(),
        Act::Offer => world.offer_all(&mut |_| Trouble::None),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn each_run_is_in_one_round_and_follows_the_one_before(acts in proptest::collection::vec(act(), 1..60)) {
        let mut world = World::new();
        for act in acts {
            perform(&mut world, act);
        }
        world.settle();
    }
}
