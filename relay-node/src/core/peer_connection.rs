//! One client's peer connection: ICE, DTLS and SCTP, and the sessions on its data channels.
//!
//! What always holds: a connection hands out data only after DTLS is up with the certificate that the edge signed
//! into the token that it was opened with; each of its sessions has at most one data channel, and each data channel at most
//! one session.

use crate::core::admission::Admitted;
pub(crate) use crate::core::keys::PeerKey;
use crate::core::keys::SessionKey;
use crate::core::limits::{
    ADDRESSES_PER_SESSION, ICE_RESTARTS_REMEMBERED, IDLE_TIMEOUT, MAX_HELD_DATAGRAMS, MAX_OPENING_REPEATS,
    MAX_REFUSED_CHANNELS, MIN_CHANNEL_MESSAGE_BYTES, SEND_BUFFER_BYTES, SEND_BUFFER_LOW_BYTES,
    SHARED_SEND_BYTES,
};
use crate::core::offer::{max_message_of, offer_of};
use crate::core::path::{Path, Peer, along, direct};
use crate::core::rates::ConnectionGate;
use crate::core::reach::Reach;
use crate::core::send_queue::{Sink, encode};
use crate::core::stun::is_stun;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;
use str0m::change::SdpOffer;
use str0m::channel::{ChannelId, Reliability};
use str0m::config::{CryptoProvider, DtlsCert, DtlsVersion};
use str0m::net::{Receive, Transmit};
use str0m::{IceCreds, Input, Rtc, RtcConfig, RtcError};
use streamchain_protocol::auth::{FingerprintHash, SessionToken};
use streamchain_protocol::limits::MAX_CHANNEL_MESSAGE_BYTES;
use streamchain_protocol::util::Network;
use streamchain_protocol::wire::frame::{
    CHANNEL_LABEL, CHANNEL_PROTOCOL, ErrorCode, JOIN_PROTOCOL, RelayFrame,
};

pub(crate) struct PeerConnection {
    pub rtc: Rtc,
    /// The token that it was opened with.
    pub token: SessionToken,
    /// Our `ice-ufrag`.
    pub ufrag: Arc<str>,
    /// Our `ice-pwd`.
    password: String,
    /// The client's `ice-ufrag`; another one begins its ICE anew.
    remote_ufrag: String,
    /// The ones before it, the newest last.
    retired_ufrags: VecDeque<String>,
    /// Whether DTLS is up with the right certificate.
    pub is_connected: bool,
    /// The sessions on it.
    pub sessions: Vec<SessionKey>,
    /// The open channels of sessions.
    pub channels: Vec<(ChannelId, SessionKey)>,
    /// The channels that are to join a stream and have not said which.
    pub joining: Vec<Joining>,
    /// How many of its sessions wait for room in the send buffer.
    pub blocked: usize,
    /// What it sent on all channels together, while there are several.
    pub gate: ConnectionGate,
    refused_channels: u32,
    /// Whose shares it counts to: the network of its first check.
    pub network: Network,
    /// Where its datagrams come from and go to.
    pub reach: Reach,
    locals: Vec<Peer>,
    /// Datagrams that wait until more came from where they go.
    held: VecDeque<Transmit>,
    last_received: Instant,
    opening: Opening,
    /// When str0m wants to be called.
    pub rtc_timeout: Instant,
    /// The earliest entry in the shard's timers.
    pub scheduled: Option<Instant>,
    /// Whether it is queued to be driven.
    pub queued: bool,
    /// Datagrams taken since it was last driven.
    pub undriven: u32,
}

/// What all sessions of a relay have in common.
pub struct SessionConfig {
    /// The relay's certificate, which clients know from the edge's answer.
    pub certificate: DtlsCert,
    /// The implementation of hashes, ciphers and DTLS.
    pub crypto: Arc<CryptoProvider>,
}

/// What a session needs to know of its data channel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opened {
    /// The largest message that the client takes, bytes.
    pub message_max: usize,
    /// Whether what is lost is sent again.
    pub is_reliable: bool,
    /// Whether it is to join a stream with a grant.
    pub joins: bool,
}

/// A channel that is to join a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Joining {
    pub channel: ChannelId,
    pub opened: Opened,
    /// By when its first frame must come.
    pub by: Instant,
}

