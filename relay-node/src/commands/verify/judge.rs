//! What a receipt and the chain's answers amount to.

use super::author::{AuthorSteps, WalletQuestion};
use crate::commands::authors::SignatureArgs;
use crate::commands::trust::{Trust, is_another};
use crate::error_text::printable;
use alloy_sol_types::SolEvent;
use std::fmt;
use streamchain_chain::abi::Anchored;
use streamchain_chain::ethereum::{self, Log};
use streamchain_chain::listener::is_final;
use streamchain_protocol::Address;
use streamchain_protocol::ids::{Seq, StreamRef};
use streamchain_protocol::proof::Receipt;
use streamchain_protocol::proof::bucket::bucket_of;

#[derive(Debug, Clone)]
pub(super) struct Evidence {
    pub chain_id: u64,
    /// The anchor's transaction, if it is in a block.
    pub transaction: Option<ethereum::Receipt>,
    /// The newest finalized block, if the endpoint knows it.
    pub finalized: Option<u64>,
    /// Whether a contract wallet accepted its signature, if it was asked.
    pub wallet: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Holds(String),
    Fails(String),
    Note(String),
}

/// All steps, up to the first that failed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Verdict {
    steps: Vec<Step>,
    /// Who signed the message.
    author: AuthorSteps,
    /// Who says what, once the chain was asked.
    proves: Option<String>,
    /// What the caller did not require.
    open: Vec<String>,
}

impl Verdict {
    /// Of a file that is no receipt.
    pub(super) fn not_a_receipt(reason: &str) -> Self {
        let mut verdict = Self::default();
        verdict.fail(format!("this is not a receipt: {reason}"));
        verdict
    }

    /// The steps that need no chain; `wanted`: the stream that the receipt must be of.
    pub(super) fn offline(
        receipt: &Receipt,
        trust: &Trust,
        wanted: Option<&StreamRef>,
        required: &SignatureArgs,
    ) -> Self {
        let mut verdict = Self {
            open: trust.open_questions(wanted).into_iter().collect(),
            ..Self::default()
        };
        let message = &receipt.message;
        if let Err(error) = receipt.check() {
            verdict.fail(error.to_string());
            return verdict;
        }
        let (stream, proof) = (&receipt.stream, receipt.proof.len());
        verdict.hold(format!(
            "stream {} is \"{}\" of {}",
            stream.id, stream.name, stream.owner
        ));
        let payload = match &message.erased {
            Some(erased) => format!("erased, hash {}", erased.digest),
            None => format!("{} bytes", message.payload.len()),
        };
        verdict.hold(format!(
            "message {} of {} ({payload}, time {}) gives leaf {}",
            message.seq, message.author, message.time, receipt.leaf
        ));
        verdict.hold(format!(
            "a proof of {proof} hashes leads to root {}",
            receipt.root
        ));
        verdict.anchored(receipt, trust);
        verdict.author = AuthorSteps::take(receipt, required, &mut verdict);
        let trusted = trust.contract;
        match trusted == receipt.contract {
            true => verdict.hold(format!("contract {trusted} is the one you trust")),
            false => verdict.fail(format!("contract is {}, not {trusted}", receipt.contract)),
        }
        let another = wanted.and_then(|wanted| is_another(wanted, stream.id, &stream.name));
        for refusal in [trust.refuses_owner(stream.owner), another].into_iter().flatten() {
            verdict.fail(refusal);
        }
        verdict
    }

    /// How the root is under the anchor: it is the anchor's, or it leads to a round.
    fn anchored(&mut self, receipt: &Receipt, trust: &Trust) {
        let anchor = &receipt.anchor;
        let Some(round) = &receipt.round else {
            let messages = span(anchor.first, anchor.count);
            return self.hold(format!("the anchor covers messages {messages}"));
        };
        let (run, bucket) = (&round.run, &round.bucket);
        self.hold(format!(
            "the run covers messages {}; the run before it has leaf {}",
            span(run.first, run.count.into()),
            run.previous
        ));
        self.hold(format!(
            "it is one of {} runs of bucket {}, which is in round {} with root {}",
            bucket.runs,
            bucket_of(receipt.stream.id),
            anchor.first,
            anchor.root
        ));
        self.hold(format!(
            "the rounds are stream {} of {}",
            round.stream.id, round.stream.owner
        ));
        if let Some(refusal) = trust.refuses_rounds(round.stream.owner) {
            self.fail(refusal);
        }
        let open = trust.open_about_rounds(receipt.stream.owner, round.stream.owner);
        self.open.extend(open);
    }

    /// What the chain must be asked about the author's wallet.
    pub(super) fn wallet_question(&self) -> Option<&WalletQuestion> {
        self.author.question.as_ref()
    }

    pub(super) fn holds(&self) -> bool {
        !self.steps.iter().any(|step| matches!(step, Step::Fails(_)))
    }

    pub(super) fn hold(&mut self, text: String) {
        self.steps.push(Step::Holds(text));
    }

    pub(super) fn fail(&mut self, text: String) {
        self.steps.push(Step::Fails(text));
    }

