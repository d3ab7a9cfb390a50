//! Transactions against another implementation's bytes (viem's).

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]
mod support;

use alloy_primitives::{Address, Bytes, hex};
use streamchain_chain::ethereum::Fees;
use streamchain_chain::ethereum::{BadKey, Signed, Signer, Transaction};
use support::anchoring::signer;

fn sign(chain_id: u64, nonce: u64, tip: u128, max_fee: u128, gas: u64, to: &str, data: Vec<u8>) -> Signed {
    let (to, data) = (to.parse().unwrap(), Bytes::from(data));
    let fees = Fees { max_fee, tip };
    Transaction {
        chain_id,
        nonce,
        fees,
        gas_limit: gas,
        to,
        data,
    }
    .sign(&signer())
    .unwrap()
}

#[test]
fn a_key_gives_its_address() {
    assert_eq!(
        signer().address().to_string(),
        "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
    );
}

#[test]
fn zeros_are_written_as_empty_strings() {
    let signed = sign(1, 0, 0, 7, 21_000, &Address::ZERO.to_string(), Vec::new());
    let expected = "0x02f862018080078252089400000000000000000000000000000000000000008080c001a0df60b366d81d5218d7\
        1f2d62979fd3cefa6ea0efcf8bd6a0a8fcd060dfc4f8c4a05e1e976533d93e14c9c854e6fbdf11f1f2134f42b6666accc91d72ca\
        ee98f10f";
    assert_eq!(hex::encode_prefixed(&signed.raw), expected);
    let hash = "0x6e1fd6f191b479f523dae0b7c42689cd5ed0080c8a34b59fb24ddafa05606d09";
    assert_eq!(signed.hash.to_string(), hash);
}

#[test]
fn a_single_zero_byte_is_data() {
    let to = format!("0x{}", "c0".repeat(20));
    let signed = sign(31_337, 127, 1_000_000, 2_000_000_001, 53_000, &to, vec![0]);
    let hash = "0x049554c8727c15e5a3ea33c4df89c7d03d93896003f0d2d475f7e3c4a24e7039";
    assert_eq!(signed.hash.to_string(), hash);
}

#[test]
fn long_data_and_large_fees_have_long_lengths() {
    let to = "0x5fbdb2315678afecb367f032d93f642f64180aa3";
    let signed = sign(
        8_453,
        300,
        1_500_000_000,
        1 << 100,
        8_000_000,
        to,
        vec![0xab; 300],
    );
    let hash = "0x5095b9e714cd031bf7734d0f0574ad5ded53fc63208d075b9c875e337ceef423";
    assert_eq!(signed.hash.to_string(), hash);
}

#[test]
fn a_bad_key_is_refused_and_no_key_is_ever_shown() {
    for key in ["", "0x12", &"00".repeat(32), &"ff".repeat(32), &"zz".repeat(32)] {
        assert_eq!(Signer::from_hex(key).err(), Some(BadKey), "{key}");
    }
    let shown = format!("{:?}", signer());
    assert_eq!(shown, "Signer(0x70997970C51812dc3A010C7d01b50e0d17dc79C8)");
}
