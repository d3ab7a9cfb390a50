//! Who may write the stream: one run of one relay at a time, or the edge itself.
//!
//! What always holds: an epoch belongs to one run of one relay; it grows whenever another run gets the stream.

use super::error::Refusal;
use super::state::{Leader, LogState};
use streamchain_protocol::ids::{Epoch, Incarnation, RelayId, Seq};
use streamchain_protocol::wire::{AcquireEpoch, EpochGrant};

impl LogState {
    /// Grants the epoch to a run of the relay that the stream is assigned to: the same epoch again to the same run, a
    /// higher one to any other. The edge leads its own streams.
    pub(super) fn acquire_epoch(
        &mut self,
        relay: &RelayId,
        asked: AcquireEpoch,
    ) -> Result<EpochGrant, Refusal> {
        if self.name.is_system() {
            let relay = RelayId::edge();
            return Err(Refusal::NotLeader { relay });
        }
        match &self.assigned {
            Some(assigned) if assigned != relay => {
                let relay = assigned.clone();
                return Err(Refusal::NotLeader { relay });
            }
            Some(_) => {}
            None => return Err(Refusal::NotAssigned),
        }
        let (epoch, head) = self.grant_epoch(relay, asked.incarnation);
        self.takes_groups = asked.groups;
        Ok(EpochGrant {
            stream: self.id,
            name: self.name.clone(),
            epoch,
            head,
            waiting: self.inbox.messages,
            signed: Some(self.settings.signed),
        })
    }

    /// Makes a run of a relay, or of the edge itself, the leader; returns its epoch, and the head.
    pub(super) fn grant_epoch(&mut self, relay: &RelayId, incarnation: Incarnation) -> (Epoch, Seq) {
        let relay = relay.clone();
        let leader = Some(Leader { relay, incarnation });
        if self.leader != leader {
            self.epoch = self.epoch.next();
            self.leader = leader;
            self.checks_authors = true;
        }
        (self.epoch, self.head)
    }

    /// Checks that `relay` leads the stream under the epoch `given`.
    pub(super) fn check_leader(&self, relay: &RelayId, given: Epoch) -> Result<(), Refusal> {
        let epoch = self.epoch;
        match &self.leader {
            Some(leader) if given == epoch && leader.relay == *relay => Ok(()),
            Some(leader) if given == epoch => Err(Refusal::NotLeader {
                relay: leader.relay.clone(),
            }),
            _ => Err(Refusal::StaleEpoch { given, epoch }),
        }
    }
}
