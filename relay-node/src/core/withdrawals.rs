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

/// Whether a withdrawal is about the session of a token.
pub(crate) fn means(whose: Whose, before: UnixSec, token: &SessionToken) -> bool {
    let (stream, author) = whose;
    (stream == ShortId::EVERY || stream == token.stream)
        && author.is_none_or(|author| author == token.author)
        && token.made() <= before
}

/// The withdrawals that are younger than the oldest valid token.
#[derive(Debug, Default)]
pub(crate) struct Withdrawals {
    before: HashMap<Whose, UnixSec>,
    /// Tokens that were made until then are refused, whoever's: it stands for withdrawals beyond [`MAX_WITHDRAWALS`].
    everybody: UnixSec,
}

impl Withdrawals {
    pub(crate) fn add(&mut self, whose: Whose, before: UnixSec) {
        if self.before.len() >= MAX_WITHDRAWALS {
            self.before
                .retain(|_, earlier| before.since(*earlier) <= SESSION_TOKEN_LIFE_S);
        }
        let is_everybody = whose == (ShortId::EVERY, None);
        let is_full = self.before.len() >= MAX_WITHDRAWALS && !self.before.contains_key(&whose);
        if is_everybody || is_full {
            self.everybody = before.max(self.everybody);
            return;
        }
        let known = self.before.entry(whose).or_default();
        *known = before.max(*known);
    }

    /// Whether a token was made before its terms were withdrawn.
    pub(crate) fn refuse(&self, token: &SessionToken) -> bool {
        if self.everybody > UnixSec(0) && token.made() <= self.everybody {
            return true;
        }
        let (stream, author) = (token.stream, Some(token.author));
        [(stream, author), (stream, None), (ShortId::EVERY, author)]
            .iter()
            .any(|whose| {
                self.before
                    .get(whose)
                    .is_some_and(|before| token.made() <= *before)
            })
    }

    /// Drops withdrawals once every token from before them has expired, by the relay's clock and a minute more.
    pub(crate) fn expire(&mut self, now: UnixSec) {
        self.before
            .retain(|_, before| now.since(*before) <= 2 * SESSION_TOKEN_LIFE_S);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamchain_protocol::auth::{FingerprintHash, MaxMessage, SessionRights};
    use streamchain_protocol::ids::SessionId;

    fn token(author: Address, made: u64) -> SessionToken {
        SessionToken {
            session: SessionId([1; 8]),
            stream: ShortId([2; 20]),
            author,
            expires: UnixSec(made + SESSION_TOKEN_LIFE_S),
            rights: SessionRights {
                subscribe: true,
                publish: true,
            },
            fingerprint: FingerprintHash([4; 16]),
            relay_begins: false,
            max_message: MaxMessage::UNKNOWN,
            end: None,
        }
    }

    fn author(index: usize) -> Address {
        Address::left_padding_from(&(index as u64).to_be_bytes())
    }

    #[test]
    fn a_flood_of_withdrawals_makes_none_of_them_forgotten() {
        let mut withdrawals = Withdrawals::default();
        for index in 0..MAX_WITHDRAWALS + 10 {
            withdrawals.add((ShortId([3; 20]), Some(author(index))), UnixSec(1_000));
        }
        let last = author(MAX_WITHDRAWALS + 20);
        withdrawals.add((ShortId([2; 20]), Some(last)), UnixSec(1_000));
        assert!(withdrawals.refuse(&token(last, 1_000)));
        assert!(!withdrawals.refuse(&token(last, 1_001)), "a later token counts");
        assert!(withdrawals.before.len() <= MAX_WITHDRAWALS);
    }

    #[test]
    fn everybodys_withdrawal_is_about_every_token_from_before() {
        let mut withdrawals = Withdrawals::default();
        assert!(!withdrawals.refuse(&token(author(1), 0)));
        withdrawals.add((ShortId::EVERY, None), UnixSec(1_000));
        assert!(withdrawals.refuse(&token(author(1), 1_000)));
        assert!(!withdrawals.refuse(&token(author(1), 1_001)));
    }
}
