//! EIP-1559 transactions: encoding (EIP-2718 type 2), hash, signature.
//!
//! Signatures are deterministic (RFC 6979) with a low `s` (EIP-2), so the same transaction always has the same bytes.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex, keccak256};
use alloy_rlp::{EMPTY_LIST_CODE, Encodable, Header};
use k256::ecdsa::SigningKey;

use super::fees::Fees;

/// The EIP-2718 type byte of an EIP-1559 transaction.
const TYPE_EIP1559: u8 = 2;

/// The error for a key that is not 32 bytes of hex, or not a valid secp256k1 scalar. It never shows the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the private key is not 32 bytes of hex, or not a valid secp256k1 key")]
pub struct BadKey;

/// An account that signs. Its `Debug` text shows the address only.
#[derive(Clone)]
pub struct Signer {
    key: SigningKey,
    address: Address,
}

impl core::fmt::Debug for Signer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Signer({})", self.address)
    }
}

impl Signer {
    /// Reads a private key as 64 hex digits, with or without `0x`.
    pub fn from_hex(key: &str) -> Result<Self, BadKey> {
        let mut bytes = [0u8; 32];
        hex::decode_to_slice(key.trim(), &mut bytes).map_err(|_| BadKey)?;
        let key = SigningKey::from_slice(&bytes).map_err(|_| BadKey)?;
        let point = key.verifying_key().to_encoded_point(false);
        let address = Address::from_raw_public_key(point.as_bytes().get(1..).ok_or(BadKey)?);
        Ok(Self { key, address })
    }

    /// The account's address.
    pub fn address(&self) -> Address {
        self.address
    }
}

/// An unsigned EIP-1559 transaction that calls a contract and sends no ether.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The chain it is valid on, and no other (EIP-155).
    pub chain_id: u64,
    /// The account's transaction number.
    pub nonce: u64,
    /// The fees that it offers.
    pub fees: Fees,
    /// The most gas it may use.
    pub gas_limit: u64,
    /// The contract that it calls.
    pub to: Address,
    /// The calldata.
    pub data: Bytes,
}

/// A signed transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The hash by which a receipt is asked for.
    pub hash: B256,
    /// The bytes that `eth_sendRawTransaction` takes.
    pub raw: Bytes,
}

impl Transaction {
    /// Signs the transaction. It fails only if the signature library does, which no valid key is known to cause.
    pub fn sign(&self, signer: &Signer) -> Result<Signed, BadKey> {
        let mut fields = self.encode_fields();
        let digest = keccak256(envelope(&fields));
        let (signature, recovery) = signer
            .key
            .sign_prehash_recoverable(digest.as_slice())
            .map_err(|_| BadKey)?;
        recovery.is_y_odd().encode(&mut fields);
        U256::from_be_slice(&signature.r().to_bytes()).encode(&mut fields);
        U256::from_be_slice(&signature.s().to_bytes()).encode(&mut fields);
        let raw = envelope(&fields);
        Ok(Signed {
            hash: keccak256(&raw),
            raw: raw.into(),
        })
    }

    fn encode_fields(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.data.len() + 192);
        self.chain_id.encode(&mut out);
        self.nonce.encode(&mut out);
        self.fees.tip.encode(&mut out);
        self.fees.max_fee.encode(&mut out);
        self.gas_limit.encode(&mut out);
        TxKind::Call(self.to).encode(&mut out);
        U256::ZERO.encode(&mut out);
        self.data.encode(&mut out);
        out.push(EMPTY_LIST_CODE); // no access list
        out
    }
}

fn envelope(fields: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(fields.len() + 8);
    out.push(TYPE_EIP1559);
    Header {
        list: true,
        payload_length: fields.len(),
    }
    .encode(&mut out);
    out.extend_from_slice(fields);
    out
}
