//! The id of a request: one word that its logs at the edge, in the objects and in its answer have in common.

use std::fmt;
use std::rc::Rc;

/// Fewest and most characters of an id that a client gives: enough to tell requests apart, and short in a log line.
const MIN_CHARS: usize = 8;
const MAX_CHARS: usize = 64;

/// The header that carries it, in requests and responses.
pub const REQUEST_ID_HEADER: &str = "x-request-id";

/// The id of one request: letters, digits, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Rc<str>);

impl RequestId {
    /// The id that a client gave; `None` when it is out of shape, and so could break a log line.
    pub fn given(text: &str) -> Option<Self> {
        let fits = (MIN_CHARS..=MAX_CHARS).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        fits.then(|| Self(text.into()))
    }

    /// An id of 16 hexadecimal digits.
    pub fn random(bytes: [u8; 8]) -> Self {
        Self(format!("{:016x}", u64::from_be_bytes(bytes)).into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_id_is_kept_when_it_has_8_to_64_plain_characters() {
        let longest = "a".repeat(64);
        for good in ["abc-DEF_123", "12345678", &longest] {
            assert_eq!(RequestId::given(good).unwrap().as_str(), good);
        }
        let too_long = "a".repeat(65);
        for bad in [
            "",
            "1234567",
            "with space",
            "semi;colon",
            "line\nbreak",
            "ümlaut-ümlaut",
            &too_long,
        ] {
            assert_eq!(RequestId::given(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_random_id_has_16_digits_and_would_pass_as_a_given_one() {
        let id = RequestId::random([0, 1, 2, 3, 4, 5, 6, 255]);
        assert_eq!(id.to_string(), "00010203040506ff");
        assert_eq!(RequestId::given(id.as_str()), Some(id));
    }
}
