//! What `verify` and `verify-stream` require of authors' signatures, and how a contract wallet is asked about its own.
//!
//! What always holds: a message counts as signed only where its author's address is made of the key, the author's wallet delegated to
//! the key, or the caller named the key. What the operator says of a key is the operator's word, as an unsigned message is.

use clap::Args;
use streamchain_chain::authors::Voucher;
use streamchain_chain::ethereum::eip6492::{RUN_BY, Undeployed};
use streamchain_chain::ethereum::{Answer, BlockId, Request, RpcError, eip191};
use streamchain_protocol::signed::PublicKey;
use streamchain_protocol::{Address, B256, Bytes};

/// The options of both commands about signatures.
#[derive(Debug, Clone, Default, Args)]
pub struct SignatureArgs {
    /// Refuse messages that neither their author nor the author's wallet signed for: the operator's word does not do
    #[arg(long)]
    pub require_signature: bool,
    /// Key that you know to be an author's, such as a service's; may be given several times
    #[arg(long = "author-key", value_name = "KEY")]
    pub keys: Vec<PublicKey>,
}

/// How well a message's author is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attested {
    /// By the author: the key is its own, its wallet's, or one that the caller named.
    ByAuthor,
    /// By the operator: there is no signature, or the operator alone says whose key it is.
    ByOperator,
}

impl SignatureArgs {
    /// Returns how well the author is known of a message that `key` signed, and who vouches for the key.
    pub(crate) fn attested(&self, key: &PublicKey, voucher: &Voucher) -> Attested {
        match voucher {
            Voucher::Operator if !self.keys.contains(key) => Attested::ByOperator,
            _ => Attested::ByAuthor,
        }
    }

    /// Returns why an author who is known so well does not do.
    pub(crate) fn refuses(&self, attested: Attested) -> Option<&'static str> {
        let refused = self.require_signature && attested == Attested::ByOperator;
        refused.then_some("a signature of the author is required (--require-signature), and the operator alone attests the author")
    }
}

/// Returns who vouches for a key, in words.
pub(crate) fn voucher_in_words(author: Address, voucher: &Voucher) -> String {
    match voucher {
        Voucher::Own => format!("the key is author {author} itself: nobody else vouches for it"),
        Voucher::Wallet { domain } => {
            format!("wallet {author} delegated to the key when it signed in at {domain}")
        }
        Voucher::ContractWallet { domain, .. } => {
            format!("contract wallet {author} delegated to the key when it signed in at {domain}")
        }
        Voucher::Operator => format!("the operator says that the key is author {author}'s"),
    }
}

/// Asks the chain whether a signature over a hash is a contract wallet's (EIP-1271), even if that is yet to be deployed (EIP-6492).
pub(crate) fn wallet_question(account: Address, hash: B256, signature: Bytes, at: BlockId) -> Request {
    match Undeployed::parse(&signature) {
        Some(undeployed) => Request::Run {
            program: undeployed.program(account, hash),
            from: RUN_BY,
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
