//! One stream, as long as the shard has it.
//!
//! What always holds: a shard leads a stream, follows it, or asks for it; whoever of its sessions and links was sent something of an
//! epoch is sent nothing of another one before it was told so.

use crate::core::edge_requests::{LostLeader, Ticket};
use crate::core::fan::{Fan, Standing};
use crate::core::leadership::Leadership;
use crate::core::link::{Downstream, Following, LinkPeer};
use crate::core::presence::StreamPresence;
use crate::core::retry::Retry;
use crate::core::send_queue::View;
use crate::core::session::SessionKey;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use streamchain_protocol::ids::{Epoch, Incarnation, Seq};
use streamchain_protocol::util::Network;

/// What a shard is to a stream.
#[derive(Debug)]
pub(crate) enum Role {
    /// The edge was asked who leads.
    Asking,
    /// It gives the seqs.
    Leader(Box<Leadership>),
    /// It takes the stream over a link.
    Follower(Box<Following>),
}

impl Role {
    pub(crate) fn leader(&self) -> Option<&Leadership> {
        match self {
            Self::Leader(leadership) => Some(leadership),
            Self::Asking | Self::Follower(_) => None,
        }
    }

    pub(crate) fn leader_mut(&mut self) -> Option<&mut Leadership> {
        match self {
            Self::Leader(leadership) => Some(leadership),
            Self::Asking | Self::Follower(_) => None,
        }
    }

    pub(crate) fn follower_mut(&mut self) -> Option<&mut Following> {
        match self {
            Self::Follower(following) => Some(following),
            Self::Asking | Self::Leader(_) => None,
        }
    }

    /// How the stream stands; `None` until that is known.
    pub(crate) fn standing(&self) -> Option<Standing> {
        match self {
            Self::Asking => None,
            Self::Leader(leadership) => Some(leadership.standing()),
            Self::Follower(following) => following.standing(),
        }
    }

    /// What the stream's peers are sent, and below which seq it is committed; `None` until the stream is there.
    pub(crate) fn fan_mut(&mut self) -> Option<(&mut Fan, Seq)> {
        let committed = self.standing()?.committed;
        match self {
            Self::Asking => None,
            Self::Leader(leadership) => Some((&mut leadership.fan, committed)),
            Self::Follower(following) => Some((&mut following.fan, committed)),
        }
    }

    /// What one peer of the stream is sent; `None` until the stream is there.
    pub(crate) fn view(&self) -> Option<View<'_>> {
        let committed = self.standing()?.committed;
        match self {
            Self::Asking => None,
            Self::Leader(leadership) => Some(leadership.fan.view(committed)),
            Self::Follower(following) => Some(following.fan.view(committed)),
        }
    }
}

/// Whether a leader that shuts down has given the stream back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Resignation {
    #[default]
    None,
    /// The edge is being told.
    Asked,
    Done,
}

/// A stream, from the first session that names it.
#[derive(Debug)]
pub(crate) struct Stream {
    pub ticket: Ticket,
    pub sessions: Vec<SessionKey>,
    /// The shards and relays that follow this shard.
    pub downstreams: BTreeMap<LinkPeer, Downstream>,
    /// The network whose session named it first; `None` if a notice of the edge did.
    pub network: Option<Network>,
    pub role: Role,
    /// The epoch that the shard last had of it, in any role: a session that was welcomed was welcomed in this one.
    pub epoch: Option<Epoch>,
    /// The leader that was not reached, which is reported when the edge is asked who leads.
    pub lost: Option<LostLeader>,
    /// The incarnation that the epoch is acquired as, if it is not the relay's own.
    pub fresh: Option<Incarnation>,
    pub acquire_epoch: Retry,
    pub resignation: Resignation,
    /// Since when nobody uses it.
    pub idle_since: Option<Instant>,
    /// Who is there.
    pub presence: StreamPresence,
    /// The earliest entry in the shard's timers.
    pub scheduled: Option<Instant>,
    /// Whether it is queued to be fanned out.
    pub queued: bool,
}

impl Stream {
    /// A stream that is being asked for.
    pub(crate) fn new(ticket: Ticket, role: Role) -> Self {
        Self {
            ticket,
            sessions: Vec::new(),
            downstreams: BTreeMap::new(),
            network: None,
            role,
            epoch: None,
            lost: None,
            fresh: None,
            acquire_epoch: Retry::default(),
            resignation: Resignation::default(),
            idle_since: None,
            presence: StreamPresence::default(),
            scheduled: None,
            queued: false,
        }
    }

    /// Whether neither a session nor another shard or relay uses it.
    pub(crate) fn is_unused(&self) -> bool {
        self.sessions.is_empty() && self.downstreams.is_empty()
    }

    /// Messages that this shard has to commit.
    pub(crate) fn uncommitted(&self) -> u64 {
        self.role.leader().map_or(0, Leadership::uncommitted)
    }

    /// Messages that the follower which is furthest behind was not sent yet.
    pub(crate) fn link_lag(&self) -> u64 {
        let Some(view) = self.role.view() else {
            return 0;
        };
        let links = self.downstreams.values();
        links.map(|link| link.lag(view.replay.end())).max().unwrap_or(0)
    }

    /// Whether all that was accepted from its sessions is committed.
    pub(crate) fn is_settled(&self) -> bool {
        match &self.role {
            Role::Asking => true,
            Role::Leader(leadership) => leadership.uncommitted() == 0,
            Role::Follower(following) => following.is_settled(),
        }
    }

    /// When the stream wants to be called, `idle` being how long one that nobody uses is kept.
    pub(crate) fn next_timeout(&self, idle: Duration) -> Option<Instant> {
        let leadership = self.role.leader().and_then(Leadership::next_timeout);
        let dropped = self
            .idle_since
            .filter(|_| self.uncommitted() == 0)
            .map(|since| since + idle);
        leadership
            .into_iter()
            .chain(dropped)
            .chain(self.acquire_epoch.at())
            .chain(self.presence.due())
            .min()
    }
}
