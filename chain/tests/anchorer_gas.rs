//! For whom the account's gas is used, and how much of it.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]
mod support;

use std::collections::BTreeSet;

use alloy_primitives::{Address, keccak256};
use alloy_sol_types::SolCall;
use streamchain_chain::abi::multicallCall;
use streamchain_chain::anchorer::{GasOwners, Segment, Settings};
use streamchain_protocol::ids::StreamId;
use streamchain_protocol::stream_settings::Mode;
use support::Fault;
use support::anchoring::*;

const DAY_MS: u64 = 86_400_000;
const STRANGER: Address = Address::repeat_byte(0x55);
const OTHER: Address = Address::repeat_byte(0x66);
/// What the fake chain asks for a transaction, with the margin of a fifth.
const LIMIT: u64 = 60_000;

fn with_budget(daily: u64) -> Anchoring {
    Anchoring::with(Settings {
        daily_gas: Some(daily),
        ..settings()
    })
}

/// Opens a stranger's stream on the contract, and hands over messages of it from `first` on.
fn theirs(world: &mut Anchoring, owner: Address, first: u64) -> StreamId {
    let segment = segment_of(owner, "theirs", first, 1);
    if first == 0 {
        world.chain.set_stream(segment.stream, signer().address(), 0);
    }
    world.hand_over(std::slice::from_ref(&segment));
    segment.stream
}

/// A stranger's segment that wants its messages on chain, and its records.
fn payloads_of(owner: Address) -> (Segment, Vec<u8>) {
    let (own, records) = emitted("payloads", 0, 3, Mode::Payload, 10);
    let name_hash = keccak256("payloads");
    let stream = streamchain_chain::abi::stream_id(owner, name_hash);
    let leaves = streamchain_protocol::proof::leaves(stream, own.first, &records).unwrap();
    let root = streamchain_protocol::proof::merkle::root(&leaves).unwrap();
    let theirs = Segment {
        owner,
        stream,
        root,
        prove: true,
        ..own
    };
    (theirs, records)
}

mod owners {
    use super::*;

    fn emitted_for(owners: GasOwners) -> (usize, u64, usize) {
        let mut world = Anchoring::with(Settings {
            gas_owners: owners,
            ..settings()
        });
        let (segment, records) = payloads_of(STRANGER);
        let stream = segment.stream;
        world.chain.set_stream(stream, signer().address(), 0);
        world.hand_over_emitted(&[(segment, records)]);
        world.round();
        world.blocks(2);
        let stored = world
            .chain
            .logs()
            .iter()
            .filter(|log| log.topics.len() == 2)
            .count();
        (
            world.emissions(stream).len(),
            world.chain.next_seq(stream),
            stored,
        )
    }

    #[test]
    fn an_owner_who_is_not_listed_is_anchored_by_root_alone() {
        let nobody = GasOwners::Listed(BTreeSet::new());
        assert_eq!(emitted_for(nobody), (0, 3, 0));
        let another = GasOwners::Listed([OTHER].into());
        assert_eq!(emitted_for(another), (0, 3, 0));
    }

    #[test]
    fn one_who_is_listed_has_what_the_settings_ask_for() {
        for owners in [GasOwners::All, GasOwners::Listed([STRANGER].into())] {
            assert_eq!(emitted_for(owners), (3, 3, 1));
        }
    }

    #[test]
    fn the_account_itself_needs_no_list() {
        let mut world = Anchoring::with(Settings {
            gas_owners: GasOwners::Listed(BTreeSet::new()),
            ..settings()
        });
        world.hand_over_emitted(&[emitted("demo", 0, 3, Mode::Hash, 10)]);
        world.round();
        world.block();
        assert_eq!(world.emissions(stream("demo")).len(), 3);
    }
}

mod shares {
    use super::*;

    /// So many rounds in which a stranger's stream and one of the account's own have something new.
    fn rounds(world: &mut Anchoring, owners: &[Address], rounds: u64) {
        for first in 0..rounds {
            world.hand_over(&[segment("demo", first, 1)]);
            for owner in owners {
                theirs(world, *owner, first);
            }
            world.round();
            world.block();
        }
    }

    #[test]
    fn a_stranger_uses_a_tenth_and_leaves_the_rest() {
        let daily = 20 * LIMIT;
        let mut world = with_budget(daily);
        rounds(&mut world, &[STRANGER], 12);
        world.blocks(2);
        let status = world.anchorer.status(world.now);
        let budget = status.gas_budget.unwrap();
        assert_eq!(
            (budget.owner_share, budget.foreign_share),
            (daily / 10, daily / 2)
        );
        assert!(budget.foreign_used <= daily / 10, "{budget:?}");
        let blocked = &status.blocked_streams[0];
        assert!(
            blocked.reason.contains("owner's share of the day's gas"),
            "{blocked:?}"
        );
        assert_eq!(world.chain.next_seq(stream("demo")), 12, "the others go on");

        world.now = budget.resets_at;
        world.round();
        world.blocks(2);
        assert_eq!(world.chain.next_seq(blocked.stream), 12, "all of it the next day");
    }

