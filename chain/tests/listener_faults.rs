//! The listener when its process dies, its calls fail and the chain forks, in any order.

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
use proptest::prelude::*;
use streamchain_chain::abi::IStreamChain::publishCall;
use support::Fault;
use support::fake_chain::{FakeChain, Orphans};
use support::listening::*;

const STRANGER: Address = Address::repeat_byte(0x55);

fn publish(chain: &mut FakeChain) {
    let call = publishCall {
        stream: B256::repeat_byte(7),
        payload: b"hello".to_vec().into(),
    };
    chain.stranger(STRANGER, call.abi_encode());
}

/// A chain that forked after the listener had read its first branch, and grew on.
fn scene(strike: &mut dyn FnMut(u64) -> Fault) -> Listening {
    let mut chain = FakeChain::new(Address::repeat_byte(1));
    chain.mine_many(20);
    for _ in 0..3 {
        publish(&mut chain);
        chain.mine();
    }
    let mut world = Listening::new(chain);
    world.next_round_with(strike);
    world.chain.reorg(2, Orphans::Pooled);
    world.next_round_with(strike);
    world.chain.mine_many(3);
    world.next_round_with(strike);
    world.chain.mine_many(8);
    world.next_round_with(strike);
    world
}

/// Lets everything come to its end.
fn comes_to_its_end(world: &mut Listening) {
    world.rounds(5);
    world.agrees();
    world.chain.mine_many(world.chain.finalized_depth + 1);
    world.rounds(3);
    world.agrees();
    assert_eq!(world.listener.status().held_events, 0);
    assert_eq!(world.listener.status().error, None);
}

#[test]
fn one_fault_at_any_command_ends_as_a_clean_replay_would() {
    let commands = scene(&mut |_| Fault::None).commands;
    assert!(commands > 40, "the scene has steps to fail at: {commands}");
    for fault in Fault::ALL {
        for at in 1..=commands {
            let mut world = scene(&mut |command| if command == at { fault } else { Fault::None });
            comes_to_its_end(&mut world);
        }
    }
}

#[test]
fn an_event_seen_before_a_crash_and_gone_after_it_is_undone() {
    for pooled in [Orphans::Dropped, Orphans::Pooled] {
        let mut chain = FakeChain::new(Address::repeat_byte(1));
        chain.mine_many(20);
        let mut world = Listening::new(chain);
        world.rounds(2);
        publish(&mut world.chain);
        world.chain.mine();
        let mut crash_after = 1;
        while world.known() == 0 {
            // Each time one command later, until it is the telling itself.
            let at = world.commands + crash_after;
            world.next_round_with(&mut |command| {
                if command == at {
                    Fault::CrashAfter
                } else {
                    Fault::None
                }
            });
            crash_after += 1;
        }
        world.chain.reorg(1, pooled);
        comes_to_its_end(&mut world);
    }
}

#[derive(Clone, Debug)]
enum Act {
    Publish,
    Mine(u64),
    Reorg(u64, bool),
    Shorten(u64),
    Round(Option<(u64, usize)>),
    Crash,
    NarrowRange(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => Just(Act::Publish),
        4 => (1..25u64).prop_map(Act::Mine),
        2 => (1..9u64, any::<bool>()).prop_map(|(depth, pooled)| Act::Reorg(depth, pooled)),
        1 => (1..5u64).prop_map(Act::Shorten),
        6 => proptest::option::of((0..30u64, 0..Fault::ALL.len())).prop_map(Act::Round),
        1 => Just(Act::Crash),
        1 => (1..20u64).prop_map(Act::NarrowRange),
    ]
}

fn perform(world: &mut Listening, act: Act) {
    // A fork never goes below what was ever shown as final.
    let shown = world
        .listener
        .status()
        .finalized
        .unwrap_or(0)
        .max(world.shown_final);
    let most = world.chain.head().number - shown.min(world.chain.head().number);
    let orphans = |pooled| if pooled { Orphans::Pooled } else { Orphans::Dropped };
    match act {
        Act::Publish => publish(&mut world.chain),
        Act::Mine(count) => world.chain.mine_many(count),
        Act::Reorg(depth, pooled) if depth.min(most) > 0 => {
            world.chain.reorg(depth.min(most), orphans(pooled))
        }
        Act::Shorten(depth) if depth.min(most) > 0 => world.chain.take_back(depth.min(most), Orphans::Pooled),
        Act::Reorg(..) | Act::Shorten(_) => {}
        Act::Round(strike) => {
            let at = strike.map(|(after, fault)| (world.commands + after, Fault::ALL[fault]));
            world.next_round_with(&mut |command| match at {
                Some((at, fault)) if command == at => fault,
                _ => Fault::None,
            });
        }
        Act::Crash => world.crash(),
        Act::NarrowRange(range) => world.chain.log_range = range,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn any_schedule_ends_as_a_clean_replay_would(acts in prop::collection::vec(act(), 1..80)) {
        let mut world = Listening::new(FakeChain::new(Address::repeat_byte(1)));
        for act in acts {
            perform(&mut world, act);
        }
        world.chain.log_range = 1_000;
        world.chain.mine_many(30);
        comes_to_its_end(&mut world);
    }
}
