//! Messages that people sign with their wallets (EIP-191, `personal_sign`), and signatures of contract wallets
//! (EIP-1271).

use super::rpc::{Answer, Request, RpcError};
use crate::abi::IERC1271::isValidSignatureCall;
use alloy_primitives::{Address, B256, Bytes, keccak256};
use alloy_sol_types::SolCall;
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};

/// Bytes of an externally owned account's signature: r, s and v.
const SIGNATURE_BYTES: usize = 65;

/// An ABI word.
const WORD: usize = 32;

/// What `isValidSignature` returns for a valid signature: its own selector.
const MAGIC: [u8; 4] = isValidSignatureCall::SELECTOR;

/// The hash that `personal_sign` signs (EIP-191, version `E`).
pub fn hash(message: &str) -> B256 {
    let prefix = format!("\x19Ethereum Signed Message:\n{}", message.len());
    keccak256([prefix.as_bytes(), message.as_bytes()].concat())
}

/// The account that signed a hash; `None` when the signature is malformed. A signature with a high `s` is rejected
/// (EIP-2), so that each signature has one form.
pub fn signer(hash: B256, signature: &[u8]) -> Option<Address> {
    let (rs, v) = signature.split_at_checked(SIGNATURE_BYTES - 1)?;
    let [v] = v else { return None };
    let parity = match v {
        0 | 27 => 0,
        1 | 28 => 1,
        _ => return None,
    };
    let signature = Signature::from_slice(rs).ok()?;
    if signature.normalize_s().is_some() {
        return None;
    }
    let key = VerifyingKey::recover_from_prehash(hash.as_slice(), &signature, RecoveryId::from_byte(parity)?);
    let point = key.ok()?.to_encoded_point(false);
    Some(Address::from_raw_public_key(point.as_bytes().get(1..)?))
}

/// The calldata that asks a contract wallet whether a signature over a hash is its own.
pub fn ask_contract(hash: B256, signature: Bytes) -> Bytes {
    isValidSignatureCall { hash, signature }.abi_encode().into()
}

/// Whether the contract accepted the signature: its whole answer is the magic value in one word.
pub fn contract_agrees(answer: &[u8]) -> bool {
    let padding = answer.strip_prefix(&MAGIC);
    padding
        .is_some_and(|padding| padding.len() == WORD - MAGIC.len() && padding.iter().all(|byte| *byte == 0))
}

/// Returns whether nodes that were all asked `question` say that the contract accepted the signature: each one that answers, and
/// one at least. `None` where no node answers. That the call reverts is an answer.
pub fn nodes_agree(question: &Request, outcomes: &[Result<Answer, RpcError>]) -> Option<bool> {
    let said = outcomes.iter().filter_map(|outcome| match outcome {
        Ok(Answer::Returned(answer)) => Some(contract_agrees(answer)),
        Ok(_) => Some(false),
        Err(error) => question.is_answered_by(error).then_some(false),
    });
    said.reduce(|all, one| all && one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ethereum::BlockId;
    use alloy_primitives::{address, hex, hex::FromHex};
    use proptest::prelude::*;

    /// `cast wallet sign` and viem give this for the first development account and "hello".
    const SIGNED: &str = "f16ea9a3478698f695fd1401bfe27e9e4a7e8e3da94aa72b021125e31fa899cc\
                          573c48ea3fe1d4ab61a9db10c19032026e3ed2dbccba5a178235ac27f94504311c";
    const ACCOUNT: Address = address!("f39Fd6e51aad88F6F4ce6aB8827279cfffB92266");

    fn signed() -> Vec<u8> {
        Vec::from_hex(SIGNED).unwrap()
    }

    #[test]
    fn nodes_agree_where_none_that_answers_contradicts() {
        let question = Request::Call {
            to: Address::ZERO,
            data: Bytes::new(),
            at: BlockId::Latest,
        };
        let yes = || Ok(Answer::Returned(Bytes::from([&MAGIC[..], &[0; 28]].concat())));
        let no = || Ok(Answer::Returned(Bytes::new()));
        let down = || Err(RpcError::Timeout(1));
        let reverts = || {
            Err(RpcError::Node {
                code: 3,
                message: "execution reverted".into(),
                revert: Some(Bytes::new()),
            })
        };
        let agree = |outcomes: &[_]| nodes_agree(&question, outcomes);
        assert_eq!(agree(&[yes(), down(), yes()]), Some(true));
        assert_eq!(agree(&[yes(), no()]), Some(false), "one of them lies");
        assert_eq!(agree(&[yes(), reverts()]), Some(false));
        assert_eq!((agree(&[down()]), agree(&[])), (None, None));
    }

    #[test]
    fn a_signature_names_its_wallet() {
        assert_eq!(signer(hash("hello"), &signed()), Some(ACCOUNT));
        let mut short_v = signed();
        short_v[64] -= 27;
        assert_eq!(signer(hash("hello"), &short_v), Some(ACCOUNT));
        assert_ne!(signer(hash("hello "), &signed()), Some(ACCOUNT));
    }

    #[test]
    fn a_malformed_or_high_s_signature_is_rejected() {
        let hash = hash("hello");
        assert_eq!(signer(hash, &[]), None);
        assert_eq!(signer(hash, &signed()[..64]), None);
        assert_eq!(signer(hash, &[signed(), vec![0]].concat()), None);
        assert_eq!(signer(hash, &[0; 65]), None);
        let mut wrong_v = signed();
        wrong_v[64] = 29;
        assert_eq!(signer(hash, &wrong_v), None);
        // n - s with the other parity verifies as well.
        let order = hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
        let (n, s) = (alloy_primitives::U256::from_be_bytes(order), signed());
        let high = n - alloy_primitives::U256::from_be_slice(&s[32..64]);
        let high = [&s[..32], &high.to_be_bytes::<32>(), &[27]].concat();
        assert_eq!(signer(hash, &high), None);
    }

    #[test]
    fn only_the_magic_word_accepts_a_signature() {
        let mut answer = [0; 32];
        answer[..4].copy_from_slice(&hex!("1626ba7e"));
        assert!(contract_agrees(&answer));
        assert!(!contract_agrees(&answer[..4]) && !contract_agrees(&[]) && !contract_agrees(&[0; 32]));
        answer[31] = 1;
        assert!(!contract_agrees(&answer));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_ne!(signer(hash("hello"), &bytes), Some(ACCOUNT));
        }
    }
}
