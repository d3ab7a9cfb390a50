//! A peer connection with a data channel, or several, without sockets or clock.

use super::certificate::Identity;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::channel::{ChannelConfig, ChannelId};
use str0m::net::{Protocol, Receive, Transmit};
use str0m::{Candidate, Event, IceCreds, Input, Output, Rtc, RtcConfig, RtcError};
use streamchain_protocol::wire::frame::{CHANNEL_LABEL, CHANNEL_PROTOCOL, ClientFrame, JOIN_PROTOCOL};

/// Datagrams that the connection is handed before it is asked what it has to say. It keeps a few dozen and drops the rest.
const DATAGRAMS_PER_DRIVE: u32 = 16;

/// Bytes that may wait in the channel before more is written to it. Above 128 KiB the SCTP stack gets slower with each.
const MAX_BUFFERED_BYTES: usize = 96 * 1024;

/// How long what was sent may be unacknowledged, while nothing arrives, until the session counts as dead.
const STALL: Duration = Duration::from_secs(6);

/// A data channel beside the first.
struct Further {
    id: ChannelId,
    is_open: bool,
    is_closed: bool,
    unsent: VecDeque<Vec<u8>>,
}

/// A peer connection.
pub struct Peer {
    rtc: Rtc,
    channel: ChannelId,
    pending: Option<SdpPendingOffer>,
    is_open: bool,
    unsent: VecDeque<Vec<u8>>,
    further: Vec<Further>,
    transmits: VecDeque<Transmit>,
    undriven: u32,
    received: VecDeque<(ChannelId, Vec<u8>)>,
    timeout: Instant,
    is_closed: bool,
    /// When the relay last sent or acknowledged something, or had nothing to acknowledge.
    alive: Instant,
    /// What waited for acknowledgement when it was last looked at.
    last_buffered: usize,
    now: Instant,
}

/// Returns an error of what is not SDP.
fn refused(error: &dyn std::fmt::Display) -> RtcError {
    RtcError::RemoteSdp(error.to_string())
}

impl Peer {
    /// Begins a connection with these local ICE credentials; returns it with its offer.
    pub fn offer(
        identity: &Identity,
        credentials: IceCreds,
        channel: ChannelConfig,
        now: Instant,
    ) -> Result<(Self, String), RtcError> {
        let mut rtc = Self::rtc(identity, credentials, now);
        let mut api = rtc.sdp_api();
        let channel = api.add_channel_with_config(channel);
        let (offer, pending) = api.apply().ok_or_else(|| refused(&"nothing to offer"))?;
        let mut peer = Self::with(rtc, channel, now);
        peer.pending = Some(pending);
        Ok((peer, offer.to_sdp_string()))
    }

    /// Returns a WebRTC stack that a [`Peer`] is made of.
    pub fn rtc(identity: &Identity, credentials: IceCreds, now: Instant) -> Rtc {
        RtcConfig::new()
            .clear_codecs()
            .set_crypto_provider(identity.crypto.clone())
            .set_dtls_cert(identity.certificate.clone())
            // str0m's own ufrag has 16 characters: with the token more than the 128 that it writes as USERNAME.
            .set_local_ice_credentials(credentials)
            .build(now)
    }

    /// Returns a peer of a stack whose handshakes and channel the caller has begun.
    pub fn with(rtc: Rtc, channel: ChannelId, now: Instant) -> Self {
        Self {
            rtc,
            channel,
            pending: None,
            is_open: false,
            unsent: VecDeque::new(),
            further: Vec::new(),
            transmits: VecDeque::new(),
            undriven: 0,
            received: VecDeque::new(),
            timeout: now,
            is_closed: false,
            alive: now,
            last_buffered: 0,
            now,
        }
    }

    /// Takes the answer to the offer.
    pub fn accept(&mut self, answer: &str) -> Result<(), RtcError> {
        let pending = self.pending.take().ok_or_else(|| refused(&"a second answer"))?;
        let answer = SdpAnswer::from_sdp_string(answer)?;
        self.rtc.sdp_api().accept_answer(pending, answer)
    }

    /// Adds an address of this machine. A TCP connection counts as a path like any other: ICE does not see the difference.
    pub fn add_local(&mut self, address: SocketAddr) -> Result<(), RtcError> {
        let candidate = Candidate::host(address, "udp").map_err(|error| refused(&error))?;
        self.rtc.add_local_candidate(candidate);
        Ok(())
    }

    /// Adds an address of the relay.
    pub fn add_remote(&mut self, address: SocketAddr) -> Result<(), RtcError> {
        let candidate = Candidate::host(address, "udp").map_err(|error| refused(&error))?;
        self.rtc.add_remote_candidate(candidate);
        Ok(())
    }

    /// Returns the settings of a reliable, ordered channel of our protocol.
    pub fn channel() -> ChannelConfig {
        let (label, protocol) = (CHANNEL_LABEL.into(), CHANNEL_PROTOCOL.into());
        ChannelConfig {
            label,
            protocol,
            ..ChannelConfig::default()
        }
    }

