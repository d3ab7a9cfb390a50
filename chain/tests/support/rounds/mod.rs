//! A deployment that makes rounds: streams, batchers, an anchorer, a database and a chain, with messages between them
//! that may be lost, doubled or late.

mod checks;
mod messages;
mod parts;

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, keccak256};
use alloy_sol_types::{SolCall, SolEvent};
use streamchain_chain::abi::{Anchored, anchorRoundCall, multicallCall};
use streamchain_chain::anchorer::{Anchorer, ReadRounds, Run, Segment, Settings, StoredSegment, Task};
use streamchain_chain::batcher::{BatcherTask, RunNotice};
use streamchain_chain::ethereum::{Request, RpcError};
use streamchain_chain::rounds::{self, RoundAnchor, RoundTask, StoreRound};
use streamchain_chain::{Command, Machine};
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::proof::bucket::bucket_of;
use streamchain_protocol::proof::{AnchorState, rounds_stream};
use streamchain_protocol::time::UnixMs;

use super::anchoring::{BLOCK_MS, settings, signer};
use super::fake_chain::FakeChain;
use messages::LateMessage;
pub use parts::*;

pub const BUCKETS_EACH: u16 = 64;

pub struct World {
    pub chain: FakeChain,
    pub now: UnixMs,
    pub settings: Settings,
    pub anchorer: Anchorer,
    pub rows: Rows,
    pub batchers: BTreeMap<u8, BatcherObject>,
    pub database: Database,
    pub streams: BTreeMap<StreamId, FakeStream>,
    pub notices: Vec<RunNotice>,
    /// Batchers that answer nothing.
    pub away: BTreeSet<u8>,
    /// Batchers that write no list, and whether they do write it and fail behind that.
    pub unwriting: BTreeMap<u8, bool>,
    /// The rounds below this one are not known to the database: they were lost.
    pub lost: u64,
    /// The database answers nothing.
    pub database_is_away: bool,
    /// The node answers nothing.
    pub node_is_away: bool,
    /// Steps so far.
    pub steps: u64,
    late: Vec<LateMessage>,
    /// The root of each round as it was first sent.
    pub sent: BTreeMap<u64, B256>,
    /// Rounds whose state the batchers were notified of.
    notified: BTreeMap<u64, RoundAnchor>,
    next_block: UnixMs,
}

pub fn rounds_settings() -> Settings {
    Settings {
        rounds: Some(rounds::Settings {
            owner: signer().address(),
            buckets_each: BUCKETS_EACH,
        }),
        ..settings()
    }
}

/// A stream whose id begins with this byte.
pub fn stream_in(bucket: u8, number: u8) -> StreamId {
    let mut id = keccak256([bucket, number]).0;
    id[0] = bucket;
    StreamId(id)
}

pub fn owner(number: u8) -> Address {
    Address::repeat_byte(number)
}

type Plan<'a> = &'a mut dyn FnMut(u64) -> Trouble;

impl World {
    pub fn new() -> Self {
        Self::with(rounds_settings())
    }

    pub fn with(settings: Settings) -> Self {
        let now = UnixMs(1_700_000_000_000);
        let groups = (0..=u8::MAX).step_by(BUCKETS_EACH.into());
        Self {
            chain: FakeChain::new(signer().address()),
            now,
            anchorer: Anchorer::restore(settings.clone(), signer(), []).unwrap(),
            settings,
            rows: Rows::new(),
            batchers: groups.map(|group| (group, BatcherObject::new())).collect(),
            database: Database::default(),
            streams: BTreeMap::new(),
            notices: Vec::new(),
            away: BTreeSet::new(),
            unwriting: BTreeMap::new(),
            lost: 0,
            database_is_away: false,
            node_is_away: false,
            steps: 0,
            late: Vec::new(),
            sent: BTreeMap::new(),
            notified: BTreeMap::new(),
            next_block: now.plus_ms(BLOCK_MS),
        }
    }

    pub fn rounds_id(&self) -> StreamId {
        rounds_stream(self.settings.rounds.unwrap().owner)
    }

    /// The stream of rounds' next one, by the chain.
    pub fn anchored(&self) -> u64 {
        self.chain.next_seq(self.rounds_id())
    }

