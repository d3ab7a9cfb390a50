//! The output: progress on standard error, the result on standard output.

use super::chain::Anchors;
use super::edge::StreamEntry;
use super::ledger::{Difference, Ledger, Summary};
use super::rounds::Rounds;
use super::signatures::{SignatureFault, Signed};
use super::unvouched::UnvouchedGroups;
use crate::commands::trust::Trust;
use crate::error_text::printable;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use streamchain_protocol::Address;
use streamchain_protocol::ids::{Seq, StreamName};

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

    pub(super) fn show(&mut self, name: &StreamName, ledger: &Ledger, head: Seq) {
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
    /// The first difference; what is behind it was not read.
    Differs(Difference),
}

/// What came of the check of a stream.
pub(super) struct Checked {
    pub outcome: Outcome,
    /// The first author who is not attested as it must be. What is behind it was checked as well.
    pub refusal: Option<SignatureFault>,
    pub unvouched: UnvouchedGroups,
}

impl From<Outcome> for Checked {
    /// Without a look at signatures.
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            refusal: None,
            unvouched: UnvouchedGroups::default(),
        }
    }
}

impl Checked {
    fn agrees(&self) -> bool {
        matches!(self.outcome, Outcome::Agrees(_)) && self.refusal.is_none()
    }
}

struct Line {
    stream: StreamEntry,
    anchorers: Vec<Address>,
    checked: Checked,
}

pub(super) struct Report {
    chain_id: u64,
    contract: Address,
    /// What the caller did not require.
    open: Vec<String>,
    /// The owner of the stream of rounds, and how many rounds there are.
    rounds: Option<(Address, usize)>,
    blocks: (u64, u64),
    lines: Vec<Line>,
    left_out: Vec<StreamName>,
    of_other_owners: usize,
    strangers: usize,
    anchors: usize,
    doubtful_blocks: u64,
}

impl Report {
    /// Of the contract that the caller believes; `open`: what the caller did not require.
    pub(super) fn new(chain_id: u64, trust: &Trust, open: Option<String>) -> Self {
        Self {
            chain_id,
            contract: trust.contract,
            open: open.into_iter().collect(),
            rounds: None,
            blocks: (0, 0),
            lines: Vec::new(),
            left_out: Vec::new(),
            of_other_owners: 0,
            strangers: 0,
            anchors: 0,
            doubtful_blocks: 0,
        }
    }

    pub(super) fn add(
        &mut self,
        stream: &StreamEntry,
        anchorers: impl IntoIterator<Item = Address>,
        checked: Checked,
    ) {
        self.lines.push(Line {
            stream: stream.clone(),
            anchorers: anchorers.into_iter().collect(),
            checked,
        });
    }

    /// A listed stream belongs to another owner than the one that is required.
    pub(super) fn leave_out_other_owner(&mut self) {
        self.of_other_owners += 1;
    }

    /// Refuses a result that says nothing: all that is there was left out.
    pub(super) fn compared_something(&self) -> Result<(), String> {
        let left_out = self.left_out.len() + self.of_other_owners + self.strangers;
        match self.lines.is_empty() && left_out > 0 {
            true => {
                Err("no stream was compared: the edge lists none that may be read and is of the owner".into())
            }
            false => Ok(()),
        }
    }

    /// A stream may not be read.
    pub(super) fn leave_out(&mut self, name: StreamName) {
        self.left_out.push(name);
    }

    /// The blocks that were read, `from..to`.
    pub(super) fn blocks(&mut self, from: u64, to: u64) {
        self.blocks = (from, to);
    }

    /// Whose rounds were read, and how many; `open`: what the caller did not require about them.
    pub(super) fn rounds(&mut self, rounds: Option<&Rounds>, anchors: &Anchors, open: Option<String>) {
        let count = |rounds: &Rounds| (rounds.owner, anchors.of(rounds.stream).len());
        self.rounds = rounds.map(count).filter(|(_, count)| *count > 0);
        self.open.extend(open);
    }

    /// Counts anchors of streams that were not compared: the contract is open to everybody.
    pub(super) fn strangers(&mut self, anchors: &Anchors, rounds: Option<&Rounds>) {
        let mut compared: HashSet<_> = self.lines.iter().map(|line| line.stream.id).collect();
        compared.extend(rounds.map(|rounds| rounds.stream));
        self.anchors = anchors.len();
        self.strangers = anchors.streams().filter(|id| !compared.contains(id)).count();
    }

    /// Counts blocks that the check gave up on: their headers promise events that the node does not give.
    pub(super) fn doubtful(&mut self, blocks: u64) {
        self.doubtful_blocks = blocks;
    }

    pub(super) fn agrees(&self) -> bool {
        self.lines.iter().all(|line| line.checked.agrees())
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
        if let Some((owner, rounds)) = self.rounds {
            println!("rounds of {owner}: {rounds}");
        }
        for line in &self.lines {
            print_line(line);
        }
        if self.of_other_owners > 0 {
            println!(
                "! {} streams of other owners were not compared",
                self.of_other_owners
            );
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
        if self.doubtful_blocks > 0 {
            println!(
                "! gave up on {} blocks: their headers say that there may be events, and the node gives none",
                self.doubtful_blocks
            );
        }
        for open in &self.open {
            println!("! {open}");
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
            "leftOut": self.left_out, "ofOtherOwners": self.of_other_owners,
            "roundsOwner": self.rounds.map(|(owner, _)| owner), "rounds": self.rounds.map_or(0, |(_, count)| count),
            "doubtfulBlocks": self.doubtful_blocks,
        })
    }
}

