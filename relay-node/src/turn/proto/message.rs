//! Reads STUN messages (RFC 8489 §5, §14) in place: nothing is copied or allocated.
//!
//! What always holds: attributes behind MESSAGE-INTEGRITY are never seen by a caller, because they are not
//! signed; a message whose FINGERPRINT is wrong is rejected.
//!
//! Our own rather than a crate's: the published ones copy every attribute, log what strangers send, or lose
//! the padding of ChannelData on TCP; and a server that meets only five methods needs this little.

use super::attributes::{self, Attribute};
use crate::core::stun::{STUN_HEADER_BYTES, STUN_MAGIC_COOKIE};
use crate::transport::packet::MAX_PACKET_BYTES;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Most attributes of one message that are looked at: a request of a browser has about ten.
const MAX_ATTRIBUTES: usize = 32;

/// XORed into a fingerprint's CRC-32 (RFC 8489 §14.7).
const FINGERPRINT_XOR: u32 = 0x5354_554E;

/// 96 random bits that match an answer to its request.
pub(crate) type TransactionId = [u8; 12];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Request,
    Indication,
    /// The answer to a request that was granted.
    Success,
    /// The answer to a request that was not.
    Error,
}

/// What a message is about: 12 bits. Those that this server knows are constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Method(pub u16);

/// Those of RFC 8489 and RFC 8656 that the server knows.
impl Method {
    /// RFC 8489: the client asks for its address.
    pub(crate) const BINDING: Self = Self(0x001);
    pub(crate) const ALLOCATE: Self = Self(0x003);
    pub(crate) const REFRESH: Self = Self(0x004);
    /// An indication.
    pub(crate) const SEND: Self = Self(0x006);
    /// An indication.
    pub(crate) const DATA: Self = Self(0x007);
    pub(crate) const CREATE_PERMISSION: Self = Self(0x008);
    pub(crate) const CHANNEL_BIND: Self = Self(0x009);

    /// The 14 bits of a message type: the class stands between the method's bits (RFC 8489 §5).
    pub(super) fn with_class(self, class: Class) -> u16 {
        let method = (self.0 & 0x00F) | (self.0 & 0x070) << 1 | (self.0 & 0xF80) << 2;
        let class = match class {
            Class::Request => 0x0000,
            Class::Indication => 0x0010,
            Class::Success => 0x0100,
            Class::Error => 0x0110,
        };
        method | class
    }

    fn split(message_type: u16) -> (Self, Class) {
        let method = (message_type & 0x000F) | (message_type & 0x00E0) >> 1 | (message_type & 0x3E00) >> 2;
        let class = match message_type & 0x0110 {
            0x0000 => Class::Request,
            0x0010 => Class::Indication,
            0x0100 => Class::Success,
            _ => Class::Error,
        };
        (Self(method), class)
    }
}

/// Why bytes are not a STUN message. The server answers none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MessageError {
    /// Shorter than a header, or longer than any message of a client.
    #[error("{0} bytes: expected 20 to 4096")]
    Size(usize),
    /// The first two bits are not zero, or the magic cookie is missing.
    #[error("not STUN")]
    NotStun,
    /// The length field does not say what came, or is no multiple of four.
    #[error("the length field says {0}")]
    Length(usize),
    /// An attribute reaches past the message's end, or one that the server reads has a wrong length.
    #[error("an attribute is cut off or of a wrong length")]
    Attribute,
    #[error("more than 32 attributes")]
    TooMany,
    /// The CRC is wrong, or something follows it.
    #[error("the fingerprint is wrong")]
    Fingerprint,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub class: Class,
    pub method: Method,
    pub transaction: TransactionId,
    bytes: &'a [u8],
    /// Where the attributes end that integrity covers (all of them when there is none).
    covered: usize,
    integrity: Option<[u8; 20]>,
}

