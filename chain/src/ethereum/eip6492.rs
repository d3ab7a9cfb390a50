//! Signatures of contract wallets that are yet to be deployed (EIP-6492): beside the signature they carry the call that
//! deploys the wallet.
//!
//! What always holds: nothing is deployed. A node runs a small program of ours on its state and drops the changes. The
//! program makes the deploying call only where the wallet has no code yet, and then asks the wallet as any contract
//! wallet (EIP-1271). So the call that a signature carries cannot change the state of a wallet that is deployed.

use super::eip191::ask_contract;
use alloy_primitives::{Address, B256, Bytes, b256};
use alloy_sol_types::SolValue;

/// The last 32 bytes of such a signature.
const SUFFIX: B256 = b256!("6492649264926492649264926492649264926492649264926492649264926492");

/// The length of the program; the calldata that it copies comes after it.
const PROGRAM_BYTES: usize = 130;

/// Where the program goes on when the wallet is deployed.
const ASK_AT: usize = 74;

/// A signature with what deploys its wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undeployed {
    /// The contract that deploys the wallet.
    pub factory: Address,
    /// The calldata with which the factory deploys the wallet.
    pub calldata: Bytes,
    /// The signature that the deployed wallet is asked about.
    pub signature: Bytes,
}

impl Undeployed {
    /// Reads a signature; `None` when it is of another kind, or malformed.
    pub fn parse(signature: &[u8]) -> Option<Self> {
        let encoded = signature.strip_suffix(SUFFIX.as_slice())?;
        let (factory, calldata, signature) =
            <(Address, Bytes, Bytes)>::abi_decode_params_validate(encoded).ok()?;
        Some(Self {
            factory,
            calldata,
            signature,
        })
    }

    /// The program that returns what the wallet at `account` answers. It is run as creation code: by `eth_call` without
    /// an address.
    pub fn program(self, account: Address, hash: B256) -> Bytes {
        let question = ask_contract(hash, self.signature);
        let three = |number: usize| {
            let [.., a, b, c] = number.to_be_bytes();
            [a, b, c]
        };
        let calldata_size = three(self.calldata.len());
        let question_size = three(question.len());
        let mut code = Vec::new();
        // PUSH20 account, EXTCODESIZE, PUSH3, JUMPI
        code.extend(
            [
                &[0x73],
                account.as_slice(),
                &[0x3b, 0x62],
                &three(ASK_AT),
                &[0x57],
            ]
            .concat(),
        );
        // CODECOPY(0, calldata); CALL(GAS, factory, 0, 0, size, 0, 0), POP
        code.extend(
            [
                &[0x62][..],
                &calldata_size,
                &[0x62],
                &three(PROGRAM_BYTES),
                &COPY_TO_0,
            ]
            .concat(),
        );
        code.extend([&[0x60, 0, 0x60, 0, 0x62][..], &calldata_size].concat());
        code.extend(
            [
                &[0x60, 0, 0x60, 0, 0x73],
                self.factory.as_slice(),
                &[0x5a, 0xf1, 0x50],
            ]
            .concat(),
        );
        // JUMPDEST; CODECOPY(0, question); STATICCALL(GAS, account, 0, size, 0, 0)
        let question_at = three(PROGRAM_BYTES + self.calldata.len());
        code.push(0x5b);
        code.extend([&[0x62][..], &question_size, &[0x62], &question_at, &COPY_TO_0].concat());
        code.extend([&[0x60, 0, 0x60, 0, 0x62][..], &question_size].concat());
        code.extend([&[0x60, 0, 0x73], account.as_slice(), &[0x5a, 0xfa]].concat());
        // RETURNDATASIZE, MUL: nothing when it failed. DUP1, RETURNDATACOPY(0, 0, size); RETURN(0, size)
        code.extend([0x3d, 0x02, 0x80, 0x60, 0, 0x60, 0, 0x3e, 0x60, 0, 0xf3]);
        debug_assert_eq!(code.len(), PROGRAM_BYTES);
        [&code, self.calldata.as_ref(), question.as_ref()].concat().into()
    }
}

/// PUSH1 0, CODECOPY
const COPY_TO_0: [u8; 3] = [0x60, 0, 0x39];

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;
    use proptest::prelude::*;

    const WALLET: Address = Address::repeat_byte(0x77);

    fn example() -> Undeployed {
        Undeployed {
            factory: Address::repeat_byte(0xfa),
            calldata: vec![0xca; 70].into(),
            signature: vec![0x51; 65].into(),
        }
    }

    fn encode(one: &Undeployed) -> Vec<u8> {
        let parts = (one.factory, one.calldata.clone(), one.signature.clone());
        [parts.abi_encode_params().as_slice(), SUFFIX.as_slice()].concat()
    }

    #[test]
    fn a_signature_carries_its_wallets_deployment() {
        assert_eq!(Undeployed::parse(&encode(&example())), Some(example()));
    }

    #[test]
    fn any_other_signature_is_not_read() {
        let whole = encode(&example());
        assert_eq!(Undeployed::parse(&whole[..whole.len() - 1]), None);
        assert_eq!(Undeployed::parse(&whole[1..]), None);
        assert_eq!(Undeployed::parse(SUFFIX.as_slice()), None);
        assert_eq!(Undeployed::parse(&[0x51; 65]), None);
    }

    #[test]
    fn the_program_has_its_length_and_its_jump_target() {
        let program = example().program(WALLET, B256::ZERO);
        assert_eq!(program[ASK_AT], 0x5b, "a JUMPDEST");
        assert_eq!(program[PROGRAM_BYTES - 1], 0xf3, "RETURN is its last");
        let (calldata, question) = program[PROGRAM_BYTES..].split_at(70);
        assert_eq!(calldata, example().calldata.as_ref());
        assert_eq!(question, ask_contract(B256::ZERO, example().signature).as_ref());
        // The client library makes the same program (web/test/signed.test.ts).
        let digest = b256!("f4278d662ead3e0564e6e9b8717f0597e9e68d361f0f59e5d58ac1bb5622228b");
        assert_eq!(keccak256(&program), digest);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let signature = [bytes.as_slice(), SUFFIX.as_slice()].concat();
            if let Some(one) = Undeployed::parse(&signature) {
                prop_assert!(one.calldata.len() + one.signature.len() <= bytes.len());
            }
        }
    }
}
