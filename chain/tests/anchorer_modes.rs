//! Streams whose messages or digests go on chain, and streams whose anchors are stored.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

mod support;

use alloy_primitives::{B256, Bytes};
use alloy_sol_types::{SolCall, SolEvent};
use streamchain_chain::abi::IStreamChain::AnchorsStored;
use streamchain_chain::abi::multicallCall;
use streamchain_chain::anchorer::{MAX_EMITTED_BYTES, Segment};
use streamchain_protocol::stream_settings::Mode;
use support::Fault;
use support::anchoring::*;
use support::fake_chain::Orphans;

/// What must hold on the chain as it is now: every anchored message was emitted, in order, each once.
fn each_once(world: &Anchoring, name: &str) -> u64 {
    let mut anchored = 0;
    for (first, count) in world.anchors(stream(name)) {
        assert_eq!(first, anchored, "{name} is anchored without gaps or overlaps");
        anchored += u64::from(count);
    }
    let emitted: Vec<u64> = world
        .emissions(stream(name))
        .iter()
        .map(|(seq, _)| *seq)
        .collect();
    assert_eq!(
        emitted,
        (0..anchored).collect::<Vec<_>>(),
        "{name}: each message once"
    );
    anchored
}

fn scene() -> Anchoring {
    let mut world = Anchoring::new();
    world.hand_over_emitted(&[
        emitted("demo", 0, 4, Mode::Hash, 10),
        emitted("demo", 4, 3, Mode::Hash, 10),
        emitted("other", 0, 5, Mode::Payload, 10),
    ]);
    world.hand_over(&[segment("third", 0, 9)]);
    world
}

fn comes_to_its_end(world: &mut Anchoring) {
    for _ in 0..60 {
        world.block();
        world.notify_final();
    }
    let status = world.anchorer.status(world.now);
    let ends = [each_once(world, "demo"), each_once(world, "other")];
    assert_eq!(ends, [7, 5], "all is on chain: {status:?}");
    assert_eq!(world.chain.next_seq(stream("third")), 9, "{status:?}");
    assert_eq!(status.held_segments, 0, "nothing is left behind");
    assert_eq!(status.last_error, None);
}

#[test]
fn emissions_share_the_transaction_of_their_anchor() {
    let mut world = scene();
    world.round();
    world.block();
    assert_eq!(world.chain.mined().len(), 1, "one transaction");
    assert_eq!((each_once(&world, "demo"), each_once(&world, "other")), (7, 5));
    let payloads: Vec<Vec<u8>> = (0..5).map(|seq| record(seq, 10).payload.to_vec()).collect();
    let emitted: Vec<Vec<u8>> = world
        .emissions(stream("other"))
        .into_iter()
        .map(|it| it.1)
        .collect();
    assert_eq!(emitted, payloads, "the messages themselves");
    assert!(
        world.emissions(stream("third")).is_empty(),
        "a root is all there is of this one"
    );
}

#[test]
fn one_fault_at_any_command_emits_everything_once() {
    let mut rehearsal = scene();
    rehearsal.round();
    rehearsal.blocks(2);
    let commands = rehearsal.commands;
    assert!(commands >= 12, "the scene has steps to fail at: {commands}");
    for fault in Fault::ALL {
        for at in 1..=commands {
            let mut world = scene();
            world.struck_rounds(fault, at);
            comes_to_its_end(&mut world);
            assert_eq!(world.chain.mined().len(), 1, "{fault:?} at command {at}");
        }
    }
}

#[test]
fn emissions_and_anchors_come_again_after_a_reorganisation() {
    for orphans in [Orphans::Dropped, Orphans::Pooled] {
        let mut world = scene();
        world.round();
        world.block();
        world.hand_over_emitted(&[emitted("demo", 7, 2, Mode::Hash, 10)]);
        world.blocks(2);
        assert_eq!(each_once(&world, "demo"), 9);
        world.chain.take_back(2, orphans); // the second transaction's block, and not the first one's
        world.notify_reverted();
        for _ in 0..60 {
            world.block();
            world.notify_final();
        }
        assert_eq!(
            (each_once(&world, "demo"), each_once(&world, "other")),
            (9, 5),
            "{orphans:?}"
        );
        assert_eq!(world.anchorer.status(world.now).held_segments, 0);
    }
}