    #[test]
    fn all_strangers_together_use_half() {
        let daily = 8 * LIMIT;
        let mut world = with_budget(daily);
        let owners: Vec<Address> = (1..=20).map(Address::repeat_byte).collect();
        for _ in 0..2 {
            rounds(&mut world, &owners, 1);
        }
        for owner in &owners {
            theirs(&mut world, *owner, 1);
        }
        world.blocks(6);
        let budget = world.anchorer.status(world.now).gas_budget.unwrap();
        assert!(budget.foreign_used <= daily / 2, "{budget:?}");
        world.hand_over(&[segment("demo", 1, 4)]);
        world.blocks(2);
        assert_eq!(
            world.chain.next_seq(stream("demo")),
            5,
            "the reserve is the account's own"
        );
    }

    #[test]
    fn opening_streams_by_name_does_not_use_up_the_day() {
        let daily = 20 * LIMIT;
        let mut world = with_budget(daily);
        for number in 0..40 {
            world.hand_over(&[segment(&format!("s{number}"), 0, 1)]);
            world.round();
            world.block();
        }
        let status = world.anchorer.status(world.now);
        let reason = &status.blocked_streams[0].reason;
        assert!(reason.contains("for opening streams"), "{reason}");
        world.hand_over(&[segment("s0", 1, 1)]);
        world.blocks(2);
        assert_eq!(world.chain.next_seq(stream("s0")), 2, "what is open goes on");
    }

    #[test]
    fn a_crash_at_any_command_forgets_no_share() {
        for fault in Fault::ALL {
            for at in 1..=12 {
                let mut world = with_budget(20 * LIMIT);
                let id = theirs(&mut world, STRANGER, 0);
                let mut strike = |command| if command == at { fault } else { Fault::None };
                for _ in 0..3 {
                    world.round_with(&mut strike);
                    world.chain.mine();
                    world.pass_time_with(BLOCK_MS, &mut strike);
                }
                assert_eq!(world.chain.next_seq(id), 1, "{fault:?} at {at}");
                world.crash();
                let used = world.anchorer.status(world.now).gas_budget.unwrap().foreign_used;
                assert_eq!(used, 50_000, "{fault:?} at {at}");
            }
        }
    }

    #[test]
    fn the_shares_of_a_day_leave_no_rows_behind() {
        let mut world = with_budget(20 * LIMIT);
        rounds(&mut world, &[STRANGER, OTHER], 1);
        let rows = |world: &Anchoring| {
            let keys = world.rows.keys();
            keys.filter(|key| key.starts_with("gas-")).count()
        };
        assert_eq!(rows(&world), 3, "openings, and two strangers");
        world.now = world.now.plus_ms(DAY_MS);
        world.hand_over(&[segment("demo", 1, 1)]);
        world.round();
        world.block();
        assert_eq!(rows(&world), 0);
    }
}

mod reverts {
    use super::*;

    /// The stranger takes the stream back after the transaction was estimated, before it is in a block.
    fn revert(world: &mut Anchoring, stream: StreamId) {
        world
            .chain
            .set_stream(stream, STRANGER, world.chain.next_seq(stream));
        world.chain.mine();
        world
            .chain
            .set_stream(stream, signer().address(), world.chain.next_seq(stream));
    }

    #[test]
    fn a_stranger_who_makes_anchors_revert_does_it_alone() {
        let mut world = Anchoring::new();
        let id = theirs(&mut world, STRANGER, 0);
        let innocent = theirs(&mut world, OTHER, 0);
        world.hand_over(&[segment("demo", 0, 1)]);
        world.round();
        revert(&mut world, id);
        let failed = |world: &Anchoring| world.chain.mined().iter().filter(|(_, ok)| !ok).count();
        assert_eq!(failed(&world), 1);
        world.blocks(6);
        assert_eq!(world.chain.next_seq(stream("demo")), 1);
        assert_eq!(world.chain.next_seq(innocent), 1);
        assert_eq!(world.chain.next_seq(id), 1, "it succeeds by itself");
        for round in 1..4 {
            world.hand_over(&[segment("demo", round, 1)]);
            theirs(&mut world, STRANGER, round);
            world.round();
            revert(&mut world, id);
            world.blocks(2);
            assert_eq!(world.chain.next_seq(stream("demo")), round + 1);
        }
    }

    #[test]
    fn an_anchor_that_reverts_alone_rests_for_an_hour() {
        let mut world = Anchoring::new();
        let id = theirs(&mut world, STRANGER, 0);
        world.round();
        revert(&mut world, id);
        world.blocks(3);
        let status = world.anchorer.status(world.now);
        assert!(
            status.blocked_streams[0].reason.contains("reverted"),
            "{status:?}"
        );
        assert_eq!(world.chain.mined().len(), 1);
        world.blocks(310);
        assert_eq!(world.chain.next_seq(id), 1);
    }

    #[test]
    fn a_foreign_transaction_of_the_account_changes_nothing() {
        let mut world = Anchoring::new();
        let noop = multicallCall { data: Vec::new() }.abi_encode();
        world.chain.stranger(signer().address(), noop);
        theirs(&mut world, STRANGER, 0);
        world.blocks(4);
        assert!(world.anchorer.status(world.now).blocked_streams.is_empty());
    }
}
