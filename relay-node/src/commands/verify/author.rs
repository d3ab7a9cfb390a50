//! Who signed a receipt's message, as steps of the verdict.

use super::judge::Verdict;
use crate::commands::authors::{Attested, SignatureArgs, voucher_in_words};
use streamchain_chain::authors::{Voucher, check_author};
use streamchain_protocol::proof::Receipt;
use streamchain_protocol::{B256, Bytes};

/// What only the chain can say: whether a contract wallet signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WalletQuestion {
    pub hash: B256,
    pub signature: Bytes,
}

/// What is known of the author before the chain is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct AuthorSteps {
    pub question: Option<WalletQuestion>,
    /// Who vouches, in words; said when the wallet agreed, if it must be asked.
    voucher: Option<String>,
    /// How the result begins: who signed, or that the operator attests the author.
    pub says: String,
}

impl AuthorSteps {
    /// Adds the steps of a receipt whose fields were found to fit.
    pub(super) fn take(receipt: &Receipt, required: &SignatureArgs, verdict: &mut Verdict) -> Self {
        let (author, message) = (receipt.message.author, receipt.message.seq);
        let (Some(part), Some(checked)) = (&receipt.author, check_author(receipt)) else {
            let says = format!("No signature: the operator attests that message {message} is by {author}.");
            refuse(required, Attested::ByOperator, verdict);
            verdict
                .note("the receipt has no signature of the author: the operator attests the author".into());
            return Self {
                says,
                ..Self::default()
            };
        };
        let voucher = match checked {
            Ok(voucher) => voucher,
            Err(fault) => {
                verdict.fail(format!("author: {fault}"));
                return Self::default();
            }
        };
        let (key, group) = (part.key, &part.group);
        verdict.hold(format!(
            "key {key} signed {} messages of producer {} from number {} on; this is number {}",
            group.count, part.producer, group.first, part.producer_seq
        ));
        let attested = required.attested(&key, &voucher);
        let words = voucher_in_words(author, &voucher);
        let question = match &voucher {
            Voucher::ContractWallet { hash, signature, .. } => Some(WalletQuestion {
                hash: *hash,
                signature: signature.clone(),
            }),
            _ => None,
        };
        let says = match attested {
            Attested::ByAuthor => format!("Author {author} signed message {message}, by key {key}."),
            Attested::ByOperator => {
                format!(
                    "Key {key} signed message {message}, and the operator attests that the key is {author}'s."
                )
            }
        };
        refuse(required, attested, verdict);
        match (&question, attested) {
            (Some(_), _) => {}
            (None, Attested::ByAuthor) => verdict.hold(words.clone()),
            (None, Attested::ByOperator) => verdict.note(words.clone()),
        }
        Self {
            question,
            voucher: Some(words),
            says,
        }
    }

    /// Adds what a contract wallet answered.
    pub(super) fn answered(&self, agrees: Option<bool>, verdict: &mut Verdict) {
        if self.question.is_none() {
            return;
        }
        match (agrees, &self.voucher) {
            (Some(true), Some(words)) => verdict.hold(words.clone()),
            _ => verdict.fail(
                "author: the signature under the certificate is neither the account's own nor its contract's"
                    .into(),
            ),
        }
    }
}

fn refuse(required: &SignatureArgs, attested: Attested, verdict: &mut Verdict) {
    if let Some(refusal) = required.refuses(attested) {
        verdict.fail(refusal.into());
    }
}
