//! The fees that a transaction offers for its gas (EIP-1559).
//!
//! What always holds: `tip <= max_fee <= policy.cap`, and a replacement raises both fields by at least 12.5 %, which
//! every client's mempool rule accepts (most ask for 10 %, some for 12.5 %).

use serde::{Deserialize, Serialize};

use super::rpc::FeeHistory;

/// The number of wei in a gwei.
pub const WEI_PER_GWEI: u128 = 1_000_000_000;

/// Doubling the base fee lets a transaction wait out five blocks that are all full (each raises it by 12.5 %).
const BASE_FEE_HEADROOM: u128 = 2;

/// The fees that a transaction offers, in wei per gas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fees {
    /// `maxFeePerGas`: the most that base fee and tip cost together.
    pub max_fee: u128,
    /// `maxPriorityFeePerGas`: what the proposer of the block gets.
    pub tip: u128,
}

/// The operator's bounds for fees, in wei per gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeePolicy {
    /// The most that `max_fee` may be.
    pub cap: u128,
    /// The smallest tip: proposers leave out what pays less.
    pub tip_floor: u128,
}

/// Why no fee can be offered now. It may be possible later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeeError {
    /// The next block's base fee and the smallest tip are above the cap.
    #[error("the base fee is {base_fee} wei per gas, above the configured cap of {cap}")]
    AboveCap {
        /// The next block's base fee.
        base_fee: u128,
        /// The configured cap.
        cap: u128,
    },
    /// The node's fee history has no base fee.
    #[error("the node's fee history has no base fee")]
    NoBaseFee,
}

/// A decimal number of gwei, in wei: whole, or with a point. `None` for anything else. Digits below a wei are
/// dropped.
pub fn parse_gwei(text: &str) -> Option<u128> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) {
        return None;
    }
    let whole: u128 = whole.parse().ok()?;
    let part = format!("{part:0<9}").get(..9)?.parse::<u128>().ok()?;
    whole.checked_mul(WEI_PER_GWEI)?.checked_add(part)
}

/// The fees for a fresh transaction: the median of the tips that recent blocks paid, and twice the next block's base fee.
pub fn estimate_fees(history: &FeeHistory, policy: FeePolicy) -> Result<Fees, FeeError> {
    let base_fee = history.next_base_fee().ok_or(FeeError::NoBaseFee)?;
    if base_fee.saturating_add(policy.tip_floor) > policy.cap {
        return Err(FeeError::AboveCap {
            base_fee,
            cap: policy.cap,
        });
    }
    let room = policy.cap - base_fee;
    let tip = median(history.median_tips())
        .unwrap_or(0)
        .max(policy.tip_floor)
        .min(room);
    let max_fee = base_fee
        .saturating_mul(BASE_FEE_HEADROOM)
        .saturating_add(tip)
        .min(policy.cap);
    Ok(Fees { max_fee, tip })
}

/// The fees of a replacement for a transaction that offered `previous`, when `fresh` would be offered today:
/// whichever is more, but both fields at least 12.5 % up. `None` when the cap leaves no room for that.
pub fn bump_fees(previous: Fees, fresh: Fees, policy: FeePolicy) -> Option<Fees> {
    let max_fee = raised(previous.max_fee).max(fresh.max_fee.min(policy.cap));
    let tip = raised(previous.tip).max(fresh.tip).min(max_fee);
    let fits = max_fee <= policy.cap && tip >= raised(previous.tip);
    fits.then_some(Fees { max_fee, tip })
}

/// The fee with at least 12.5 % added, rounded up.
fn raised(fee: u128) -> u128 {
    fee.saturating_add((fee / 8).saturating_add(1))
}

fn median(mut values: Vec<u128>) -> Option<u128> {
    values.retain(|&value| value > 0); // empty blocks report a tip of zero
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gwei_are_read_exactly_and_other_texts_are_rejected() {
        let read = [
            ("200", 200 * WEI_PER_GWEI),
            ("0.1", 100_000_000),
            ("1.0000000019", WEI_PER_GWEI + 1),
            ("0", 0),
        ];
        for (text, wei) in read {
            assert_eq!(parse_gwei(text), Some(wei), "{text}");
        }
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", "1.2.3", "1 "] {
            assert_eq!(parse_gwei(text), None, "{text:?}");
        }
    }
}