impl<'a> Message<'a> {
    /// How many bytes it came in.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Reads exactly one message: `bytes` hold it and nothing else.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, MessageError> {
        if !(STUN_HEADER_BYTES..=MAX_PACKET_BYTES).contains(&bytes.len()) {
            return Err(MessageError::Size(bytes.len()));
        }
        let header = bytes.split_first_chunk::<4>();
        let (&[type_high, type_low, length_high, length_low], rest) =
            header.ok_or(MessageError::Size(bytes.len()))?;
        let (cookie, rest) = rest.split_first_chunk::<4>().ok_or(MessageError::NotStun)?;
        let transaction = *rest.first_chunk::<12>().ok_or(MessageError::NotStun)?;
        let message_type = u16::from_be_bytes([type_high, type_low]);
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        if message_type & 0xC000 != 0 || *cookie != STUN_MAGIC_COOKIE {
            return Err(MessageError::NotStun);
        }
        if length != bytes.len() - STUN_HEADER_BYTES || !length.is_multiple_of(4) {
            return Err(MessageError::Length(length));
        }
        let (method, class) = Method::split(message_type);
        let mut message = Self {
            class,
            method,
            transaction,
            bytes,
            covered: bytes.len(),
            integrity: None,
        };
        message.read_attributes()?;
        Ok(message)
    }

    fn read_attributes(&mut self) -> Result<(), MessageError> {
        let mut attributes = Attributes::of(self.bytes, self.bytes.len());
        let mut count = 0;
        while let Some((start, kind, value)) = attributes.next()? {
            count += 1;
            if count > MAX_ATTRIBUTES {
                return Err(MessageError::TooMany);
            }
            match kind {
                attributes::MESSAGE_INTEGRITY if self.integrity.is_none() => {
                    self.integrity = Some(value.try_into().map_err(|_| MessageError::Attribute)?);
                    self.covered = start;
                }
                attributes::FINGERPRINT => {
                    let given = value.try_into().map_err(|_| MessageError::Attribute)?;
                    let last = start + 8 == self.bytes.len();
                    if !last || u32::from_be_bytes(given) != fingerprint(self.until(start)) {
                        return Err(MessageError::Fingerprint);
                    }
                    self.covered = self.covered.min(start);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The message up to `end`, which is inside it.
    fn until(&self, end: usize) -> &'a [u8] {
        self.bytes.get(..end).unwrap_or(self.bytes)
    }

    /// The attributes that integrity covers, in order. Their bounds were checked by [`Message::read`].
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (Attribute, &'a [u8])> + use<'a> {
        let mut attributes = Attributes::of(self.bytes, self.covered);
        std::iter::from_fn(move || match attributes.next() {
            Ok(Some((_, kind, value))) => Some((kind, value)),
            Ok(None) | Err(_) => None,
        })
    }

    /// The first attribute of a kind; later ones of the same kind don't count (RFC 8489 §14).
    pub(crate) fn attribute(&self, kind: Attribute) -> Option<&'a [u8]> {
        self.attributes()
            .find(|(other, _)| *other == kind)
            .map(|(_, value)| value)
    }

    /// The first attribute of a kind, as text.
    pub(crate) fn text(&self, kind: Attribute) -> Option<&'a str> {
        self.attribute(kind)
            .and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Every XOR-PEER-ADDRESS; `Err` when one of them can't be read.
    pub(crate) fn peers(&self) -> impl Iterator<Item = Result<SocketAddr, MessageError>> + use<'a> {
        let transaction = self.transaction;
        self.attributes()
            .filter(|(kind, _)| *kind == attributes::XOR_PEER_ADDRESS)
            .map(move |(_, value)| read_xor_address(value, &transaction).ok_or(MessageError::Attribute))
    }

    /// Whether it carries MESSAGE-INTEGRITY at all.
    pub(crate) fn is_signed(&self) -> bool {
        self.integrity.is_some()
    }

    /// Whether MESSAGE-INTEGRITY is there and made with `key`; takes the same time for every wrong one.
    pub(crate) fn is_signed_with(&self, key: &[u8]) -> bool {
        self.integrity.is_some_and(|tag| {
            integrity_mac(self.until(self.covered), key)
                .verify_slice(&tag)
                .is_ok()
        })
    }
}

/// Where an attribute starts, its type and its value.
type Placed<'a> = (usize, Attribute, &'a [u8]);

