//! Who may write the stream: one run of one relay at a time, or the edge itself; and who takes it from whom.
//!
//! What always holds:
//! - an epoch belongs to one run of one relay; it grows whenever another run gets the stream;
//! - a relay gets the epoch, or the leader's address, only if it was sent a session of the stream or led it before;
//! - a leader that lives loses the stream to a relay that follows only on a report that its link failed, without a sign of
//!   life for [`LOST_WAIT_MS`] after it ([`CLOSED_WAIT_MS`] if its port was found closed), and not twice within [`TAKEOVER_INTERVAL_MS`] ([`CLOSED_TAKEOVER_INTERVAL_MS`]). The epoch fences, so a wrong report
//!   costs a change of the leader, and no message. How many such reports of one relay are believed is bounded over all streams
//!   ([`Belief`]).

use super::error::Refusal;
use super::serving::BARRED_MS;
use super::state::{Leader, LogState};
use crate::directory::{Belief, LeaderView, Standing};
use streamchain_protocol::auth::{LinkKey, LinkTicket};
use streamchain_protocol::ids::{Epoch, Incarnation, RelayId, RelayKeyId, Seq};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::{AcquireEpoch, EpochGrant, FollowGrant, LinkReach};

/// How long the leader has to give a sign of life after a report that it is lost, milliseconds: it commits every 50 ms while
/// there are messages, and a commit takes as long as the way to the edge.
pub(super) const LOST_WAIT_MS: u64 = 400;

/// The same after a report that the leader's port is closed, milliseconds: such a leader was silent before, and one that lives after
/// all commits twice in this time while there are messages.
pub(super) const CLOSED_WAIT_MS: u64 = 100;

/// How long a stream stays with a leader that got it by a report, whoever reports that one, milliseconds.
pub(super) const TAKEOVER_INTERVAL_MS: u64 = 10_000;

/// The same where the report is that the leader's port is closed, milliseconds: of relays that die soon after each other each is replaced,
/// and a relay that lies makes the leader change no more often than this.
pub(super) const CLOSED_TAKEOVER_INTERVAL_MS: u64 = 2_000;

/// How long a follower may begin to follow with a ticket, seconds (ten minutes): a link that breaks is made again without
/// asking the edge.
pub(super) const LINK_TICKET_LIFE_S: u64 = 600;

/// How far the clocks of two objects may be apart, milliseconds.
const CLOCK_SLACK_MS: u64 = 1_000;

/// A relay asks for the stream.
#[derive(Debug)]
pub struct Asking<'a> {
    /// The relay.
    pub relay: &'a RelayId,
    /// What it asks.
    pub asked: &'a AcquireEpoch,
    /// What the directory says of the leader; `None` while it was not asked.
    pub view: Option<&'a LeaderView>,
    /// When the leader committed last, as far as this instance of the object knows.
    pub committed: UnixMs,
    /// When the relay asked.
    pub since: UnixMs,
}

/// What a relay gets that asks for the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acquiring {
    /// It leads the stream.
    Leads(EpochGrant),
    /// It is to follow the leader.
    Follows(Follow),
    /// The directory is to be asked about this leader, and then the same again.
    LookUp(RelayId),
    /// It does not reach this leader, and is sent no session for a while.
    Unreachable(RelayId),
    /// The leader may give a sign of life until then: the directory is to be asked again, and then the same.
    Wait(UnixMs),
}

/// Whom a relay is to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follow {
    grant: FollowGrant,
    /// SHA-256 of the follower's link certificate.
    fingerprint: [u8; 32],
    /// The key that the leader has; its own by the master secret when there is none.
    pub key: Option<RelayKeyId>,
}

impl Follow {
    /// Returns the leader.
    pub fn leader(&self) -> &RelayId {
        &self.grant.leader
    }

    /// Returns what `follower` gets, with a ticket under the leader's key.
    pub fn grant(self, follower: &RelayId, key: &LinkKey, now: UnixMs) -> FollowGrant {
        let expires = now.to_sec().plus_s(LINK_TICKET_LIFE_S);
        let ticket = LinkTicket {
            follower: follower.clone(),
            fingerprint: self.fingerprint,
            stream: self.grant.stream.short(),
            epoch: self.grant.epoch,
            expires,
        };
        FollowGrant {
            ticket: ticket.sign(key),
            expires,
            ..self.grant
        }
    }
}

