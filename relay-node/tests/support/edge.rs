//! An edge that keeps everything in memory, and fails on demand.

use super::STREAM;
use relay_node::{Answer, EdgeError, Request, Ticket};
use std::collections::{BTreeMap, VecDeque};
use streamchain_protocol::Address;
use streamchain_protocol::ids::{Epoch, Incarnation, Seq, ShortId, StreamId};
use streamchain_protocol::signed::{GroupWalker, ProducerChain, PublicKey, Walked};
use streamchain_protocol::stream_settings::Signed;
use streamchain_protocol::wire::{
    Batch, Committed, EpochGrant, KeyState, Presence, ProducerKey, ProducerState, Record, Withdrawal,
};

/// How the next request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing was done.
    Before,
    /// It was done, but the answer was lost.
    After,
    /// There is never an answer.
    Silence,
}

#[derive(Default)]
pub struct Edge {
    pub records: Vec<Record>,
    pub epoch: u64,
    leader: Option<Option<Incarnation>>,
    producers: BTreeMap<ProducerKey, ProducerChain>,
    /// Keys that it vouches for, or refuses.
    pub keys: BTreeMap<(Address, PublicKey), KeyState>,
    last: Option<(Batch, Seq)>,
    /// Faults of the coming batches; when empty they are answered.
    pub batch_faults: VecDeque<Fault>,
    /// Faults of the next requests for an epoch.
    pub acquire_faults: VecDeque<Fault>,
    /// Whether another relay is the leader.
    pub is_elsewhere: bool,
    /// Requests, as text.
    pub asked: Vec<String>,
    pub batches: usize,
    /// Messages that came by HTTP.
    pub inbox: Vec<Record>,
    /// Whether the relay released the epoch.
    pub is_released: bool,
    /// What the answer to an acquired epoch says about signatures.
    pub signed: Option<Signed>,
    /// What the answers to batches name from now on.
    pub withdrawn: Vec<Withdrawal>,
    /// What was reported of who is at the stream.
    pub presence: Vec<Presence>,
}

/// The whole id of a stream.
pub fn whole_id(short: ShortId) -> StreamId {
    let mut id = [0; 32];
    id[..20].copy_from_slice(&short.0);
    StreamId(id)
}

fn unavailable() -> EdgeError {
    EdgeError::Unavailable("503".into())
}

impl Edge {
    /// An edge without messages, whose stream takes groups and others.
    pub fn new() -> Self {
        Self {
            signed: Some(Signed::Optional),
            ..Self::default()
        }
    }

    /// Another relay becomes the leader.
    pub fn take_over(&mut self) {
        self.epoch += 1;
        self.is_elsewhere = true;
    }

    /// The other relay died: the relay under test may acquire the next epoch.
    pub fn give_back(&mut self) {
        self.is_elsewhere = false;
        self.leader = None;
    }

    /// The stored texts.
    pub fn texts(&self) -> Vec<String> {
        self.records
            .iter()
            .map(|record| String::from_utf8_lossy(&record.payload).into_owned())
            .collect()
    }

