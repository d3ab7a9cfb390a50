//! Signatures and receipts' authors by the vectors of contracts/test/vectors (signed.mjs and forgeries.mjs explain the files).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests stop the test that cannot go on"
)]

use proptest::prelude::*;
use serde::Deserialize;
use streamchain_chain::authors::{AuthorFault, Voucher, check_author};
use streamchain_chain::ethereum::{eip191, p256};
use streamchain_protocol::proof::{AuthorError, Receipt, ReceiptError};
use streamchain_protocol::signed::{PublicKey, Signature};
use streamchain_protocol::{Address, Bytes};

#[derive(Deserialize)]
struct Signed {
    keys: Vec<Key>,
    groups: Vec<Single>,
    signatures: Vec<Single>,
}

#[derive(Deserialize)]
struct Key {
    key: PublicKey,
}

#[derive(Deserialize)]
struct Single {
    title: String,
    key: PublicKey,
    preimage: Bytes,
    signature: Signature,
    #[serde(default = "yes")]
    holds: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Forgeries {
    contract_wallets: Vec<ContractWallet>,
    receipts: Vec<Case>,
}

#[derive(Deserialize)]
struct ContractWallet {
    address: Address,
    message: String,
    signature: Bytes,
}

#[derive(Deserialize)]
struct Case {
    title: String,
    receipt: Receipt,
    holds: bool,
    voucher: Option<String>,
    wrong: Option<String>,
}

fn signed() -> Signed {
    serde_json::from_str(include_str!("../../contracts/test/vectors/signed.json")).expect("the file's shape")
}

fn forgeries() -> Forgeries {
    let text = include_str!("../../contracts/test/vectors/forgeries.json");
    serde_json::from_str(text).expect("the file's shape")
}

#[test]
fn p256_agrees_with_the_vectors() {
    let Signed {
        groups, signatures, ..
    } = signed();
    for one in groups.iter().chain(&signatures) {
        let holds = p256::verify(&one.key, &one.preimage, &one.signature);
        assert_eq!(holds, one.holds, "{}", one.title);
    }
}

/// Who vouches, or what is wrong, in the words of the table.
fn judged(receipt: &Receipt, wallets: &[ContractWallet]) -> Result<Option<&'static str>, &'static str> {
    match receipt.check() {
        Ok(()) => {}
        Err(ReceiptError::Author(AuthorError::NotValid { .. })) => return Err("time"),
        Err(ReceiptError::Author(
            AuthorError::Count(_)
            | AuthorError::Range { .. }
            | AuthorError::Previous(_)
            | AuthorError::ProofLength(_)
            | AuthorError::Proof { .. },
        )) => return Err("message"),
        Err(ReceiptError::Author(_)) => return Err("key"),
        Err(other) => panic!("the operator's part holds: {other}"),
    }
    match check_author(receipt).transpose() {
        Ok(None) => Ok(None),
        Ok(Some(Voucher::Own)) => Ok(Some("self")),
        Ok(Some(Voucher::Wallet { .. })) => Ok(Some("wallet")),
        Ok(Some(Voucher::Operator)) => Ok(Some("service")),
        Ok(Some(Voucher::ContractWallet { hash, signature, .. })) => {
            let is_accepted = wallets.iter().any(|wallet| {
                (wallet.address, eip191::hash(&wallet.message), &wallet.signature)
                    == (receipt.message.author, hash, &signature)
            });
            is_accepted.then_some(Some("contract-wallet")).ok_or("key")
        }
        Err(AuthorFault::Signature(_)) => Err("signature"),
        Err(AuthorFault::Certificate(_)) => Err("key"),
    }
}

#[test]
fn each_forgery_is_found_by_what_is_wrong_with_it() {
    let Forgeries {
        contract_wallets,
        receipts,
    } = forgeries();
    assert!(receipts.iter().filter(|case| !case.holds).count() > 40);
    for case in &receipts {
        let expected = match &case.wrong {
            Some(wrong) => Err(wrong.as_str()),
            None => Ok(case.voucher.as_deref()),
        };
        assert_eq!(
            judged(&case.receipt, &contract_wallets),
            expected,
            "{}",
            case.title
        );
        assert_eq!(case.holds, expected.is_ok(), "{}", case.title);
    }
}

#[test]
fn a_receipt_with_the_authors_part_is_read_as_it_was_written() {
    for case in forgeries().receipts {
        let text = serde_json::to_string(&case.receipt).unwrap();
        assert_eq!(
            serde_json::from_str::<Receipt>(&text).unwrap(),
            case.receipt,
            "{}",
            case.title
        );
    }
}

proptest! {
    /// The decompression of `protocol` is that of the library.
    #[test]
    fn a_point_is_decompressed_as_the_library_does(x in any::<[u8; 32]>(), sign in 2u8..4) {
        let bytes: [u8; 33] = [&[sign][..], &x].concat().try_into().unwrap();
        let ours = PublicKey::from_bytes(bytes).unwrap().point().map(|point| point.to_uncompressed());
        let theirs = ::p256::ecdsa::VerifyingKey::from_sec1_bytes(&bytes);
        let theirs = theirs.map(|key| key.to_encoded_point(false).as_bytes().to_vec());
        prop_assert_eq!(ours.ok().map(|point| point.to_vec()), theirs.ok());
    }

    #[test]
    fn no_changed_bit_verifies(at in 0usize..64, bit in 0u8..8) {
        let Signed { keys, groups, .. } = signed();
        let one = groups.first().unwrap();
        let mut signature = one.signature;
        *signature.0.get_mut(at).unwrap() ^= 1 << bit;
        prop_assert!(!p256::verify(&one.key, &one.preimage, &signature));
        let other = keys.iter().find(|key| key.key != one.key).unwrap();
        prop_assert!(!p256::verify(&other.key, &one.preimage, &one.signature));
    }
}