fn print_line(line: &Line) {
    let StreamEntry { id, name, owner } = &line.stream;
    let Checked {
        outcome,
        refusal,
        unvouched,
    } = &line.checked;
    let refusal = refusal.as_ref().map(|fault| printable(&fault.to_string()));
    match (outcome, refusal) {
        (Outcome::Agrees(summary), None) => println!("✓ {name}: {}", in_words(summary)),
        (Outcome::Agrees(summary), Some(refusal)) => {
            println!("✗ {name} ({id}): {refusal}\n    {}", in_words(summary));
        }
        (Outcome::Differs(difference), refusal) => {
            println!("✗ {name} ({id}): {}", printable(&difference.to_string()));
            if let Some(refusal) = refusal {
                println!("    ! before that: {refusal}");
            }
        }
    }
    if let Outcome::Agrees(summary) = outcome {
        println!("    {}", signed_in_words(&summary.signed));
    }
    print_unvouched(unvouched);
    let anchorers: Vec<String> = line.anchorers.iter().map(Address::to_string).collect();
    match anchorers.is_empty() {
        true => println!("    owner {owner}, not anchored"),
        false => println!("    owner {owner}, anchored by {}", anchorers.join(", ")),
    }
}

/// Names the first groups for whose keys nobody vouches.
fn print_unvouched(unvouched: &UnvouchedGroups) {
    let UnvouchedGroups { groups, named, .. } = unvouched;
    for group in named {
        let (seq, author, key) = (group.seq, group.author, group.key);
        let reason = printable(&group.reason.to_string());
        println!(
            "    ! not vouched for: the group that ends with message {seq}, author {author}, key {key}: {reason}"
        );
    }
    let more = groups.saturating_sub(named.len() as u64);
    if more > 0 {
        println!("    ! not vouched for: {more} more groups");
    }
}

fn in_words(summary: &Summary) -> String {
    let mut text = format!(
        "{} messages in {} segments under {} anchors ({} final) agree",
        summary.anchored, summary.segments, summary.anchors, summary.final_anchors
    );
    if summary.in_rounds > 0 {
        text.push_str(&format!(
            "; {} of the anchors are runs in rounds",
            summary.in_rounds
        ));
    }
    if summary.waiting() > 0 {
        text.push_str(&format!(
            "; {} stored messages wait for an anchor",
            summary.waiting()
        ));
    }
    if summary.erased > 0 {
        text.push_str(&format!(
            "; the payloads of {} messages are erased, and their hashes agree",
            summary.erased
        ));
    }
    text
}

/// Who attests the authors of the messages.
fn signed_in_words(signed: &Signed) -> String {
    let Signed {
        groups,
        by_authors,
        by_known_keys,
        by_operator,
        unvouched,
        unsigned,
        producers,
    } = signed;
    let mut text = format!(
        "{by_authors} messages are signed by their authors ({groups} groups of {producers} producers, none missing)"
    );
    if *by_known_keys > 0 {
        text.push_str(&format!(
            "; {by_known_keys} by keys that you know, and the operator says whose they are (--author-key AUTHOR=KEY says it yourself)"
        ));
    }
    if *by_operator > 0 {
        text.push_str(&format!("; {by_operator} by keys that the operator vouches for"));
    }
    if *unvouched > 0 {
        text.push_str(&format!(
            "; {unvouched} by keys that nobody vouches for: the operator attests their authors"
        ));
    }
    if *unsigned > 0 {
        text.push_str(&format!(
            "; {unsigned} are not signed: the operator attests their authors"
        ));
    }
    text
}

fn stream_json(line: &Line) -> Value {
    let StreamEntry { id, name, owner } = &line.stream;
    let Checked {
        outcome,
        refusal,
        unvouched,
    } = &line.checked;
    let refusal = refusal.as_ref().map(SignatureFault::to_string);
    let (numbers, difference) = match outcome {
        Outcome::Agrees(summary) => (summary_json(summary), refusal.clone()),
        Outcome::Differs(difference) => (Value::Null, Some(difference.to_string())),
    };
    let mut all = json!({
        "id": id,
        "name": name,
        "owner": owner,
        "anchorers": line.anchorers,
        "agrees": line.checked.agrees(),
        "refused": refusal,
        "unvouched": unvouched_json(unvouched),
    });
    if let Some(all) = all.as_object_mut() {
        all.extend(difference.map(|difference| ("difference".to_owned(), json!(difference))));
        if let Value::Object(numbers) = numbers {
            all.extend(numbers);
        }
    }
    all
}

fn summary_json(summary: &Summary) -> Value {
    json!({
        "messages": summary.messages,
        "segments": summary.segments,
        "anchors": summary.anchors,
        "finalAnchors": summary.final_anchors,
        "inRounds": summary.in_rounds,
        "anchored": summary.anchored,
        "waiting": summary.waiting(),
        "erased": summary.erased,
        "signatures": {
            "groups": summary.signed.groups,
            "producers": summary.signed.producers,
            "byAuthors": summary.signed.by_authors,
            "byKnownKeys": summary.signed.by_known_keys,
            "byOperator": summary.signed.by_operator,
            "unvouched": summary.signed.unvouched,
            "unsigned": summary.signed.unsigned,
        },
    })
}

fn unvouched_json(unvouched: &UnvouchedGroups) -> Value {
    let named = unvouched.named.iter().map(|group| {
        json!({
            "seq": group.seq, "author": group.author, "key": group.key, "reason": group.reason.to_string(),
            "forged": group.reason.is_forged(),
        })
    });
    json!({ "groups": unvouched.groups, "messages": unvouched.messages, "first": named.collect::<Vec<_>>() })
}

pub(super) fn print_not_checked(reason: &str, as_json: bool) {
    if as_json {
        println!("{}", json!({ "error": reason }));
    } else {
        println!("? could not be checked: {}", printable(reason));
    }
}
