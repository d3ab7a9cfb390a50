//! What messages cost, from a node's estimates and fees.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]
use alloy_primitives::Address;
use streamchain_chain::costs::{Estimates, MESSAGES_PER_ANCHOR};
use streamchain_chain::ethereum::FeePolicy;
use streamchain_chain::ethereum::{FeeHistory, Request};
use streamchain_protocol::ids::{Seq, StreamId};

const POLICY: FeePolicy = FeePolicy {
    cap: 1,
    tip_floor: 10,
};

fn estimates(known: Option<(StreamId, Seq)>) -> Estimates {
    Estimates {
        account: Address::repeat_byte(1),
        contract: Address::repeat_byte(2),
        known,
    }
}

#[test]
fn a_message_pays_its_share_of_the_anchor_and_its_own_part() {
    let history = FeeHistory::new(&[90, 90], &[10]);
    let costs = estimates(None)
        .costs([30_000, 55_000, 50_000, 100_000], &history, POLICY)
        .unwrap();
    let share = 30_000 / MESSAGES_PER_ANCHOR;
    assert_eq!(costs.gas_price_wei, "100", "base fee and tip, whatever the cap");
    assert_eq!((costs.root.gas, costs.hash.gas), (share, share + 2_000));
    assert_eq!(costs.payload.gas, share + 7_000);
    assert_eq!(costs.payload.wei, ((share + 7_000) * 100).to_string());
    assert_eq!((costs.anchor.gas, costs.anchor_stored.gas), (30_000, 55_000));
}

#[test]
fn a_node_without_fees_gives_no_costs() {
    let none = estimates(None).costs([1; 4], &FeeHistory::default(), POLICY);
    assert_eq!(none, None);
}

#[test]
fn a_stream_that_is_open_is_not_opened_again() {
    let sizes = |known| {
        let requests = estimates(known).requests();
        requests.map(|request| match request {
            Request::EstimateGas { data, .. } => data.len(),
            other => panic!("expected an estimate, got {other:?}"),
        })
    };
    let (new, open) = (sizes(None), sizes(Some((StreamId([3; 32]), Seq(7)))));
    assert!(
        new.iter().zip(open).all(|(new, open)| *new > open),
        "{new:?} {open:?}"
    );
}
