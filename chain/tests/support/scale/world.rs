//! The deployment: streams that have a message each second and offer a run each interval, and the machines.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, keccak256};
use alloy_sol_types::SolEvent;
use streamchain_chain::abi::Anchored;
use streamchain_chain::anchorer::{Anchorer, ReadRounds, Run, Settings, StoredSegment, Task};
use streamchain_chain::batcher::{self, Batcher, BatcherTask, Fixing, OfferRun, Offered, RoundList};
use streamchain_chain::ethereum::RpcError;
use streamchain_chain::rounds::{self, RoundAnchor, RoundTask, StoreRound};
use streamchain_chain::{Command, Machine};
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::proof::bucket::bucket_of;
use streamchain_protocol::proof::run::RunEntry;
use streamchain_protocol::proof::{AnchorState, rounds_stream};
use streamchain_protocol::time::UnixMs;

use super::super::anchoring::{settings, signer};
use super::super::fake_chain::{FakeChain, Orphans};
use super::meters::{Meter, Meters, Report};

const BLOCK_S: u64 = 12;
/// Blocks until one is final: 15 minutes.
const FINALITY_BLOCKS: u64 = 75;
const START: UnixMs = UnixMs(1_700_000_000_000);
/// Streams of one owner.
const STREAMS_PER_OWNER: usize = 500;
/// Rows of the table `runs` that one statement writes.
const RUNS_PER_STATEMENT: usize = 2_000;

/// What happens to the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    None,
    /// No node answers from this second on, for so many seconds.
    Away(u64, u64),
    /// At this second so many blocks are taken back.
    Reorg(u64, u64),
}

/// A stream: what its object and the database know of its runs.
struct Stream {
    id: StreamId,
    begin: u64,
    /// The newest run that the database has.
    newest: Option<RunEntry>,
}

/// The simulation.
pub struct Deployment {
    interval_s: u64,
    streams: Vec<Stream>,
    index: BTreeMap<StreamId, usize>,
    batchers: BTreeMap<u8, Batcher>,
    buckets_each: u16,
    anchorer: Anchorer,
    chain: FakeChain,
    rounds: BTreeMap<u64, StoreRound>,
    lists: BTreeMap<(u64, u8), Vec<RunEntry>>,
    notified: BTreeMap<u64, RoundAnchor>,
    seconds: u64,
    trouble: Trouble,
    pub meters: Meters,
}

impl Deployment {
    /// So many active streams, with a round each `interval_s`.
    pub fn new(streams: usize, batchers: u16, interval_s: u64, trouble: Trouble) -> Self {
        let buckets_each = 256 / batchers;
        let settings = Settings {
            interval_ms: interval_s * 1_000,
            rounds: Some(rounds::Settings {
                owner: signer().address(),
                buckets_each,
            }),
            ..settings()
        };
        let of_batcher = batcher::Settings {
            buckets_each,
            operators: [signer().address()].into(),
            announce_after_ms: 10 * interval_s * 1_000,
        };
        let streams: Vec<Stream> = (0..streams)
            .map(|number| Stream {
                id: StreamId(keccak256(number.to_be_bytes()).0),
                begin: 0,
                newest: None,
            })
            .collect();
        let index = streams.iter().enumerate().map(|(at, stream)| (stream.id, at));
        let groups = (0..=u8::MAX).step_by(buckets_each.into());
        let mut chain = FakeChain::new(signer().address());
        chain.finalized_depth = FINALITY_BLOCKS;
        Self {
            interval_s,
            index: index.collect(),
            streams,
            batchers: groups
                .map(|group| (group, Batcher::restore(of_batcher.clone(), []).unwrap()))
                .collect(),
            buckets_each,
            anchorer: Anchorer::restore(settings, signer(), []).unwrap(),
            chain,
            rounds: BTreeMap::new(),
            lists: BTreeMap::new(),
            notified: BTreeMap::new(),
            seconds: 0,
            trouble,
            meters: Meters::default(),
        }
    }

    fn now(&self) -> UnixMs {
        START.plus_ms(self.seconds * 1_000)
    }

