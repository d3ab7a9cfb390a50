//! Attribute types (RFC 8489 §18.3, RFC 8656 §18) and error codes.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attribute(pub u16);

/// Who asks: `expiry:user`.
pub(crate) const USERNAME: Attribute = Attribute(0x0006);
/// HMAC-SHA1 over what stands before it.
pub(crate) const MESSAGE_INTEGRITY: Attribute = Attribute(0x0008);
pub(crate) const ERROR_CODE: Attribute = Attribute(0x0009);
/// The types that were not understood.
pub(crate) const UNKNOWN_ATTRIBUTES: Attribute = Attribute(0x000A);
/// 0x4000 to 0x7FFF.
pub(crate) const CHANNEL_NUMBER: Attribute = Attribute(0x000C);
pub(crate) const LIFETIME: Attribute = Attribute(0x000D);
pub(crate) const XOR_PEER_ADDRESS: Attribute = Attribute(0x0012);
/// A packet to or from a peer.
pub(crate) const DATA: Attribute = Attribute(0x0013);
/// What the long-term key is for.
pub(crate) const REALM: Attribute = Attribute(0x0014);
/// Proof that the client reads what is sent to its address.
pub(crate) const NONCE: Attribute = Attribute(0x0015);
pub(crate) const XOR_RELAYED_ADDRESS: Attribute = Attribute(0x0016);
/// IPv4 or IPv6.
pub(crate) const REQUESTED_ADDRESS_FAMILY: Attribute = Attribute(0x0017);
/// An even relayed port, and perhaps the next one reserved.
pub(crate) const EVEN_PORT: Attribute = Attribute(0x0018);
/// UDP, always.
pub(crate) const REQUESTED_TRANSPORT: Attribute = Attribute(0x0019);
/// RFC 8489; where a message has it beside MESSAGE-INTEGRITY, the latter is what counts here.
pub(crate) const MESSAGE_INTEGRITY_SHA256: Attribute = Attribute(0x001C);
pub(crate) const XOR_MAPPED_ADDRESS: Attribute = Attribute(0x0020);
pub(crate) const RESERVATION_TOKEN: Attribute = Attribute(0x0022);
/// One more relayed address, IPv6.
pub(crate) const ADDITIONAL_ADDRESS_FAMILY: Attribute = Attribute(0x8000);
/// Why the additional address could not be had.
pub(crate) const ADDRESS_ERROR_CODE: Attribute = Attribute(0x8001);
pub(crate) const SOFTWARE: Attribute = Attribute(0x8022);
/// CRC-32 over what stands before it.
pub(crate) const FINGERPRINT: Attribute = Attribute(0x8028);

/// RFC 8489 §14.1.
pub(crate) const FAMILY_IPV4: u8 = 0x01;
/// RFC 8489 §14.1.
pub(crate) const FAMILY_IPV6: u8 = 0x02;

/// The protocol number of UDP in REQUESTED-TRANSPORT.
pub(crate) const TRANSPORT_UDP: u8 = 17;

impl Attribute {
    /// Whether a message that has it must be refused unless it is understood (RFC 8489 §14).
    fn must_be_understood(self) -> bool {
        self.0 < 0x8000
    }

    /// Whether a request is to be refused because of it.
    pub(crate) fn is_unknown(self) -> bool {
        self.must_be_understood()
            && !matches!(
                self,
                USERNAME
                    | MESSAGE_INTEGRITY
                    | MESSAGE_INTEGRITY_SHA256
                    | CHANNEL_NUMBER
                    | LIFETIME
                    | XOR_PEER_ADDRESS
                    | DATA
                    | REALM
                    | NONCE
                    | REQUESTED_ADDRESS_FAMILY
                    | EVEN_PORT
                    | REQUESTED_TRANSPORT
                    | RESERVATION_TOKEN
            )
    }
}

/// Why a request is refused (RFC 8489 §14.8, RFC 8656 §19).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    BadRequest,
    /// No credentials yet, or wrong or expired ones.
    Unauthorized,
    /// A peer that is not this relay.
    Forbidden,
    /// An attribute that must be understood is not.
    UnknownAttribute,
    /// No allocation where one is needed, or one where none may be.
    AllocationMismatch,
    /// The nonce is forged, of another client, or too old.
    StaleNonce,
    /// The relay has no address of this family.
    AddressFamilyNotSupported,
    /// Not the user who made the allocation.
    WrongCredentials,
    UnsupportedTransport,
    /// The peer's family is not the allocation's.
    PeerAddressFamilyMismatch,
    /// The user, or the client's address, has as many allocations as it may.
    AllocationQuota,
    /// The server has no room, or never offers what is asked for.
    InsufficientCapacity,
}

impl Refusal {
    pub(crate) fn code(self) -> (u16, &'static str) {
        match self {
            Self::BadRequest => (400, "Bad Request"),
            // Without a text the answer, with realm and nonce, is below three times a browser's first request of 28 bytes.
            Self::Unauthorized => (401, ""),
            Self::Forbidden => (403, "Forbidden"),
            Self::UnknownAttribute => (420, "Unknown Attribute"),
            Self::AllocationMismatch => (437, "Allocation Mismatch"),
            Self::StaleNonce => (438, "Stale Nonce"),
            Self::AddressFamilyNotSupported => (440, "Address Family not Supported"),
            Self::WrongCredentials => (441, "Wrong Credentials"),
            Self::UnsupportedTransport => (442, "Unsupported Transport Protocol"),
            Self::PeerAddressFamilyMismatch => (443, "Peer Address Family Mismatch"),
            Self::AllocationQuota => (486, "Allocation Quota Reached"),
            Self::InsufficientCapacity => (508, "Insufficient Capacity"),
        }
    }
}