impl LogState {
    /// Grants the epoch to a run of a relay that has the stream, or names the leader to it: the same epoch again to the same
    /// run, a higher one to any other. The edge leads its own streams.
    pub(super) fn acquire(&mut self, asking: &Asking<'_>, now: UnixMs) -> Result<Acquiring, Refusal> {
        let Asking { relay, asked, .. } = asking;
        if self.name.is_system() {
            let relay = RelayId::edge();
            return Err(Refusal::NotLeader { relay });
        }
        let is_assigned = self.assigned.as_ref() == Some(*relay);
        if !is_assigned && !self.is_serving(relay) {
            return Err(match self.assigned.clone() {
                Some(relay) => Refusal::NotLeader { relay },
                None => Refusal::NotAssigned,
            });
        }
        let leader = match self.relay_leader() {
            Some(leader) if leader != *relay => leader.clone(),
            _ => return Ok(self.lead(asking, now)),
        };
        let cannot_follow = |state: &mut Self| match is_assigned {
            true => Ok(state.lead(asking, now)),
            false => Err(Refusal::NotLeader {
                relay: leader.clone(),
            }),
        };
        if !asked.follows {
            return cannot_follow(self);
        }
        let Some(view) = asking.view.filter(|view| view.leader == leader) else {
            return Ok(Acquiring::LookUp(leader));
        };
        let Some(fingerprint) = view.follower else {
            return cannot_follow(self);
        };
        match &view.standing {
            Standing::Dead => Ok(self.lead(asking, now)),
            Standing::NoLinks => cannot_follow(self),
            Standing::Alive { run_since, .. } if self.is_run_over(*run_since) => Ok(self.lead(asking, now)),
            Standing::Alive { heard, link, key, .. } => {
                let is_lost = asked.lost == Some(self.epoch);
                let heard = (*heard).max(asking.committed);
                match is_lost.then(|| self.weigh(asking, heard, view.belief, now)) {
                    Some(Weighed::TooMany) => Err(Refusal::TooManyReports),
                    Some(Weighed::Unreachable) => Ok(Acquiring::Unreachable(leader)),
                    Some(Weighed::Taken) => Ok(self.lead(asking, now)),
                    Some(Weighed::Wait(until)) => Ok(Acquiring::Wait(until)),
                    Some(Weighed::Lives) | None => {
                        Ok(self.follow(relay, leader.clone(), link, fingerprint, *key))
                    }
                }
            }
        }
    }

    /// Whether another run of the leader's relay registered since the epoch was granted.
    fn is_run_over(&self, run_since: Option<UnixMs>) -> bool {
        let over = |(since, granted): (UnixMs, UnixMs)| since > granted.plus_ms(CLOCK_SLACK_MS);
        run_since.zip(self.granted).is_some_and(over)
    }

    /// What becomes of a report that the leader is lost.
    fn weigh(&mut self, asking: &Asking<'_>, heard: UnixMs, belief: Belief, now: UnixMs) -> Weighed {
        let (wait_ms, interval_ms) = match asking.asked.closed {
            true => (CLOSED_WAIT_MS, CLOSED_TAKEOVER_INTERVAL_MS),
            false => (LOST_WAIT_MS, TAKEOVER_INTERVAL_MS),
        };
        let until = asking.since.plus_ms(wait_ms);
        let is_long_ago = |last: UnixMs| now.since(last) >= interval_ms;
        if heard > asking.since || belief == Belief::Refuted {
            let refuted = self.serving_mut(asking.relay).is_some_and(|one| one.refute(now));
            if !refuted {
                return Weighed::Lives;
            }
        } else if belief == Belief::TooMany {
            return Weighed::TooMany;
        } else if now < until {
            return Weighed::Wait(until);
        } else if self.taken_over.is_none_or(is_long_ago) {
            self.taken_over = Some(now);
            return Weighed::Taken;
        }
        if let Some(one) = self.serving_mut(asking.relay) {
            one.bar(now);
        }
        Weighed::Unreachable
    }

    fn follow(
        &mut self,
        relay: &RelayId,
        leader: RelayId,
        link: &LinkReach,
        fingerprint: [u8; 32],
        key: Option<RelayKeyId>,
    ) -> Acquiring {
        if let Some(one) = self.serving_mut(relay) {
            one.follows = true;
            one.gone = None;
        }
        Acquiring::Follows(Follow {
            grant: FollowGrant {
                stream: self.id,
                name: self.name.clone(),
                leader,
                epoch: self.epoch,
                signed: self.settings.signed,
                link: link.clone(),
                ticket: String::new(),
                expires: UnixMs(0).to_sec(),
            },
            fingerprint,
            key,
        })
    }

    /// Makes the relay the leader, and the one that the stream is assigned to.
    fn lead(&mut self, asking: &Asking<'_>, now: UnixMs) -> Acquiring {
        let (epoch, head) = self.grant_epoch(asking.relay, asking.asked.incarnation);
        self.takes_groups = asking.asked.groups;
        self.granted = Some(now);
        self.assigned = Some(asking.relay.clone());
        if let Some(one) = self.serving_mut(asking.relay) {
            one.lead();
        }
        Acquiring::Leads(EpochGrant {
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

/// What becomes of a report.
enum Weighed {
    /// The leader gave a sign of life since.
    Lives,
    /// It may do so until then.
    Wait(UnixMs),
    /// It lives, or got the stream a moment ago, and the relay does not reach it.
    Unreachable,
    /// It did not: the relay gets the stream.
    Taken,
    /// The relay reports too many leaders or streams: it has to ask again.
    TooMany,
}

const _: () = assert!(BARRED_MS > TAKEOVER_INTERVAL_MS);
