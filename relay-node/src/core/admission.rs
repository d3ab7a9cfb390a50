//! Who may begin a session: the relay's border.
//!
//! What always holds: nothing is kept, answered or allocated for a peer before its first STUN check (RFC 8445
//! §7) carries a session token signed by the edge and the integrity that only a client that knows the answer's
//! `ice-pwd` can compute.

use std::sync::Arc;
use str0m::config::CryptoProvider;
use str0m::ice::{StunMessage, StunMessageBuilder};
use streamchain_protocol::auth::SessionKeys;
use streamchain_protocol::auth::{JoinGrant, SessionToken, TokenError, ice_password};
use streamchain_protocol::time::UnixSec;

/// Longest `ice-ufrag` of a client, characters (RFC 8839 §5.4).
const MAX_REMOTE_UFRAG: usize = 256;

/// Why a check was not taken. None of these is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// Not a binding request with a username, or its username has not the shape of RFC 8445 §7.1.2.
    #[error("not a connectivity check")]
    NotACheck,
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The token holds, but the sender does not know its password.
    #[error("the integrity is wrong")]
    Integrity,
}

/// A connectivity check that is read but not verified yet.
#[derive(Debug)]
pub(crate) struct Check<'a> {
    message: StunMessage<'a>,
    /// Our `ice-ufrag`: the session token.
    pub local_ufrag: &'a str,
    /// The client's `ice-ufrag`.
    pub remote_ufrag: &'a str,
}

impl<'a> Check<'a> {
    pub(crate) fn read(datagram: &'a [u8]) -> Result<Self, Refused> {
        let message = StunMessage::parse(datagram).map_err(|_| Refused::NotACheck)?;
        let username = message
            .username()
            .filter(|_| message.is_binding_request())
            .ok_or(Refused::NotACheck)?;
        let (local_ufrag, remote_ufrag) = username.split_once(':').ok_or(Refused::NotACheck)?;
        let ice_chars = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
        if remote_ufrag.is_empty()
            || remote_ufrag.len() > MAX_REMOTE_UFRAG
            || !remote_ufrag.bytes().all(ice_chars)
        {
            return Err(Refused::NotACheck);
        }
        Ok(Self {
            message,
            local_ufrag,
            remote_ufrag,
        })
    }

    /// Whether it nominates its pair (RFC 8445 §7.1.1).
    pub(crate) fn nominates(&self) -> bool {
        self.message.use_candidate()
    }
}

#[derive(Debug)]
pub(crate) struct Admitted {
    pub token: SessionToken,
    /// Our `ice-pwd`.
    pub password: String,
}

pub(crate) struct Admission {
    keys: SessionKeys,
    crypto: Arc<CryptoProvider>,
}

impl Admission {
    pub(crate) fn new(keys: SessionKeys, crypto: Arc<CryptoProvider>) -> Self {
        Self { keys, crypto }
    }

    /// The session that a first check may begin, at `now`.
    pub(crate) fn admit(&self, check: &Check<'_>, now: UnixSec) -> Result<Admitted, Refused> {
        let token = SessionToken::verify(check.local_ufrag, &self.keys, now)?;
        let password = ice_password(check.local_ufrag, &self.keys);
        self.integrity(check, &password)?;
        Ok(Admitted { token, password })
    }

    /// The claims of a grant that a further channel shows, at `now`.
    pub(crate) fn grant(&self, text: &str, now: UnixSec) -> Result<JoinGrant, TokenError> {
        JoinGrant::verify(text, &self.keys, now)
    }

    /// Whether a check for a session that is there comes from its client: it may come from a new address.
    pub(crate) fn recognize(&self, check: &Check<'_>) -> Result<(), Refused> {
        self.integrity(check, &ice_password(check.local_ufrag, &self.keys))
    }

    fn integrity(&self, check: &Check<'_>, password: &str) -> Result<(), Refused> {
        let hmac = |key: &[u8], parts: &[&[u8]]| self.crypto.sha1_hmac_provider.sha1_hmac(key, parts);
        check
            .message
            .verify(password.as_bytes(), hmac)
            .then_some(())
            .ok_or(Refused::Integrity)
    }

    /// The check as if it nominated its pair (RFC 8445 §7.1.1), signed again, for a controlling client that has
    /// not done so: `None` when it has, or is not controlling.
    ///
    /// Clients wait for one answered check before they nominate; so the handshake begins one round trip earlier.
    /// It is a guess: a client that nominates another pair is followed there
    /// ([`crate::core::session::Session::nominate`]).
    pub(crate) fn nominate(&self, check: &Check<'_>, password: &str) -> Option<Vec<u8>> {
        let message = &check.message;
        let tie_breaker = message.ice_controlling().filter(|_| !message.use_candidate())?;
        let builder = StunMessageBuilder::new()
            .binding()
            .request()
            .username(message.username()?)
            .prio(message.prio()?)
            .use_candidate()
            .ice_controlling(tie_breaker);
        let hmac = |key: &[u8], parts: &[&[u8]]| self.crypto.sha1_hmac_provider.sha1_hmac(key, parts);
        let mut signed = vec![0; 1_024];
        let length = builder
            .build(message.trans_id())
            .to_bytes(Some(password.as_bytes()), &mut signed, hmac)
            .ok()?;
        signed.truncate(length);
        Some(signed)
    }
}
