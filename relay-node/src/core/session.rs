//! One client's peer connection.
//!
//! What always holds: a session hands out data only after DTLS is up with the certificate that the edge signed
//! into its token; it has at most one data channel.

use crate::core::admission::Admitted;
use crate::core::early::Early;
use crate::core::limits::{
    ADDRESSES_PER_SESSION, CLOSE_TIMEOUT, CROWDED_BYTES, HANDSHAKE_TIMEOUT, ICE_RESTARTS_REMEMBERED,
    IDLE_TIMEOUT, MAX_HELD_DATAGRAMS, MAX_OPENING_REPEATS, MAX_REFUSED_CHANNELS, MIN_CHANNEL_MESSAGE_BYTES,
    SEND_BUFFER_BYTES, SEND_BUFFER_LOW_BYTES, UNRELIABLE_CHUNK_BYTES, WRITE_INTERVAL,
};
use crate::core::offer::{max_message_of, offer_of};
use crate::core::path::{Path, Peer, along, direct};
use crate::core::rates::SessionGate;
use crate::core::reach::Reach;
use crate::core::send_queue::{SendQueue, Sink, encode};
use crate::core::signer::Signer;
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
use streamchain_protocol::ids::{Seq, ShortId};
use streamchain_protocol::limits::MAX_CHANNEL_MESSAGE_BYTES;
use streamchain_protocol::signed::PublicKey;
use streamchain_protocol::util::Network;
use streamchain_protocol::wire::ProducerKey;
use streamchain_protocol::wire::frame::{CHANNEL_LABEL, CHANNEL_PROTOCOL, ErrorCode, RelayFrame};
use tracing::{Span, info_span};

/// How much of an address the log shows: `0x` and four bytes, enough to tell authors apart.
const AUTHOR_CHARS: usize = 10;

/// Names a session inside its shard; never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SessionKey(pub u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Handshake,
    /// DTLS is up with the right certificate.
    Connected,
    /// Its last frames are on their way, until this time at most.
    Closing(Instant),
}

/// A session's *hello*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hello {
    pub producer: ProducerKey,
    /// The key that its groups are signed with.
    pub key: Option<PublicKey>,
    /// Whether it was answered, so that messages are taken.
    pub welcomed: bool,
}

/// What a session subscribed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The first seq; `None` for what comes from now on.
    pub from: Option<Seq>,
    /// Whether the signatures of groups are wanted too.
    pub signatures: bool,
}