impl PeerConnection {
    /// A connection for an admitted client whose first check came by `path`; `ufrags` are the relay's and the client's.
    pub(crate) fn new(
        config: &SessionConfig,
        admitted: Admitted,
        ufrags: (&str, &str),
        path: Path,
        now: Instant,
    ) -> Result<Self, RtcError> {
        let Admitted { token, password } = admitted;
        let (ufrag, remote_ufrag) = ufrags;
        let mut rtc = RtcConfig::new()
            .clear_codecs()
            .set_ice_lite(true)
            .set_crypto_provider(config.crypto.clone())
            .set_dtls_cert(config.certificate.clone())
            .set_dtls_version(DtlsVersion::Auto)
            .set_local_ice_credentials(IceCreds {
                ufrag: ufrag.to_owned(),
                pass: password.clone(),
            })
            // The token holds a hash of the fingerprint, so it is compared once the certificate is there.
            .set_fingerprint_verification(false)
            .set_sctp_max_buffered_amount(SEND_BUFFER_BYTES)
            .set_sctp_max_message_size(MAX_CHANNEL_MESSAGE_BYTES as u32)
            .build(now);
        rtc.add_local_candidate(path.candidate()?);
        let offer = SdpOffer::from_sdp_string(&offer_of(remote_ufrag, &token))?;
        // Our own answer was written by the edge long ago.
        rtc.sdp_api().accept_offer(offer)?;
        Ok(Self {
            rtc,
            token,
            ufrag: ufrag.into(),
            password,
            remote_ufrag: remote_ufrag.to_owned(),
            retired_ufrags: VecDeque::new(),
            is_connected: false,
            sessions: Vec::new(),
            channels: Vec::new(),
            joining: Vec::new(),
            blocked: 0,
            gate: ConnectionGate::new(now),
            refused_channels: 0,
            network: path.network,
            reach: Reach::new(path),
            locals: vec![(path.protocol, path.local)],
            held: VecDeque::new(),
            last_received: now,
            opening: Opening::default(),
            rtc_timeout: now,
            scheduled: None,
            queued: false,
            undriven: 0,
        })
    }

    /// Takes a datagram of the client.
    pub(crate) fn receive(&mut self, datagram: &[u8], path: Path, now: Instant) -> Result<(), RtcError> {
        let local = (path.protocol, path.local);
        if !self.locals.contains(&local) && self.locals.len() < ADDRESSES_PER_SESSION {
            self.locals.push(local);
            self.rtc.add_local_candidate(path.candidate()?);
        }
        self.last_received = now;
        self.undriven += 1;
        self.reach.received(path, datagram.len());
        let is_stun = is_stun(datagram);
        if !is_stun {
            self.opening = Opening::Answered;
        }
        // What is neither STUN nor DTLS (RFC 7983) is passed over.
        let Ok(contents) = datagram.try_into() else {
            return Ok(());
        };
        let Path {
            protocol: proto,
            remote: source,
            local: destination,
            ..
        } = path;
        let receive = Receive {
            proto,
            source,
            destination,
            contents,
        };
        self.rtc.handle_input(Input::Receive(now, receive))?;
        if !is_stun {
            self.reach.client_heard(path);
        }
        Ok(())
    }

    /// Whether a check is of the client's present ICE credentials.
    pub(crate) fn is_current(&self, remote_ufrag: &str) -> bool {
        self.remote_ufrag == remote_ufrag
    }

    /// Follows an ICE restart of the client (RFC 8445 §9), which needs no signalling: our own credentials stay, and
    /// the client's new `ice-ufrag` says that all pairs from before are to be forgotten. Data keeps going where it
    /// went until the client nominates a new pair. `false` for a check that is left over from before a restart.
    ///
    /// The caller has verified the check's integrity.
    pub(crate) fn follow_restart(&mut self, remote_ufrag: &str) -> Result<bool, RtcError> {
        if self.retired_ufrags.iter().any(|retired| retired == remote_ufrag) {
            return Ok(false);
        }
        let offer = SdpOffer::from_sdp_string(&offer_of(remote_ufrag, &self.token))?;
        // str0m makes new credentials for the answer; the client has those of the edge's answer.
        self.rtc.sdp_api().accept_offer(offer)?;
        self.rtc.direct_api().set_local_ice_credentials(IceCreds {
            ufrag: self.ufrag.to_string(),
            pass: self.password.clone(),
        });
        let retired = std::mem::replace(&mut self.remote_ufrag, remote_ufrag.to_owned());
        self.retired_ufrags.push_back(retired);
        if self.retired_ufrags.len() > ICE_RESTARTS_REMEMBERED {
            self.retired_ufrags.pop_front();
        }
        Ok(true)
    }