    fn group(stream: StreamId) -> u8 {
        bucket_of(stream) & !(BUCKETS_EACH as u8 - 1)
    }

    /// The stream has so many messages more, in one segment.
    pub fn publish(&mut self, id: StreamId, count: u32) {
        let stream = self.streams.entry(id).or_insert_with(|| FakeStream {
            owner: owner(id.0[1] % 3),
            watched: id.0[2].is_multiple_of(2),
            segments: Vec::new(),
            begin: Seq(0),
            offered: Seq(0),
            refused: 0,
        });
        let first = stream.head();
        let root = keccak256([&id.0[..], &first.0.to_be_bytes(), &count.to_be_bytes()].concat());
        stream.segments.push((first, count, root));
    }

    pub fn crash_anchorer(&mut self) {
        self.anchorer = Anchorer::restore(self.settings.clone(), signer(), pairs(&self.rows)).unwrap();
    }

    /// The anchorer's object is a new one: all that it had saved is gone.
    pub fn lose_anchorer(&mut self) {
        self.rows.clear();
        self.crash_anchorer();
    }

    /// All but the chain is new: what the database, the anchorer and the batchers had is gone, and so are the streams.
    pub fn lose_all(&mut self) {
        let groups = (0..=u8::MAX).step_by(BUCKETS_EACH.into());
        self.batchers = groups.map(|group| (group, BatcherObject::new())).collect();
        self.database = Database::default();
        self.streams.clear();
        self.lost = self.anchored();
        self.lose_anchorer();
    }

    fn save_anchorer(&mut self, dies: bool) {
        let rows = self.anchorer.take_unsaved();
        match dies {
            true => self.crash_anchorer(),
            false => write(&mut self.rows, rows),
        }
    }

    /// All that the batchers want to do now.
    fn drive_batchers(&mut self, plan: Plan<'_>) {
        let groups: Vec<u8> = self.batchers.keys().copied().collect();
        for group in groups {
            for _ in 0..100 {
                if self.away.contains(&group) {
                    break;
                }
                let (now, batcher) = (self.now, self.batchers.get_mut(&group).unwrap());
                let Some(command) = batcher.machine.next_command(now) else {
                    break;
                };
                self.steps += 1;
                let trouble = plan(self.steps);
                self.do_for_batcher(group, command, trouble);
            }
        }
    }

    fn do_for_batcher(&mut self, group: u8, command: Command<BatcherTask>, trouble: Trouble) {
        let now = self.now;
        let batcher = self.batchers.get_mut(&group).unwrap();
        if trouble == Trouble::DiesBefore {
            return batcher.crash();
        }
        match command {
            Command::Save(_) if trouble == Trouble::Lost => return batcher.crash(),
            Command::Save(rows) => write(&mut batcher.rows, rows),
            Command::Do(BatcherTask::Announce(announced)) => {
                assert_eq!(announced, group);
                if trouble != Trouble::Lost {
                    self.take_announcement(group, trouble == Trouble::AskedDies);
                }
                match trouble {
                    Trouble::Doubled => self.take_announcement(group, false),
                    Trouble::Late => self.late.push(LateMessage::Announce(group)),
                    _ => {}
                }
                let outcome = match trouble.loses_answer() {
                    true => Err("no answer".to_owned()),
                    false => Ok(()),
                };
                if trouble != Trouble::DiesAfter {
                    let machine = &mut self.batchers.get_mut(&group).unwrap().machine;
                    machine.handle_announced(outcome, now);
                }
            }
            Command::Do(BatcherTask::ReadList { round, first_bucket }) => {
                let list = self.database.lists.get(&(round, first_bucket)).cloned();
                let outcome = match trouble.loses_answer() || self.database_is_away {
                    true => Err("the database is away".to_owned()),
                    false => Ok(list.unwrap_or_default()),
                };
                batcher.machine.handle_list(outcome, now);
            }
            Command::Do(BatcherTask::Notify(notify)) => {
                let failed: Vec<StreamId> = match trouble.loses_answer() {
                    true => notify.notices.iter().map(|notice| notice.stream).collect(),
                    false => Vec::new(),
                };
                if trouble != Trouble::Lost {
                    self.notices.extend(notify.notices);
                }
                batcher.machine.handle_notified(&failed, now);
            }
            Command::Call(_) | Command::Distrust(_) => unreachable!("a batcher asks no node"),
        }
        if trouble == Trouble::DiesAfter {
            self.batchers.get_mut(&group).unwrap().crash();
        }
    }

