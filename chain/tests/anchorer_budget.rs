//! What the account's transactions may use in a day.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]
mod support;

use streamchain_chain::Machine;
use streamchain_chain::anchorer::Settings;
use streamchain_protocol::time::UnixMs;
use support::Fault;
use support::anchoring::*;

const DAY_MS: u64 = 86_400_000;
/// What the fake chain asks for a transaction, with the margin of a fifth.
const LIMIT: u64 = 60_000;
const USED: u64 = 50_000;

fn world(daily: u64) -> Anchoring {
    Anchoring::with(Settings {
        daily_gas: Some(daily),
        ..settings()
    })
}

fn used(world: &Anchoring) -> u64 {
    world.anchorer.status(world.now).gas_budget.unwrap().used
}

#[test]
fn a_transaction_counts_its_limit_and_then_what_it_used() {
    let mut world = world(1_000_000);
    world.hand_over(&[segment("demo", 0, 5)]);
    world.round();
    assert_eq!(used(&world), LIMIT);
    world.block();
    assert_eq!(used(&world), USED);
}

#[test]
fn a_spent_budget_waits_for_the_next_day_and_says_so() {
    let mut world = world(USED + LIMIT);
    let mut first = 0;
    for _ in 0..4 {
        world.hand_over(&[segment("demo", first, 5)]);
        first += 5;
        world.round();
        world.blocks(2);
    }
    assert_eq!(world.chain.mined().len(), 2, "two transactions fit");
    assert_eq!(used(&world), 2 * USED);
    let status = world.anchorer.status(world.now);
    let budget = status.gas_budget.clone().unwrap();
    assert!(budget.waiting, "{status:?}");
    assert_eq!(budget.resets_at.0 % DAY_MS, 0, "it resets at midnight, UTC");
    assert!(world.error().contains("gas budget"), "{}", world.error());
    assert!(status.pending_segments > 0, "the rest waits");

    let midnight = budget.resets_at;
    assert_eq!(
        world.anchorer.poll_timeout(world.now),
        Some(midnight),
        "and asks no node meanwhile"
    );
    world.now = midnight;
    world.round();
    world.blocks(2);
    assert_eq!(world.chain.next_seq(stream("demo")), 20, "all of it at once");
    assert_eq!(used(&world), USED);
    assert_eq!(world.error(), "");
}

#[test]
fn a_crash_at_any_command_forgets_nothing_of_what_was_spent() {
    for fault in Fault::ALL {
        for at in 1..=14 {
            let mut world = world(USED + LIMIT - 1);
            let mut strike = |command| if command == at { fault } else { Fault::None };
            for round in 0..4 {
                world.hand_over(&[segment("demo", round * 5, 5)]);
                world.round_with(&mut strike);
                world.chain.mine();
                world.pass_time_with(BLOCK_MS, &mut strike);
            }
            assert_eq!(
                world.chain.mined().len(),
                1,
                "{fault:?} at {at}: one transaction fits the day"
            );
            world.crash();
            assert_eq!(used(&world), USED, "{fault:?} at {at}");
        }
    }
}

#[test]
fn a_batch_above_the_budget_goes_in_parts() {
    let mut world = world(u64::MAX);
    world.chain.gas_per_byte = 100;
    world.settings.daily_gas = Some(180_000);
    world.crash();
    world.hand_over(&[
        segment("demo", 0, 5),
        segment("other", 0, 5),
        segment("third", 0, 5),
    ]);
    world.round();
    world.block();
    let anchored = ["demo", "other", "third"].map(|name| world.chain.next_seq(stream(name)));
    assert!(
        anchored.contains(&5) && anchored.contains(&0),
        "one of three: {anchored:?}"
    );
}

#[test]
fn without_a_budget_the_status_names_none() {
    assert_eq!(Anchoring::new().anchorer.status(UnixMs(0)).gas_budget, None);
}