/// Walks type-length-value attributes up to an end.
struct Attributes<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Attributes<'a> {
    fn of(message: &'a [u8], end: usize) -> Self {
        Self {
            bytes: message.get(..end).unwrap_or(message),
            at: STUN_HEADER_BYTES,
        }
    }

    fn next(&mut self) -> Result<Option<Placed<'a>>, MessageError> {
        let start = self.at;
        if start == self.bytes.len() {
            return Ok(None);
        }
        let head = self.bytes.get(start..).and_then(<[u8]>::first_chunk::<4>);
        let [kind_high, kind_low, length_high, length_low] = *head.ok_or(MessageError::Attribute)?;
        let kind = Attribute(u16::from_be_bytes([kind_high, kind_low]));
        let end = start + 4 + usize::from(u16::from_be_bytes([length_high, length_low]));
        let value = self.bytes.get(start + 4..end).ok_or(MessageError::Attribute)?;
        self.at = end.next_multiple_of(4);
        if self.at > self.bytes.len() {
            return Err(MessageError::Attribute);
        }
        Ok(Some((start, kind, value)))
    }
}

/// A message up to an attribute, without its length field: the two bytes before that, and what follows it.
fn around_length(before: &[u8]) -> (&[u8], &[u8]) {
    let (message_type, rest) = before.split_at_checked(2).unwrap_or((before, &[]));
    (message_type, rest.get(2..).unwrap_or_default())
}

/// The CRC over a message whose FINGERPRINT starts where `before` ends; the length field counts it.
pub(super) fn fingerprint(before: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    let (message_type, rest) = around_length(before);
    crc.update(message_type);
    crc.update(&length_until(before.len() + 8));
    crc.update(rest);
    crc.finalize() ^ FINGERPRINT_XOR
}

/// The MAC over a message whose MESSAGE-INTEGRITY starts where `before` ends; the length field counts it, and
/// nothing behind it (RFC 8489 §14.5).
pub(super) fn integrity_mac(before: &[u8], key: &[u8]) -> Hmac<Sha1> {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key) else {
        unreachable!("HMAC takes keys of any length")
    };
    let (message_type, rest) = around_length(before);
    mac.update(message_type);
    mac.update(&length_until(before.len() + 24));
    mac.update(rest);
    mac
}

/// The length field of a message that ends at `end`.
fn length_until(end: usize) -> [u8; 2] {
    // Messages are at most MAX_PACKET_BYTES long.
    u16::try_from(end - STUN_HEADER_BYTES)
        .unwrap_or(u16::MAX)
        .to_be_bytes()
}

/// RFC 8489 §14.2: family, port and address, XORed with cookie and transaction.
pub(crate) fn read_xor_address(value: &[u8], transaction: &TransactionId) -> Option<SocketAddr> {
    let [_, family, port_high, port_low, address @ ..] = value else {
        return None;
    };
    let port = u16::from_be_bytes([*port_high, *port_low]) ^ 0x2112;
    let address = match *family {
        attributes::FAMILY_IPV4 => {
            let octets: [u8; 4] = address.try_into().ok()?;
            IpAddr::from(Ipv4Addr::from(
                u32::from_be_bytes(octets) ^ u32::from_be_bytes(STUN_MAGIC_COOKIE),
            ))
        }
        attributes::FAMILY_IPV6 => {
            let octets: [u8; 16] = address.try_into().ok()?;
            IpAddr::from(Ipv6Addr::from(
                u128::from_be_bytes(octets) ^ xor_mask(transaction),
            ))
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

/// What an IPv6 address is XORed with.
pub(super) fn xor_mask(transaction: &TransactionId) -> u128 {
    let cookie = u128::from(u32::from_be_bytes(STUN_MAGIC_COOKIE));
    transaction
        .iter()
        .fold(cookie, |mask, byte| mask << 8 | u128::from(*byte))
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
