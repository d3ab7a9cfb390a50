//! Who signed a receipt's message, as steps of the verdict.

use super::step::Step;
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
    pub(super) fn of(receipt: &Receipt, required: &SignatureArgs, steps: &mut Vec<Step>) -> Self {
        let (author, message) = (receipt.message.author, receipt.message.seq);
        let (Some(part), Some(checked)) = (&receipt.author, check_author(receipt)) else {
            let says = format!("No signature: the operator attests that message {message} is by {author}.");
            refuse(required, Attested::ByOperator, steps);
            steps.push(Step::Note(
                "the receipt has no signature of the author: the operator attests the author".into(),
            ));
            return Self {
                says,
                ..Self::default()
            };
        };
        let voucher = match checked {
            Ok(voucher) => voucher,
            Err(fault) => {
                steps.push(Step::Fails(format!("author: {fault}")));
                return Self::default();
            }
        };
        let (key, group) = (part.key, &part.group);
        steps.push(Step::Holds(format!(
            "key {key} signed {} messages of producer {} from number {} on; this is number {}",
            group.count, part.producer, group.first, part.producer_seq
        )));
        let attested = required.attested(author, &key, &voucher);
        let words = voucher_in_words(author, &voucher, attested);
        let question = match &voucher {
            Voucher::ContractWallet { hash, signature, .. } => Some(WalletQuestion {
                hash: *hash,
                signature: signature.clone(),
            }),
            _ => None,
        };
        let says = match attested {
            Attested::ByAuthor => format!("Author {author} signed message {message}, by key {key}."),
            Attested::ByCaller => {
                format!(
                    "Author {author} signed message {message}, by key {key}, which you named as the author's."
                )
            }
            Attested::KeyKnown => {
                format!(
                    "Key {key}, which you know, signed message {message}; the operator alone attests that the key is {author}'s."
                )
            }
            Attested::ByOperator => {
                format!(
                    "Key {key} signed message {message}, and the operator attests that the key is {author}'s."
                )
            }
        };
        refuse(required, attested, steps);
        match (&question, attested) {
            (Some(_), _) => {}
            (None, Attested::ByAuthor | Attested::ByCaller) => steps.push(Step::Holds(words.clone())),
            (None, Attested::KeyKnown | Attested::ByOperator) => steps.push(Step::Note(words.clone())),
        }
        Self {
            question,
            voucher: Some(words),
            says,
        }
    }

    /// Adds what a contract wallet answered.
    pub(super) fn answered(&self, agrees: Option<bool>, steps: &mut Vec<Step>) {
        if self.question.is_none() {
            return;
        }
        match (agrees, &self.voucher) {
            (Some(true), Some(words)) => steps.push(Step::Holds(words.clone())),
            _ => steps.push(Step::Fails(
                "author: the signature under the certificate is neither the account's own nor its contract's"
                    .into(),
            )),
        }
    }
}

fn refuse(required: &SignatureArgs, attested: Attested, steps: &mut Vec<Step>) {
    if let Some(refusal) = required.refuses(attested) {
        steps.push(Step::Fails(refusal.into()));
    }
}