    pub(super) fn note(&mut self, text: String) {
        self.steps.push(Step::Note(text));
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            match step {
                Step::Holds(text) => writeln!(f, "✓ {}", printable(text))?,
                Step::Fails(text) => writeln!(f, "✗ {}", printable(text))?,
                Step::Note(text) => writeln!(f, "! {}", printable(text))?,
            }
        }
        if !self.holds() {
            return writeln!(f, "\nThe receipt does not hold.");
        }
        writeln!(f, "\nThe receipt holds.")?;
        let author = Some(&self.author.says).filter(|says| !says.is_empty());
        for text in self.proves.iter().chain(author).chain(&self.open) {
            writeln!(f, "{}", printable(text))?;
        }
        Ok(())
    }
}

/// Goes on from the offline steps with what the chain says.
pub(super) fn judge(offline: Verdict, receipt: &Receipt, trust: &Trust, evidence: &Evidence) -> Verdict {
    let mut verdict = offline;
    let author = verdict.author.clone();
    author.answered(evidence.wallet, &mut verdict);
    match on_chain(receipt, trust, evidence, &mut verdict) {
        Ok(()) => finality(receipt, evidence, &mut verdict),
        Err(reason) => verdict.fail(reason),
    }
    verdict
}

fn on_chain(
    receipt: &Receipt,
    trust: &Trust,
    evidence: &Evidence,
    verdict: &mut Verdict,
) -> Result<(), String> {
    let anchor = &receipt.anchor;
    if let Some(refusal) = trust.refuses_chain(evidence.chain_id) {
        return Err(refusal);
    }
    if evidence.chain_id != receipt.chain_id {
        let (given, expected) = (evidence.chain_id, receipt.chain_id);
        return Err(format!(
            "the endpoint is on chain {given}, the receipt is of chain {expected}"
        ));
    }
    verdict.hold(format!("chain {}", receipt.chain_id));
    let transaction = evidence.transaction.as_ref().ok_or_else(|| {
        format!(
            "transaction {} is in no block: never sent, or taken back by a reorganisation",
            anchor.tx
        )
    })?;
    if transaction.transaction_hash != anchor.tx {
        return Err(format!(
            "the endpoint answered about transaction {}",
            transaction.transaction_hash
        ));
    }
    if !transaction.succeeded() {
        return Err(format!("transaction {} was reverted", anchor.tx));
    }
    if (transaction.block_number, transaction.block_hash) != (anchor.block, anchor.block_hash) {
        return Err(format!(
            "transaction {} is in block {} ({}), not in {} ({}): changed, or moved by a reorganisation; \
             fetch the receipt again",
            anchor.tx, transaction.block_number, transaction.block_hash, anchor.block, anchor.block_hash
        ));
    }
    verdict.hold(format!(
        "transaction {} succeeded in block {}",
        anchor.tx, anchor.block
    ));
    let log = transaction
        .logs
        .iter()
        .find(|log| log.log_index == anchor.log_index);
    let log = log.ok_or_else(|| format!("the transaction has no event {}", anchor.log_index))?;
    let anchorer = event(receipt, log)?;
    if let Some(refusal) = trust.refuses_anchorer(anchorer) {
        return Err(refusal);
    }
    let covered = match receipt.round {
        Some(_) => format!("as round {}", anchor.first),
        None => format!("for messages {}", span(anchor.first, anchor.count)),
    };
    verdict.hold(format!(
        "event {} of contract {} anchors root {} {covered}",
        anchor.log_index, receipt.contract, anchor.root
    ));
    verdict.hold(format!("the anchor is by {anchorer}"));
    let rounds = receipt.round.as_ref().map_or_else(String::new, |round| {
        format!(" in round {} of {}", anchor.first, round.stream.owner)
    });
    verdict.proves = Some(format!(
        "Account {anchorer} says on chain {}{rounds} that {} is the author of message {} of stream \"{}\" of {}.",
        receipt.chain_id,
        receipt.message.author,
        receipt.message.seq,
        receipt.stream.name,
        receipt.stream.owner
    ));
    Ok(())
}

/// The first and the last of so many messages. The numbers are a stranger's: they may be any.
fn span(first: Seq, count: u64) -> String {
    let end = first.0.saturating_add(count);
    format!("{first} to {}", end.saturating_sub(1))
}

/// Compares the event with the anchor of the receipt, field by field; returns who sent it.
fn event(receipt: &Receipt, log: &Log) -> Result<Address, String> {
    let anchor = &receipt.anchor;
    if log.address != receipt.contract {
        return Err(format!(
            "the event is by {}, not by contract {}",
            log.address, receipt.contract
        ));
    }
    let event = Anchored::decode_raw_log(log.topics.iter().copied(), &log.data)
        .map_err(|_| format!("event {} is not an anchor", anchor.log_index))?;
    let given = (event.stream, event.firstSeq, u64::from(event.count), event.root);
    let expected = (
        receipt.anchored_stream().id.word(),
        anchor.first.0,
        anchor.count,
        anchor.root,
    );
    if log.removed || given != expected {
        return Err(format!(
            "the event anchors {} messages from {} of stream {} with root {}: not what the receipt says",
            given.2, given.1, given.0, given.3
        ));
    }
    Ok(event.anchorer)
}

fn finality(receipt: &Receipt, evidence: &Evidence, verdict: &mut Verdict) {
    let block = receipt.anchor.block;
    match evidence.finalized {
        finalized if is_final(block, finalized) => verdict.hold(format!("block {block} is final")),
        Some(finalized) => verdict.note(format!(
            "block {block} is not final yet (final is {finalized}): a reorganisation could still take it back"
        )),
        None => verdict.note("the endpoint does not say which blocks are final".into()),
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
