//! What an edge gives the clients of a relay: a token, the relay's certificate, and the address of one of its shards.

use crate::client::Invitation;
use crate::loopback_edge::stream_id;
use anyhow::{Context, Result};
use relay_node::{certificate, crypto_provider, now};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use streamchain_client::peer::Identity;
use streamchain_protocol::Address;
use streamchain_protocol::auth::{MaxMessage, SessionKeys, SessionRights, SessionToken, ice_password};
use streamchain_protocol::ids::{SessionId, ShortId, StreamId};

/// The stream of all clients.
pub(super) const STREAM: ShortId = ShortId([1; 20]);

/// Invites clients to one relay.
pub struct Invitations {
    keys: SessionKeys,
    fingerprint: [u8; 32],
    /// Of all its clients.
    identity: Identity,
    /// Where its shards are reached.
    shards: Vec<SocketAddr>,
    sessions: Cell<u64>,
    at_shard: Cell<usize>,
    stream: Cell<ShortId>,
}

impl Invitations {
    /// The author of all clients.
    pub const AUTHOR: Address = Address::ZERO;

    /// To a relay with these keys, certificate and shards.
    pub(super) fn new(keys: SessionKeys, fingerprint: [u8; 32], shards: Vec<SocketAddr>) -> Result<Self> {
        let crypto = Arc::new(crypto_provider());
        Ok(Self {
            keys,
            fingerprint,
            identity: Identity::new(certificate::make(&crypto)?, crypto),
            shards,
            sessions: Cell::new(0),
            at_shard: Cell::new(0),
            stream: Cell::new(STREAM),
        })
    }

    /// The whole id of the stream of all clients.
    pub fn stream() -> StreamId {
        stream_id(&STREAM.to_string()).unwrap_or(StreamId([0; 32]))
    }

    /// How many shards the relay has.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Clients that are invited from now on are at this shard.
    pub fn invite_to(&self, shard: usize) {
        self.at_shard.set(shard);
    }

    /// Clients that are invited from now on are on a stream of this number, whose home is the same shard as that of the usual one.
    pub fn invite_on(&self, number: u64) {
        let mut id = STREAM;
        id.0[12..].copy_from_slice(&number.to_be_bytes());
        self.stream.set(id);
    }

    /// A socket for the next client. Where the system lets us (Linux does), each has an IPv4 address of its own, since a relay gives the clients
    /// of one network no more than a share of its places.
    pub(super) fn socket(&self) -> Result<UdpSocket> {
        let [.., high, middle, low] = self.sessions.get().to_be_bytes();
        let own = Ipv4Addr::new(127, 1_u8.saturating_add(high), middle, low);
        let bind = |ip: Ipv4Addr| UdpSocket::bind((IpAddr::V4(ip), 0));
        let socket = bind(own).or_else(|_| bind(Ipv4Addr::LOCALHOST));
        let socket = socket.context("one socket each: see ulimit -n")?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }

    /// What the edge answers a client at `local`, and the certificate that the client must have.
    pub fn invite(&self, local: SocketAddr) -> (Identity, Invitation) {
        self.sessions.set(self.sessions.get() + 1);
        let unreachable = SocketAddr::from(([127, 0, 0, 1], 0));
        let shard = self.at_shard.get();
        let relay = self.shards.get(shard).copied().unwrap_or(unreachable);
        // A shard takes the sessions whose ids are spread to it.
        let session = self.sessions.get() * self.shards() as u64 + shard as u64;
        let token = SessionToken {
            rights: SessionRights::ALL,
            expires: now().unix.to_sec().plus_s(60),
            session: SessionId(session.to_be_bytes()),
            stream: self.stream.get(),
            author: Self::AUTHOR,
            fingerprint: self.identity.fingerprint_hash(),
            relay_begins: true,
            max_message: MaxMessage::UNKNOWN,
            end: None,
        };
        let token = token.sign(&self.keys);
        let invitation = Invitation {
            password: ice_password(&token, &self.keys),
            token,
            fingerprint: self.fingerprint,
            relay_begins: true,
            relay,
            local,
        };
        (self.identity.clone(), invitation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamchain_protocol::auth::RelayKey;
    use streamchain_protocol::util::Network;
    use streamchain_protocol::wire::shard_of_session;

    #[test]
    fn clients_are_invited_to_shards_that_take_their_sessions() {
        let keys = RelayKey::from_hex(&"5b".repeat(32)).unwrap().session_keys();
        let address = |shard: u16| SocketAddr::from(([127, 0, 0, 1], 7_000 + shard));
        let relay = Invitations::new(keys.clone(), [0; 32], (0..3).map(address).collect()).unwrap();
        for shard in [0, 1, 2, 2, 1, 0] {
            relay.invite_to(shard);
            let (_, invitation) = relay.invite(address(9));
            let token = SessionToken::verify(&invitation.token, &keys, now().unix.to_sec()).unwrap();
            assert_eq!(shard_of_session(token.session, 3), shard);
            assert_eq!(invitation.relay, relay.shards[shard]);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn each_client_is_a_network_of_its_own() {
        let keys = RelayKey::from_hex(&"5b".repeat(32)).unwrap().session_keys();
        let relay = Invitations::new(keys, [0; 32], vec![]).unwrap();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..300 {
            let local = relay.socket().unwrap().local_addr().unwrap();
            relay.invite(local);
            assert!(seen.insert(Network::of(local.ip())), "{local} came before");
        }
    }
}
