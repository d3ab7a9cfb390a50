//! A StreamChain client without sockets or clock, for tests and for load: one data channel to one relay.

use relay_node::limits::DATAGRAMS_PER_DRIVE;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use str0m::change::SdpAnswer;
use str0m::channel::{ChannelConfig, ChannelId};
use str0m::config::{CryptoProvider, DtlsCert, Fingerprint};
use str0m::net::{Protocol, Receive, Transmit};
use str0m::{Candidate, Event, IceCreds, Input, Output, Rtc, RtcConfig, RtcError};
use streamchain_protocol::auth::FingerprintHash;
use streamchain_protocol::webrtc::Transport;
use streamchain_protocol::webrtc::{Answer, DataProtocol, Offer, format_fingerprint};
use streamchain_protocol::wire::frame::{CHANNEL_LABEL, CHANNEL_PROTOCOL, ClientFrame};

/// A client's certificate; many clients may share one.
#[derive(Clone)]
pub struct Identity {
    certificate: DtlsCert,
    crypto: Arc<CryptoProvider>,
}

impl Identity {
    /// With a certificate of its own.
    pub fn new(certificate: DtlsCert, crypto: Arc<CryptoProvider>) -> Self {
        Self { certificate, crypto }
    }

    /// What the edge signs into a token.
    pub fn fingerprint_hash(&self) -> FingerprintHash {
        FingerprintHash::of(&self.crypto.sha256_provider.sha256(&self.certificate.certificate))
    }
}

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

/// A peer connection with its local candidate.
fn begun(identity: &Identity, invitation: &Invitation, now: Instant) -> Result<Rtc, RtcError> {
    let mut rtc = RtcConfig::new()
        .clear_codecs()
        .set_crypto_provider(identity.crypto.clone())
        .set_dtls_cert(identity.certificate.clone())
        // str0m's own has 16 characters: with the token more than the 128 that it writes as USERNAME.
        .set_local_ice_credentials(IceCreds {
            ufrag: "load".into(),
            ..IceCreds::new()
        })
        .build(now);
    rtc.add_local_candidate(Candidate::host(invitation.local, "udp").map_err(|error| refused(&error))?);
    Ok(rtc)
}

/// A client.
pub struct Client {
    rtc: Rtc,
    local: SocketAddr,
    channel: ChannelId,
    is_open: bool,
    unsent: VecDeque<Vec<u8>>,
    transmits: VecDeque<Transmit>,
    undriven: u32,
    received: VecDeque<Vec<u8>>,
    timeout: Instant,
    is_closed: bool,
}

impl Client {
    /// Begins to connect.
    pub fn new(
        identity: &Identity,
        invitation: &Invitation,
        channel: ChannelConfig,
        now: Instant,
    ) -> Result<Self, RtcError> {
        let mut rtc = begun(identity, invitation, now)?;
        let mut api = rtc.sdp_api();
        let channel = api.add_channel_with_config(channel);
        let Some((offer, pending)) = api.apply() else {
            return Err(refused(&"nothing to offer"));
        };
        let offer = Offer::parse(&offer.to_sdp_string()).map_err(|error| refused(&error))?;
        let answer = invitation.answer(&offer.mid);
        rtc.sdp_api()
            .accept_answer(pending, SdpAnswer::from_sdp_string(&answer)?)?;
        Ok(Self::with(rtc, channel, invitation, now))
    }

    /// Begins to connect as another stack does: it begins the SCTP association itself, and answers no INIT meanwhile.
    pub fn new_beginning_sctp(
        identity: &Identity,
        invitation: &Invitation,
        channel: ChannelConfig,
        now: Instant,
    ) -> Result<Self, RtcError> {
        let mut rtc = begun(identity, invitation, now)?;
        rtc.add_remote_candidate(Candidate::host(invitation.relay, "udp").map_err(|error| refused(&error))?);
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
        Ok(Self::with(rtc, channel, invitation, now))
    }

    fn with(rtc: Rtc, channel: ChannelId, invitation: &Invitation, now: Instant) -> Self {
        Self {
            rtc,
            local: invitation.local,
            channel,
            is_open: false,
            unsent: VecDeque::new(),
            transmits: VecDeque::new(),
            undriven: 0,
            received: VecDeque::new(),
            timeout: now,
            is_closed: false,
        }
    }

