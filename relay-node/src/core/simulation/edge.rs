//! The edge as the simulation has it: it grants epochs, stores batches, and insists on what the real one insists on.

use crate::core::edge_requests::{Answer, EdgeError, LostLeader, Request, Ticket};
use std::collections::BTreeMap;
use std::ops::Range;
use streamchain_protocol::ids::{Epoch, Incarnation, Seq, ShortId, StreamId};
use streamchain_protocol::stream_settings::Signed;
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::wire::{
    Batch, Committed, EpochGrant, FollowGrant, LinkReach, Presence, ProducerKey, ProducerState, Record,
};

/// One run of one relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// What clients received under each epoch and seq: the same for all.
    heard: BTreeMap<(u64, u64), Vec<u8>>,
    /// What the leader reported last of who is at the stream.
    pub presence: Option<Presence>,
    /// How often a follower became the leader.
    pub takeovers: u64,
    /// The leaders that were reported as lost.
    pub reports: Vec<LostLeader>,
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
                self.reports.extend(lost);
                self.acquire(
                    asker,
                    ticket.stream,
                    (fresh, lost.map(|lost| lost.epoch)),
                    is_gone,
                    believes,
                )
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
            Request::Presence { epoch, presence } => {
                if self.leads(asker, epoch).is_ok() {
                    self.presence = Some(presence.as_ref().clone());
                }
                Answer::PresenceTaken
            }
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

    /// A client has received a message.
    pub(super) fn received(&mut self, epoch: Epoch, seq: Seq, payload: &[u8]) {
        let heard = self
            .heard
            .entry((epoch.0, seq.0))
            .or_insert_with(|| payload.to_vec());
        assert_eq!(heard, payload, "epoch {epoch}: message {seq} is one for all");
    }

    /// A client was sent under this epoch that these are stored, and has received of them what was not left out.
    pub(super) fn check_stored(&self, epoch: Epoch, seqs: Range<u64>) {
        for seq in seqs {
            let stored = self.text(seq);
            assert!(stored.is_some(), "message {seq} is not stored");
            if let Some(heard) = self.heard.get(&(epoch.0, seq)) {
                assert_eq!(Some(heard.as_slice()), stored, "epoch {epoch}: message {seq}");
            }
        }
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
