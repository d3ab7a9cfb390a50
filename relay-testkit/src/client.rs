//! A StreamChain client without sockets or clock, for tests and for load: the client library's peer, with the answer that an
//! edge would give it.

use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::time::Instant;
use str0m::channel::ChannelConfig;
use str0m::config::Fingerprint;
use str0m::{IceCreds, RtcError};
use streamchain_client::peer::{Identity, Peer};
use streamchain_protocol::webrtc::Transport;
use streamchain_protocol::webrtc::{Answer, DataProtocol, Offer, format_fingerprint};

/// What the edge's answer says, and where the client is.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// `ice-ufrag`
    pub token: String,
    /// `ice-pwd`
    pub password: String,
    /// The relay's certificate fingerprint.
    pub fingerprint: [u8; 32],
    /// Whether the relay begins the DTLS handshake.
    pub relay_begins: bool,
    /// The relay's address.
    pub relay: SocketAddr,
    /// The client's address.
    pub local: SocketAddr,
}

impl Invitation {
    /// The answer as the edge writes it.
    fn answer(&self, mid: &str) -> String {
        let (address, port) = (self.relay.ip(), self.relay.port());
        let offer = Offer {
            mid: mid.to_owned(),
            protocol: DataProtocol::Udp,
            is_bundled: true,
            trickles: true,
            fingerprint: [0; 32],
            max_message_size: 0,
            relay_begins: self.relay_begins,
        };
        Answer {
            offer: &offer,
            ice_ufrag: &self.token,
            ice_pwd: &self.password,
            fingerprint: &format_fingerprint(&self.fingerprint),
            candidates: &[streamchain_protocol::webrtc::Candidate {
                transport: Transport::Udp,
                address,
                port,
            }],
            origin: 1,
        }
        .write()
    }
}

fn refused(error: &dyn std::fmt::Display) -> RtcError {
    RtcError::RemoteSdp(error.to_string())
}

/// str0m's own ufrag has 16 characters: with the token more than the 128 that it writes as USERNAME.
fn credentials() -> IceCreds {
    IceCreds {
        ufrag: "load".into(),
        ..IceCreds::new()
    }
}

/// A client, which is a peer that knows its address.
pub struct Client {
    peer: Peer,
    local: SocketAddr,
}

impl Deref for Client {
    type Target = Peer;
    fn deref(&self) -> &Peer {
        &self.peer
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut Peer {
        &mut self.peer
    }
}

impl Client {
    /// Begins to connect.
    pub fn new(
        identity: &Identity,
        invitation: &Invitation,
        channel: ChannelConfig,
        now: Instant,
    ) -> Result<Self, RtcError> {
        let (mut peer, offer) = Peer::offer(identity, credentials(), channel, now)?;
        peer.add_local(invitation.local)?;
        let offer = Offer::parse(&offer).map_err(|error| refused(&error))?;
        peer.accept(&invitation.answer(&offer.mid))?;
        let local = invitation.local;
        Ok(Self { peer, local })
    }

    /// Begins to connect as another stack does: it begins the SCTP association itself, and answers no INIT meanwhile.
    pub fn new_beginning_sctp(
        identity: &Identity,
        invitation: &Invitation,
        channel: ChannelConfig,
        now: Instant,
    ) -> Result<Self, RtcError> {
        let mut rtc = Peer::rtc(identity, credentials(), now);
        let mut api = rtc.direct_api();
        api.set_ice_controlling(true);
        api.set_remote_ice_credentials(IceCreds {
            ufrag: invitation.token.clone(),
            pass: invitation.password.clone(),
        });
        api.set_remote_fingerprint(Fingerprint {
            hash_func: "sha-256".into(),
            bytes: invitation.fingerprint.to_vec(),
        });
        let channel = api.create_data_channel(channel);
        api.start_dtls(!invitation.relay_begins)?;
        api.start_sctp(true);
        let mut peer = Peer::with(rtc, channel, now);
        peer.add_local(invitation.local)?;
        peer.add_remote(invitation.relay)?;
        let local = invitation.local;
        Ok(Self { peer, local })
    }

    /// A reliable, ordered channel of our protocol.
    pub fn channel() -> ChannelConfig {
        Peer::channel()
    }

    /// A channel that joins a stream.
    pub fn joining_channel() -> ChannelConfig {
        Peer::joining_channel()
    }

    /// Takes a datagram that came from `source`.
    pub fn handle_datagram(
        &mut self,
        datagram: &[u8],
        source: SocketAddr,
        now: Instant,
    ) -> Result<(), RtcError> {
        let local = self.local;
        self.peer.handle_datagram(datagram, source, local, now)
    }
}