    /// Sends a datagram of the peer connection where the client is reached, as far as that may be sent to; the answer to a
    /// check goes back by the path that the check came.
    pub(crate) fn route(&mut self, mut transmit: Transmit, send: &mut impl FnMut(Transmit)) {
        let bytes = transmit.contents.len();
        if is_stun(&transmit.contents) {
            if self.reach.may_send((transmit.proto, transmit.destination), bytes) {
                send(transmit);
            }
            return;
        }
        if let Opening::Unanswered { datagram, .. } = &mut self.opening {
            *datagram = transmit.contents.to_vec();
        }
        if let Some(path) = self.reach.copy_to(bytes) {
            send(along(path, transmit.contents.to_vec()));
        }
        let current = self.reach.current();
        direct(&mut transmit, current);
        if self.reach.may_send(current.peer(), bytes) {
            send(transmit);
        } else if self.held.len() < MAX_HELD_DATAGRAMS {
            self.held.push_back(transmit);
        }
    }

    /// Sends what waited, as far as it may be sent now.
    pub(crate) fn send_held(&mut self, send: &mut impl FnMut(Transmit)) {
        while let Some(mut transmit) = self.held.pop_front() {
            let current = self.reach.current();
            direct(&mut transmit, current);
            if !self.reach.may_send(current.peer(), transmit.contents.len()) {
                return self.held.push_front(transmit);
            }
            send(transmit);
        }
    }

    /// Whether the relay has begun the handshake and may say so again where the client has nominated a path.
    pub(crate) fn may_reopen(&self) -> bool {
        match &self.opening {
            Opening::Unanswered {
                datagram, repeats, ..
            } => !datagram.is_empty() && *repeats < MAX_OPENING_REPEATS,
            Opening::Answered => false,
        }
    }

    /// The client has nominated a path before it answered: it may not have taken what came before that, or not by
    /// the path of its first check. So the handshake begins there again, behind the answer to the check.
    pub(crate) fn reopen(&mut self) {
        if let Opening::Unanswered { again, .. } = &mut self.opening {
            *again = true;
        }
    }

    /// The datagram that begins the handshake, if it is to be sent again.
    pub(crate) fn take_opening(&mut self) -> Option<Transmit> {
        let Opening::Unanswered {
            datagram,
            repeats,
            again,
        } = &mut self.opening
        else {
            return None;
        };
        if !std::mem::take(again) {
            return None;
        }
        *repeats += 1;
        Some(along(self.reach.current(), datagram.clone()))
    }

    /// Whether DTLS came up with the certificate that the edge signed into the token.
    pub(crate) fn has_right_certificate(&mut self) -> bool {
        let api = self.rtc.direct_api();
        let fingerprint = api.remote_dtls_fingerprint();
        fingerprint.is_some_and(|given| {
            given.hash_func == "sha-256" && FingerprintHash::of(&given.bytes) == self.token.fingerprint
        })
    }

