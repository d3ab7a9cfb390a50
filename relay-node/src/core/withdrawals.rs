//! Sessions whose rights were withdrawn: a notice of the edge names them by author and by when they were opened.
//!
//! What always holds: a token made until a withdrawal opens no session after it, however late the client comes.

use crate::core::limits::MAX_WITHDRAWALS;
use std::collections::HashMap;
use streamchain_protocol::Address;
use streamchain_protocol::auth::SessionToken;
use streamchain_protocol::ids::ShortId;
use streamchain_protocol::limits::SESSION_TOKEN_LIFE_S;
use streamchain_protocol::time::UnixSec;

/// The stream ([`ShortId::EVERY`] for all) and the author (`None` for all) whose sessions end.
pub(crate) type Whose = (ShortId, Option<Address>);

/// When the edge made a token, by its clock.
fn made(token: &SessionToken) -> UnixSec {
    UnixSec(token.expires.0.saturating_sub(SESSION_TOKEN_LIFE_S))
}

/// Whether a withdrawal is about the session of a token.
pub(crate) fn means(whose: Whose, before: UnixSec, token: &SessionToken) -> bool {
    let (stream, author) = whose;
    (stream == ShortId::EVERY || stream == token.stream)
        && author.is_none_or(|author| author == token.author)
        && made(token) <= before
}

/// The withdrawals that are younger than the oldest valid token.
#[derive(Debug, Default)]
pub(crate) struct Withdrawals {
    before: HashMap<Whose, UnixSec>,
}

impl Withdrawals {
    pub(crate) fn add(&mut self, whose: Whose, before: UnixSec) {
        if self.before.len() >= MAX_WITHDRAWALS {
            self.before
                .retain(|_, earlier| before.since(*earlier) <= SESSION_TOKEN_LIFE_S);
        }
        if self.before.len() < MAX_WITHDRAWALS {
            let known = self.before.entry(whose).or_default();
            *known = before.max(*known);
        }
    }

    /// Whether a token was made before its terms were withdrawn.
    pub(crate) fn refuse(&self, token: &SessionToken) -> bool {
        let (stream, author) = (token.stream, Some(token.author));
        [(stream, author), (stream, None), (ShortId::EVERY, author)]
            .iter()
            .any(|whose| {
                self.before
                    .get(whose)
                    .is_some_and(|before| made(token) <= *before)
            })
    }

    /// Drops withdrawals once every token from before them has expired, by the relay's clock and a minute more.
    pub(crate) fn expire(&mut self, now: UnixSec) {
        self.before
            .retain(|_, before| now.since(*before) <= 2 * SESSION_TOKEN_LIFE_S);
    }
}
