//! The connections with other relays, and who may have one.
//!
//! What always holds: a place is taken before a handshake begins, and given back when it is over, or the connection; connections
//! that showed no ticket take no places from those that did.

use super::limits::{
    CONNECTION_WINDOW_BYTES, MAX_CONNECTIONS, MAX_LINKS, MAX_NETWORK_UNPROVEN, MAX_PEER_CONNECTIONS,
    MAX_REFUSED_TICKETS, MAX_UNPROVEN,
};
use super::tls::Fingerprint;
use crate::core::Loss;
use quinn::{Connection, VarInt};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use streamchain_protocol::ids::ShortId;
use streamchain_protocol::util::Network;
use tokio::sync::oneshot;

/// The code that a connection is closed with when nobody listens at its other end any more.
const PORT_CLOSED: VarInt = VarInt::from_u32(5);

/// The code that a connection is closed with when its relay has enough of others.
const SUPERSEDED: VarInt = VarInt::from_u32(2);

/// How many connections of strangers there are, by network.
#[derive(Debug, Default)]
pub(super) struct Strangers(Arc<Mutex<HashMap<Network, usize>>>);

/// A stranger's place, as long as it lives.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Mutex<HashMap<Network, usize>>>,
    network: Network,
}

/// Locks what no thread can leave half-done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Strangers {
    /// Takes a place, if there is one.
    pub(super) fn take(&self, address: IpAddr) -> Option<Place> {
        let network = Network::of(address);
        let mut places = lock(&self.0);
        let own = places.get(&network).copied().unwrap_or_default();
        if own >= MAX_NETWORK_UNPROVEN || places.values().sum::<usize>() >= MAX_UNPROVEN {
            return None;
        }
        places.insert(network, own + 1);
        let places = Arc::clone(&self.0);
        Some(Place { places, network })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = lock(&self.places);
        if let Some(own) = places.get_mut(&self.network) {
            *own -= 1;
            if *own == 0 {
                places.remove(&self.network);
            }
        }
    }
}

/// A connection with a relay.
pub(super) struct PeerConnection {
    pub connection: Connection,
    pub fingerprint: Fingerprint,
    /// Whether the other end is known to be a relay of this deployment.
    proven: AtomicBool,
    /// Whether the other end is at an address that the edge has named, and not at one that its network gave it on the way.
    advertised: AtomicBool,
    /// Whether the other end's port was found closed.
    port_closed: AtomicBool,
    place: Mutex<Option<Place>>,
    refused: AtomicU32,
    /// The links that the other relay opened; dropping an end ends the link.
    followed: Mutex<HashMap<ShortId, oneshot::Sender<()>>>,
}

impl PeerConnection {
    /// With a relay that this one has connected to, and whose certificate it knew.
    pub(super) fn known(connection: Connection, fingerprint: Fingerprint) -> Self {
        Self::new(connection, fingerprint, None)
    }

    /// With somebody who has this place.
    pub(super) fn stranger(connection: Connection, fingerprint: Fingerprint, place: Place) -> Self {
        Self::new(connection, fingerprint, Some(place))
    }

    fn new(connection: Connection, fingerprint: Fingerprint, place: Option<Place>) -> Self {
        Self {
            connection,
            fingerprint,
            proven: AtomicBool::new(place.is_none()),
            advertised: AtomicBool::new(place.is_none()),
            port_closed: AtomicBool::new(false),
            place: Mutex::new(place),
            refused: AtomicU32::new(0),
            followed: Mutex::default(),
        }
    }

