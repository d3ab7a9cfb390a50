//! What a receipt and the chain's answers amount to.

use alloy_sol_types::SolEvent;
use std::fmt;
use streamchain_chain::abi::Anchored;
use streamchain_chain::ethereum::{self, Log};
use streamchain_chain::listener::is_final;
use streamchain_protocol::Address;
use streamchain_protocol::proof::Receipt;

#[derive(Debug, Clone)]
pub(super) struct Evidence {
    pub chain_id: u64,
    /// The anchor's transaction, if it is in a block.
    pub transaction: Option<ethereum::Receipt>,
    /// The newest finalized block, if the endpoint knows it.
    pub finalized: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Holds(String),
    Fails(String),
    Note(String),
}

/// All steps, up to the first that failed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Verdict(Vec<Step>);

impl Verdict {
    /// Of a file that is no receipt.
    pub(super) fn not_a_receipt(reason: &str) -> Self {
        Self(vec![Step::Fails(format!("this is not a receipt: {reason}"))])
    }

    pub(super) fn offline(receipt: &Receipt, trusted: Option<Address>) -> Self {
        let mut verdict = Self::default();
        let (message, anchor) = (&receipt.message, &receipt.anchor);
        if let Err(error) = receipt.check() {
            verdict.fail(error.to_string());
            return verdict;
        }
        let (stream, proof) = (&receipt.stream, receipt.proof.len());
        verdict.hold(format!(
            "stream {} is \"{}\" of {}",
            stream.id, stream.name, stream.owner
        ));
        verdict.hold(format!(
            "message {} of {} ({} bytes, time {}) gives leaf {}",
            message.seq,
            message.author,
            message.payload.len(),
            message.time,
            receipt.leaf
        ));
        verdict.hold(format!(
            "a proof of {proof} hashes leads to root {}",
            receipt.root
        ));
        let end = anchor.first.0 + anchor.count;
        verdict.hold(format!(
            "the anchor covers messages {} to {}",
            anchor.first,
            end - 1
        ));
        match trusted {
            Some(trusted) if trusted == receipt.contract => {
                verdict.hold(format!("contract {trusted} is the one you trust"));
            }
            Some(trusted) => verdict.fail(format!("contract is {}, not {trusted}", receipt.contract)),
            None => verdict.note(format!(
                "the contract is the one that the receipt names, {}: compare it, or give --contract",
                receipt.contract
            )),
        }
        verdict
    }

    pub(super) fn holds(&self) -> bool {
        !self.0.iter().any(|step| matches!(step, Step::Fails(_)))
    }

    fn hold(&mut self, text: String) {
        self.0.push(Step::Holds(text));
    }

    fn fail(&mut self, text: String) {
        self.0.push(Step::Fails(text));
    }

    fn note(&mut self, text: String) {
        self.0.push(Step::Note(text));
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.0 {
            match step {
                Step::Holds(text) => writeln!(f, "✓ {text}")?,
                Step::Fails(text) => writeln!(f, "✗ {text}")?,
                Step::Note(text) => writeln!(f, "! {text}")?,
            }
        }
        match self.holds() {
            true => writeln!(f, "\nThe receipt holds."),
            false => writeln!(f, "\nThe receipt does not hold."),
        }
    }
}

/// Goes on from the offline steps with what the chain says.
pub(super) fn judge(offline: Verdict, receipt: &Receipt, evidence: &Evidence) -> Verdict {
    let mut verdict = offline;
    match on_chain(receipt, evidence, &mut verdict) {
        Ok(()) => finality(receipt, evidence, &mut verdict),
        Err(reason) => verdict.fail(reason),
    }
    verdict
}

fn on_chain(receipt: &Receipt, evidence: &Evidence, verdict: &mut Verdict) -> Result<(), String> {
    let anchor = &receipt.anchor;
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
    event(receipt, log)?;
    verdict.hold(format!(
        "event {} of contract {} anchors root {} for messages {} to {}",
        anchor.log_index,
        receipt.contract,
        anchor.root,
        anchor.first,
        anchor.first.0 + anchor.count - 1
    ));
    Ok(())
}

/// Whether the event is the anchor of the receipt, field by field.
fn event(receipt: &Receipt, log: &Log) -> Result<(), String> {
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
        receipt.stream.id.word(),
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
    Ok(())
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