pub(crate) struct Session {
    pub rtc: Rtc,
    pub token: SessionToken,
    /// Our `ice-ufrag`.
    pub ufrag: Arc<str>,
    /// Our `ice-pwd`.
    pub password: String,
    /// The client's `ice-ufrag`; another one begins its ICE anew.
    remote_ufrag: String,
    /// The ones before it, the newest last.
    retired_ufrags: VecDeque<String>,
    /// What log entries about the session carry.
    pub span: Span,
    pub phase: Phase,
    /// The data channel, once it is open.
    pub channel: Option<ChannelId>,
    refused_channels: u32,
    /// What it is still to be sent.
    pub send_queue: SendQueue,
    pub hello: Option<Hello>,
    /// Who signs its groups.
    pub signer: Signer,
    pub early: Early,
    /// Whether its client goes on with a second *welcome* when the stream has another epoch.
    pub takes_second_welcome: bool,
    /// Whether the epoch that it was welcomed in is over, and the next one not there yet.
    pub is_between_epochs: bool,
    /// What it subscribed to, while the epoch is not acquired yet.
    pub wanted: Option<Wanted>,
    /// The producer_seq that was refused: the client was sent the error, and all later ones are passed over until it
    /// comes again.
    pub refused_from: Option<u64>,
    pub gate: SessionGate,
    /// Whose shares it counts to: the network of its first check.
    pub network: Network,
    /// Where its datagrams come from and go to.
    pub reach: Reach,
    locals: Vec<Peer>,
    /// Datagrams that wait until more came from where they go.
    held: VecDeque<Transmit>,
    last_received: Instant,
    opening: Opening,
    /// When the peer connection wants to be called.
    pub rtc_timeout: Instant,
    /// The error to close with once there is a channel to say it on.
    pub farewell: Option<(ErrorCode, &'static str)>,
    /// By when the channel must be open.
    open_by: Instant,
    /// When the session ends with the credentials that it was opened with.
    pub ends: Option<Instant>,
    /// The earliest entry in the shard's timers.
    pub scheduled: Option<Instant>,
    /// Whether it is queued to be driven.
    pub queued: bool,
    /// Whether there are frames to write at the end of this turn.
    pub wants_pump: bool,
    /// When a message was last written.
    pub last_write: Option<Instant>,
    /// Until when frames are held back.
    pub held_until: Option<Instant>,
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

/// Session, stream and the beginning of the author's address, for the log.
fn span_of(token: &SessionToken) -> Span {
    let author = token.author.to_string();
    let author = author.get(..AUTHOR_CHARS).unwrap_or_default();
    info_span!("session", id = %token.session, stream = %token.stream, author)
}

impl Session {
    /// A session for an admitted client whose first check came by `path`; `ufrags` are the relay's and the client's.
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
            span: span_of(&token),
            token,
            ufrag: ufrag.into(),
            password,
            remote_ufrag: remote_ufrag.to_owned(),
            retired_ufrags: VecDeque::new(),
            phase: Phase::Handshake,
            farewell: None,
            open_by: now + HANDSHAKE_TIMEOUT,
            ends: None,
            channel: None,
            refused_channels: 0,
            send_queue: SendQueue::default(),
            hello: None,
            signer: Signer::Nobody,
            early: Early::default(),
            takes_second_welcome: false,
            is_between_epochs: false,
            wanted: None,
            refused_from: None,
            gate: SessionGate::new(now),
            network: path.network,
            reach: Reach::new(path),
            locals: vec![(path.protocol, path.local)],
            held: VecDeque::new(),
            last_received: now,
            opening: Opening::default(),
            rtc_timeout: now,
            scheduled: None,
            queued: false,
            wants_pump: false,
            last_write: None,
            held_until: None,
            undriven: 0,
        })
    }

    /// The stream that the session is of.
    pub(crate) fn stream(&self) -> ShortId {
        self.token.stream
    }

    /// Whether it was sent anything of the present epoch.
    pub(crate) fn has_begun(&self) -> bool {
        self.hello.is_some_and(|hello| hello.welcomed) || self.send_queue.is_subscribed()
    }

    /// The epoch is over: it begins anew with the welcome to the next one.
    pub(crate) fn begin_epoch(&mut self) {
        if let Some(hello) = &mut self.hello {
            hello.welcomed = false;
            self.signer = Signer::of(hello.key, hello.producer.author);
        }
        self.send_queue.begin_epoch();
        self.early = Early::default();
        self.wanted = None;
        self.refused_from = None;
        self.is_between_epochs = true;
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

    /// Takes a newly opened channel as the session's, or says why it can't be.
    pub(crate) fn open_channel(&mut self, id: ChannelId) -> Result<(), &'static str> {
        let (taken, message_max) = (self.channel.is_some(), max_message_of(&self.token));
        let Some(mut channel) = self.rtc.channel(id) else {
            return Err("the data channel is closed");
        };
        let Some(config) = channel.config() else {
            return Err("the data channel has no settings");
        };
        let reliable = config.reliability == Reliability::Reliable;
        match config {
            _ if taken => return Err("the session has its data channel: one is all it may have"),
            config if config.protocol != CHANNEL_PROTOCOL => {
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
        channel.set_buffered_amount_low_threshold(SEND_BUFFER_LOW_BYTES);
        self.channel = Some(id);
        self.send_queue.set_message_max(message_max);
        if !reliable {
            self.send_queue.set_chunk_max(UNRELIABLE_CHUNK_BYTES);
        }
        Ok(())
    }

    /// Closes a channel behind an error that says why. `false` when the client opened too many such channels.
    pub(crate) fn refuse_channel(&mut self, id: ChannelId, text: &str) -> bool {
        let message = encode(&RelayFrame::error(ErrorCode::Unexpected, text));
        if let Some(mut channel) = self.rtc.channel(id) {
            // One that takes no error is closed all the same.
            let _ = channel.write(true, &message);
        }
        self.rtc.direct_api().close_data_channel(id);
        self.refused_channels += 1;
        self.refused_channels <= MAX_REFUSED_CHANNELS
    }

    /// Bytes that the channel holds for the peer.
    pub(crate) fn buffered(&mut self) -> usize {
        let channel = self.channel.and_then(|id| self.rtc.channel(id));
        channel.map_or(0, |mut channel| channel.buffered_amount())
    }

    /// Begins the end: what is queued is still sent.
    pub(crate) fn begin_close(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Closing(_)) {
            self.phase = Phase::Closing(now + CLOSE_TIMEOUT);
        }
    }

    /// Whether the session waited too long for something at `now`.
    pub(crate) fn is_late(&self, now: Instant) -> bool {
        now >= self.own_timeout()
    }

    fn own_timeout(&self) -> Instant {
        match self.phase {
            Phase::Closing(until) => until,
            _ if self.channel.is_none() => self.open_by,
            _ => self.last_received + IDLE_TIMEOUT,
        }
    }

    /// Whether frames for the peer are held back at `now`, to share a message with those that follow.
    pub(crate) fn must_hold(&mut self, now: Instant) -> bool {
        let until = self.last_write.map(|last| last + WRITE_INTERVAL);
        self.held_until = until.filter(|until| now < *until && self.buffered() > CROWDED_BYTES);
        self.held_until.is_some()
    }

    /// When the session wants to be called.
    pub(crate) fn next_timeout(&self) -> Instant {
        let next = self.rtc_timeout.min(self.own_timeout());
        let next = self.ends.map_or(next, |ends| ends.min(next));
        self.held_until.map_or(next, |until| until.min(next))
    }

    /// The send queue, and the channel that it writes to.
    pub(crate) fn send_queue_and_channel(&mut self) -> (&mut SendQueue, ChannelSink<'_>) {
        (
            &mut self.send_queue,
            ChannelSink {
                rtc: &mut self.rtc,
                channel: self.channel,
            },
        )
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
}

impl Sink for ChannelSink<'_> {
    fn write(&mut self, message: &[u8]) -> bool {
        let channel = self.channel.and_then(|id| self.rtc.channel(id));
        channel.is_some_and(|mut channel| channel.write(true, message).unwrap_or(false))
    }
}