#[test]
fn what_does_not_fit_one_transaction_is_split_between_segments() {
    let mut world = Anchoring::new();
    let payload = 1_000;
    let segments: Vec<(Segment, Vec<u8>)> = (0..10)
        .map(|index| emitted("demo", index * 30, 30, Mode::Payload, payload))
        .collect();
    world.hand_over_emitted(&segments);
    world.hand_over_emitted(&[emitted("other", 0, 30, Mode::Payload, payload)]);
    for _ in 0..20 {
        world.block();
    }
    assert_eq!((each_once(&world, "demo"), each_once(&world, "other")), (300, 30));
    let sizes: Vec<usize> = world
        .chain
        .blocks
        .iter()
        .flat_map(|block| &block.txs)
        .map(|tx| tx.data.len())
        .collect();
    assert!(sizes.len() >= 4, "several transactions: {sizes:?}");
    let roots = 2_000; // opens, anchors and what wraps them
    assert!(
        sizes.iter().all(|size| *size <= MAX_EMITTED_BYTES + roots),
        "{sizes:?}"
    );
}

#[test]
fn a_stream_with_much_to_emit_does_not_starve_others() {
    let mut world = Anchoring::new();
    let names: Vec<String> = (0..6).map(|index| format!("s{index}")).collect();
    for name in &names {
        for index in 0..3 {
            world.hand_over_emitted(&[emitted(name, index * 60, 60, Mode::Payload, 1_000)]);
        }
    }
    for _ in 0..8 {
        world.block();
    }
    for name in &names {
        assert!(each_once(&world, name) > 0, "{name} had its turn");
    }
}

#[test]
fn what_needs_too_much_gas_is_split_further() {
    let mut world = Anchoring::new();
    world.chain.gas_per_byte = 300;
    let segments: Vec<(Segment, Vec<u8>)> = (0..16)
        .map(|index| emitted("demo", index * 200, 200, Mode::Hash, 1))
        .collect();
    world.hand_over_emitted(&segments);
    for _ in 0..30 {
        world.block();
    }
    assert_eq!(each_once(&world, "demo"), 3_200);
    assert!(world.chain.mined().len() > 4, "{:?}", world.chain.mined().len());
}

#[test]
fn messages_that_do_not_give_the_root_are_never_emitted() {
    let mut world = Anchoring::new();
    let (segment, _) = emitted("demo", 0, 3, Mode::Payload, 10);
    let (_, others) = emitted("demo", 1, 3, Mode::Payload, 10);
    world.hand_over_emitted(&[(segment, others)]);
    world.hand_over_emitted(&[emitted("other", 0, 3, Mode::Payload, 10)]);
    for _ in 0..4 {
        world.block();
    }
    assert_eq!((each_once(&world, "demo"), each_once(&world, "other")), (0, 3));
    let blocked = world.anchorer.status(world.now).blocked_streams;
    assert!(
        blocked[0].reason.contains("do not give the segment's root"),
        "{blocked:?}"
    );
}

#[test]
fn a_change_of_mode_begins_another_run() {
    let mut world = Anchoring::new();
    world.hand_over(&[segment("demo", 0, 5)]);
    world.hand_over_emitted(&[emitted("demo", 5, 5, Mode::Hash, 10)]);
    for _ in 0..4 {
        world.block();
    }
    assert_eq!(world.anchors(stream("demo")), [(0, 5), (5, 5)]);
    let seqs: Vec<u64> = world.emissions(stream("demo")).iter().map(|it| it.0).collect();
    assert_eq!(seqs, [5, 6, 7, 8, 9]);
}

#[test]
fn runs_of_streams_that_ask_for_it_are_stored_and_no_others() {
    let mut world = Anchoring::new();
    world.hand_over(&[
        Segment {
            prove: true,
            ..segment("demo", 0, 5)
        },
        segment("other", 0, 5),
    ]);
    world.round();
    world.block();
    let logs = world.chain.logs();
    let stored = logs
        .iter()
        .find_map(|log| AnchorsStored::decode_raw_log(log.topics.iter().copied(), &log.data).ok());
    assert_eq!(stored.map(|it| it.runs.to::<u64>()), Some(1), "one run is stored");
    assert_eq!(
        (
            world.anchors(stream("demo")).len(),
            world.anchors(stream("other")).len()
        ),
        (1, 1)
    );
    let data: &Bytes = &world
        .chain
        .blocks
        .iter()
        .find_map(|block| block.txs.first())
        .unwrap()
        .data;
    let calls = multicallCall::abi_decode(data).unwrap().data;
    assert_eq!(calls.len(), 4, "two opens, an anchor, an anchorStored");
    let _: B256 = world.chain.head().hash;
}