    pub(super) fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Relaxed)
    }

    pub(super) fn is_advertised(&self) -> bool {
        self.advertised.load(Ordering::Relaxed)
    }

    /// The edge says that the relay is reached at these addresses.
    pub(super) fn advertise(&self, addresses: &[SocketAddr]) {
        let remote = self.connection.remote_address();
        let is_remote = |address: &SocketAddr| {
            (address.ip().to_canonical(), address.port()) == (remote.ip().to_canonical(), remote.port())
        };
        if addresses.iter().any(is_remote) {
            self.advertised.store(true, Ordering::Relaxed);
        }
    }

    /// The other end's port was found closed: the connection is over.
    pub(super) fn end_at_closed_port(&self) {
        self.port_closed.store(true, Ordering::Relaxed);
        self.connection.close(PORT_CLOSED, b"nobody listens at the port");
    }

    /// How a link over this connection was lost that ends now.
    pub(super) fn loss(&self) -> Loss {
        match self.port_closed.load(Ordering::Relaxed) {
            true => Loss::PortClosed,
            false => Loss::Failed,
        }
    }

    /// A good ticket was shown: the connection may have what a relay's has. Returns whether it is the first one.
    pub(super) fn prove(&self) -> bool {
        if self.proven.swap(true, Ordering::Relaxed) {
            return false;
        }
        lock(&self.place).take();
        self.connection.set_max_concurrent_bi_streams(MAX_LINKS.into());
        self.connection.set_receive_window(CONNECTION_WINDOW_BYTES.into());
        true
    }

    /// A ticket was refused. Returns whether the connection must end.
    pub(super) fn refuse(&self) -> bool {
        !self.is_proven() || self.refused.fetch_add(1, Ordering::Relaxed) >= MAX_REFUSED_TICKETS
    }

    /// The other relay follows a stream: what resolves when it does so again over another link of this connection.
    pub(super) fn begin(&self, stream: ShortId) -> oneshot::Receiver<()> {
        let (end, ended) = oneshot::channel();
        lock(&self.followed).insert(stream, end);
        ended
    }

    /// A link has ended.
    pub(super) fn end(&self, stream: ShortId) {
        let mut followed = lock(&self.followed);
        if followed.get(&stream).is_some_and(oneshot::Sender::is_closed) {
            followed.remove(&stream);
        }
    }
}

/// The connections with proven relays, by certificate.
#[derive(Default)]
pub(super) struct Peers(Mutex<HashMap<Fingerprint, Vec<Arc<PeerConnection>>>>);

impl Peers {
    /// A connection with the relay that has this certificate, if one is open.
    pub(super) fn find(&self, fingerprint: &Fingerprint) -> Option<Arc<PeerConnection>> {
        let peers = lock(&self.0);
        let connections = peers.get(fingerprint)?.iter().rev();
        let mut open = connections.filter(|peer| peer.connection.close_reason().is_none());
        open.next().cloned()
    }

    /// Adds a connection; the oldest ones of a relay that has too many are closed. Returns whether there was room.
    pub(super) fn add(&self, peer: &Arc<PeerConnection>) -> bool {
        let mut peers = lock(&self.0);
        if peers.values().map(Vec::len).sum::<usize>() >= MAX_CONNECTIONS {
            return false;
        }
        let own = peers.entry(peer.fingerprint).or_default();
        own.push(Arc::clone(peer));
        let excess = own.len().saturating_sub(MAX_PEER_CONNECTIONS);
        for oldest in own.drain(..excess) {
            oldest.connection.close(SUPERSEDED, b"too many connections");
        }
        true
    }

    /// A connection is over.
    pub(super) fn remove(&self, peer: &Arc<PeerConnection>) {
        let mut peers = lock(&self.0);
        if let Some(own) = peers.get_mut(&peer.fingerprint) {
            own.retain(|other| !Arc::ptr_eq(other, peer));
            if own.is_empty() {
                peers.remove(&peer.fingerprint);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_of_one_network_take_only_their_share() {
        let strangers = Strangers::default();
        let of = |network: u8, host: u8| IpAddr::from([192, 0, network, host]);
        let one: Vec<_> = (0..MAX_NETWORK_UNPROVEN)
            .map(|_| strangers.take(of(2, 1)).unwrap())
            .collect();
        assert!(strangers.take(of(2, 1)).is_none());
        let others: Vec<_> = (0..MAX_UNPROVEN - MAX_NETWORK_UNPROVEN)
            .map(|host| strangers.take(of(3, host as u8)).unwrap())
            .collect();
        assert!(strangers.take(of(4, 1)).is_none(), "all places are taken");
        drop(one);
        assert!(
            strangers.take(of(4, 1)).is_some(),
            "a place that is given back is free"
        );
        drop(others);
        assert!(
            lock(&strangers.0).is_empty(),
            "nothing is kept of those who are gone"
        );
    }
}
