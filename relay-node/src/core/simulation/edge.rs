//! The edge as the simulation has it: it grants epochs, stores batches, and insists on what the real one insists on.

use crate::core::edge_requests::{Answer, EdgeError, Request, Ticket};
use std::collections::BTreeMap;
use streamchain_protocol::ids::{Epoch, Incarnation, Seq, ShortId, StreamId};
use streamchain_protocol::stream_settings::Signed;
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::wire::{
    Batch, Committed, EpochGrant, FollowGrant, LinkReach, ProducerKey, ProducerState, Record,
};

/// One run of one relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Run {
    pub relay: usize,
    pub run: u64,
}

#[derive(Default)]
pub(super) struct Edge {
    pub epoch: u64,
    leader: Option<(Run, Option<Incarnation>)>,
    pub records: Vec<Record>,
    next: BTreeMap<ProducerKey, u64>,
    last: Option<(Batch, Seq)>,
    /// How often a follower became the leader.
    pub takeovers: u64,
}

/// The whole id of the simulation's stream.
fn whole_id(short: ShortId) -> StreamId {
    let mut id = [0; 32];
    id[..20].copy_from_slice(&short.0);
    StreamId(id)
}

impl Edge {
    /// The answer to a request of this run. `is_gone` says of a run whether it is dead; `believes` whether a report that a living
    /// leader is lost is believed this time.
    pub(super) fn answer(
        &mut self,
        asker: Run,
        (ticket, request): (Ticket, Request),
        is_gone: impl Fn(Run) -> bool,
        believes: bool,
    ) -> Answer {
        match request {
            Request::AcquireEpoch { fresh, lost } => {
                self.acquire(asker, ticket.stream, (fresh, lost), is_gone, believes)
            }
            Request::Producer { epoch, lookup } => {
                let stored = self
                    .next
                    .get(&lookup.producer)
                    .and_then(|next| next.checked_sub(1));
                let state = ProducerState {
                    stored,
                    ..ProducerState::default()
                };
                let known = self.leads(asker, epoch).map(|()| state);
                Answer::Producer(lookup, known)
            }
            Request::Batch { body } => Answer::Batch(self.commit(asker, Batch::decode(&body).unwrap())),
            Request::Inbox { epoch } => Answer::Inbox(self.leads(asker, epoch).map(|()| Vec::new())),
            Request::Release { epoch } => {
                if self.leads(asker, epoch).is_ok() {
                    self.leader = None;
                }
                Answer::Released
            }
        }
    }

    /// Who leads.
    pub(super) fn leader(&self) -> Option<Run> {
        self.leader.map(|(leader, _)| leader)
    }

    fn leads(&self, asker: Run, epoch: Epoch) -> Result<(), EdgeError> {
        let is_leader = self.leader.is_some_and(|(leader, _)| leader == asker);
        match is_leader && epoch == Epoch(self.epoch) {
            true => Ok(()),
            false => Err(EdgeError::NotLeader("stale-epoch".into())),
        }
    }

    fn acquire(
        &mut self,
        asker: Run,
        short: ShortId,
        (fresh, lost): (Option<Incarnation>, Option<Epoch>),
        is_gone: impl Fn(Run) -> bool,
        believes: bool,
    ) -> Answer {
        let stream = whole_id(short);
        if let Some((leader, _)) = self.leader
            && leader.relay != asker.relay
            && !is_gone(leader)
            && !(lost == Some(Epoch(self.epoch)) && believes)
        {
            return Answer::Follow(Box::new(FollowGrant {
                stream,
                name: "demo".parse().unwrap(),
                leader: format!("r{}", leader.relay).parse().unwrap(),
                epoch: Epoch(self.epoch),
                signed: Signed::Optional,
                link: LinkReach {
                    addresses: Vec::new(),
                    fingerprint: String::new(),
                },
                ticket: String::new(),
                expires: UnixSec(0),
            }));
        }
        if self.leader != Some((asker, fresh)) {
            self.takeovers += u64::from(lost.is_some());
            self.leader = Some((asker, fresh));
            self.epoch += 1;
        }
        Answer::AcquireEpoch(Ok(EpochGrant {
            stream,
            name: "demo".parse().unwrap(),
            epoch: Epoch(self.epoch),
            head: Seq(self.records.len() as u64),
            waiting: 0,
            signed: Some(Signed::Optional),
        }))
    }

    fn commit(&mut self, asker: Run, batch: Batch) -> Result<Committed, EdgeError> {
        self.leads(asker, batch.epoch)?;
        let answer = |committed| Committed {
            committed,
            waiting: 0,
            withdrawn: Vec::new(),
        };
        if let Some((last, committed)) = &self.last
            && *last == batch
        {
            return Ok(answer(*committed));
        }
        assert_eq!(
            batch.first.0,
            self.records.len() as u64,
            "a batch follows what is stored"
        );
        for record in &batch.records {
            let next = self.next.entry(record.producer_key()).or_default();
            assert_eq!(
                record.producer_seq, *next,
                "a producer's messages are stored in order, each once"
            );
            *next += 1;
        }
        let committed = batch.end();
        self.records.extend(batch.records.clone());
        self.last = Some((batch, committed));
        Ok(answer(committed))
    }

    /// How many messages of a producer are stored.
    pub(super) fn stored(&self, producer: ProducerKey) -> u64 {
        self.next.get(&producer).copied().unwrap_or(0)
    }

    /// The text of a stored message.
    pub(super) fn text(&self, seq: u64) -> Option<&[u8]> {
        self.records
            .get(seq as usize)
            .map(|record| record.payload.as_ref())
    }
}
