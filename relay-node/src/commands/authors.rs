//! What `verify` and `verify-stream` require of authors' signatures, and how a contract wallet is asked about its own.
//!
//! What always holds: a message counts as its author's only where the author's address is made of the key, the author's wallet
//! delegated to the key, or the caller named the key as this author's. What the operator says of a key is the operator's word, as an
//! unsigned message is; that the caller knows a key does not say whose it is.

use clap::Args;
use std::str::FromStr;
use streamchain_chain::authors::Voucher;
use streamchain_chain::ethereum::ASKED_BY;
use streamchain_chain::ethereum::eip6492::Undeployed;
use streamchain_chain::ethereum::{Answer, BlockId, Request, RpcError, eip191};
use streamchain_protocol::signed::PublicKey;
use streamchain_protocol::{Address, B256, Bytes};

/// The options of both commands about signatures.
#[derive(Debug, Clone, Default, Args)]
pub struct SignatureArgs {
    /// Refuse messages that neither their author, nor the author's wallet, nor a key of --author-key signed: the operator's word
    /// does not do
    #[arg(long)]
    pub require_signature: bool,
    /// Key that you know to be an author's, such as a service's: 0x…address=key. May be given several times. A key without an address
    /// is one that you know, but the operator says whose it is
    #[arg(long = "author-key", value_name = "AUTHOR=KEY")]
    pub keys: Vec<KnownKey>,
}

/// A key that the caller knows to be an author's: `AUTHOR=KEY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthorKey {
    /// Whose key it is.
    pub author: Address,
    /// The key.
    pub key: PublicKey,
}

impl FromStr for AuthorKey {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (author, key) = text
            .split_once('=')
            .ok_or("expected AUTHOR=KEY: the author's address, and the key")?;
        Ok(Self {
            author: author.parse().map_err(|error| format!("author: {error}"))?,
            key: public_key(key)?,
        })
    }
}

/// A key that the caller knows, with its author or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownKey {
    /// This author's.
    Of(AuthorKey),
    /// A key of an author whom the caller did not name.
    Alone(PublicKey),
}

impl FromStr for KnownKey {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.contains('=') {
            true => text.parse().map(Self::Of),
            false => public_key(text).map(Self::Alone),
        }
    }
}

fn public_key(text: &str) -> Result<PublicKey, String> {
    text.parse().map_err(|error| format!("key: {error}"))
}

/// How well a message's author is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attested {
    /// By the author: the key is its own, or its wallet's.
    ByAuthor,
    /// By the caller, who named the key as this author's.
    ByCaller,
    /// The caller knows the key, and the operator alone says that it is this author's.
    KeyKnown,
    /// By the operator: there is no signature, or the operator alone says whose key it is.
    ByOperator,
}

impl SignatureArgs {
    /// Returns how well an author is known of a message that `key` signed, and who vouches for the key.
    pub(crate) fn attested(&self, author: Address, key: &PublicKey, voucher: &Voucher) -> Attested {
        let named = KnownKey::Of(AuthorKey { author, key: *key });
        match voucher {
            Voucher::Operator if self.keys.contains(&named) => Attested::ByCaller,
            Voucher::Operator if self.keys.contains(&KnownKey::Alone(*key)) => Attested::KeyKnown,
            Voucher::Operator => Attested::ByOperator,
            Voucher::Own | Voucher::Wallet { .. } | Voucher::ContractWallet { .. } => Attested::ByAuthor,
        }
    }

    /// Returns why an author who is known so well does not do.
    pub(crate) fn refuses(&self, attested: Attested) -> Option<&'static str> {
        let refused = self.require_signature && attested == Attested::ByOperator;
        refused.then_some("a signature of the author is required (--require-signature), and the operator alone attests the author")
    }
}

