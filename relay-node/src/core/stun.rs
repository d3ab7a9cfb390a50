//! How STUN (RFC 8489) differs from the other packets on a port.

/// The length of the header of every STUN message, bytes.
pub(crate) const STUN_HEADER_BYTES: usize = 20;

/// The fixed second word of every STUN message (RFC 8489 §5).
pub(crate) const STUN_MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];

/// Whether a packet is STUN (RFC 8489 §5): two zero bits, and the magic cookie.
pub(crate) fn is_stun(packet: &[u8]) -> bool {
    match packet {
        [first, _, _, _, cookie @ ..] => {
            packet.len() >= STUN_HEADER_BYTES && *first < 4 && cookie.starts_with(&STUN_MAGIC_COOKIE)
        }
        _ => false,
    }
}
