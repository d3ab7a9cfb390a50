//! The listener against a chain that grows, and one that forks.

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
use streamchain_chain::ethereum::{Answer, BlockId, Request};
use streamchain_chain::listener::{Listener, Settings};
use support::Fault;
use support::fake_chain::{FakeChain, Orphans};
use support::listening::*;

const STRANGER: Address = Address::repeat_byte(0x55);

fn publish(text: &str) -> Vec<u8> {
    publishCall {
        stream: B256::repeat_byte(7),
        payload: text.as_bytes().to_vec().into(),
    }
    .abi_encode()
}

/// A chain whose newest blocks each hold one event.
fn eventful(empty: u64, events: u64) -> Listening {
    let mut chain = FakeChain::new(Address::repeat_byte(1));
    chain.mine_many(empty);
    for number in 0..events {
        chain.stranger(STRANGER, publish(&format!("event {number}")));
        chain.mine();
    }
    Listening::new(chain)
}

#[test]
fn events_are_seen_and_then_final() {
    let mut world = eventful(20, 3);
    world.rounds(2);
    world.agrees();
    assert!(world.world.values().all(|(_, is_final)| !is_final));
    world.chain.mine_many(20);
    world.rounds(2);
    world.agrees();
    assert!(world.world.values().all(|(_, is_final)| *is_final));
    assert_eq!(world.listener.status().held_events, 0);
}

#[test]
fn a_fork_is_undone_in_one_batch_and_the_new_branch_read() {
    for depth in [1, 2, 3, 6] {
        let mut world = eventful(30, 6);
        world.rounds(2);
        let batches = world.batches.len();
        world.chain.reorg(depth, Orphans::Pooled);
        world.rounds(3);
        world.agrees();
        let undoing = world.batches[batches..]
            .iter()
            .filter(|batch| !batch.undone.is_empty());
        assert_eq!(
            undoing.map(|batch| batch.undone.len() as u64).collect::<Vec<_>>(),
            [depth]
        );
    }
}

#[test]
fn a_replay_repeats_every_event_and_undoes_the_others() {
    let mut world = eventful(30, 6);
    world.chain.mine_many(20);
    world.rounds(3);
    for number in 0..3 {
        world.chain.stranger(STRANGER, publish(&format!("late {number}")));
        world.chain.mine();
    }
    world.rounds(2);
    let before = world.world.clone();
    let (finals, held) = (
        before.values().filter(|(_, is_final)| *is_final).count(),
        world.listener.status().held_events,
    );
    assert!(finals > 0 && held > 0, "there are events of both kinds");
    // The tables that the owner kept are lost, and a fork takes one block back in the same moment.
    world.world.clear();
    world.chain.reorg(1, Orphans::Dropped);
    world.listener.replay();
    assert_eq!(world.listener.status().cursor, settings().start_block);
    world.rounds(4);
    world.agrees();
    assert_eq!(world.world.len(), before.len() - 1);
    let found = |id| world.world.get(id).is_some_and(|(_, is_final)| *is_final);
    assert!(before.iter().all(|(id, (_, is_final))| !is_final || found(id)));
}

#[test]
fn a_replay_that_is_interrupted_goes_on_from_where_it_was() {
    let mut world = eventful(30, 6);
    world.chain.mine_many(20);
    world.rounds(3);
    let before = world.world.clone();
    world.world.clear();
    world.listener.replay();
    // The intent is saved first of all; a crash right behind it loses nothing.
    let mut saved = false;
    world.round_with(&mut |_| match core::mem::replace(&mut saved, true) {
        false => Fault::None,
        true => Fault::CrashBefore,
    });
    world.rounds(4);
    world.agrees();
    assert_eq!(world.world.len(), before.len());
}

#[test]
fn a_depth_counts_as_final_on_a_chain_without_finality() {
    let mut world = eventful(20, 3);
    let settings = Settings {
        finality_depth: Some(5),
        ..settings()
    };
    world.listener = Listener::restore(settings, []).unwrap();
    world.lie = Some(Box::new(|request, outcome| match request {
        Request::Block(BlockId::Finalized) => Ok(Answer::Block(None)),
        _ => outcome,
    }));
    world.rounds(2);
    assert_eq!(world.listener.status().held_events, 3);
    world.chain.mine_many(4);
    world.rounds(2);
    assert_eq!(
        world.listener.status().held_events,
        1,
        "the last is four blocks deep"
    );
    world.chain.mine_many(1);
    world.rounds(2);
    assert_eq!(world.listener.status().held_events, 0);
}