    /// All that the anchorer wants to do now.
    fn drive_anchorer(&mut self, plan: Plan<'_>) {
        for _ in 0..2_000 {
            let Some(command) = self.anchorer.next_command(self.now) else {
                return;
            };
            self.steps += 1;
            let trouble = plan(self.steps);
            if trouble == Trouble::DiesBefore {
                return self.crash_anchorer();
            }
            match command {
                Command::Save(_) if trouble == Trouble::Lost => return self.crash_anchorer(),
                Command::Save(rows) => write(&mut self.rows, rows),
                Command::Distrust(reason) => panic!("the node is honest: {reason}"),
                Command::Call(request) => self.call(&request, trouble),
                Command::Do(task) => self.do_for_anchorer(task, trouble, plan),
            }
            if trouble == Trouble::DiesAfter {
                return self.crash_anchorer();
            }
        }
        panic!(
            "the anchorer does not come to rest: {:?}",
            self.anchorer.status(self.now)
        );
    }

    fn call(&mut self, request: &Request, trouble: Trouble) {
        self.now = self.now.plus_ms(5);
        let mut outcome = match trouble == Trouble::Lost || self.node_is_away {
            true => Err(RpcError::Transport("connection refused".into())),
            false => self.chain.answer(request),
        };
        self.note_sent();
        if trouble.loses_answer() {
            outcome = Err(RpcError::Timeout(10_000));
        }
        if trouble != Trouble::DiesAfter {
            self.anchorer.handle_answer(outcome, self.now);
        }
    }

    /// A round is sent with one root, whatever happens.
    fn note_sent(&mut self) {
        for tx in &self.chain.pool {
            for round in rounds_in(&tx.data) {
                let first = *self.sent.entry(round.round).or_insert(round.root);
                assert_eq!(
                    first, round.root,
                    "round {} is sent with another root",
                    round.round
                );
                let stored = self.database.rounds.get(&round.round);
                assert_eq!(
                    stored.map(|stored| stored.fixed.root),
                    Some(round.root),
                    "round {} was sent before it was stored",
                    round.round
                );
            }
        }
    }

    fn do_for_anchorer(&mut self, task: Task, trouble: Trouble, plan: Plan<'_>) {
        let is_away = trouble.loses_answer() || self.database_is_away;
        fn unless<T>(is_away: bool, found: T) -> Result<T, String> {
            if is_away {
                Err("the database is away".to_owned())
            } else {
                Ok(found)
            }
        }
        match task {
            Task::Rounds(ReadRounds { from, limit }) => {
                let rounds = self.database.rounds.range(from..).take(limit);
                let stored = rounds.map(|(round, stored)| StoredSegment::of_round(*round, stored.fixed.root));
                let outcome = unless(is_away, stored.collect());
                self.anchorer.handle_stored(outcome, self.now);
            }
            Task::Round(RoundTask::ReadNewest) => {
                let outcome = unless(is_away, self.database.newest_round());
                self.anchorer.handle_newest(outcome, self.now);
            }
            Task::Round(RoundTask::Store(store)) => {
                if trouble != Trouble::Lost && !self.database_is_away {
                    self.store(&store);
                }
                let outcome = unless(is_away, ());
                if trouble != Trouble::DiesAfter {
                    self.anchorer.handle_round_stored(outcome, self.now);
                }
            }
            Task::Round(RoundTask::Close(close)) => {
                let mut answers = Vec::new();
                for group in close.groups.clone() {
                    self.steps += 1;
                    let trouble = plan(self.steps);
                    let previous = close.previous_of(group, BUCKETS_EACH);
                    let answer = self.send_close(group, close.round, previous, trouble);
                    answers.extend(answer.map(|answer| (group, answer)));
                }
                self.now = self.now.plus_ms(20);
                if trouble != Trouble::DiesAfter {
                    self.anchorer.handle_closed(answers, self.now);
                }
            }
            Task::Round(RoundTask::Fix(fix)) => {
                let mut answers = Vec::new();
                for group in fix.groups {
                    self.steps += 1;
                    let trouble = plan(self.steps);
                    let answer = self.send_fix(group, fix.fixed.of_group(group, BUCKETS_EACH), trouble);
                    answers.extend(answer.map(|answer| (group, answer)));
                }
                self.now = self.now.plus_ms(20);
                if trouble != Trouble::DiesAfter {
                    self.anchorer.handle_fixed(answers, self.now);
                }
            }
            Task::Segments(_) | Task::Records(_) => unreachable!("all segments of these tests are held"),
        }
    }

