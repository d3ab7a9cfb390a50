//! What a transaction offers.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

use proptest::prelude::*;
use streamchain_chain::ethereum::FeeHistory;
use streamchain_chain::ethereum::{FeeError, FeePolicy, Fees, bump_fees, estimate_fees};

const GWEI: u128 = 1_000_000_000;
const POLICY: FeePolicy = FeePolicy {
    cap: 100 * GWEI,
    tip_floor: GWEI / 1_000,
};

#[test]
fn a_fresh_offer_is_twice_the_next_base_fee_and_the_median_tip() {
    let history = FeeHistory::new(&[9 * GWEI, 10 * GWEI], &[GWEI, 3 * GWEI, 2 * GWEI]);
    assert_eq!(
        estimate_fees(&history, POLICY),
        Ok(Fees {
            max_fee: 22 * GWEI,
            tip: 2 * GWEI
        })
    );
}

#[test]
fn empty_blocks_do_not_lower_the_tip() {
    let history = FeeHistory::new(&[GWEI], &[0, 0, 0, GWEI, 0]);
    assert_eq!(estimate_fees(&history, POLICY).unwrap().tip, GWEI);
    let silent = FeeHistory::new(&[GWEI], &[0, 0]);
    assert_eq!(estimate_fees(&silent, POLICY).unwrap().tip, POLICY.tip_floor);
}

#[test]
fn above_the_cap_nothing_is_offered() {
    let history = FeeHistory::new(&[101 * GWEI], &[GWEI]);
    let above = FeeError::AboveCap {
        base_fee: 101 * GWEI,
        cap: POLICY.cap,
    };
    assert_eq!(estimate_fees(&history, POLICY), Err(above));
    assert_eq!(
        estimate_fees(&FeeHistory::default(), POLICY),
        Err(FeeError::NoBaseFee)
    );
}

#[test]
fn a_replacement_follows_the_market_when_that_is_more() {
    let previous = Fees {
        max_fee: 10 * GWEI,
        tip: GWEI,
    };
    let fresh = Fees {
        max_fee: 30 * GWEI,
        tip: 2 * GWEI,
    };
    assert_eq!(bump_fees(previous, fresh, POLICY), Some(fresh));
}

#[test]
fn where_the_cap_leaves_no_room_there_is_no_replacement() {
    let previous = Fees {
        max_fee: 90 * GWEI,
        tip: GWEI,
    };
    assert_eq!(bump_fees(previous, previous, POLICY), None);
}

fn fee() -> impl Strategy<Value = u128> {
    prop_oneof![0..10u128, 0..200 * GWEI, Just(u128::MAX)]
}

proptest! {
    #[test]
    fn every_offer_keeps_the_bounds(base in fee(), tips in prop::collection::vec(fee(), 0..5)) {
        if let Ok(fees) = estimate_fees(&FeeHistory::new(&[base], &tips), POLICY) {
            prop_assert!(fees.tip <= fees.max_fee && fees.max_fee <= POLICY.cap);
            prop_assert!(fees.max_fee >= base + POLICY.tip_floor, "it can be mined in the next block");
        }
    }

    #[test]
    fn every_replacement_raises_both_fields_by_an_eighth(max_fee in fee(), tip in fee(), fresh in fee()) {
        let previous = Fees { max_fee, tip: tip.min(max_fee) };
        let fresh = Fees { max_fee: fresh, tip: fresh / 2 };
        if let Some(fees) = bump_fees(previous, fresh, POLICY) {
            prop_assert!(fees.tip <= fees.max_fee && fees.max_fee <= POLICY.cap);
            for (new, old) in [(fees.max_fee, previous.max_fee), (fees.tip, previous.tip)] {
                prop_assert!(new > old && new * 8 >= old * 9, "{new} replaces {old}");
            }
        }
    }
}
