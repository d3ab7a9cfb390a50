//! A server on a virtual clock and clients that speak to it: what the tests of the machine share.

use super::client::{Client, Transport};
use super::{Output, Settings, TurnServer, sign_as};
use crate::turn::proto::attributes::{self, Attribute};
use crate::turn::proto::message::{Class, Message, Method, TransactionId, read_xor_address};
use crate::turn::proto::writer::Writer;
use std::net::SocketAddr;
use streamchain_protocol::time::{UnixMs, UnixSec};
use streamchain_protocol::webrtc::{TurnCredentials, TurnSecret};

pub(crate) const REALM: &str = "streamchain";
/// When every test starts, Unix seconds.
pub(crate) const START_S: u64 = 1_000_000;

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The relay's own addresses in most tests.
pub(crate) fn relay_v4() -> SocketAddr {
    address("203.0.113.1:7100")
}

pub(crate) fn relay_v6() -> SocketAddr {
    address("[2001:db8::1]:7100")
}

pub(crate) fn udp_client(port: u16) -> Client {
    client(
        Transport::Udp,
        SocketAddr::new("198.51.100.7".parse().unwrap(), port),
    )
}

pub(crate) fn client(transport: Transport, address: SocketAddr) -> Client {
    let server = "203.0.113.1:3478".parse().unwrap();
    Client {
        transport,
        address,
        server,
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Granted(Vec<u8>),
    Refused(u16, Vec<u8>),
    Silence,
}

impl Answer {
    pub(crate) fn code(&self) -> u16 {
        match self {
            Self::Granted(_) => 0,
            Self::Refused(code, _) => *code,
            Self::Silence => panic!("expected an answer, got none"),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Granted(bytes) | Self::Refused(_, bytes) => bytes,
            Self::Silence => panic!("expected an answer, got none"),
        }
    }

    pub(crate) fn attribute(&self, kind: Attribute) -> Option<Vec<u8>> {
        Message::read(self.bytes())
            .unwrap()
            .attribute(kind)
            .map(<[u8]>::to_vec)
    }

    /// The first address of a kind.
    pub(crate) fn address(&self, kind: Attribute) -> Option<SocketAddr> {
        let message = Message::read(self.bytes()).unwrap();
        read_xor_address(message.attribute(kind)?, &message.transaction)
    }
}

pub(crate) struct Scene {
    pub server: TurnServer,
    pub now: UnixMs,
    pub secret: TurnSecret,
    next_transaction: u8,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with_peers(&[relay_v4(), relay_v6()])
    }

    pub(crate) fn with_peers(peers: &[SocketAddr]) -> Self {
        let secret = TurnSecret::new("secret");
        let settings = Settings {
            realm: REALM.into(),
            secret: secret.clone(),
            peers: peers.to_vec(),
        };
        Self {
            server: TurnServer::new(settings, [5; 32], 5),
            now: UnixSec(START_S).to_ms(),
            secret,
            next_transaction: 0,
        }
    }

    /// Another run of the same server: its random numbers are others.
    pub(crate) fn restart(&mut self) {
        self.server = TurnServer::new(self.server.settings.clone(), [6; 32], 6);
    }

    pub(crate) fn pass_seconds(&mut self, seconds: u64) {
        self.now = self.now.plus_ms(seconds * 1_000);
    }

    pub(crate) fn credentials(&self, user: &str) -> TurnCredentials {
        self.secret
            .issue(user, streamchain_protocol::time::UnixSec(START_S + 40_000))
    }

    pub(crate) fn transaction(&mut self) -> TransactionId {
        self.next_transaction = self.next_transaction.wrapping_add(1);
        [self.next_transaction; 12]
    }

    /// Sends raw bytes and reads what comes back to the same client.
    pub(crate) fn send(&mut self, client: Client, packet: &[u8]) -> Answer {
        self.server.handle_client(client, packet, self.now);
        match self.server.poll_output() {
            None => Answer::Silence,
            Some(Output::ToClient { client: to, packet }) => {
                assert_eq!(to, client, "the answer goes to who asked");
                assert_eq!(self.server.poll_output(), None, "one answer");
                let message = Message::read(&packet).unwrap();
                match message.attribute(attributes::ERROR_CODE) {
                    Some(value) => {
                        assert_eq!(message.class, Class::Error);
                        let code = u16::from(value[2]) * 100 + u16::from(value[3]);
                        Answer::Refused(code, packet)
                    }
                    None => Answer::Granted(packet),
                }
            }
            Some(Output::ToRelay { .. }) => panic!("expected an answer to the client"),
        }
    }

    /// A nonce for `client`, as its first 401 brings one.
    pub(crate) fn nonce(&mut self, client: Client) -> Vec<u8> {
        let transaction = self.transaction();
        let bare = Writer::new(Class::Request, Method::ALLOCATE, transaction)
            .attribute(attributes::REQUESTED_TRANSPORT, &[17, 0, 0, 0])
            .finish();
        let answer = self.send(client, &bare);
        assert_eq!(answer.code(), 401);
        assert_eq!(answer.attribute(attributes::REALM), Some(REALM.into()));
        answer.attribute(attributes::NONCE).unwrap()
    }

    /// A request of `user`, signed with what `nonce` and right credentials give.
    pub(crate) fn signed(&self, request: Writer, user: &str, nonce: &[u8]) -> Vec<u8> {
        let credentials = self.credentials(user);
        signed_with(request, &credentials, nonce)
    }

    /// Sends an authenticated request with a nonce of its own.
    pub(crate) fn request(
        &mut self,
        client: Client,
        user: &str,
        method: Method,
        of: &[(Attribute, Vec<u8>)],
    ) -> Answer {
        let nonce = self.nonce(client);
        let transaction = self.transaction();
        let mut request = Writer::new(Class::Request, method, transaction);
        for (kind, value) in of {
            request = request.attribute(*kind, value);
        }
        let bytes = self.signed(request, user, &nonce);
        self.send(client, &bytes)
    }

    pub(crate) fn allocate(&mut self, client: Client, user: &str) -> Answer {
        self.request(client, user, Method::ALLOCATE, &[udp_transport()])
    }

    /// Asks for something of peers: their addresses and what else.
    pub(crate) fn with_peer(
        &mut self,
        client: Client,
        method: Method,
        peers: &[SocketAddr],
        more: &[(Attribute, Vec<u8>)],
    ) -> Answer {
        let nonce = self.nonce(client);
        let transaction = self.transaction();
        let mut request = Writer::new(Class::Request, method, transaction);
        for peer in peers {
            request = request.xor_address(attributes::XOR_PEER_ADDRESS, *peer);
        }
        for (kind, value) in more {
            request = request.attribute(*kind, value);
        }
        let bytes = self.signed(request, "alice", &nonce);
        self.send(client, &bytes)
    }

    pub(crate) fn permit(&mut self, client: Client, peer: SocketAddr) -> Answer {
        self.with_peer(client, Method::CREATE_PERMISSION, &[peer], &[])
    }

    pub(crate) fn bind(&mut self, client: Client, number: u16, peer: SocketAddr) -> Answer {
        let [high, low] = number.to_be_bytes();
        let channel = (attributes::CHANNEL_NUMBER, vec![high, low, 0, 0]);
        self.with_peer(client, Method::CHANNEL_BIND, &[peer], &[channel])
    }

    /// What the relay gets of a Send indication or ChannelData.
    pub(crate) fn relayed(
        &mut self,
        client: Client,
        packet: &[u8],
    ) -> Option<(SocketAddr, SocketAddr, Vec<u8>)> {
        self.server.handle_client(client, packet, self.now);
        match self.server.poll_output() {
            Some(Output::ToRelay {
                source,
                destination,
                packet,
                ..
            }) => Some((source, destination, packet)),
            Some(Output::ToClient { .. }) => panic!("nothing of this is answered"),
            None => None,
        }
    }

    /// What the client gets when the relay sends `packet` to a relayed address.
    pub(crate) fn after_relay_sends(
        &mut self,
        source: SocketAddr,
        to: SocketAddr,
        packet: &[u8],
    ) -> Option<(Client, Vec<u8>)> {
        self.server.handle_relay(source, to, packet, self.now);
        match self.server.poll_output() {
            Some(Output::ToClient { client, packet }) => Some((client, packet)),
            Some(Output::ToRelay { .. }) => panic!("the relay's packets go to clients"),
            None => None,
        }
    }
}

pub(crate) fn udp_transport() -> (Attribute, Vec<u8>) {
    (attributes::REQUESTED_TRANSPORT, vec![17, 0, 0, 0])
}

pub(crate) fn lifetime(seconds: u32) -> (Attribute, Vec<u8>) {
    (attributes::LIFETIME, seconds.to_be_bytes().to_vec())
}

pub(crate) fn send_indication(peer: SocketAddr, packet: &[u8]) -> Vec<u8> {
    Writer::new(Class::Indication, Method::SEND, [3; 12])
        .xor_address(attributes::XOR_PEER_ADDRESS, peer)
        .attribute(attributes::DATA, packet)
        .finish()
}

/// Adds what a long-term credential needs, and signs.
pub(crate) fn signed_with(request: Writer, credentials: &TurnCredentials, nonce: &[u8]) -> Vec<u8> {
    sign_as(request, credentials, REALM, nonce).finish()
}