    fn store(&mut self, store: &StoreRound) {
        for node in &store.nodes {
            self.database.nodes.insert((node.height, node.index), node.hash);
        }
        self.database.rounds.insert(store.fixed.round, store.clone());
    }

    /// Hands segments of streams with an anchor of their own over.
    pub fn hand_over(&mut self, segments: &[Segment]) {
        self.anchorer.handle_segments(segments).unwrap();
        self.save_anchorer(false);
    }

    /// The listener notifies anchorer and batchers of each round whose state changed.
    pub fn listen(&mut self) {
        let finalized = self.chain.finalized();
        let mut seen = BTreeMap::new();
        for log in self.chain.logs() {
            let Ok(event) = Anchored::decode_raw_log(log.topics.iter().copied(), &log.data) else {
                continue;
            };
            let run = Run {
                stream: StreamId(event.stream.0),
                first: Seq(event.firstSeq),
                count: event.count,
                root: event.root,
            };
            let state = AnchorState::of(log.block_number <= finalized);
            match state {
                AnchorState::Final => self.anchorer.handle_final(&run, self.now),
                _ => self.anchorer.handle_anchored(&run, self.now),
            }
            if run.stream == self.rounds_id() {
                let (tx, block) = (log.transaction_hash, log.block_number);
                seen.insert(
                    run.first.0,
                    RoundAnchor {
                        round: run.first.0,
                        tx,
                        block,
                        state,
                    },
                );
            }
        }
        let mut gone: Vec<RoundAnchor> = self.notified.values().copied().collect();
        gone.retain(|it| !seen.contains_key(&it.round));
        for anchor in gone {
            if anchor.state != AnchorState::Reverted {
                let reverted = RoundAnchor {
                    state: AnchorState::Reverted,
                    ..anchor
                };
                seen.insert(anchor.round, reverted);
                let run = Run {
                    stream: self.rounds_id(),
                    first: Seq(anchor.round),
                    count: 1,
                    root: B256::ZERO,
                };
                self.anchorer.handle_reverted(&run);
            }
        }
        self.save_anchorer(false);
        for (round, anchor) in seen {
            if self.notified.insert(round, anchor) != Some(anchor) {
                for batcher in self.batchers.values_mut() {
                    assert!(batcher.machine.handle_round_state(&anchor));
                    batcher.save(false);
                }
            }
        }
    }

    /// So much time passes: streams offer each two seconds, a block comes each twelve.
    pub fn pass_with(&mut self, ms: u64, plan: Plan<'_>) {
        let until = self.now.plus_ms(ms);
        while self.now < until {
            self.offer_all(plan);
            self.drive_batchers(plan);
            self.drive_anchorer(plan);
            self.now = self.now.plus_ms(2_000);
            if self.now >= self.next_block {
                self.next_block = self.now.plus_ms(BLOCK_MS);
                self.chain.mine();
                self.listen();
            }
        }
    }

    pub fn pass(&mut self, ms: u64) {
        self.pass_with(ms, &mut |_| Trouble::None);
    }
}

/// The rounds that a transaction anchors.
fn rounds_in(data: &[u8]) -> Vec<anchorRoundCall> {
    match multicallCall::abi_decode(data) {
        Ok(calls) => calls.data.iter().flat_map(|data| rounds_in(data)).collect(),
        Err(_) => anchorRoundCall::abi_decode(data).into_iter().collect(),
    }
}