    /// Checks a newly opened channel, and says why no session can have it.
    pub(crate) fn open_channel(&mut self, id: ChannelId) -> Result<Opened, &'static str> {
        let message_max = max_message_of(&self.token);
        let Some(mut channel) = self.rtc.channel(id) else {
            return Err("the data channel is closed");
        };
        let Some(config) = channel.config() else {
            return Err("the data channel has no settings");
        };
        let is_reliable = config.reliability == Reliability::Reliable;
        match config {
            config if ![CHANNEL_PROTOCOL, JOIN_PROTOCOL].contains(&config.protocol.as_str()) => {
                return Err("the data channel's protocol is not streamchain.v1");
            }
            config if config.label != CHANNEL_LABEL => {
                return Err("the data channel's label is not streamchain");
            }
            _ if message_max < MIN_CHANNEL_MESSAGE_BYTES => {
                return Err("max-message-size is below 1,024 bytes");
            }
            _ => {}
        }
        let joins = config.protocol == JOIN_PROTOCOL;
        channel.set_buffered_amount_low_threshold(SEND_BUFFER_LOW_BYTES);
        Ok(Opened {
            message_max,
            is_reliable,
            joins,
        })
    }

    /// Closes a channel behind an error that says why. `false` when the client opened too many such channels.
    pub(crate) fn refuse_channel(&mut self, id: ChannelId, code: ErrorCode, text: &str) -> bool {
        let message = encode(&RelayFrame::error(code, text));
        if let Some(mut channel) = self.rtc.channel(id) {
            // One that takes no error is closed all the same.
            let _ = channel.write(true, &message);
        }
        self.rtc.direct_api().close_data_channel(id);
        self.refused_channels += 1;
        self.refused_channels <= MAX_REFUSED_CHANNELS
    }

    /// The session whose channel this is.
    pub(crate) fn session_of(&self, channel: ChannelId) -> Option<SessionKey> {
        let mut channels = self.channels.iter();
        channels.find(|(id, _)| *id == channel).map(|(_, key)| *key)
    }

    /// Forgets a channel that the client closed.
    pub(crate) fn drop_channel(&mut self, channel: ChannelId) {
        self.channels.retain(|(id, _)| *id != channel);
    }

    /// Closes a session's channel.
    pub(crate) fn close_channel(&mut self, channel: ChannelId) {
        self.drop_channel(channel);
        self.rtc.direct_api().close_data_channel(channel);
    }

    /// A channel joined: those that were refused before count no longer, as each grant is one that the edge gave.
    pub(crate) fn joined(&mut self) {
        self.refused_channels = 0;
    }

    /// How many channels there are.
    pub(crate) fn channel_count(&self) -> usize {
        self.channels.len() + self.joining.len()
    }

    /// Whether it has no session, and no channel that may become one.
    pub(crate) fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.joining.is_empty()
    }

    /// Takes a channel out of those that are to join.
    pub(crate) fn take_joining(&mut self, channel: ChannelId) -> Option<Joining> {
        let at = self.joining.iter().position(|one| one.channel == channel)?;
        Some(self.joining.swap_remove(at))
    }

    /// Takes out a channel that has not joined in time.
    pub(crate) fn take_late(&mut self, now: Instant) -> Option<Joining> {
        let at = self.joining.iter().position(|one| one.by <= now)?;
        Some(self.joining.swap_remove(at))
    }

    /// Bytes that a channel may have in the send buffer before it waits: those that wait have equal shares.
    fn share(&self) -> usize {
        match self.channels.len() {
            0 | 1 => SEND_BUFFER_BYTES,
            _ => SHARED_SEND_BYTES / self.blocked.max(1),
        }
    }

    /// Whether a channel that waits has room again: a quarter of its share is left, so that it never runs dry.
    pub(crate) fn has_room(&mut self, channel: Option<ChannelId>) -> bool {
        let low = self.share() / 4;
        self.buffered(channel) <= low
    }

    /// Where a session with this channel writes to.
    pub(crate) fn sink(&mut self, channel: Option<ChannelId>) -> ChannelSink<'_> {
        let share = self.share();
        ChannelSink {
            rtc: &mut self.rtc,
            channel,
            share,
        }
    }

    /// Bytes that a channel holds for the client.
    pub(crate) fn buffered(&mut self, channel: Option<ChannelId>) -> usize {
        let channel = channel.and_then(|id| self.rtc.channel(id));
        channel.map_or(0, |mut channel| channel.buffered_amount())
    }

    /// Whether nothing came for too long at `now`.
    pub(crate) fn is_late(&self, now: Instant) -> bool {
        now >= self.last_received + IDLE_TIMEOUT
    }

    /// When the connection wants to be called.
    pub(crate) fn next_timeout(&self) -> Instant {
        let own = self.rtc_timeout.min(self.last_received + IDLE_TIMEOUT);
        let joins = self.joining.iter().map(|joining| joining.by);
        joins.fold(own, Instant::min)
    }
}

/// What the relay said first in DTLS.
enum Opening {
    /// The client has said nothing in DTLS yet.
    Unanswered {
        /// What was last sent: a ClientHello is one datagram. Empty where the client begins.
        datagram: Vec<u8>,
        /// How often it was sent again because the client nominated.
        repeats: u32,
        /// Whether it is to be sent again in this turn.
        again: bool,
    },
    Answered,
}

impl Default for Opening {
    fn default() -> Self {
        Self::Unanswered {
            datagram: Vec::new(),
            repeats: 0,
            again: false,
        }
    }
}

/// Writes to a session's data channel.
pub(crate) struct ChannelSink<'a> {
    rtc: &'a mut Rtc,
    channel: Option<ChannelId>,
    /// Bytes of the send buffer that the channel may have.
    share: usize,
}

impl Sink for ChannelSink<'_> {
    fn write(&mut self, message: &[u8]) -> bool {
        let Some(mut channel) = self.channel.and_then(|id| self.rtc.channel(id)) else {
            return false;
        };
        let buffered = channel.buffered_amount();
        let fits = buffered == 0 || buffered + message.len() <= self.share;
        fits && channel.write(true, message).unwrap_or(false)
    }
}
