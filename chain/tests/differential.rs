//! Signing and hashing against the field's libraries, for many random values.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]
use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, eip191_hash_message, hex};
use k256::ecdsa::SigningKey;
use proptest::prelude::*;
use streamchain_chain::ethereum::{Fees, Signer, Transaction, eip191};

/// Numbers of every length, as RLP writes each length in its own way.
fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..64u32).prop_map(|(bits, shift)| bits >> shift)
}

fn amount() -> impl Strategy<Value = u128> {
    (any::<u128>(), 0..128u32).prop_map(|(bits, shift)| bits >> shift)
}

/// A valid secp256k1 key: the curve's order is above 2^255.
fn key() -> impl Strategy<Value = [u8; 32]> {
    any::<[u8; 32]>().prop_map(|mut key| {
        key[0] &= 0x7f;
        key[31] |= 1;
        key
    })
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(Vec::new()),
        prop::collection::vec(any::<u8>(), 1),
        prop::collection::vec(any::<u8>(), 50..60),
        prop::collection::vec(any::<u8>(), 200..300),
        // Lengths of three bytes in RLP.
        (65_500..70_000usize).prop_map(|length| vec![0xab; length]),
    ]
}

fn transaction() -> impl Strategy<Value = Transaction> {
    let fees = (amount(), amount()).prop_map(|(max_fee, tip)| Fees { max_fee, tip });
    (number(), number(), fees, number(), any::<[u8; 20]>(), data()).prop_map(
        |(chain_id, nonce, fees, gas_limit, to, data)| Transaction {
            chain_id,
            nonce,
            fees,
            gas_limit,
            to: Address::from(to),
            data: data.into(),
        },
    )
}

/// The same transaction, signed by `alloy-consensus` and `k256`: its hash and its bytes.
fn sign_by_alloy(transaction: &Transaction, key: &SigningKey) -> (B256, Bytes) {
    let unsigned = TxEip1559 {
        chain_id: transaction.chain_id,
        nonce: transaction.nonce,
        gas_limit: transaction.gas_limit,
        max_fee_per_gas: transaction.fees.max_fee,
        max_priority_fee_per_gas: transaction.fees.tip,
        to: TxKind::Call(transaction.to),
        value: U256::ZERO,
        access_list: Default::default(),
        input: transaction.data.clone(),
    };
    let digest = unsigned.signature_hash();
    let signature = key.sign_prehash_recoverable(digest.as_slice()).unwrap();
    let signed = unsigned.into_signed(Signature::from(signature));
    let mut raw = Vec::new();
    signed.eip2718_encode(&mut raw);
    (*signed.hash(), raw.into())
}

fn sign_personally(message: &str, key: &SigningKey) -> Vec<u8> {
    let digest = eip191_hash_message(message);
    let signature = key.sign_prehash_recoverable(digest.as_slice()).unwrap();
    Signature::from(signature).as_bytes().to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_transaction_has_the_bytes_of_alloy_consensus(transaction in transaction(), key in key()) {
        let signed = transaction.sign(&Signer::from_hex(&hex::encode(key)).unwrap()).unwrap();
        let key = SigningKey::from_slice(&key).unwrap();
        prop_assert_eq!((signed.hash, signed.raw), sign_by_alloy(&transaction, &key));
    }

    #[test]
    fn a_personal_message_has_the_hash_of_alloy_primitives(message in ".{0,300}") {
        prop_assert_eq!(eip191::hash(&message), eip191_hash_message(message.as_bytes()));
    }

    #[test]
    fn a_personal_signature_names_the_account_of_its_key(message in ".{0,100}", key in key()) {
        let account = Signer::from_hex(&hex::encode(key)).unwrap().address();
        let signature = sign_personally(&message, &SigningKey::from_slice(&key).unwrap());
        prop_assert_eq!(eip191::signer(eip191::hash(&message), &signature), Some(account));
    }

    #[test]
    fn signatures_are_read_as_alloy_primitives_reads_them(bytes in any::<[u8; 32]>(), r in key(), s in key(), v in 27..29u8) {
        let signature = [&r[..], &s[..], &[v]].concat();
        let read = Signature::from_raw(&signature).unwrap();
        let expected = read.recover_address_from_prehash(&bytes.into()).ok();
        // A high `s` is another form of the same signature, which we do not accept.
        let expected = expected.filter(|_| read.normalize_s().is_none());
        prop_assert_eq!(eip191::signer(bytes.into(), &signature), expected);
    }
}