/// Returns who vouches for a key, in words.
pub(crate) fn voucher_in_words(author: Address, voucher: &Voucher, attested: Attested) -> String {
    match voucher {
        Voucher::Own => format!("the key is author {author} itself: nobody else vouches for it"),
        Voucher::Wallet { domain } => {
            format!("wallet {author} delegated to the key when it signed in at {domain}")
        }
        Voucher::ContractWallet { domain, .. } => {
            format!("contract wallet {author} delegated to the key when it signed in at {domain}")
        }
        Voucher::Operator => match attested {
            Attested::ByCaller => format!("you named the key as author {author}'s (--author-key)"),
            Attested::KeyKnown => format!(
                "you know the key (--author-key), but the operator alone says that it is author {author}'s: --author-key {author}=KEY says it yourself"
            ),
            Attested::ByAuthor | Attested::ByOperator => {
                format!("the operator says that the key is author {author}'s")
            }
        },
    }
}

/// Asks the chain whether a signature over a hash is a contract wallet's (EIP-1271), even if that is yet to be deployed (EIP-6492).
pub(crate) fn wallet_question(account: Address, hash: B256, signature: Bytes, at: BlockId) -> Request {
    match Undeployed::parse(&signature) {
        Some(undeployed) => Request::Run {
            program: undeployed.program(account, hash),
            from: ASKED_BY,
            at,
        },
        None => Request::Call {
            to: account,
            data: eip191::ask_contract(hash, signature),
            at,
        },
    }
}

/// Returns whether the wallet accepted the signature. An error where the node did not say.
pub(crate) fn wallet_agrees(answer: Result<Answer, RpcError>) -> Result<bool, RpcError> {
    match answer {
        Ok(Answer::Returned(answer)) => Ok(eip191::contract_agrees(&answer)),
        Ok(_) => Ok(false),
        Err(error) if error.is_nodes_fault() => Err(error),
        Err(_) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTHOR: Address = Address::repeat_byte(0x11);
    const OTHER: Address = Address::repeat_byte(0x22);

    fn key() -> PublicKey {
        PublicKey::from_bytes([2; 33]).unwrap()
    }

    fn required(known: &str) -> SignatureArgs {
        SignatureArgs {
            require_signature: true,
            keys: vec![known.parse().unwrap()],
        }
    }

    #[test]
    fn a_named_key_counts_for_its_author_alone() {
        let args = required(&format!("{AUTHOR}={}", key()));
        assert_eq!(
            args.attested(AUTHOR, &key(), &Voucher::Operator),
            Attested::ByCaller
        );
        let other = args.attested(OTHER, &key(), &Voucher::Operator);
        assert_eq!(other, Attested::ByOperator);
        assert!(args.refuses(other).is_some());
        let words = voucher_in_words(AUTHOR, &Voucher::Operator, Attested::ByCaller);
        assert!(
            words.contains("you named") && !words.contains("operator"),
            "{words}"
        );
    }

    #[test]
    fn whose_a_key_without_an_author_is_the_operator_says() {
        let args = required(&key().to_string());
        for author in [AUTHOR, OTHER] {
            let attested = args.attested(author, &key(), &Voucher::Operator);
            assert_eq!(attested, Attested::KeyKnown);
            assert_eq!(args.refuses(attested), None, "it is taken as before");
            let words = voucher_in_words(author, &Voucher::Operator, attested);
            assert!(words.contains("the operator alone says"), "{words}");
        }
        assert_eq!(args.attested(AUTHOR, &key(), &Voucher::Own), Attested::ByAuthor);
    }

    #[test]
    fn a_known_key_is_an_address_and_a_key_or_a_key() {
        for (text, expected) in [
            ("0x11", "key: "),
            ("=", "author: "),
            (&format!("{AUTHOR}=0x11"), "key: "),
        ] {
            let refused = text.parse::<KnownKey>().unwrap_err();
            assert!(refused.starts_with(expected), "{text}: {refused}");
        }
        let refused = key().to_string().parse::<AuthorKey>().unwrap_err();
        assert!(refused.contains("expected AUTHOR=KEY"), "{refused}");
    }
}
