//! One principal's credentials: which tokens are revoked, its API keys, the nonces that it used. The machine of the
//! Account object.
//!
//! What always holds: a token that was issued up to `revoked` is never taken again, and a nonce that was given out before
//! `revoked` signs in no more; a nonce signs in once; of an API key only the SHA-256 of its secret is kept. (The secret is 24 random bytes. A slow hash protects words that
//! people choose, which can be tried one by one; 2^192 secrets can't be, and every request would pay for it.)

use alloy_primitives::B256;
use serde::{Deserialize, Serialize};
use streamchain_protocol::auth::Scope;
use streamchain_protocol::auth::siwe::NONCE_LIFE_S;
use streamchain_protocol::ids::KeyId;
use streamchain_protocol::limits::GUEST_TOKEN_LIFE_S;
use streamchain_protocol::time::{UnixMs, UnixSec};

/// Most API keys of one account: the list is kept and answered as a whole.
pub const MAX_KEYS: usize = 64;

/// Longest name of a key, characters.
pub const MAX_KEY_NAME_CHARS: usize = 64;

/// Most streams that a key or token names; one without a list opens all streams of its account.
pub const MAX_SCOPE_STREAMS: usize = 16;

/// Most sign-ins of one account within the life of a nonce.
pub(crate) const MAX_SIGN_INS: usize = 100;

/// What is kept of an API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptKey {
    /// The key's id.
    pub id: KeyId,
    /// A name that its owner gave it.
    pub name: String,
    /// SHA-256 of the secret.
    pub hash: B256,
    /// What the key is limited to, beside what its account may do.
    pub scope: Scope,
    /// When the key was made.
    pub created: UnixMs,
    /// When the key ends; `None` for never.
    #[serde(default)]
    pub expires: Option<UnixMs>,
}

impl KeptKey {
    fn is_good(&self, now: UnixMs) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// A nonce that was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct UsedNonce {
    nonce: String,
    #[serde(rename = "expires_s")]
    expires: UnixSec,
}

/// Why an account's credentials, or a change of them, were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// All tokens up to some time were revoked, and this one is older.
    #[error("the token was revoked")]
    Revoked,
    /// The key does not exist, or is over, or its secret is wrong.
    #[error("the API key is unknown, revoked or expired")]
    BadKey,
    /// The account has no such key.
    #[error("the account has no such key")]
    NoSuchKey,
    /// The nonce was used.
    #[error("the nonce was used before")]
    NonceUsed,
    /// The account's tokens were revoked since the nonce was given out.
    #[error("the nonce was given out before the account's tokens were revoked")]
    NonceRevoked,
    /// The account has as many keys as it may have.
    #[error("the account has {MAX_KEYS} keys: revoke one first")]
    TooManyKeys,
    /// Too many sign-ins at a time.
    #[error("the account signed in {MAX_SIGN_INS} times within ten minutes")]
    TooManySignIns,
}

/// What is kept of one principal: a guest, a wallet, or the account behind services.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Tokens issued up to this second are refused.
    revoked: UnixSec,
    keys: Vec<KeptKey>,
    /// The ids of keys that were removed last: removing one again is fine, and its sessions are ended again.
    #[serde(default)]
    gone: Vec<KeyId>,
    nonces: Vec<UsedNonce>,
}

impl Account {
    /// Uses up a nonce that was given out since the last revocation: a sign-in that was signed before it, and is posted
    /// later, counts no more than the tokens of that time. Returns the time of issue for the token: now, or the second
    /// behind a revocation within the same second.
    pub fn sign_in(&mut self, nonce: &str, expires: UnixSec, now: UnixSec) -> Result<UnixSec, AccountError> {
        self.nonces.retain(|used| used.expires >= now);
        if self.nonces.iter().any(|used| used.nonce == nonce) {
            return Err(AccountError::NonceUsed);
        }
        if expires < self.revoked.plus_s(NONCE_LIFE_S) {
            return Err(AccountError::NonceRevoked);
        }
        if self.nonces.len() >= MAX_SIGN_INS {
            return Err(AccountError::TooManySignIns);
        }
        let nonce = nonce.to_owned();
        self.nonces.push(UsedNonce { nonce, expires });
        Ok(now.max(self.revoked.plus_s(1)))
    }

