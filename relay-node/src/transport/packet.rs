//! Packets that reach a shard by another way than its UDP sockets, and the addresses that they carry.
//!
//! What always holds: a relayed address ([`is_relayed`]) exists only inside this process. A packet from a network that
//! claims such a source is forged.

use crate::core::Path;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::sync::mpsc;

/// Largest STUN message or ChannelData that is read, bytes. ICE, DTLS and SCTP packets of a browser stay under
/// 1,300, and a STUN request with the longest username under 1,000; a longer packet is not from a StreamChain client.
pub(crate) const MAX_PACKET_BYTES: usize = 4_096;

/// The IPv4 address of every relayed address: the "dummy address" of RFC 7600, which no packet on a network
/// may have as its destination.
pub(crate) const RELAYED_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 0, 8));

/// The IPv6 address of every relayed address, in the discard-only prefix (RFC 6666).
pub(crate) const RELAYED_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 8));

/// Whether an address is one that only this machine makes: packets for it go to the TURN server,
/// and a packet from outside that claims it is forged.
pub(crate) fn is_relayed(address: IpAddr) -> bool {
    address == RELAYED_V4 || address == RELAYED_V6
}

/// A packet that did not come by a UDP socket.
#[derive(Debug, Clone)]
pub struct IngressPacket {
    pub path: Path,
    pub packet: Vec<u8>,
}

/// Packets of the shards that wait for the TURN thread: at most 1.5 KiB each, so 6 MiB.
const MAX_FROM_RELAY: usize = 4_096;

/// A packet between a TURN client and a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RelayPacket {
    /// The relayed address on the way to a shard, the shard's address on the way back.
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub packet: Vec<u8>,
}

/// Where shards leave packets for relayed addresses.
#[derive(Debug, Clone)]
pub(crate) struct TurnInbox(mpsc::Sender<RelayPacket>);

impl TurnInbox {
    /// An empty inbox, and the end at which the TURN thread takes packets out.
    pub(crate) fn new() -> (Self, mpsc::Receiver<RelayPacket>) {
        let (sender, receiver) = mpsc::channel(MAX_FROM_RELAY);
        (Self(sender), receiver)
    }

    /// Leaves a packet; drops it when too many wait.
    pub(crate) fn leave(&self, packet: RelayPacket) {
        let _ = self.0.try_send(packet);
    }
}
