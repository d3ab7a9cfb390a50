//! Writes STUN messages and ChannelData.

use super::attributes::{self, Attribute, Refusal};
use super::message::{Class, Message, Method, TransactionId, fingerprint, integrity_mac, xor_mask};
use crate::core::stun::{STUN_HEADER_BYTES, STUN_MAGIC_COOKIE};
use hmac::Mac;
use std::net::{IpAddr, SocketAddr};

/// A message under way. Attributes come in the order they are added; MESSAGE-INTEGRITY and FINGERPRINT last.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
    transaction: TransactionId,
}

impl Writer {
    pub(crate) fn new(class: Class, method: Method, transaction: TransactionId) -> Self {
        let mut bytes = Vec::with_capacity(192);
        bytes.extend(method.with_class(class).to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(STUN_MAGIC_COOKIE);
        bytes.extend(transaction);
        Self { bytes, transaction }
    }

    /// The answer to a request that is granted.
    pub(crate) fn success(request: &Message) -> Self {
        Self::new(Class::Success, request.method, request.transaction)
    }

    /// The answer to a request that is not.
    pub(crate) fn error(request: &Message, refusal: Refusal) -> Self {
        let (code, reason) = refusal.code();
        let value = [&error_value(code), reason.as_bytes()].concat();
        Self::new(Class::Error, request.method, request.transaction).attribute(attributes::ERROR_CODE, &value)
    }

    /// One attribute more, with zeros up to a multiple of four.
    pub(crate) fn attribute(mut self, kind: Attribute, value: &[u8]) -> Self {
        self.bytes.extend(kind.0.to_be_bytes());
        // Values here are packets of at most MAX_PACKET_BYTES.
        self.bytes
            .extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        self.bytes.extend(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.set_length()
    }

    pub(crate) fn xor_address(self, kind: Attribute, address: SocketAddr) -> Self {
        let port = (address.port() ^ 0x2112).to_be_bytes();
        match address.ip() {
            IpAddr::V4(ip) => {
                let ip = (ip.to_bits() ^ u32::from_be_bytes(STUN_MAGIC_COOKIE)).to_be_bytes();
                let head = [0, attributes::FAMILY_IPV4, port[0], port[1]];
                self.attribute(kind, &[head, ip].concat())
            }
            IpAddr::V6(ip) => {
                let ip = (ip.to_bits() ^ xor_mask(&self.transaction)).to_be_bytes();
                let head = [0, attributes::FAMILY_IPV6, port[0], port[1]];
                self.attribute(kind, &[&head[..], &ip].concat())
            }
        }
    }

    /// ADDRESS-ERROR-CODE for a family (RFC 8656 §18.12).
    pub(crate) fn address_error(self, family: u8, refusal: Refusal) -> Self {
        let (code, reason) = refusal.code();
        let [_, _, class, number] = error_value(code);
        let value = [&[family, 0, class, number], reason.as_bytes()].concat();
        self.attribute(attributes::ADDRESS_ERROR_CODE, &value)
    }

    pub(crate) fn sign(self, key: &[u8]) -> Self {
        let tag = integrity_mac(&self.bytes, key).finalize().into_bytes();
        self.attribute(attributes::MESSAGE_INTEGRITY, &tag)
    }

    /// The message's bytes, with a FINGERPRINT.
    pub(crate) fn finish(self) -> Vec<u8> {
        let crc = fingerprint(&self.bytes);
        self.attribute(attributes::FINGERPRINT, &crc.to_be_bytes()).bytes
    }

    /// Returns the message without FINGERPRINT, as browsers send the first requests of TURN.
    pub(crate) fn finish_without_fingerprint(self) -> Vec<u8> {
        self.bytes
    }

    fn set_length(mut self) -> Self {
        let length = u16::try_from(self.bytes.len() - STUN_HEADER_BYTES).unwrap_or(u16::MAX);
        if let Some(field) = self.bytes.get_mut(2..4) {
            field.copy_from_slice(&length.to_be_bytes());
        }
        self
    }
}

/// RFC 8489 §14.8: the hundreds and the rest stand apart.
fn error_value(code: u16) -> [u8; 4] {
    // Both are below 256: codes are three digits.
    [0, 0, (code / 100) as u8, (code % 100) as u8]
}

/// ChannelData (RFC 8656 §12.4); on TCP and TLS `padded` to a multiple of four.
pub(crate) fn channel_data(channel: u16, packet: &[u8], padded: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(packet.len() + 8);
    bytes.extend(channel.to_be_bytes());
    bytes.extend(u16::try_from(packet.len()).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend(packet);
    if padded {
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}