    /// Checks by its time of issue that a token of the principal itself was not revoked.
    pub fn check_token(&self, issued: UnixSec) -> Result<(), AccountError> {
        match issued <= self.revoked {
            true => Err(AccountError::Revoked),
            false => Ok(()),
        }
    }

    /// Returns the key of this id, as a service's token names it.
    pub fn key(&self, id: KeyId, now: UnixMs) -> Result<&KeptKey, AccountError> {
        let found = self.keys.iter().find(|key| key.id == id);
        found.filter(|key| key.is_good(now)).ok_or(AccountError::BadKey)
    }

    /// Returns the key with this id and hash of a secret.
    pub fn check_key(&self, id: KeyId, hash: B256, now: UnixMs) -> Result<&KeptKey, AccountError> {
        // The time that a comparison of hashes takes says nothing about a secret.
        let key = self.key(id, now)?;
        (key.hash == hash).then_some(key).ok_or(AccountError::BadKey)
    }

    /// Returns the account's keys, the expired ones included.
    pub fn keys(&self) -> &[KeptKey] {
        &self.keys
    }

    /// Adds a key. Expired keys make room for it.
    pub fn add_key(&mut self, key: KeptKey, now: UnixMs) -> Result<(), AccountError> {
        if self.keys.len() >= MAX_KEYS {
            self.keys.retain(|key| key.is_good(now));
        }
        if self.keys.len() >= MAX_KEYS {
            return Err(AccountError::TooManyKeys);
        }
        self.keys.push(key);
        Ok(())
    }

    /// Removes a key; one that was removed before is no error.
    pub fn remove_key(&mut self, id: KeyId) -> Result<(), AccountError> {
        match self.keys.iter().position(|key| key.id == id) {
            Some(place) => self.bury(place),
            None if self.gone.contains(&id) => {}
            None => return Err(AccountError::NoSuchKey),
        }
        Ok(())
    }

    fn bury(&mut self, place: usize) {
        let key = self.keys.remove(place);
        self.gone.push(key.id);
        if self.gone.len() > MAX_KEYS {
            self.gone.remove(0);
        }
    }

    /// Returns the keys that there are, and those that were removed last: whose sessions may be open.
    pub fn key_ids(&self) -> impl Iterator<Item = KeyId> {
        self.keys
            .iter()
            .map(|key| key.id)
            .chain(self.gone.iter().copied())
    }

    /// Returns when the last token that is refused here has expired by itself; `None` while there are keys.
    fn last_refusal(&self) -> Option<UnixSec> {
        if !self.keys.is_empty() {
            return None;
        }
        let nonces = self.nonces.iter().map(|used| used.expires.plus_s(1));
        let revoked = (self.revoked > UnixSec(0)).then(|| self.revoked.plus_s(GUEST_TOKEN_LIFE_S + 1));
        Some(nonces.chain(revoked).max().unwrap_or_default())
    }

    /// Returns whether nothing of this matters any more. The ids of removed keys alone do not: see [`Self::ends`].
    pub fn is_over(&self, now: UnixSec) -> bool {
        self.last_refusal().is_some_and(|last| last <= now)
    }

    /// Returns when to look again whether this is over, after a change at `now`; `None` while there are keys. Removed keys
    /// are remembered as long as a guest's token lives: somebody may ask again to end their sessions.
    pub fn ends(&self, now: UnixSec) -> Option<UnixSec> {
        let gone = (!self.gone.is_empty()).then(|| now.plus_s(GUEST_TOKEN_LIFE_S));
        self.last_refusal().map(|last| last.max(gone.unwrap_or(now)))
    }

