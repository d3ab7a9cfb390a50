//! Keys and signatures as bytes and texts, and the author that a key is.

use alloy_primitives::{Address, U256, hex, keccak256, uint};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The word that an author's address is hashed with, so that it is the address of nothing else.
const AUTHOR_DOMAIN: &[u8] = b"streamchain/author/v1";

/// Why a text or bytes are not a key or a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Another length or other characters.
    #[error("{what}: expected {bytes} bytes as {form}")]
    Text {
        /// What was expected.
        what: &'static str,
        /// How many bytes it has.
        bytes: usize,
        /// The form of its text.
        form: &'static str,
    },
    /// A key that does not begin with 2 or 3, as a compressed point does.
    #[error("public key: expected a compressed point, which begins with 2 or 3")]
    NotCompressed,
    /// No point of P-256 has this x.
    #[error("public key: not a point of the curve P-256")]
    NotOnCurve,
}

/// A P-256 public key: a compressed point (SEC1), 33 bytes. That it is on the curve, [`PublicKey::point`] says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; PublicKey::BYTES]);

/// A point of P-256 with both coordinates, as libraries and the chain take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// The x coordinate, big-endian.
    pub x: [u8; 32],
    /// The y coordinate, big-endian.
    pub y: [u8; 32],
}

impl Point {
    /// Returns the uncompressed form (SEC1): 4, x, y.
    pub fn to_uncompressed(&self) -> [u8; 65] {
        let mut bytes = [4; 65];
        let (_, coordinates) = bytes.split_at_mut(1);
        let (x, y) = coordinates.split_at_mut(32);
        x.copy_from_slice(&self.x);
        y.copy_from_slice(&self.y);
        bytes
    }
}

/// The prime of the field of P-256 (FIPS 186-4, D.1.2.3).
const P: U256 = uint!(0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF_U256);
/// The constant b of the curve's equation y² = x³ - 3x + b.
const B: U256 = uint!(0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B_U256);
/// (p + 1) / 4: a square to this power is its root, since p is 3 modulo 4.
const ROOT_POWER: U256 = uint!(0x3FFFFFFFC0000000400000000000000000000000400000000000000000000000_U256);

impl PublicKey {
    /// Length in bytes.
    pub const BYTES: usize = 33;

    /// Takes a compressed point's bytes.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Result<Self, KeyError> {
        match bytes {
            [2 | 3, ..] => Ok(Self(bytes)),
            _ => Err(KeyError::NotCompressed),
        }
    }

    /// Returns the key of a point.
    pub fn of_point(point: &Point) -> Self {
        let [.., last] = point.y;
        let mut bytes = [2 + (last & 1); Self::BYTES];
        let (_, x) = bytes.split_at_mut(1);
        x.copy_from_slice(&point.x);
        Self(bytes)
    }

    /// Returns the compressed point's bytes.
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// Returns the key as headers and resources have it: base64url without padding, 44 characters.
    pub fn to_base64(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Reads what [`Self::to_base64`] returns.
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        Self::from_bytes(from_base64("public key", text)?)
    }

    /// Returns the point with both coordinates; an error when there is none. The key is public, so the time may depend on it.
    pub fn point(&self) -> Result<Point, KeyError> {
        let [sign, x @ ..] = self.0;
        let number = U256::from_be_bytes(x);
        if number >= P {
            return Err(KeyError::NotOnCurve);
        }
        let cube = number.mul_mod(number, P).mul_mod(number, P);
        let triple = number.mul_mod(U256::from(3), P);
        let square = cube.add_mod(P - triple, P).add_mod(B, P);
        let root = square.pow_mod(ROOT_POWER, P);
        if root.mul_mod(root, P) != square {
            return Err(KeyError::NotOnCurve);
        }
        // Zero has one root, but no point of P-256 has y = 0: the curve's order is odd.
        let y = match root.bit(0) == (sign == 3) {
            true => root,
            false => P - root,
        };
        Ok(Point {
            x,
            y: y.to_be_bytes(),
        })
    }
}

/// Returns the author that a page's or guest's key is: the last 20 bytes of keccak256("streamchain/author/v1" ‖ x ‖ y).
pub fn author_of(key: &PublicKey) -> Result<Address, KeyError> {
    let point = key.point()?;
    let hash = keccak256([AUTHOR_DOMAIN, &point.x, &point.y].concat());
    Ok(Address::from_word(hash))
}

/// An ECDSA signature: r ‖ s, 64 bytes, as WebCrypto makes it. Both values of `s` are taken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Signature(pub [u8; Signature::BYTES]);

impl Signature {
    /// Length in bytes.
    pub const BYTES: usize = 64;

    /// Returns the signature as headers have it: base64url without padding, 86 characters.
    pub fn to_base64(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Reads what [`Self::to_base64`] returns.
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        from_base64("signature", text).map(Self)
    }
}

fn from_base64<const N: usize>(what: &'static str, text: &str) -> Result<[u8; N], KeyError> {
    let wrong = KeyError::Text {
        what,
        bytes: N,
        form: "base64url without padding",
    };
    // The decoder's estimate is above N, so the text's length is checked before anything is written.
    if text.len() != (N * 4).div_ceil(3) {
        return Err(wrong);
    }
    URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(wrong)
}

fn from_hex<const N: usize>(what: &'static str, text: &str) -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 2 * N);
    digits
        .and_then(|digits| hex::decode_to_slice(digits, &mut bytes).ok())
        .map(|()| bytes)
        .ok_or(KeyError::Text {
            what,
            bytes: N,
            form: "0x and hexadecimal digits",
        })
}

/// How a key or signature is written in JSON and shown: `0x` and hexadecimal digits.
macro_rules! as_hex {
    ($name:ident, $what:literal, $made:expr) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode_prefixed(self.0))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl FromStr for $name {
            type Err = KeyError;
            fn from_str(text: &str) -> Result<Self, KeyError> {
                from_hex($what, text).and_then($made)
            }
        }
        impl TryFrom<String> for $name {
            type Error = KeyError;
            fn try_from(text: String) -> Result<Self, KeyError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.to_string()
            }
        }
    };
}
as_hex!(PublicKey, "public key", Self::from_bytes);
as_hex!(Signature, "signature", |bytes| Ok(Self(bytes)));