    /// Opens one more channel.
    pub fn open_another(&mut self, channel: ChannelConfig) {
        let _ = self.rtc.direct_api().create_data_channel(channel);
    }

    /// Queues a text message.
    pub fn send_text(&mut self, text: &str) {
        if let Some(mut channel) = self.rtc.channel(self.channel) {
            let _ = channel.write(false, text.as_bytes());
        }
    }

    /// A reliable, ordered channel of our protocol.
    pub fn channel() -> ChannelConfig {
        let (label, protocol) = (CHANNEL_LABEL.into(), CHANNEL_PROTOCOL.into());
        ChannelConfig {
            label,
            protocol,
            ..ChannelConfig::default()
        }
    }

    /// Whether the channel is open.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether the connection or its channel is over.
    pub fn is_closed(&self) -> bool {
        self.is_closed || !self.rtc.is_alive()
    }

    /// Queues a frame.
    pub fn send(&mut self, frame: &ClientFrame<'_>) {
        let mut message = Vec::new();
        frame.write(&mut message);
        self.send_message(message);
    }

    /// Queues any bytes as one message.
    pub fn send_message(&mut self, message: Vec<u8>) {
        self.unsent.push_back(message);
        self.write();
    }

    /// Messages that could not be handed to the connection yet.
    pub fn unsent(&self) -> usize {
        self.unsent.len()
    }

    fn write(&mut self) {
        while self.is_open
            && let Some(message) = self.unsent.front()
            && let Some(mut channel) = self.rtc.channel(self.channel)
            && channel.write(true, message).unwrap_or(false)
        {
            self.unsent.pop_front();
        }
    }

    /// The next message from the relay.
    pub fn receive(&mut self) -> Option<Vec<u8>> {
        self.received.pop_front()
    }

    /// Takes a datagram that came from `source`.
    pub fn handle_datagram(
        &mut self,
        datagram: &[u8],
        source: SocketAddr,
        now: Instant,
    ) -> Result<(), RtcError> {
        let Ok(contents) = datagram.try_into() else {
            return Ok(());
        };
        let receive = Receive {
            proto: Protocol::Udp,
            source,
            destination: self.local,
            contents,
        };
        self.rtc.handle_input(Input::Receive(now, receive))?;
        self.undriven += 1;
        if self.undriven >= DATAGRAMS_PER_DRIVE {
            self.drive()?;
        }
        Ok(())
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), RtcError> {
        self.rtc.handle_input(Input::Timeout(now))
    }

    /// When [`Client::handle_timeout`] wants to be called.
    pub fn next_timeout(&self) -> Instant {
        self.timeout
    }

    /// The next datagram to send.
    pub fn next_transmit(&mut self) -> Result<Option<Transmit>, RtcError> {
        if self.transmits.is_empty() {
            self.drive()?;
        }
        Ok(self.transmits.pop_front())
    }

    /// Takes all that the connection has to say.
    fn drive(&mut self) -> Result<(), RtcError> {
        self.undriven = 0;
        loop {
            match self.rtc.poll_output()? {
                Output::Transmit(transmit) => self.transmits.push_back(transmit),
                Output::Event(event) => self.handle_event(event),
                Output::Timeout(at) => {
                    self.timeout = at;
                    let before = self.unsent.len();
                    self.write();
                    if self.unsent.len() == before {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn handle_event(&mut self, event: Event) {
        match event {
            Event::ChannelOpen(id, _) if id == self.channel => {
                self.is_open = true;
                self.write();
            }
            Event::ChannelData(data) => self.received.push_back(data.data),
            Event::ChannelClose(id) if id != self.channel => {}
            Event::ChannelClose(_) | Event::Closed => self.is_closed = true,
            _ => {}
        }
    }

    /// Begins ICE anew with another `ice-ufrag`, against the relay's old answer.
    pub fn restart_ice(&mut self, ufrag: &str) {
        let ufrag = ufrag.to_owned();
        let credentials = IceCreds {
            ufrag,
            ..IceCreds::new()
        };
        self.rtc.direct_api().set_local_ice_credentials(credentials);
    }

    /// Says goodbye.
    pub fn close(&mut self) -> Result<(), RtcError> {
        self.rtc.close()
    }
}