    /// Refuses all tokens issued until now; with `keys`, removes its keys too.
    pub fn revoke(&mut self, keys: bool, now: UnixSec) {
        self.revoked = self.revoked.max(now);
        while keys && !self.keys.is_empty() {
            self.bury(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
    use proptest::prelude::*;
    use streamchain_protocol::auth::{ApiKey, KEY_PREFIX, KeyRef, SECRET_BYTES};
    use streamchain_protocol::auth::{Right, Rights};

    fn key(byte: u8) -> ApiKey {
        let key = KeyRef {
            account: Address::repeat_byte(1),
            id: KeyId([byte; 8]),
        };
        ApiKey::new(key, [byte; SECRET_BYTES])
    }

    fn kept(byte: u8, expires: Option<u64>) -> KeptKey {
        KeptKey {
            id: key(byte).key.id,
            name: "test".into(),
            hash: key(byte).hash(),
            scope: Scope {
                streams: None,
                rights: Rights::of(&[Right::Read]),
            },
            created: UnixMs(0),
            expires: expires.map(UnixMs),
        }
    }

    #[test]
    fn a_key_survives_its_text_and_only_its_hash_is_kept() {
        let text = key(7).to_text();
        assert!(text.starts_with(KEY_PREFIX) && ApiKey::parse(&text) == Some(key(7)));
        let kept = serde_json::to_string(&kept(7, None)).unwrap();
        assert!(
            !kept.contains(&BASE64URL.encode([7; SECRET_BYTES]))
                && !kept.contains(&"07".repeat(SECRET_BYTES))
        );
        for wrong in [
            "",
            "sck_",
            &text[4..],
            &text[..text.len() - 1],
            &format!("{text}A"),
        ] {
            assert!(ApiKey::parse(wrong).is_none(), "{wrong}");
        }
        assert_ne!(key(7).key.author(), key(8).key.author());
    }

    #[test]
    fn a_token_counts_until_it_is_revoked_and_a_later_one_again() {
        let mut account = Account::default();
        assert_eq!(account.check_token(UnixSec(100)), Ok(()));
        account.revoke(false, UnixSec(100));
        assert_eq!(account.check_token(UnixSec(100)), Err(AccountError::Revoked));
        let issued = account.sign_in("a nonce", UnixSec(700), UnixSec(100)).unwrap();
        assert_eq!((issued, account.check_token(issued)), (UnixSec(101), Ok(())));
    }

    #[test]
    fn an_account_matters_as_long_as_a_token_that_it_refuses() {
        let mut account = Account::default();
        assert_eq!(
            account.ends(UnixSec(5)),
            Some(UnixSec(5)),
            "there is nothing to keep"
        );
        account.sign_in("one", UnixSec(700), UnixSec(100)).unwrap();
        assert_eq!(account.ends(UnixSec(100)), Some(UnixSec(701)));
        account.revoke(false, UnixSec(200));
        let end = UnixSec(200).plus_s(GUEST_TOKEN_LIFE_S + 1);
        assert_eq!(account.ends(UnixSec(200)), Some(end));
        account.add_key(kept(1, None), UnixMs(0)).unwrap();
        assert_eq!(account.ends(end), None, "a key does not end by itself");
        assert!(!account.is_over(end));
        account.remove_key(key(1).key.id).unwrap();
        assert_eq!(account.ends(end), Some(end.plus_s(GUEST_TOKEN_LIFE_S)));
        assert!(account.is_over(end) && !account.is_over(UnixSec(end.0 - 1)));
    }

    #[test]
    fn a_nonce_signs_in_once() {
        let mut account = Account::default();
        assert_eq!(
            account.sign_in("one", UnixSec(700), UnixSec(100)),
            Ok(UnixSec(100))
        );
        assert_eq!(
            account.sign_in("one", UnixSec(700), UnixSec(700)),
            Err(AccountError::NonceUsed)
        );
        assert_eq!(
            account.sign_in("two", UnixSec(700), UnixSec(100)),
            Ok(UnixSec(100))
        );
        // Refused by its own date from then on, so it need not be remembered.
        account.sign_in("three", UnixSec(1_300), UnixSec(701)).unwrap();
        assert_eq!(account.nonces.len(), 1);
        for index in account.nonces.len()..MAX_SIGN_INS {
            account
                .sign_in(&format!("n{index}"), UnixSec(1_300), UnixSec(701))
                .unwrap();
        }
        assert_eq!(
            account.sign_in("more", UnixSec(1_300), UnixSec(701)),
            Err(AccountError::TooManySignIns)
        );
    }

    #[test]
    fn a_nonce_from_before_a_revocation_signs_in_no_more() {
        let mut account = Account::default();
        account.revoke(false, UnixSec(200));
        let given_out = |at: u64| UnixSec(at).plus_s(NONCE_LIFE_S);
        let mut sign_in = |nonce: &str, at| account.sign_in(nonce, given_out(at), UnixSec(250));
        assert_eq!(sign_in("before", 199), Err(AccountError::NonceRevoked));
        assert_eq!(
            sign_in("before", 199),
            Err(AccountError::NonceRevoked),
            "not used up"
        );
        assert_eq!(sign_in("since", 200), Ok(UnixSec(250)));
    }

    #[test]
    fn a_key_and_its_tokens_end_by_expiry_or_removal() {
        let mut account = Account::default();
        account.add_key(kept(1, Some(1_000)), UnixMs(0)).unwrap();
        let (id, hash) = (key(1).key.id, key(1).hash());
        assert!(account.check_key(id, hash, UnixMs(999)).is_ok() && account.key(id, UnixMs(999)).is_ok());
        assert_eq!(
            account.check_key(id, key(2).hash(), UnixMs(999)),
            Err(AccountError::BadKey)
        );
        assert_eq!(
            account.check_key(id, hash, UnixMs(1_000)),
            Err(AccountError::BadKey)
        );
        account.add_key(kept(2, None), UnixMs(0)).unwrap();
        let (id, hash) = (key(2).key.id, key(2).hash());
        assert_eq!(account.remove_key(id), Ok(()));
        assert_eq!(account.key(id, UnixMs(0)), Err(AccountError::BadKey));
        assert_eq!(account.check_key(id, hash, UnixMs(0)), Err(AccountError::BadKey));
        assert_eq!(account.remove_key(id), Ok(()), "the answer may have been lost");
        assert_eq!(account.remove_key(key(3).key.id), Err(AccountError::NoSuchKey));
    }

    #[test]
    fn revoking_with_the_keys_leaves_their_ids() {
        let mut account = Account::default();
        account.add_key(kept(1, None), UnixMs(0)).unwrap();
        account.revoke(false, UnixSec(5));
        assert_eq!(account.keys().len(), 1);
        account.revoke(true, UnixSec(5));
        assert!(account.keys().is_empty());
        assert_eq!(account.key_ids().collect::<Vec<_>>(), [key(1).key.id]);
    }

    #[test]
    fn keys_are_bounded_and_expired_ones_make_room() {
        let mut account = Account::default();
        for byte in 0..MAX_KEYS as u8 {
            account.add_key(kept(byte, Some(10)), UnixMs(0)).unwrap();
        }
        assert_eq!(
            account.add_key(kept(200, None), UnixMs(9)),
            Err(AccountError::TooManyKeys)
        );
        assert_eq!(account.add_key(kept(200, None), UnixMs(10)), Ok(()));
        assert_eq!(account.keys().len(), 1);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "(sck_)?[A-Za-z0-9_-]{0,80}") {
            if let Some(key) = ApiKey::parse(&text) {
                prop_assert_eq!(key.to_text(), text);
            }
        }
    }

    #[test]
    fn the_stored_account_keeps_its_names() {
        let stored = concat!(
            r#"{"revoked":5,"keys":[{"id":"0101010101010101","name":"a","#,
            r#""hash":"0x0202020202020202020202020202020202020202020202020202020202020202","#,
            r#""scope":{"rights":["read"]},"created":7,"expires":9}],"#,
            r#""gone":["0303030303030303"],"nonces":[{"nonce":"n","expires_s":8}]}"#,
        );
        let account: Account = serde_json::from_str(stored).unwrap();
        assert_eq!(account.check_token(UnixSec(5)), Err(AccountError::Revoked));
        let key = account.key(KeyId([1; 8]), UnixMs(8)).unwrap();
        assert_eq!((key.created, key.expires), (UnixMs(7), Some(UnixMs(9))));
        assert_eq!(serde_json::to_string(&account).unwrap(), stored);
    }
}
