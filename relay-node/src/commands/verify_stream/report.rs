//! The output: progress on standard error, the result on standard output.

use super::chain::Anchors;
use super::ledger::{Difference, Ledger, Summary};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use streamchain_protocol::Address;
use streamchain_protocol::ids::{Seq, StreamId};

const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);

/// Shows now and then how far the check is.
pub(super) struct Progress {
    shown: Instant,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            shown: Instant::now(),
        }
    }

    pub(super) fn show(&mut self, name: &str, ledger: &Ledger, head: Seq) {
        if self.shown.elapsed() < PROGRESS_INTERVAL {
            return;
        }
        self.shown = Instant::now();
        let (passed, anchors) = ledger.anchors();
        eprintln!(
            "{name}: {} of {head} messages, {passed} of {anchors} anchors",
            ledger.messages()
        );
    }
}

pub(super) enum Outcome {
    Agrees(Summary),
    Differs(Difference),
}

struct Line {
    name: String,
    id: StreamId,
    outcome: Outcome,
}

pub(super) struct Report {
    chain_id: u64,
    contract: Address,
    trusted: bool,
    blocks: (u64, u64),
    lines: Vec<Line>,
    left_out: Vec<String>,
    strangers: usize,
    anchors: usize,
}

impl Report {
    /// Of a contract; `trusted`: the caller named it.
    pub(super) fn new(chain_id: u64, contract: Address, trusted: bool) -> Self {
        Self {
            chain_id,
            contract,
            trusted,
            blocks: (0, 0),
            lines: Vec::new(),
            left_out: Vec::new(),
            strangers: 0,
            anchors: 0,
        }
    }

    pub(super) fn add(&mut self, name: String, id: StreamId, outcome: Outcome) {
        self.lines.push(Line { name, id, outcome });
    }

    /// A stream may not be read.
    pub(super) fn leave_out(&mut self, name: String) {
        self.left_out.push(name);
    }

    /// The blocks that were read, `from..to`.
    pub(super) fn blocks(&mut self, from: u64, to: u64) {
        self.blocks = (from, to);
    }

    /// Counts anchors of streams that were not compared: the contract is open to everybody.
    pub(super) fn strangers(&mut self, anchors: &Anchors) {
        let compared: HashSet<StreamId> = self.lines.iter().map(|line| line.id).collect();
        self.anchors = anchors.len();
        self.strangers = anchors.streams().filter(|id| !compared.contains(id)).count();
    }

    pub(super) fn agrees(&self) -> bool {
        !self
            .lines
            .iter()
            .any(|line| matches!(line.outcome, Outcome::Differs(_)))
    }

    pub(super) fn print(&self, as_json: bool) {
        if as_json {
            println!("{}", self.as_json());
        } else {
            self.print_text();
        }
    }

    fn print_text(&self) {
        let (from, to) = self.blocks;
        let last = to.saturating_sub(1);
        let (chain, contract, anchors) = (self.chain_id, self.contract, self.anchors);
        println!("chain {chain}, contract {contract}, blocks {from} to {last}: {anchors} anchors");
        for line in &self.lines {
            match &line.outcome {
                Outcome::Agrees(summary) => println!("✓ {}: {}", line.name, in_words(summary)),
                Outcome::Differs(difference) => println!("✗ {} ({}): {difference}", line.name, line.id),
            }
        }
        for name in &self.left_out {
            println!("! {name}: not compared, it takes an access token to read it (--token)");
        }
        if self.strangers > 0 {
            println!(
                "! {} anchors are of streams that were not compared",
                self.strangers
            );
        }
        if !self.trusted {
            println!("! the contract is the one that the edge names: compare it, or give --contract");
        }
        match self.agrees() {
            true => println!("\nThe stored messages and the chain agree."),
            false => println!("\nThe stored messages and the chain differ."),
        }
    }

    fn as_json(&self) -> Value {
        let streams: Vec<Value> = self.lines.iter().map(stream_json).collect();
        json!({
            "agrees": self.agrees(), "chainId": self.chain_id, "contract": self.contract,
            "fromBlock": self.blocks.0, "toBlock": self.blocks.1.saturating_sub(1),
            "anchors": self.anchors, "anchorsOfOtherStreams": self.strangers, "streams": streams,
            "leftOut": self.left_out,
        })
    }
}

fn in_words(summary: &Summary) -> String {
    let mut text = format!(
        "{} messages in {} segments under {} anchors ({} final) agree",
        summary.anchored, summary.segments, summary.anchors, summary.final_anchors
    );
    if summary.waiting() > 0 {
        text.push_str(&format!(
            "; {} stored messages wait for an anchor",
            summary.waiting()
        ));
    }
    text
}

fn stream_json(line: &Line) -> Value {
    let (id, name) = (&line.id, &line.name);
    match &line.outcome {
        Outcome::Agrees(summary) => json!({
            "id": id,
            "name": name,
            "agrees": true,
            "messages": summary.messages,
            "segments": summary.segments,
            "anchors": summary.anchors,
            "finalAnchors": summary.final_anchors,
            "anchored": summary.anchored,
            "waiting": summary.waiting(),
        }),
        Outcome::Differs(difference) => json!({
            "id": id,
            "name": name,
            "agrees": false,
            "difference": difference.to_string(),
        }),
    }
}

pub(super) fn print_not_checked(reason: &str, as_json: bool) {
    if as_json {
        println!("{}", json!({ "error": reason }));
    } else {
        println!("? could not be checked: {reason}");
    }
}
