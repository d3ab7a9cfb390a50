//! The part of CBOR (RFC 8949) that StreamChain uses: arrays and maps of definite length, unsigned integers,
//! byte strings, text and null. Indefinite lengths are refused, so every length is known before anything is
//! read, and nothing is allocated for a length that the bytes at hand can't hold.

use crate::limits::{MAX_EXACT_INTEGER, MAX_PAYLOAD_BYTES};
use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

/// Why bytes are not what the protocol says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// Not CBOR, cut short, or of another type than expected.
    #[error("{field}: {reason}")]
    Item {
        /// The field that was being read.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A length that the protocol does not have.
    #[error("{field}: {given} bytes or items, expected {expected}")]
    Length {
        /// The field that was being read.
        field: &'static str,
        /// The length given.
        given: u64,
        /// What is right.
        expected: &'static str,
    },
    /// A number above 2^53 - 1, which JSON and D1 can't carry exactly.
    #[error("{field}: {given} is above 2^53 - 1")]
    TooLarge {
        /// The field that was being read.
        field: &'static str,
        /// The number given.
        given: u64,
    },
}

/// Reads one item after the other; every error names its field.
pub struct Reader<'a>(Decoder<'a>);

impl<'a> Reader<'a> {
    /// Over `bytes`, from their beginning.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(Decoder::new(bytes))
    }

    /// Whether everything was read.
    pub fn is_at_end(&self) -> bool {
        self.0.position() >= self.0.input().len()
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.0.input().len().saturating_sub(self.0.position())
    }

    /// The head of an array: how many items follow. Never more than there are bytes left.
    pub fn array(&mut self, field: &'static str) -> Result<u64, CborError> {
        let length = self.0.array().map_err(|error| item(field, &error))?;
        self.definite(field, length)
    }

    /// The head of a map: how many pairs follow.
    pub fn map(&mut self, field: &'static str) -> Result<u64, CborError> {
        let length = self.0.map().map_err(|error| item(field, &error))?;
        self.definite(field, length)
    }

    fn definite(&self, field: &'static str, length: Option<u64>) -> Result<u64, CborError> {
        match length {
            Some(length) if length <= self.remaining() as u64 => Ok(length),
            Some(given) => Err(CborError::Length {
                field,
                given,
                expected: "no more than there are bytes",
            }),
            None => Err(CborError::Length {
                field,
                given: 0,
                expected: "a definite length",
            }),
        }
    }

    /// An unsigned integer up to 2^53 - 1.
    pub fn uint(&mut self, field: &'static str) -> Result<u64, CborError> {
        let given = self.0.u64().map_err(|error| item(field, &error))?;
        if given > MAX_EXACT_INTEGER {
            return Err(CborError::TooLarge { field, given });
        }
        Ok(given)
    }

    /// An unsigned integer as [`Reader::uint`], or null.
    pub(crate) fn uint_or_null(&mut self, field: &'static str) -> Result<Option<u64>, CborError> {
        match self.null(field)? {
            true => Ok(None),
            false => self.uint(field).map(Some),
        }
    }

    /// Passes over a null; returns whether there was one.
    pub fn null(&mut self, field: &'static str) -> Result<bool, CborError> {
        let is_null = self.next_is(Type::Null);
        if is_null {
            self.0.null().map_err(|error| item(field, &error))?;
        }
        Ok(is_null)
    }

    /// A byte string, borrowed.
    pub fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], CborError> {
        self.0.bytes().map_err(|error| item(field, &error))
    }

    /// A message's payload: a byte string of at most 64 KiB, borrowed.
    pub fn payload(&mut self) -> Result<&'a [u8], CborError> {
        let payload = self.bytes("payload")?;
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(CborError::Length {
                field: "payload",
                given: payload.len() as u64,
                expected: "at most 65536",
            });
        }
        Ok(payload)
    }

    /// A byte string of exactly `N` bytes.
    pub fn fixed<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], CborError> {
        let bytes = self.bytes(field)?;
        let given = bytes.len() as u64;
        let wrong = CborError::Length {
            field,
            given,
            expected: fixed_length::<N>(),
        };
        bytes.try_into().map_err(|_| wrong)
    }

    /// A text, borrowed.
    pub fn text(&mut self, field: &'static str) -> Result<&'a str, CborError> {
        self.0.str().map_err(|error| item(field, &error))
    }

    /// Passes over the next item, whatever it is.
    pub fn skip(&mut self, field: &'static str) -> Result<(), CborError> {
        self.0.skip().map_err(|error| item(field, &error))
    }

    /// Whether the next item is an array.
    pub fn next_is_array(&self) -> bool {
        self.next_is(Type::Array)
    }

    fn next_is(&self, wanted: Type) -> bool {
        self.0.datatype().is_ok_and(|given| given == wanted)
    }
}

const fn fixed_length<const N: usize>() -> &'static str {
    match N {
        16 => "16",
        20 => "20",
        32 => "32",
        33 => "33",
        64 => "64",
        _ => "another length",
    }
}

fn item(field: &'static str, error: &minicbor::decode::Error) -> CborError {
    let reason = match error {
        error if error.is_end_of_input() => "ends too early",
        error if error.is_type_mismatch() => "of another type",
        _ => "out of shape",
    };
    CborError::Item { field, reason }
}

/// Writes items in their shortest form behind what `out` holds. Writing to memory can't fail.
pub struct Writer<'a>(Encoder<&'a mut Vec<u8>>);

impl<'a> Writer<'a> {
    /// Appends to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self(Encoder::new(out))
    }

    /// The head of an array of `items`.
    pub fn array(&mut self, items: u64) -> &mut Self {
        let _ = self.0.array(items);
        self
    }

    /// The head of a map of `pairs`.
    pub fn map(&mut self, pairs: u64) -> &mut Self {
        let _ = self.0.map(pairs);
        self
    }

    /// An unsigned integer.
    pub fn uint(&mut self, value: u64) -> &mut Self {
        let _ = self.0.u64(value);
        self
    }

    /// An unsigned integer, or null.
    pub fn uint_or_null(&mut self, value: Option<u64>) -> &mut Self {
        let _ = match value {
            Some(value) => self.0.u64(value),
            None => self.0.null(),
        };
        self
    }

    /// Null.
    pub fn null(&mut self) -> &mut Self {
        let _ = self.0.null();
        self
    }

    /// A byte string.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        let _ = self.0.bytes(value);
        self
    }

    /// A text.
    pub fn text(&mut self, value: &str) -> &mut Self {
        let _ = self.0.str(value);
        self
    }
}
