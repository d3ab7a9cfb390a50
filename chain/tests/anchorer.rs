//! The anchorer against a chain that behaves.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

mod support;

use support::anchoring::*;

#[test]
fn a_new_stream_is_opened_and_anchored_by_one_transaction() {
    let mut world = Anchoring::new();
    world.hand_over(&[segment("demo", 0, 10)]);
    world.round();
    world.blocks(1);
    assert_eq!(world.anchors(stream("demo")), [(0, 10)]);
    assert_eq!(world.chain.mined().len(), 1);
    assert_eq!(world.anchorer.status(world.now).pending_segments, 0);
    assert_eq!(world.anchorer.status(world.now).in_flight, None);
}

#[test]
fn what_arrives_meanwhile_shares_the_next_transaction() {
    let mut world = Anchoring::new();
    world.hand_over(&[segment("demo", 0, 10)]);
    world.round();
    world.hand_over(&[
        segment("demo", 10, 5),
        segment("demo", 15, 1),
        segment("other", 0, 2),
    ]);
    world.blocks(2);
    assert_eq!(world.anchors(stream("demo")), [(0, 10), (10, 6)]);
    assert_eq!(world.anchors(stream("other")), [(0, 2)]);
    assert_eq!(world.chain.mined().len(), 2);
}

#[test]
fn a_segment_is_dropped_only_when_it_is_final() {
    let mut world = Anchoring::new();
    world.hand_over(&[segment("demo", 0, 10)]);
    world.round();
    world.blocks(1);
    world.notify_final();
    assert_eq!(world.anchorer.status(world.now).held_segments, 1);
    world.chain.mine_many(world.chain.finalized_depth);
    world.notify_final();
    assert_eq!(world.anchorer.status(world.now).held_segments, 0);
    assert!(world.rows.is_empty(), "nothing is left behind: {:?}", world.rows);
}