    /// Returns the settings of a channel that joins a stream.
    pub fn joining_channel() -> ChannelConfig {
        ChannelConfig {
            protocol: JOIN_PROTOCOL.into(),
            ..Self::channel()
        }
    }

    /// Opens one more channel.
    pub fn open_another(&mut self, channel: ChannelConfig) -> ChannelId {
        let id = self.rtc.direct_api().create_data_channel(channel);
        self.further.push(Further {
            id,
            is_open: false,
            is_closed: false,
            unsent: VecDeque::new(),
        });
        id
    }

    /// Queues a frame on one of the further channels.
    pub fn send_on(&mut self, channel: ChannelId, frame: &ClientFrame<'_>) {
        let mut message = Vec::new();
        frame.write(&mut message);
        if let Some(further) = self.further.iter_mut().find(|one| one.id == channel) {
            further.unsent.push_back(message);
        }
        self.write_further();
    }

    /// Closes one of the further channels.
    pub fn close_channel(&mut self, channel: ChannelId) {
        self.rtc.direct_api().close_data_channel(channel);
    }

    /// Closes the first channel, and not the connection.
    pub fn close_first(&mut self) {
        self.rtc.direct_api().close_data_channel(self.channel);
    }

    /// Returns whether one of the further channels was closed.
    pub fn is_channel_closed(&self, channel: ChannelId) -> bool {
        self.further.iter().any(|one| one.id == channel && one.is_closed)
    }

    fn write_further(&mut self) -> bool {
        let mut wrote = false;
        for further in self.further.iter_mut().filter(|one| one.is_open) {
            while let Some(message) = further.unsent.front()
                && let Some(mut channel) = self.rtc.channel(further.id)
                && channel.write(true, message).unwrap_or(false)
            {
                further.unsent.pop_front();
                wrote = true;
            }
        }
        wrote
    }

    /// Queues a text message, which the protocol does not have.
    pub fn send_text(&mut self, text: &str) {
        if let Some(mut channel) = self.rtc.channel(self.channel) {
            let _ = channel.write(false, text.as_bytes());
        }
    }

    /// Returns whether the channel is open.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Returns whether the connection or its channel is over.
    pub fn is_closed(&self) -> bool {
        self.is_closed || !self.rtc.is_alive()
    }

    /// Returns whether the relay acknowledges nothing any more.
    pub fn is_stalled(&self, now: Instant) -> bool {
        self.is_open && now.saturating_duration_since(self.alive) > STALL
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

    /// Returns how many messages could not be handed to the connection yet.
    pub fn unsent(&self) -> usize {
        self.unsent.len()
    }

    /// Returns whether the channel takes another message without queueing too much.
    pub(crate) fn is_writable(&mut self) -> bool {
        self.is_open && self.unsent.is_empty() && self.buffered() < MAX_BUFFERED_BYTES
    }

    fn buffered(&mut self) -> usize {
        self.rtc
            .channel(self.channel)
            .map_or(0, |mut channel| channel.buffered_amount())
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

    /// Returns the next message from the relay.
    pub fn receive(&mut self) -> Option<Vec<u8>> {
        self.receive_on().map(|(_, message)| message)
    }

    /// Returns the next message from the relay, and the channel that it came on.
    pub fn receive_on(&mut self) -> Option<(ChannelId, Vec<u8>)> {
        self.received.pop_front()
    }

    /// Takes a datagram that came from `source` to `local`.
    pub fn handle_datagram(
        &mut self,
        datagram: &[u8],
        source: SocketAddr,
        local: SocketAddr,
        now: Instant,
    ) -> Result<(), RtcError> {
        let Ok(contents) = datagram.try_into() else {
            return Ok(());
        };
        let receive = Receive {
            proto: Protocol::Udp,
            source,
            destination: local,
            contents,
        };
        // A datagram with nothing new from the relay in it is dropped.
        let _ = self.rtc.handle_input(Input::Receive(now, receive));
        self.undriven += 1;
        if self.undriven >= DATAGRAMS_PER_DRIVE {
            self.drive()?;
        }
        Ok(())
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), RtcError> {
        let buffered = self.buffered();
        if buffered == 0 || buffered < self.last_buffered {
            self.alive = now;
        }
        (self.last_buffered, self.now) = (buffered, now);
        self.rtc.handle_input(Input::Timeout(now))
    }

    /// Returns when [`Self::handle_timeout`] wants to be called.
    pub fn next_timeout(&self) -> Instant {
        self.timeout
    }

    /// Returns the next datagram to send.
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
                    if !self.write_further() && self.unsent.len() == before {
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
            Event::ChannelOpen(id, _) => {
                let opened = self.further.iter_mut().filter(|one| one.id == id);
                opened.for_each(|one| one.is_open = true);
                self.write_further();
            }
            Event::ChannelData(data) => {
                self.alive = self.now;
                self.received.push_back((data.id, data.data));
            }
            Event::ChannelClose(id) if id != self.channel => {
                let closed = self.further.iter_mut().filter(|one| one.id == id);
                closed.for_each(|one| (one.is_open, one.is_closed) = (false, true));
            }
            // A connection goes on with its other channels.
            Event::ChannelClose(_) if self.further.iter().any(|one| one.is_open) => self.is_open = false,
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
