//! Fuzz targets of the STUN codec, and of the TURN server behind its signature check.

use super::proto::attributes;
use super::proto::message::{Class, Message, Method};
use super::proto::writer::Writer;
use super::server::client::{Client, Transport};
use super::server::{Output, Settings, TurnServer, long_term_key, nonce, sign_as};
use crate::transport::packet::is_relayed;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use streamchain_protocol::time::{UnixMs, UnixSec};
use streamchain_protocol::webrtc::{TurnCredentials, TurnSecret};

const REALM: &str = "streamchain";
const NONCE_KEY: [u8; 32] = [5; 32];
/// The server's time.
const NOW: UnixMs = UnixMs(1_700_000_000_000);
const CREDENTIALS_EXPIRE: UnixSec = UnixSec(1_900_000_000);
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)), 7_100);
const CLIENT: Client = Client {
    transport: Transport::Udp,
    address: SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)), 5_000),
    server: SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)), 3_478),
};

/// Reads one STUN message and all that a TURN server asks of it.
pub fn stun_message(bytes: &[u8]) {
    let Ok(message) = Message::read(bytes) else {
        return;
    };
    assert!(
        message.attributes().count() <= 32,
        "a message has at most 32 attributes"
    );
    assert!(
        !message.is_signed_with(b"a key that signed nothing"),
        "nothing verifies with a foreign key"
    );
    let _ = message.peers().count();
}

/// Gives a TURN server a message of a client that has an allocation: as it came, and signed with the client's key.
pub fn turn_request(bytes: &[u8]) {
    let mut server = server();
    // Without an allocation first: this may be what the message asks for.
    let _ = handle(&mut server, bytes);
    let [(_, allocate), ..] = signed_turn_requests();
    let _ = handle(&mut server, &allocate);
    assert_eq!(server.allocations(), 1, "a client has one allocation");
    let signed = Message::read(bytes).ok().map(|message| {
        let mut writer = Writer::new(message.class, message.method, message.transaction);
        for (kind, value) in message.attributes() {
            writer = writer.attribute(kind, value);
        }
        writer.sign(&key()).finish()
    });
    for message in [Some(bytes), signed.as_deref()].into_iter().flatten() {
        let _ = handle(&mut server, message);
        assert!(server.allocations() <= 1, "a client has one allocation at most");
    }
}

/// Returns whether the server grants a request of a client that has an allocation, unless it asks for one.
pub fn is_granted(bytes: &[u8]) -> bool {
    let mut server = server();
    if Message::read(bytes).is_ok_and(|message| message.method != Method::ALLOCATE) {
        let [(_, allocate), ..] = signed_turn_requests();
        let _ = handle(&mut server, &allocate);
    }
    handle(&mut server, bytes).iter().any(|answer| {
        Message::read(answer).is_ok_and(|message| message.class == Class::Success && message.is_signed())
    })
}

/// Requests of every kind with credentials that [`turn_request`]'s server takes, each with its name.
pub fn signed_turn_requests() -> [(&'static str, Vec<u8>); 4] {
    let request = |method| Writer::new(Class::Request, method, [7; 12]);
    let allocate = request(Method::ALLOCATE).attribute(attributes::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
    let refresh = request(Method::REFRESH).attribute(attributes::LIFETIME, &600u32.to_be_bytes());
    let permission = request(Method::CREATE_PERMISSION).xor_address(attributes::XOR_PEER_ADDRESS, PEER);
    let channel = request(Method::CHANNEL_BIND)
        .attribute(attributes::CHANNEL_NUMBER, &[0x40, 0, 0, 0])
        .xor_address(attributes::XOR_PEER_ADDRESS, PEER);
    [
        ("allocate-signed", allocate),
        ("refresh-signed", refresh),
        ("permission-signed", permission),
        ("channel-bind-signed", channel),
    ]
    .map(|(name, request)| (name, sign(request)))
}

fn secret() -> TurnSecret {
    TurnSecret::new("fuzz")
}

fn credentials() -> TurnCredentials {
    secret().issue("alice", CREDENTIALS_EXPIRE)
}

fn key() -> [u8; 16] {
    let TurnCredentials { username, password } = credentials();
    long_term_key(&username, REALM, &password)
}

fn sign(request: Writer) -> Vec<u8> {
    let nonce = nonce::issue(&NONCE_KEY, &CLIENT, NOW.to_sec());
    sign_as(request, &credentials(), REALM, nonce.as_bytes()).finish()
}

fn server() -> TurnServer {
    let v6 = Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, 1);
    let settings = Settings {
        realm: REALM.to_owned(),
        secret: secret(),
        peers: vec![PEER, SocketAddr::from((v6, PEER.port()))],
    };
    TurnServer::new(settings, NONCE_KEY, 5)
}

/// Returns what the server answers to the client, and checks that it sends to the relay alone beside that.
fn handle(server: &mut TurnServer, bytes: &[u8]) -> Vec<Vec<u8>> {
    server.handle_client(CLIENT, bytes, NOW);
    let mut answers = Vec::new();
    while let Some(output) = server.poll_output() {
        match output {
            Output::ToClient { client, packet } => {
                assert_eq!(client, CLIENT, "the answer goes to the client that asked");
                answers.push(packet);
            }
            Output::ToRelay {
                source, destination, ..
            } => {
                assert!(
                    is_relayed(source.ip()),
                    "a packet to the relay has a relayed source"
                );
                assert_eq!(destination.port(), PEER.port(), "the only peer is the relay");
            }
        }
    }
    answers
}
