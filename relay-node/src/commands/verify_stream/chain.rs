//! The contract's anchors, read by the machine that the edge's Listener runs: adaptive ranges, forks, and nodes
//! that contradict themselves.

use super::ledger::Anchor;
use crate::commands::node_answer::read_answer;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use streamchain_chain::ethereum::{Answer, NodeUrl, Request, RpcError};
use streamchain_chain::listener::{Batch, ChainEvent, EventId, EventKind, Listener, Settings, is_final};
use streamchain_chain::{Command, Machine};
use streamchain_protocol::Address;
use streamchain_protocol::ids::StreamId;
use streamchain_protocol::time::UnixMs;

/// How long the endpoint may take for one answer.
const RPC_TIMEOUT: Duration = Duration::from_secs(20);
/// Blocks of the first log query; halved when the endpoint says that it is too many.
const MAX_RANGE: u64 = 10_000;
/// Pause between rounds, ms: the machine waits this long when blocks change under it.
const ROUND_MS: u64 = 500;
/// Rounds in a row that may fail before the endpoint is given up.
const MAX_FAILED_ROUNDS: u32 = 5;

pub(super) struct Node {
    http: reqwest::Client,
    url: NodeUrl,
}

impl Node {
    /// A node at `url`.
    pub(super) fn new(url: &str) -> Result<Self, String> {
        let http = reqwest::Client::builder().timeout(RPC_TIMEOUT).build();
        Ok(Self {
            http: http.map_err(|error| error.to_string())?,
            url: NodeUrl::parse(url).ok_or("--rpc: expected an http:// or https:// URL")?,
        })
    }

    pub(super) async fn call(&self, request: &Request) -> Result<Answer, RpcError> {
        let broken = |error: reqwest::Error| match error.is_timeout() {
            true => RpcError::Timeout(RPC_TIMEOUT.as_millis() as u64),
            false => RpcError::Transport(crate::error_text::with_causes(&error)),
        };
        let mut post = self.http.post(self.url.as_str());
        if let Some(credentials) = self.url.authorization() {
            post = post.header("authorization", credentials);
        }
        let sent = post
            .header("content-type", "application/json")
            .body(request.body())
            .send()
            .await;
        read_answer(sent.map_err(broken)?, request, broken).await
    }

    pub(super) async fn chain_id(&self) -> Result<u64, String> {
        match self.call(&Request::ChainId).await {
            Ok(Answer::ChainId(id)) => Ok(id),
            Ok(_) => Err(format!("{}: no chain id", self.url)),
            Err(error) => Err(format!("{}: {error}", self.url)),
        }
    }
}

/// All anchors of the contract, up to the newest block that was read.
pub(super) struct Anchors {
    listener: Listener,
    start: u64,
    /// How long may still be waited for blocks of which events may be missing.
    patience: Duration,
    /// In the order of the chain, and whether they are final.
    events: BTreeMap<EventId, (ChainEvent, bool)>,
}

impl Anchors {
    /// Of a contract that was deployed in block `start_block`, or later.
    pub(super) fn new(
        chain_id: u64,
        contract: Address,
        start_block: u64,
        patience: Duration,
    ) -> Result<Self, String> {
        let settings = Settings {
            chain_id,
            contract,
            start_block,
            interval_ms: ROUND_MS,
            max_range: MAX_RANGE,
            finality_depth: None,
        };
        Ok(Self {
            listener: Listener::restore(settings, []).map_err(|error| error.to_string())?,
            start: start_block,
            patience,
            events: BTreeMap::new(),
        })
    }

    /// The first block that was read.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// One past the last block that was read.
    pub(super) fn end(&self) -> u64 {
        self.listener.status().cursor
    }

    /// Those of a stream, in the order of the chain.
    pub(super) fn of(&self, stream: StreamId) -> Vec<Anchor> {
        let events = self.events.values();
        events
            .filter(|(event, _)| event.stream == stream)
            .filter_map(|(event, is_final)| anchor(event, *is_final))
            .collect()
    }

