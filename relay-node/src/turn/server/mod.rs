//! The TURN server (RFC 8656) as a machine without sockets or a clock: packets and time go in by `handle_*`,
//! packets come out of [`TurnServer::poll_output`].
//!
//! What always holds:
//! - The only peer is this relay itself: no packet leaves for an address that is not in
//!   [`Settings::peers`], so that the server is no open relay and needs no relay ports.
//! - No state is made for a client before it proved that it reads what is sent to its address (the nonce) and
//!   that the edge gave it credentials (MESSAGE-INTEGRITY).
//! - Whatever arrives, memory stays below the bounds in [`limits`].
//!
//! A relayed address exists only in here: it is [`RELAYED_V4`] or [`RELAYED_V6`] with a port of its own. The
//! relay's ICE agent sees checks come from that address and answers to it; the answer comes back by
//! [`TurnServer::handle_relay`]. No real packet ever has such a source.

pub(crate) mod allocation;
pub(crate) mod allocations;
pub(crate) mod client;
pub(crate) mod limits;
pub(crate) mod nonce;
mod requests;
pub(crate) mod strangers;

#[cfg(test)]
mod fuzz_tests;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
pub(crate) mod scene_tests;
#[cfg(test)]
mod server_tests;

use self::allocation::Family;
use self::allocations::Allocations;
use self::client::Client;
use self::limits::MAX_OUTPUTS;
use self::nonce::NonceKey;
use self::strangers::Strangers;
use crate::core::limits::MAX_AMPLIFICATION;
use crate::transport::packet::{MAX_PACKET_BYTES, RELAYED_V4, RELAYED_V6};
use crate::turn::proto::attributes::{self, Attribute, Refusal};
use crate::turn::proto::message::{Class, Message, Method};
use crate::turn::proto::writer::{Writer, channel_data};
use md5::{Digest, Md5};
use std::collections::VecDeque;
use std::net::SocketAddr;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::util::Network;
#[cfg(any(test, feature = "fuzzing"))]
use streamchain_protocol::webrtc::TurnCredentials;
use streamchain_protocol::webrtc::{TurnSecret, user_of};

const SOFTWARE: &[u8] = b"StreamChain relay";

/// How often expired allocations are cleared away, milliseconds. They count as gone before that.
const CLEAR_EVERY_MS: u64 = 5_000;

/// What a server is made from.
#[derive(Clone)]
pub(crate) struct Settings {
    /// The realm of the long-term credentials (RFC 8489 §9.2.2): any text without a colon.
    pub realm: String,
    /// Signs the passwords that the edge gives out; the edge has the same secret.
    pub secret: TurnSecret,
    /// The relay's own UDP addresses, as clients see them: the only peers.
    pub peers: Vec<SocketAddr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Output {
    /// Send to a client, by the transport and from the address that it came to.
    ToClient { client: Client, packet: Vec<u8> },
    /// Hand to the relay as if it had come by UDP.
    ToRelay {
        source: SocketAddr,
        /// One of [`Settings::peers`].
        destination: SocketAddr,
        packet: Vec<u8>,
        /// The client's.
        network: Network,
    },
}

/// Counts since the start, for the operator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub allocations: u64,
    /// Requests refused, other than by 401 and 438, which are a part of every set-up.
    pub refused: u64,
    /// Packets dropped because they were malformed or not allowed.
    pub dropped: u64,
    pub relayed: u64,
}

pub(super) struct Caller {
    /// `expiry:user`.
    pub username: String,
    pub user: String,
    pub key: [u8; 16],
}

pub(crate) struct TurnServer {
    pub(super) settings: Settings,
    pub(super) allocations: Allocations,
    pub(super) counts: Counts,
    nonce_key: NonceKey,
    strangers: Strangers,
    outputs: VecDeque<Output>,
    cleared: UnixMs,
}

