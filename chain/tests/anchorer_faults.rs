//! The anchorer when its process dies or its calls fail at every step.

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
use support::Fault;
use support::anchoring::*;
use support::fake_chain::Orphans;

/// What must hold whatever happened: anchors of a stream are contiguous, each message once.
fn contiguous(world: &Anchoring, name: &str) -> u64 {
    let mut next = 0;
    for (first, count) in world.anchors(stream(name)) {
        assert_eq!(first, next, "{name} is anchored without gaps or overlaps");
        next += u64::from(count);
    }
    next
}

/// Lets everything come to its end: all anchored, all final, nothing left.
fn comes_to_its_end(world: &mut Anchoring, wanted: &[(&str, u64)]) {
    for _ in 0..60 {
        world.block();
        world.notify_final();
    }
    for (name, messages) in wanted {
        assert_eq!(
            contiguous(world, name),
            *messages,
            "{name}: {:?}",
            world.anchorer.status(world.now)
        );
    }
    world.notify_final();
    assert!(world.rows.is_empty(), "nothing is left behind: {:?}", world.rows);
    assert_eq!(world.anchorer.status(world.now).last_error, None);
}

fn scene() -> Anchoring {
    let mut world = Anchoring::new();
    world.hand_over(&[segment("demo", 0, 10), segment("other", 0, 3)]);
    world
}

/// How many commands the scene takes when nothing fails.
fn length_of_scene() -> u64 {
    let mut world = scene();
    world.round();
    world.blocks(2);
    world.hand_over(&[segment("demo", 10, 5)]);
    world.blocks(2);
    world.commands
}

#[test]
fn one_fault_at_any_command_loses_and_doubles_nothing() {
    let commands = length_of_scene();
    assert!(commands > 20, "the scene has steps to fail at: {commands}");
    for fault in Fault::ALL {
        for at in 1..=commands {
            let mut world = scene();
            world.struck_rounds(fault, at);
            world.hand_over(&[segment("demo", 10, 5)]);
            comes_to_its_end(&mut world, &[("demo", 15), ("other", 3)]);
            // One transaction for both streams and one for the later segment, however often it was sent.
            assert_eq!(world.chain.mined().len(), 2, "{fault:?} at command {at}");
        }
    }
}

#[test]
fn after_a_crash_the_same_bytes_are_sent_again() {
    let mut world = scene();
    world.round();
    let first = world.chain.received.clone();
    // A plan made anew would look different now.
    world.hand_over(&[segment("demo", 10, 5)]);
    world.chain.base_fee += 1;
    world.chain.pool.clear(); // and the node lost them too
    world.crash();
    world.round();
    assert_eq!(
        world.chain.received,
        [first.as_slice(), first.as_slice()].concat()
    );
}

#[derive(Clone, Debug)]
enum Act {
    Hand(u32),
    Round(Option<(u64, usize)>),
    Mine(u64),
    Reorg(u64, bool),
    Wait(u64),
    Crash,
    LosePool,
    NotifyReverted,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (1..50u32).prop_map(Act::Hand),
        6 => proptest::option::of((0..12u64, 0..Fault::ALL.len())).prop_map(Act::Round),
        4 => (1..4u64).prop_map(Act::Mine),
        1 => (1..8u64, any::<bool>()).prop_map(|(depth, pooled)| Act::Reorg(depth, pooled)),
        3 => (100..60_000u64).prop_map(Act::Wait),
        1 => Just(Act::Crash),
        1 => Just(Act::LosePool),
        1 => Just(Act::NotifyReverted),
    ]
}

fn perform(world: &mut Anchoring, act: Act, handed: &mut [u64; 3]) {
    match act {
        Act::Hand(count) => {
            let index = (count % 3) as usize;
            let name = ["demo", "other", "third"][index];
            world.hand_over(&[segment(name, handed[index], count)]);
            handed[index] += u64::from(count);
        }
        Act::Round(strike) => {
            let at = strike.map(|(after, fault)| (world.commands + after, Fault::ALL[fault]));
            world.next_round_with(&mut |command| match at {
                Some((at, fault)) if command == at => fault,
                _ => Fault::None,
            });
        }
        Act::Mine(count) => world.chain.mine_many(count),
        Act::Reorg(depth, pooled) => {
            // Never below what the listener called final.
            let depth = depth.min(world.chain.head().number - world.chain.finalized());
            if depth > 0 {
                world
                    .chain
                    .reorg(depth, if pooled { Orphans::Pooled } else { Orphans::Dropped });
            }
        }
        Act::Wait(ms) => world.pass_time(ms),
        Act::Crash => world.crash(),
        Act::LosePool => world.chain.pool.clear(),
        Act::NotifyReverted => world.notify_reverted(),
    }
    world.notify_final();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn any_schedule_ends_with_every_message_anchored_once(
        acts in prop::collection::vec(act(), 1..60)
    ) {
        let mut world = Anchoring::new();
        let mut handed = [0; 3];
        for act in acts {
            perform(&mut world, act, &mut handed);
            contiguous(&world, "demo");
        }
        let wanted = [("demo", handed[0]), ("other", handed[1]), ("third", handed[2])];
        comes_to_its_end(&mut world, &wanted);
    }
}
