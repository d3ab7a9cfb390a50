//! A StreamChain client without sockets or clock, for tests and for load: one data channel to one relay.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use str0m::channel::{ChannelConfig, ChannelId};
use str0m::config::{CryptoProvider, DtlsCert, Fingerprint};
use str0m::net::{Protocol, Receive, Transmit};
use str0m::{Candidate, Event, IceCreds, Input, Output, Rtc, RtcConfig, RtcError};
use streamchain_protocol::frame::{CHANNEL_LABEL, CHANNEL_PROTOCOL, ClientFrame};
use streamchain_protocol::token::FingerprintHash;

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
    /// The relay's address.
    pub relay: SocketAddr,
    /// The client's address.
    pub local: SocketAddr,
}

/// A client.
pub struct Client {
    rtc: Rtc,
    local: SocketAddr,
    channel: ChannelId,
    is_open: bool,
    unsent: VecDeque<Vec<u8>>,
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
        let host =
            |address| Candidate::host(address, "udp").map_err(|error| RtcError::RemoteSdp(error.to_string()));
        rtc.add_local_candidate(host(invitation.local)?);
        rtc.add_remote_candidate(host(invitation.relay)?);
        let mut api = rtc.direct_api();
        api.set_ice_controlling(true);
        let bytes = invitation.fingerprint.to_vec();
        api.set_remote_fingerprint(Fingerprint {
            hash_func: "sha-256".into(),
            bytes,
        });
        let (ufrag, pass) = (invitation.token.clone(), invitation.password.clone());
        api.set_remote_ice_credentials(IceCreds { ufrag, pass });
        api.start_dtls(true)?;
        api.start_sctp(true);
        let channel = api.create_data_channel(channel);
        Ok(Self {
            rtc,
            local: invitation.local,
            channel,
            is_open: false,
            unsent: VecDeque::new(),
            received: VecDeque::new(),
            timeout: now,
            is_closed: false,
        })
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
        self.rtc.handle_input(Input::Receive(now, receive))
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
        loop {
            match self.rtc.poll_output()? {
                Output::Transmit(transmit) => return Ok(Some(transmit)),
                Output::Event(event) => self.handle_event(event),
                Output::Timeout(at) => {
                    self.timeout = at;
                    let before = self.unsent.len();
                    self.write();
                    if self.unsent.len() == before {
                        return Ok(None);
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
            Event::ChannelData(data) if data.id == self.channel => self.received.push_back(data.data),
            Event::ChannelClose(_) | Event::Closed => self.is_closed = true,
            _ => {}
        }
    }

    /// Says goodbye.
    pub fn close(&mut self) -> Result<(), RtcError> {
        self.rtc.close()
    }

    /// Reads no longer: what arrives is dropped here (a page that hangs).
    pub fn rtc(&mut self) -> &mut Rtc {
        &mut self.rtc
    }
}