    /// The accounts that anchored a stream, each once.
    pub(super) fn anchorers(&self, stream: StreamId) -> BTreeSet<Address> {
        let of_stream = self.events.values().filter(|(event, _)| event.stream == stream);
        of_stream
            .filter_map(|(event, _)| match event.kind {
                EventKind::Anchored { anchorer, .. } => Some(anchorer),
                _ => None,
            })
            .collect()
    }

    pub(super) fn streams(&self) -> impl Iterator<Item = StreamId> {
        self.events.values().map(|(event, _)| event.stream)
    }

    /// How many blocks the node gives no events for, although their headers say that there may be some.
    pub(super) fn doubtful_blocks(&self) -> u64 {
        self.listener.status().doubtful_blocks
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// Reads on, up to the newest block, and waits until blocks whose events may be missing have been read again, as long
    /// as there is patience. Fails where events are missing for certain.
    pub(super) async fn read(&mut self, node: &Node) -> Result<(), String> {
        let mut failed = 0;
        let mut asked = false;
        loop {
            let due = self.listener.poll_timeout(now()).unwrap_or_default();
            let now = if asked { now() } else { now().max(due) };
            match self.listener.next_command(now) {
                // Each run reads from the start: nothing is saved.
                Some(Command::Save(_)) => {}
                Some(Command::Distrust(reason)) => {
                    return Err(format!("{}: RPC node rejected: {reason}", node.url));
                }
                Some(Command::Call(request)) => {
                    asked = true;
                    let outcome = node.call(&request).await;
                    self.listener.handle_answer(outcome, now);
                }
                Some(Command::Do(batch)) => {
                    self.apply(batch);
                    self.listener.handle_applied(Ok(()), now);
                }
                None => {
                    let (status, is_reached) = (self.listener.status(), self.listener.is_reached());
                    let is_read = is_reached && status.lag == 0;
                    let is_whole = status.gaps.is_empty() && status.doubtful_blocks == 0;
                    if is_read && (is_whole || self.patience.is_zero()) {
                        return self.give_up(node);
                    }
                    failed = if is_reached { 0 } else { failed + 1 };
                    if let Some(error) = status.error.filter(|_| failed >= MAX_FAILED_ROUNDS) {
                        return Err(format!("{}: {error}", node.url));
                    }
                    let due = self.listener.poll_timeout(now).unwrap_or_default();
                    let pause = Duration::from_millis(due.since(now));
                    if is_read {
                        self.patience = self.patience.saturating_sub(pause);
                    }
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Fails with the blocks of which events are missing for certain, if there are any.
    fn give_up(&self, node: &Node) -> Result<(), String> {
        let gaps = self.listener.status().gaps;
        let Some(gap) = gaps.first() else {
            return Ok(());
        };
        let (from, to, tries, reason) = (gap.from, gap.to, gap.tries, &gap.reason);
        let more = gaps.len() - 1;
        Err(format!(
            "{}: gave up on the blocks {from} to {to}, read again {tries} times, and {more} more: {reason}",
            node.url
        ))
    }

    fn apply(&mut self, batch: Batch) {
        for event in &batch.undone {
            self.events.remove(&event.id());
        }
        for event in &batch.finalized {
            if let Some((_, is_final)) = self.events.get_mut(&event.id()) {
                *is_final = true;
            }
        }
        let final_to = batch.final_to;
        for event in batch.seen {
            if matches!(event.kind, EventKind::Anchored { .. }) {
                let is_final = is_final(event.block, final_to);
                self.events.insert(event.id(), (event, is_final));
            }
        }
    }
}

fn anchor(event: &ChainEvent, is_final: bool) -> Option<Anchor> {
    let EventKind::Anchored {
        first, count, root, ..
    } = &event.kind
    else {
        return None;
    };
    Some(Anchor {
        first: *first,
        count: u64::from(*count),
        root: *root,
        block: event.block,
        block_hash: event.block_hash,
        log_index: event.log_index,
        is_final,
        round: None,
    })
}

fn now() -> UnixMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMs(since.as_millis() as u64)
}