    /// The answer; `None` for silence.
    pub fn answer(&mut self, ticket: Ticket, request: Request) -> Option<Answer> {
        match request {
            Request::AcquireEpoch { fresh, .. } => {
                self.asked.push("acquire epoch".into());
                let fault = self.acquire_faults.pop_front();
                (fault != Some(Fault::Silence)).then(|| {
                    Answer::AcquireEpoch(if fault.is_some() {
                        Err(unavailable())
                    } else {
                        self.acquire_epoch(ticket.stream, fresh)
                    })
                })
            }
            Request::Producer { epoch, lookup } => {
                let producer = lookup.producer;
                let about_key = if lookup.key.is_some() { " and a key" } else { "" };
                self.asked
                    .push(format!("producer {}{about_key}", producer.id.0[0]));
                let chain = self.producers.get(&producer).copied().unwrap_or_default();
                let unknown = KeyState {
                    ok: false,
                    until: None,
                    reason: Some("unknown".into()),
                };
                let state = ProducerState {
                    stored: chain.next().checked_sub(1),
                    digest: chain.last(),
                    key: lookup
                        .key
                        .map(|key| self.keys.get(&(producer.author, key)).cloned().unwrap_or(unknown)),
                };
                let fits = epoch == Epoch(self.epoch) && !self.is_elsewhere;
                let stale = EdgeError::NotLeader("stale-epoch".into());
                Some(Answer::Producer(
                    lookup,
                    if fits { Ok(state) } else { Err(stale) },
                ))
            }
            Request::Inbox { epoch } => {
                self.asked.push("inbox".into());
                let fits = epoch == Epoch(self.epoch) && !self.is_elsewhere;
                let stale = EdgeError::NotLeader("stale-epoch".into());
                Some(Answer::Inbox(fits.then(|| self.inbox.clone()).ok_or(stale)))
            }
            Request::Release { .. } => {
                self.is_released = true;
                Some(Answer::Released)
            }
            Request::Presence { epoch, presence } => Some(self.take_presence(epoch, &presence)),
            Request::Batch { body } => {
                self.batches += 1;
                let batch = Batch::decode(&body).expect("a batch of the protocol");
                self.asked
                    .push(format!("batch {}+{}", batch.first, batch.records.len()));
                let fault = self.batch_faults.pop_front();
                if fault == Some(Fault::Before) {
                    return Some(Answer::Batch(Err(unavailable())));
                }
                if fault == Some(Fault::Silence) {
                    return None;
                }
                let done = self.commit(batch);
                Some(Answer::Batch(if fault == Some(Fault::After) {
                    Err(unavailable())
                } else {
                    done
                }))
            }
        }
    }

    fn take_presence(&mut self, epoch: Epoch, presence: &Presence) -> Answer {
        if epoch == Epoch(self.epoch) && !self.is_elsewhere {
            self.presence.push(presence.clone());
        }
        Answer::PresenceTaken
    }

    fn acquire_epoch(&mut self, short: ShortId, fresh: Option<Incarnation>) -> Result<EpochGrant, EdgeError> {
        if self.is_elsewhere {
            return Err(EdgeError::NotLeader("not-owner".into()));
        }
        if self.leader != Some(fresh) {
            self.leader = Some(fresh);
            self.epoch += 1;
        }
        let head = Seq(self.records.len() as u64);
        Ok(EpochGrant {
            stream: whole_id(short),
            name: "demo".parse().unwrap(),
            epoch: Epoch(self.epoch),
            head,
            waiting: self.inbox.len() as u64,
            signed: self.signed,
        })
    }

    fn commit(&mut self, batch: Batch) -> Result<Committed, EdgeError> {
        if batch.epoch != Epoch(self.epoch) || self.is_elsewhere {
            return Err(EdgeError::NotLeader("stale-epoch".into()));
        }
        if let Some((last, committed)) = &self.last
            && *last == batch
        {
            return Ok(Committed {
                committed: *committed,
                waiting: self.inbox.len() as u64,
                withdrawn: self.withdrawn.clone(),
            });
        }
        if batch.first.0 != self.records.len() as u64 {
            return Err(EdgeError::Refused(format!(
                "gap: expected {}",
                self.records.len()
            )));
        }
        let mut walker = GroupWalker::new(whole_id(STREAM));
        for record in &batch.records {
            let walked = walker.push(record).expect("a group is stored whole");
            let chain = self.producers.entry(record.producer_key()).or_default();
            match walked {
                Walked::Unsigned => chain.push_unsigned(record.producer_seq),
                Walked::Inside => Ok(()),
                Walked::Group(group) => chain.push_group(&group.signed).map(drop),
            }
            .expect("a producer's publications are stored in order");
        }
        walker.finish().expect("a group is stored whole");
        let committed = batch.end();
        let stored = |record: &Record| {
            batch.records.iter().any(|one| {
                one.producer_key() == record.producer_key() && one.producer_seq == record.producer_seq
            })
        };
        self.inbox.retain(|record| !stored(record));
        self.records.extend(batch.records.clone());
        self.last = Some((batch, committed));
        let waiting = self.inbox.len() as u64;
        let withdrawn = self.withdrawn.clone();
        Ok(Committed {
            committed,
            waiting,
            withdrawn,
        })
    }
}