    /// So many seconds pass.
    pub fn run(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.offer_due();
            self.drive_batchers();
            self.drive_anchorer();
            self.seconds += 1;
            if let Trouble::Reorg(at, depth) = self.trouble
                && at == self.seconds
            {
                self.chain.reorg(depth, Orphans::Dropped);
                self.listen();
            }
            if self.seconds.is_multiple_of(BLOCK_S) {
                self.chain.mine();
                self.listen();
            }
        }
    }

    fn node_is_away(&self) -> bool {
        matches!(self.trouble, Trouble::Away(from, long) if (from..from + long).contains(&self.seconds))
    }

    /// What it came to.
    pub fn report(&self) -> Report {
        let ends = self
            .streams
            .iter()
            .map(|stream| stream.newest.map_or(0, |run| run.end().0));
        Report {
            streams: self.streams.len(),
            seconds: self.seconds,
            rounds: self.chain.next_seq(rounds_stream(signer().address())),
            transactions: self.chain.mined().len(),
            oldest_s: self.seconds - ends.min().unwrap_or_default(),
            batchers: self.batchers.len(),
            meters: self.meters.clone(),
        }
    }

    /// Each stream has a message a second; it offers each interval, at a second of its own.
    fn offer_due(&mut self) {
        let count = self.streams.len() as u64;
        let slot = self.seconds % self.interval_s;
        let (from, to) = (
            slot * count / self.interval_s,
            (slot + 1) * count / self.interval_s,
        );
        for at in from..to {
            self.offer(at as usize);
        }
    }

    fn offer(&mut self, at: usize) {
        for _ in 0..2 {
            let stream = &self.streams[at];
            let messages = (self.seconds + 1 - stream.begin) as u32;
            let offer = OfferRun {
                stream: stream.id,
                owner: owner(at),
                first: Seq(stream.begin),
                count: messages,
                root: B256::left_padding_from(&self.seconds.to_be_bytes()),
                watched: true,
            };
            let group = bucket_of(offer.stream) & !((self.buckets_each - 1) as u8);
            self.meters.offers += 1;
            self.meters.count(Meter::Batcher(group), self.seconds, 1);
            // The roots of the run's segments.
            self.meters.count(Meter::Database, self.seconds, 1);
            let batcher = self.batchers.get_mut(&group).unwrap();
            let mut offered = batcher.handle_offer(&offer).unwrap();
            if offered == Offered::Unknown {
                self.meters.count(Meter::Database, self.seconds, 1);
                batcher.handle_known(offer.stream, offer.owner, stream.newest.as_ref());
                offered = batcher.handle_offer(&offer).unwrap();
            }
            self.meters.batcher_rows += batcher.take_unsaved().len() as u64;
            let Offered::Answer(answer) = offered else {
                panic!("the stream is known by now");
            };
            assert_eq!(answer.refused, None, "every owner has room");
            let is_taken = answer.begin == offer.first;
            self.streams[at].begin = answer.begin.0;
            if is_taken {
                return;
            }
        }
        panic!("a stream that begins where it was told is taken");
    }

    fn drive_batchers(&mut self) {
        let now = self.now();
        let groups: Vec<u8> = self.batchers.keys().copied().collect();
        for group in groups {
            for _ in 0..1_000 {
                let batcher = self.batchers.get_mut(&group).unwrap();
                let Some(command) = batcher.next_command(now) else {
                    break;
                };
                match command {
                    Command::Save(rows) => self.meters.batcher_rows += rows.len() as u64,
                    Command::Do(BatcherTask::Announce(_)) => {
                        batcher.handle_announced(Ok(()), now);
                        assert!(self.anchorer.handle_runs_waiting(group));
                        self.meters.anchorer_rows += self.anchorer.take_unsaved().len() as u64;
                        self.meters.count(Meter::Anchorer, self.seconds, 1);
                    }
                    Command::Do(BatcherTask::ReadList { round, .. }) => {
                        let list = self.lists.get(&(round, group)).cloned().unwrap_or_default();
                        batcher.handle_list(Ok(list), now);
                        self.meters.count(Meter::Database, self.seconds, 1);
                    }
                    Command::Do(BatcherTask::Notify(notify)) => {
                        self.meters.notices += notify.notices.len() as u64;
                        batcher.handle_notified(&[], now);
                    }
                    Command::Call(_) | Command::Distrust(_) => unreachable!("a batcher asks no node"),
                }
            }
        }
    }

    fn drive_anchorer(&mut self) {
        let now = self.now();
        for _ in 0..1_000 {
            let Some(command) = self.anchorer.next_command(now) else {
                return;
            };
            match command {
                Command::Save(rows) => self.meters.anchorer_rows += rows.len() as u64,
                Command::Distrust(reason) => panic!("the node is honest: {reason}"),
                Command::Call(request) => {
                    let outcome = match self.node_is_away() {
                        true => Err(RpcError::Transport("connection refused".into())),
                        false => self.chain.answer(&request),
                    };
                    self.anchorer.handle_answer(outcome, now);
                }
                Command::Do(task) => self.perform(task, now),
            }
        }
        panic!(
            "the anchorer does not come to rest: {:?}",
            self.anchorer.status(now)
        );
    }

    fn perform(&mut self, task: Task, now: UnixMs) {
        let second = self.seconds;
        match task {
            Task::Rounds(ReadRounds { from, limit }) => {
                self.meters.count(Meter::Database, second, 1);
                let rounds = self.rounds.range(from..).take(limit);
                let stored = rounds.map(|(round, stored)| StoredSegment::of_round(*round, stored.fixed.root));
                self.anchorer.handle_stored(Ok(stored.collect()), now);
            }
            Task::Round(RoundTask::ReadNewest) => self.anchorer.handle_newest(Ok(None), now),
            Task::Round(RoundTask::Store(store)) => {
                self.meters.count(Meter::Database, second, 2);
                self.meters.database_rows += 1 + store.nodes.len() as u64;
                self.rounds.insert(store.fixed.round, store);
                self.anchorer.handle_round_stored(Ok(()), now);
            }
            Task::Round(RoundTask::Close(close)) => {
                let mut answers = Vec::new();
                for group in close.groups {
                    let previous = close
                        .previous
                        .as_ref()
                        .map(|it| it.of_group(group, self.buckets_each));
                    self.meters.count(Meter::Batcher(group), second, 1);
                    let batcher = self.batchers.get_mut(&group).unwrap();
                    let closed = batcher.handle_close(close.round, previous.as_ref(), now).unwrap();
                    self.meters.batcher_rows += batcher.take_unsaved().len() as u64;
                    answers.push((group, Ok(closed)));
                }
                self.anchorer.handle_closed(answers, now);
            }
            Task::Round(RoundTask::Fix(fix)) => {
                let mut answers = Vec::new();
                for group in fix.groups {
                    self.meters.count(Meter::Batcher(group), second, 1);
                    let batcher = self.batchers.get_mut(&group).unwrap();
                    let part = fix.fixed.of_group(group, self.buckets_each);
                    if let Fixing::Write(list) = batcher.handle_fixed(&part).unwrap() {
                        batcher.handle_written(list.round);
                        self.meters.batcher_rows += batcher.take_unsaved().len() as u64;
                        self.write_list(list);
                    }
                    answers.push((group, Ok(())));
                }
                self.anchorer.handle_fixed(answers, now);
            }
            Task::Segments(_) | Task::Records(_) => unreachable!("no stream has anchors of its own"),
        }
    }

    /// Each run begins where the one before it ended and names it.
    fn write_list(&mut self, list: RoundList) {
        let statements = 1 + list.runs.len().div_ceil(RUNS_PER_STATEMENT);
        self.meters
            .count(Meter::Database, self.seconds, statements as u64);
        self.meters.database_rows += 1 + list.runs.len() as u64;
        for run in &list.runs {
            let stream = &mut self.streams[self.index[&run.stream]];
            let (end, leaf) = stream
                .newest
                .map_or((Seq(0), B256::ZERO), |run| (run.end(), run.leaf()));
            assert_eq!(
                (run.first, run.previous),
                (end, leaf),
                "runs of {} follow each other",
                run.stream
            );
            stream.newest = Some(*run);
        }
        self.lists.insert((list.round, list.first_bucket), list.runs);
    }

    /// The Listener notifies the Anchorer and the batchers of each round whose state changed.
    fn listen(&mut self) {
        if self.node_is_away() {
            return;
        }
        let (now, finalized) = (self.now(), self.chain.finalized());
        let mut seen = BTreeMap::new();
        for log in self.chain.logs() {
            let event = Anchored::decode_raw_log(log.topics.iter().copied(), &log.data).unwrap();
            let anchor = RoundAnchor {
                round: event.firstSeq,
                tx: log.transaction_hash,
                block: log.block_number,
                state: AnchorState::of(log.block_number <= finalized),
            };
            assert_eq!(
                event.root, self.rounds[&anchor.round].fixed.root,
                "a round has one root"
            );
            seen.insert(anchor.round, anchor);
        }
        for (round, anchor) in &self.notified {
            let reverted = RoundAnchor {
                state: AnchorState::Reverted,
                ..*anchor
            };
            seen.entry(*round).or_insert(reverted);
        }
        for (round, anchor) in seen {
            if self.notified.insert(round, anchor) == Some(anchor) {
                continue;
            }
            self.meters.count(Meter::Anchorer, self.seconds, 1);
            let run = Run {
                stream: rounds_stream(signer().address()),
                first: Seq(round),
                count: 1,
                root: self.rounds[&round].fixed.root,
            };
            match anchor.state {
                AnchorState::Anchored => self.anchorer.handle_anchored(&run, now),
                AnchorState::Reverted => self.anchorer.handle_reverted(&run),
                AnchorState::Final => {
                    self.anchorer.handle_final(&run, now);
                    self.lists.retain(|(of, _), _| of + 2 >= round);
                }
            }
            self.meters.anchorer_rows += self.anchorer.take_unsaved().len() as u64;
            // The row of `anchors`.
            self.meters.database_rows += 1;
            for (group, batcher) in &mut self.batchers {
                assert!(batcher.handle_round_state(&anchor));
                self.meters.batcher_rows += batcher.take_unsaved().len() as u64;
                self.meters.count(Meter::Batcher(*group), self.seconds, 1);
            }
        }
    }
}

fn owner(stream: usize) -> Address {
    Address::left_padding_from(&(1 + stream / STREAMS_PER_OWNER).to_be_bytes())
}
