//! One stream on a client's peer connection, with a data channel of its own.

use crate::core::early::Early;
use crate::core::keys::PeerKey;
pub(crate) use crate::core::keys::SessionKey;
use crate::core::limits::{
    CLOSE_TIMEOUT, CROWDED_BYTES, HANDSHAKE_TIMEOUT, MAX_JOINED_EARLY_BYTES, MAX_JOINED_PENDING_BYTES,
    UNRELIABLE_CHUNK_BYTES, WRITE_INTERVAL,
};
use crate::core::peer_connection::{ChannelSink, Opened, PeerConnection};
use crate::core::rates::SessionGate;
use crate::core::send_queue::SendQueue;
use crate::core::signer::Signer;
use std::time::Instant;
use str0m::channel::ChannelId;
use streamchain_protocol::auth::SessionToken;
use streamchain_protocol::ids::{Seq, ShortId};
use streamchain_protocol::signed::PublicKey;
use streamchain_protocol::util::Network;
use streamchain_protocol::wire::ProducerKey;
use streamchain_protocol::wire::frame::ErrorCode;
use tracing::{Span, info_span};

/// How much of an address the log shows: `0x` and four bytes, enough to tell authors apart.
const AUTHOR_CHARS: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its data channel is not open yet.
    Opening,
    /// It has its data channel.
    Open,
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
    /// Whether `from`, if it is there, is where the stream ended under the epoch before: it may end below that now.
    pub is_at_tail: bool,
    /// Whether the signatures of groups are wanted too.
    pub signatures: bool,
}

impl Wanted {
    /// What a *subscribe* asks for.
    pub(crate) fn new(from: Option<Seq>, signatures: bool) -> Self {
        Self {
            from,
            is_at_tail: from.is_none(),
            signatures,
        }
    }
}

pub(crate) struct Session {
    /// The connection that its channel is on.
    pub peer: PeerKey,
    /// What it may do: the token that the connection was opened with, or the claims of the grant that it joined with.
    pub token: SessionToken,
    /// What log entries about the session carry.
    pub span: Span,
    pub phase: Phase,
    /// The data channel, once it is open.
    pub channel: Option<ChannelId>,
    /// What it is still to be sent.
    pub send_queue: SendQueue,
    pub hello: Option<Hello>,
    /// Who signs its groups.
    pub signer: Signer,
    pub early: Early,
    /// Whether its client goes on with a second *welcome* when the stream has another epoch.
    pub takes_second_welcome: bool,
    /// Whether its client is sent who is at the stream.
    pub wants_presence: bool,
    /// Whether its author may be listed among them.
    pub may_be_listed: bool,
    /// The number of the state that it was sent last; 0 while it was sent none.
    pub presence_sent: u64,
    /// Whether the epoch that it was welcomed in is over, and the next one not there yet.
    pub is_between_epochs: bool,
    /// What it subscribed to, while the epoch is not acquired yet.
    pub wanted: Option<Wanted>,
    /// Whether it subscribed to what comes from then on.
    pub is_at_tail: bool,
    /// The producer_seq that was refused: the client was sent the error, and all later ones are passed over until it
    /// comes again.
    pub refused_from: Option<u64>,
    pub gate: SessionGate,
    /// Whether it joined a connection that was there.
    pub is_joined: bool,
    /// Whose shares it counts to: the network of its connection.
    pub network: Network,
    /// The error to close with once there is a channel to say it on.
    pub farewell: Option<(ErrorCode, &'static str)>,
    /// By when the channel must be open.
    open_by: Instant,
    /// When the session ends with the credentials that it was opened with.
    pub ends: Option<Instant>,
    /// The earliest entry in the shard's timers.
    pub scheduled: Option<Instant>,
    /// Whether there are frames to write at the end of this turn.
    pub wants_pump: bool,
    /// When a message was last written.
    pub last_write: Option<Instant>,
    /// Until when frames are held back.
    pub held_until: Option<Instant>,
}

/// Session, stream and the beginning of the author's address, for the log.
fn span_of(token: &SessionToken) -> Span {
    let author = token.author.to_string();
    let author = author.get(..AUTHOR_CHARS).unwrap_or_default();
    info_span!("session", id = %token.session, stream = %token.stream, author)
}

impl Session {
    /// A session with these claims on a connection, which has no channel yet.
    pub(crate) fn new(peer: PeerKey, token: SessionToken, network: Network, now: Instant) -> Self {
        Self {
            peer,
            span: span_of(&token),
            token,
            phase: Phase::Opening,
            channel: None,
            send_queue: SendQueue::default(),
            hello: None,
            signer: Signer::Nobody,
            early: Early::default(),
            takes_second_welcome: false,
            wants_presence: false,
            may_be_listed: false,
            presence_sent: 0,
            is_between_epochs: false,
            wanted: None,
            is_at_tail: false,
            refused_from: None,
            gate: SessionGate::new(now),
            is_joined: false,
            network,
            farewell: None,
            open_by: now + HANDSHAKE_TIMEOUT,
            ends: None,
            scheduled: None,
            wants_pump: false,
            last_write: None,
            held_until: None,
        }
    }