impl TurnServer {
    /// A server without allocations. `nonce_key` and `seed` are random.
    pub(crate) fn new(settings: Settings, nonce_key: NonceKey, seed: u64) -> Self {
        Self {
            settings,
            allocations: Allocations::default(),
            counts: Counts::default(),
            nonce_key,
            strangers: Strangers::new(seed),
            outputs: VecDeque::new(),
            cleared: UnixMs(0),
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    pub(crate) fn allocations(&self) -> usize {
        self.allocations.count()
    }

    /// Whether a client has an allocation at `now`: a connection without one may be closed.
    pub(crate) fn has_allocation(&self, client: &Client, now: UnixMs) -> bool {
        self.allocations.of(client, now).is_some()
    }

    /// One whole message from a client: a datagram, or what [`crate::transport::rfc4571`] cut out of a stream.
    pub(crate) fn handle_client(&mut self, client: Client, packet: &[u8], now: UnixMs) {
        self.clear(now);
        match packet.first() {
            Some(0x40..=0x7F) => self.handle_channel_data(client, packet, now),
            Some(0x00..=0x3F) => match Message::read(packet) {
                Ok(message) => self.handle_message(client, &message, now),
                Err(_) => self.counts.dropped += 1,
            },
            _ => self.counts.dropped += 1,
        }
    }

    /// A packet of the relay for a relayed address. `source` is the address of the relay that the client knows.
    pub(crate) fn handle_relay(
        &mut self,
        source: SocketAddr,
        destination: SocketAddr,
        packet: &[u8],
        now: UnixMs,
    ) {
        let family = Family::of(source.ip());
        let allocation = self
            .allocations
            .at_port(destination.port(), now)
            .filter(|held| relayed_address(family, held.port) == destination)
            .filter(|held| held.families.contains(&family) && held.permits(source.ip(), now));
        let Some(allocation) = allocation.filter(|_| packet.len() <= MAX_PACKET_BYTES) else {
            self.counts.dropped += 1;
            return;
        };
        let client = allocation.client;
        let packet = match allocation.channel_to(source, now) {
            Some(channel) => channel_data(channel, packet, client.transport.is_stream()),
            // An indication is not answered, so its transaction id says nothing; zeros do.
            None => Writer::new(Class::Indication, Method::DATA, [0; 12])
                .xor_address(attributes::XOR_PEER_ADDRESS, source)
                .attribute(attributes::DATA, packet)
                .finish(),
        };
        self.counts.relayed += 1;
        self.push(Output::ToClient { client, packet });
    }

    /// A client's connection is gone, and its allocation with it (RFC 8656 §3.1).
    pub(crate) fn handle_closed(&mut self, client: &Client) {
        self.allocations.remove(client);
    }

    /// The next output. The caller takes outputs after every `handle_*` until there are none.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn push(&mut self, output: Output) {
        if self.outputs.len() < MAX_OUTPUTS {
            self.outputs.push_back(output);
        } else {
            self.counts.dropped += 1;
        }
    }

    pub(super) fn send(&mut self, client: Client, packet: Vec<u8>) {
        self.push(Output::ToClient { client, packet });
    }

    fn clear(&mut self, now: UnixMs) {
        if now >= self.cleared.plus_ms(CLEAR_EVERY_MS) {
            self.cleared = now;
            self.allocations.remove_expired(now);
        }
    }

    fn handle_message(&mut self, client: Client, message: &Message, now: UnixMs) {
        match (message.class, message.method) {
            (Class::Request, Method::BINDING) => self.bind_request(client, message, now),
            (
                Class::Request,
                Method::ALLOCATE | Method::REFRESH | Method::CREATE_PERMISSION | Method::CHANNEL_BIND,
            ) => self.handle_turn_request(client, message, now),
            (Class::Indication, Method::SEND) => self.handle_send(client, message, now),
            // Binding indications are keep-alives; the rest is nothing that a client may send.
            _ => self.counts.dropped += 1,
        }
    }

    fn bind_request(&mut self, client: Client, request: &Message, now: UnixMs) {
        if !self.strangers.may_answer(client.network(), now) {
            self.counts.dropped += 1;
            return;
        }
        let answer = match request.attributes().any(|(kind, _)| kind.is_unknown()) {
            true => refuse(request, Refusal::UnknownAttribute),
            false => Writer::success(request).xor_address(attributes::XOR_MAPPED_ADDRESS, client.address),
        };
        self.send_to_stranger(client, request, answer);
    }

    fn handle_turn_request(&mut self, client: Client, request: &Message, now: UnixMs) {
        let caller = match self.authenticate(&client, request, now) {
            Ok(caller) => caller,
            Err(refusal) => return self.refuse_stranger(client, request, refusal, now),
        };
        match self.grant(client, request, &caller, now) {
            Ok(answer) => {
                let answer = answer.attribute(attributes::SOFTWARE, SOFTWARE);
                self.send(client, answer.sign(&caller.key).finish());
            }
            Err(refusal) => {
                self.counts.refused += 1;
                self.send(client, refuse(request, refusal).sign(&caller.key).finish());
            }
        }
    }

    /// RFC 8489 §9.2.4, in its order.
    fn authenticate(&self, client: &Client, request: &Message, now: UnixMs) -> Result<Caller, Refusal> {
        if !request.is_signed() {
            return Err(Refusal::Unauthorized);
        }
        let (Some(username), Some(realm), Some(nonce)) = (
            request.text(attributes::USERNAME),
            request.text(attributes::REALM),
            request.attribute(attributes::NONCE),
        ) else {
            return Err(Refusal::BadRequest);
        };
        let second = now.to_sec();
        if !nonce::is_fresh(&self.nonce_key, client, nonce, second) {
            return Err(Refusal::StaleNonce);
        }
        let user = user_of(username, second).map_err(|_| Refusal::Unauthorized)?;
        if realm != self.settings.realm {
            return Err(Refusal::Unauthorized);
        }
        let key = long_term_key(username, realm, &self.settings.secret.password(username));
        if !request.is_signed_with(&key) {
            return Err(Refusal::Unauthorized);
        }
        let (username, user) = (username.to_owned(), user.to_owned());
        Ok(Caller { username, user, key })
    }

    /// Refuses a request without valid credentials. The answer is not signed; 401 and 438 carry realm and nonce for the
    /// next request.
    fn refuse_stranger(&mut self, client: Client, request: &Message, refusal: Refusal, now: UnixMs) {
        if !self.strangers.may_answer(client.network(), now) {
            self.counts.dropped += 1;
            return;
        }
        let mut answer = refuse(request, refusal);
        if matches!(refusal, Refusal::Unauthorized | Refusal::StaleNonce) {
            let nonce = nonce::issue(&self.nonce_key, &client, now.to_sec());
            answer = answer
                .attribute(attributes::REALM, self.settings.realm.as_bytes())
                .attribute(attributes::NONCE, nonce.as_bytes());
        }
        self.send_to_stranger(client, request, answer);
    }

    /// Sends the answer to a request whose source may be forged: over UDP never more than [`MAX_AMPLIFICATION`] times its
    /// bytes. No browser's request is so short.
    fn send_to_stranger(&mut self, client: Client, request: &Message, answer: Writer) {
        // Browsers' first requests have 28 bytes and no FINGERPRINT: with one, the refusal would be too long for them.
        let answer = match request.attribute(attributes::FINGERPRINT) {
            Some(_) => answer.finish(),
            None => answer.finish_without_fingerprint(),
        };
        if client.transport.is_stream() || answer.len() <= MAX_AMPLIFICATION * request.size() {
            self.send(client, answer);
        } else {
            self.counts.dropped += 1;
        }
    }

    /// Send (RFC 8656 §11.1): what is not allowed is dropped, for an indication has no answer.
    fn handle_send(&mut self, client: Client, message: &Message, now: UnixMs) {
        let peer = message.peers().next().and_then(Result::ok);
        let packet = message.attribute(attributes::DATA);
        let unknown = message.attributes().any(|(kind, _)| kind.is_unknown());
        if let (Some(peer), Some(packet), false) = (peer, packet, unknown) {
            self.pass_on(client, peer, packet, now);
        } else {
            self.counts.dropped += 1;
        }
    }

    /// ChannelData (RFC 8656 §12.6).
    fn handle_channel_data(&mut self, client: Client, packet: &[u8], now: UnixMs) {
        let peer = channel_number(packet).and_then(|number| {
            let allocation = self.allocations.of(&client, now)?;
            allocation.peer_of(number, now)
        });
        match (peer, channel_payload(packet)) {
            (Some(peer), Some(payload)) => self.pass_on(client, peer, payload, now),
            _ => self.counts.dropped += 1,
        }
    }

    /// A client's packet to the relay, if its allocation permits the peer.
    fn pass_on(&mut self, client: Client, peer: SocketAddr, packet: &[u8], now: UnixMs) {
        let family = Family::of(peer.ip());
        let allocation = self
            .allocations
            .of(&client, now)
            .filter(|held| held.families.contains(&family) && held.permits(peer.ip(), now))
            .filter(|_| self.settings.peers.contains(&peer));
        let Some(allocation) = allocation else {
            self.counts.dropped += 1;
            return;
        };
        let source = relayed_address(family, allocation.port);
        self.counts.relayed += 1;
        self.push(Output::ToRelay {
            source,
            destination: peer,
            packet: packet.to_vec(),
            network: client.network(),
        });
    }
}

/// The error answer; with 420 the types that are unknown.
fn refuse(request: &Message, refusal: Refusal) -> Writer {
    let answer = Writer::error(request, refusal);
    if refusal != Refusal::UnknownAttribute {
        return answer;
    }
    let unknown = request.attributes().filter(|(kind, _)| kind.is_unknown());
    let unknown: Vec<u8> = unknown
        .flat_map(|(Attribute(kind), _)| kind.to_be_bytes())
        .collect();
    answer.attribute(attributes::UNKNOWN_ATTRIBUTES, &unknown)
}

/// The relayed address of an allocation's port.
pub(super) fn relayed_address(family: Family, port: u16) -> SocketAddr {
    let address = match family {
        Family::V4 => RELAYED_V4,
        Family::V6 => RELAYED_V6,
    };
    SocketAddr::new(address, port)
}

/// Adds what a long-term credential needs, and signs: as clients do.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn sign_as(request: Writer, of: &TurnCredentials, realm: &str, nonce: &[u8]) -> Writer {
    request
        .attribute(attributes::USERNAME, of.username.as_bytes())
        .attribute(attributes::REALM, realm.as_bytes())
        .attribute(attributes::NONCE, nonce)
        .sign(&long_term_key(&of.username, realm, &of.password))
}

/// RFC 8489 §9.2.2: MD5 of `username:realm:password`.
pub(crate) fn long_term_key(username: &str, realm: &str, password: &str) -> [u8; 16] {
    Md5::digest(format!("{username}:{realm}:{password}")).into()
}

fn channel_number(packet: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes([*packet.first()?, *packet.get(1)?]))
}

/// The payload by its length field; padding behind it is left out.
fn channel_payload(packet: &[u8]) -> Option<&[u8]> {
    let length = u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]);
    packet
        .get(4..4 + usize::from(length))
        .filter(|payload| payload.len() <= MAX_PACKET_BYTES)
}
