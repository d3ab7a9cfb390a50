//! Further channels of a connection: each joins a stream with a grant of the edge.
//!
//! What always holds: a grant opens one channel, on the connection that it names, and with that connection's author. A channel whose
//! first frame is no good grant is closed with an error, and nothing of it stays.

use super::datagrams::left;
use super::deliver::CHANGED_TEXT;
use super::frames::{Outcome, shown, text_message};
use super::{Now, Shard, Shutdown};
use crate::core::limits::MAX_CHANNELS;
use crate::core::peer_connection::{Joining, PeerKey};
use crate::core::session::SessionKey;
use str0m::channel::ChannelId;
use streamchain_protocol::auth::{JoinGrant, SessionToken, TokenError};
use streamchain_protocol::wire::cbor::{CborError, Reader};
use streamchain_protocol::wire::frame::{ClientFrame, ErrorCode};
use tracing::debug;

/// Why a channel does not join.
type Refusal = (ErrorCode, &'static str);

impl Shard {
    /// Takes a new channel that is to join a stream, if the connection may have one more.
    pub(super) fn await_join(&mut self, key: PeerKey, joining: Joining, now: Now) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        if peer.channel_count() < MAX_CHANNELS {
            return peer.joining.push(joining);
        }
        let refusal = (ErrorCode::Unexpected, "a connection has at most 64 channels");
        self.refuse_join(key, joining.channel, refusal.0, refusal.1, now);
    }

    /// Takes the first message on a channel that is to join a stream.
    pub(super) fn join(&mut self, key: PeerKey, joining: Joining, message: &[u8], binary: bool, now: Now) {
        let channel = joining.channel;
        let (grant, rest) = match first_frame(message, binary) {
            Ok(Some(first)) => first,
            Ok(None) => {
                let text = "a further channel begins with join";
                return self.refuse_join(key, channel, ErrorCode::Unexpected, text, now);
            }
            Err(error) => {
                self.counters.frames_malformed += 1;
                let text = shown(&error.to_string());
                return self.refuse_join(key, channel, ErrorCode::Malformed, &text, now);
            }
        };
        let token = match self.check_grant(key, grant, now) {
            Ok(token) => token,
            Err((code, text)) => return self.refuse_join(key, channel, code, text, now),
        };
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        let network = peer.network;
        let is_known = self.streams.contains_key(&token.stream);
        if !self.join_shares.has_room(network) || !(is_known || self.stream_shares.has_room(network)) {
            self.counters.no_room += 1;
            let text = "this relay takes no further channels from this network now";
            return self.refuse_join(key, channel, ErrorCode::Overloaded, text, now);
        }
        peer.joined();
        self.spend(token.session, now);
        self.join_shares.take(network);
        self.counters.joins += 1;
        let session = self.begin_session(key, token, network, now);
        if let Some(peer) = self.peers.get_mut(&key)
            && let Some(its) = self.sessions.get_mut(&session)
        {
            peer.channels.push((channel, session));
            its.join(channel, joining.opened);
            its.span.in_scope(|| debug!("joined"));
        }
        if !rest.is_empty() {
            self.handle_message(session, rest, true, now);
        }
    }

    /// Takes a newer grant for a stream on the channel that has it.
    pub(super) fn renew(&mut self, key: SessionKey, grant: &str, now: Now) -> Outcome {
        let Some(session) = self.sessions.get(&key) else {
            return Outcome::Fine;
        };
        let old = session.token;
        let token = match self.check_grant(session.peer, grant, now) {
            Ok(token) if token.stream == old.stream => token,
            Ok(_) => return Outcome::Refuse(ErrorCode::Unexpected, "this channel has another stream".into()),
            Err((code, text)) => return Outcome::Refuse(code, text.into()),
        };
        self.spend(token.session, now);
        if token.rights != old.rights {
            self.close_with(key, ErrorCode::StreamMoved, CHANGED_TEXT, now);
            return Outcome::Fine;
        }
        if let Some(session) = self.sessions.get_mut(&key) {
            session.token = token;
            session.ends = token.end.map(|end| now.instant + left(end, now));
        }
        self.schedule_session(key);
        Outcome::Fine
    }

    /// The claims of a session that joins with this grant.
    fn check_grant(&self, key: PeerKey, grant: &str, now: Now) -> Result<SessionToken, Refusal> {
        let no_peer = (ErrorCode::SessionEnded, "the connection is over");
        let peer = self.peers.get(&key).ok_or(no_peer)?;
        if self.shutdown != Shutdown::No {
            return Err((ErrorCode::GoingAway, "this relay is shutting down: connect again"));
        }
        let grant = self.admission.grant(grant, now.unix.to_sec()).map_err(refusal)?;
        let opened = peer.token;
        if grant.connection != opened.session || grant.author != opened.author {
            return Err((ErrorCode::NotAllowed, "the grant is for another connection"));
        }
        let token = claims(&grant, opened);
        if self.spent.contains_key(&token.session) {
            return Err((
                ErrorCode::NotAllowed,
                "the grant was used, or its session was ended",
            ));
        }
        if self.withdrawals.refuse(&token) {
            return Err((ErrorCode::SessionEnded, "the grant's credentials were revoked"));
        }
        Ok(token)
    }

    /// Closes a channel that did not join, behind an error that says why; a connection with too many of them ends.
    pub(super) fn refuse_join(
        &mut self,
        key: PeerKey,
        channel: ChannelId,
        code: ErrorCode,
        text: &str,
        now: Now,
    ) {
        self.errors.count(code);
        self.counters.joins_refused += 1;
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        debug!(connection = %peer.token.session, text, "refused a channel");
        let goes_on = peer.refuse_channel(channel, code, text);
        if !goes_on || peer.is_empty() {
            return self.hang_up_peer(key, now);
        }
        self.queue_peer(key);
    }

    /// Closes the channels that did not join in time.
    pub(super) fn refuse_late_joins(&mut self, key: PeerKey, now: Now) {
        while let Some(peer) = self.peers.get_mut(&key)
            && let Some(late) = peer.take_late(now.instant)
        {
            let text = "no join came in time";
            self.refuse_join(key, late.channel, ErrorCode::Unexpected, text, now);
        }
    }
}

/// The grant in the first frame of a message, and what follows the frame; `None` for another frame.
fn first_frame(message: &[u8], binary: bool) -> Result<Option<(&str, &[u8])>, CborError> {
    if !binary {
        return Err(text_message());
    }
    let mut reader = Reader::new(message);
    let Some(ClientFrame::Join { grant }) = ClientFrame::read(&mut reader)? else {
        return Ok(None);
    };
    let read = message.len().saturating_sub(reader.remaining());
    Ok(Some((grant, message.get(read..).unwrap_or_default())))
}

/// What a session may do that joins a connection which was opened with `opened`.
fn claims(grant: &JoinGrant, opened: SessionToken) -> SessionToken {
    SessionToken {
        rights: grant.rights,
        expires: grant.expires,
        session: grant.session,
        stream: grant.stream,
        author: grant.author,
        end: grant.end,
        ..opened
    }
}

fn refusal(error: TokenError) -> Refusal {
    match error {
        TokenError::Expired(_) => (ErrorCode::NotAllowed, "the grant has expired: ask for another"),
        TokenError::Shape | TokenError::Signature | TokenError::Version(_) => {
            (ErrorCode::NotAllowed, "the grant does not hold")
        }
    }
}