    /// The stream that the session is of.
    pub(crate) fn stream(&self) -> ShortId {
        self.token.stream
    }

    /// Whether it was sent anything of the present epoch.
    pub(crate) fn has_begun(&self) -> bool {
        self.hello.is_some_and(|hello| hello.welcomed) || self.send_queue.is_subscribed()
    }

    /// The epoch in which it has begun is over. Returns whether it goes on in the next one; else it must end.
    pub(crate) fn leave_epoch(&mut self) -> bool {
        match self.hello {
            Some(hello) if hello.welcomed => {
                if self.takes_second_welcome {
                    self.begin_epoch();
                }
                self.takes_second_welcome
            }
            Some(_) => self.keep_subscription(),
            None => false,
        }
    }

    /// The client's first welcome is still to come, and to it clients do not subscribe again: what they subscribed to before it goes
    /// on under the next epoch. Returns `false` if the client has what may be another message there: nothing would tell it so.
    fn keep_subscription(&mut self) -> bool {
        if self.send_queue.is_tentative() {
            return false;
        }
        let kept = self.send_queue.subscription();
        self.wanted = kept.map(|(next, signatures)| Wanted {
            from: Some(next),
            is_at_tail: self.is_at_tail,
            signatures,
        });
        self.send_queue.begin_epoch();
        true
    }

    /// It begins anew with the welcome to the next epoch.
    fn begin_epoch(&mut self) {
        if let Some(hello) = &mut self.hello {
            hello.welcomed = false;
            self.signer = Signer::of(hello.key, hello.producer.author);
        }
        self.send_queue.begin_epoch();
        drop(self.early.take());
        self.wanted = None;
        self.refused_from = None;
        self.is_between_epochs = true;
    }

    /// Takes a channel that was opened for it.
    pub(crate) fn open(&mut self, channel: ChannelId, opened: Opened) {
        if self.phase == Phase::Opening {
            self.phase = Phase::Open;
        }
        self.channel = Some(channel);
        self.send_queue.set_message_max(opened.message_max);
        if !opened.is_reliable {
            self.send_queue.set_chunk_max(UNRELIABLE_CHUNK_BYTES);
        }
    }

    /// Takes the channel that it joined a connection by. A connection has many such sessions, so each keeps less.
    pub(crate) fn join(&mut self, channel: ChannelId, opened: Opened) {
        self.is_joined = true;
        self.early = Early::within(MAX_JOINED_EARLY_BYTES);
        self.send_queue.set_pending_max(MAX_JOINED_PENDING_BYTES);
        self.open(channel, opened);
    }

    /// Begins the end: what is queued is still sent.
    pub(crate) fn begin_close(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Closing(_)) {
            self.phase = Phase::Closing(now + CLOSE_TIMEOUT);
        }
    }

    /// Whether the session waited too long for something at `now`.
    pub(crate) fn is_late(&self, now: Instant) -> bool {
        self.own_timeout().is_some_and(|at| now >= at)
    }

    fn own_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Closing(until) => Some(until),
            _ if self.channel.is_none() => Some(self.open_by),
            _ => None,
        }
    }

    /// Whether frames for the client are held back at `now`, to share a message with those that follow.
    pub(crate) fn must_hold(&mut self, peer: &mut PeerConnection, now: Instant) -> bool {
        let until = self.last_write.map(|last| last + WRITE_INTERVAL);
        self.held_until = until.filter(|until| now < *until && peer.buffered(self.channel) > CROWDED_BYTES);
        self.held_until.is_some()
    }

    /// When the session itself wants to be called, beside its connection.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        [self.own_timeout(), self.ends, self.held_until]
            .into_iter()
            .flatten()
            .min()
    }

    /// The send queue, and the channel that it writes to.
    pub(crate) fn send_queue_and_channel<'a>(
        &'a mut self,
        peer: &'a mut PeerConnection,
    ) -> (&'a mut SendQueue, ChannelSink<'a>) {
        (&mut self.send_queue, peer.sink(self.channel))
    }
}
