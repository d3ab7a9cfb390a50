//! Streams: asked for, epochs acquired, batches committed, epochs lost.

use super::deliver::CHANGED_TEXT;
use super::links::up;
use super::{Command, Now, Shard, Shutdown};
use crate::core::edge_requests::{EdgeError, Lookup, Request, Ticket};
use crate::core::leadership::Leadership;
use crate::core::limits::{MAX_STREAMS, STREAM_IDLE};
use crate::core::link::{Ended, Following, LinkPeer};
use crate::core::retry::Retry;
use crate::core::session::SessionKey;
use crate::core::stream::{Role, Stream};
use crate::core::timers::Owner;
use std::time::Instant;
use streamchain_protocol::ids::{Incarnation, ShortId};
use streamchain_protocol::stream_settings::Signed;
use streamchain_protocol::util::Network;
use streamchain_protocol::wire::frame::ErrorCode;
use streamchain_protocol::wire::{Committed, EpochGrant, ProducerState, shard_of};

impl Shard {
    /// Adds a session to its stream, which is asked for if it is new.
    pub(super) fn join_stream(&mut self, id: ShortId, network: Network, key: SessionKey) {
        let is_first = !self.streams.contains_key(&id) && self.stream_shares.take(network);
        let stream = self.ask_for_stream(id, is_first.then_some(network));
        stream.idle_since = None;
        stream.sessions.push(key);
    }

    /// The stream, which is asked for if it is new: the edge, or the relay's shard that has it from the edge. `network` is the one
    /// whose share it is taken from.
    pub(super) fn ask_for_stream(&mut self, id: ShortId, network: Option<Network>) -> &mut Stream {
        let home = shard_of(id, self.shards);
        match self.streams.entry(id) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                self.next_key += 1;
                let ticket = Ticket {
                    stream: id,
                    generation: self.next_key,
                };
                if home != self.index {
                    let peer = LinkPeer::Shard(home);
                    let following = Following::new(peer, ticket.generation, self.memory.replay_bytes);
                    self.commands
                        .push_back(up(id, &following, following.follow(network)));
                    let mut stream = Stream::new(ticket, Role::Follower(Box::new(following)));
                    stream.network = network;
                    return entry.insert(stream);
                }
                let mut stream = Stream::new(ticket, Role::Asking);
                stream.network = network;
                if self.disputed.remove(&id) {
                    stream.fresh = Some(Incarnation(self.jitter.next_bits().to_be_bytes()));
                }
                self.commands.push_back(acquire(&stream));
                entry.insert(stream)
            }
        }
    }

    /// Takes a session out of its stream.
    pub(super) fn leave_stream(&mut self, key: SessionKey, now: Now) {
        let Some(session) = self.sessions.get(&key) else {
            return;
        };
        let id = session.stream();
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let before = stream.sessions.len();
        stream.sessions.retain(|other| *other != key);
        if stream.sessions.len() == before {
            return;
        }
        match &mut stream.role {
            Role::Leader(leadership) => {
                if let Some(hello) = session.hello.filter(|hello| hello.welcomed) {
                    leadership.producers.leave(hello.producer);
                }
            }
            Role::Follower(following) => {
                if let Some(frame) = following.leave(key.0) {
                    self.commands.push_back(up(id, following, frame));
                }
            }
            Role::Asking => {}
        }
        self.touch_presence(id);
        self.rest_if_unused(id, now);
    }

    /// From now on a stream that nobody uses counts as idle.
    pub(super) fn rest_if_unused(&mut self, id: ShortId, now: Now) {
        if let Some(stream) = self.streams.get_mut(&id).filter(|stream| stream.is_unused()) {
            stream.idle_since = Some(now.instant);
            self.schedule_stream(id);
        }
    }

    pub(super) fn schedule_stream(&mut self, id: ShortId) {
        if let Some(stream) = self.streams.get_mut(&id)
            && let Some(at) = stream.next_timeout(STREAM_IDLE)
        {
            self.timers.schedule(Owner::Stream(id), at, &mut stream.scheduled);
        }
    }

    pub(super) fn stream_due(&mut self, id: ShortId, at: Instant, now: Now) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.scheduled != Some(at) {
            return;
        }
        stream.scheduled = None;
        let idle = stream
            .idle_since
            .is_some_and(|since| since + STREAM_IDLE <= now.instant);
        if idle && stream.uncommitted() == 0 {
            return self.release(id);
        }
        let ticket = stream.ticket;
        if stream.acquire_epoch.is_due(now.instant) {
            self.commands.push_back(acquire(stream));
        }
        if let Some(leadership) = stream.role.leader_mut() {
            let epoch = leadership.epoch;
            for (lookup, retry) in &mut leadership.lookups {
                if retry.is_due(now.instant) {
                    let request = Request::Producer {
                        epoch,
                        lookup: *lookup,
                    };
                    self.commands.push_back(Command::Ask(ticket, request));
                }
            }
            if leadership.batch_retry.is_due(now.instant)
                && let Some(body) = leadership.backlog.under_way()
            {
                self.commands
                    .push_back(Command::Ask(ticket, Request::Batch { body }));
            }
        }
        self.close_batch(id, now);
        self.presence_due(id, now);
        self.schedule_stream(id);
    }

    /// Sends the open batch if it is time, or at once when the shard goes down.
    pub(super) fn close_batch(&mut self, id: ShortId, now: Now) {
        let due_by = self.takes_messages().then_some(now.instant);
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let Some(leadership) = stream.role.leader_mut() else {
            return;
        };
        if let Some(body) = leadership.backlog.close_batch(leadership.epoch, due_by) {
            leadership.batch_retry = Retry::default();
            leadership.batch_closed = Some(now.instant);
            self.commands
                .push_back(Command::Ask(stream.ticket, Request::Batch { body }));
        }
    }

    /// Acquires the epochs of all streams again: the lease may have expired, and the edge may have granted the epochs to
    /// other relays. A stream with messages to commit would find out by itself; one with subscribers alone would not.
    pub fn confirm_streams(&mut self) {
        if self.shutdown != Shutdown::No {
            return; // what is committed was given back, or will be
        }
        for stream in self
            .streams
            .values()
            .filter(|stream| stream.role.leader().is_some())
        {
            self.commands.push_back(acquire(stream));
        }
    }

    pub(super) fn acquired(&mut self, id: ShortId, result: Result<EpochGrant, EdgeError>, now: Now) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let epoch = stream.role.leader().map(|leadership| leadership.epoch);
        match result {
            Ok(taken) if taken.stream.short() != id => {
                let error = EdgeError::Refused("the answer is about another stream".into());
                self.lose(id, error, now);
            }
            Ok(taken) if epoch.is_some_and(|epoch| epoch != taken.epoch) => {
                let reason = format!(
                    "another relay was the leader meanwhile; the epoch is {} now",
                    taken.epoch
                );
                self.lose(id, EdgeError::NotLeader(reason), now);
            }
            Ok(taken) if epoch.is_some() => self.refreshed(id, taken.signed, now),
            Ok(taken) => self.lead(id, &taken, now),
            Err(error) if error.is_passing() => {
                stream.acquire_epoch.fail(now.instant, &mut self.jitter);
                self.counters.uplink_retries += 1;
                self.schedule_stream(id);
            }
            Err(error) => self.lose(id, error, now),
        }
    }

    /// The epoch was granted: this shard leads the stream.
    fn lead(&mut self, id: ShortId, taken: &EpochGrant, now: Now) {
        let max_replay_bytes = self.memory.replay_bytes;
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.lost = None;
        stream.acquire_epoch = Retry::default();
        let mut leadership = Leadership::new(taken, max_replay_bytes, now.instant);
        if let Role::Follower(following) = &stream.role
            && let Some(fan) = following.fan_for(taken.epoch, taken.head)
        {
            leadership.fan = fan;
        }
        stream.role = Role::Leader(Box::new(leadership));
        self.enter_epoch(id, taken.epoch, now);
        self.begin_stream(id, now);
        let stream = self.streams.get_mut(&id);
        if let Some(leadership) = stream.and_then(|stream| stream.role.leader_mut()) {
            leadership.is_empty_now = false;
        }
        if taken.waiting > 0 {
            self.fetch(id, now);
        }
    }

    /// The rights of everybody on a stream changed, or on all streams (`None`): asks the edge for the settings of now, and welcomes nobody
    /// before they are there.
    pub(super) fn refresh_settings(&mut self, id: Option<ShortId>) {
        let meant = |stream: &&mut Stream| id.is_none_or(|id| stream.ticket.stream == id);
        for stream in self.streams.values_mut().filter(meant) {
            if let Some(leadership) = stream.role.leader_mut() {
                leadership.is_refreshing = true;
                self.commands.push_back(acquire(stream));
            }
        }
    }

    /// The edge said under the same epoch whether messages must be signed.
    fn refreshed(&mut self, id: ShortId, signed: Option<Signed>, now: Now) {
        let stream = self.streams.get_mut(&id);
        let Some(leadership) = stream.and_then(|stream| stream.role.leader_mut()) else {
            return;
        };
        let changed = leadership.signed != signed;
        leadership.signed = signed;
        leadership.is_refreshing = false;
        match changed {
            true => self.settings_changed(id, now),
            false => self.begin_stream(id, now),
        }
    }

    /// Whether messages must be signed has changed. Sessions that were welcomed with another setting end, and followers hear of it.
    pub(super) fn settings_changed(&mut self, id: ShortId, now: Now) {
        let Some(stream) = self.streams.get(&id) else {
            return;
        };
        for key in stream.sessions.clone() {
            let session = self.sessions.get(&key);
            if session.is_some_and(|session| session.hello.is_some_and(|hello| hello.welcomed)) {
                self.close_with(key, ErrorCode::StreamMoved, CHANGED_TEXT, now);
            }
        }
        self.send_settings(id);
        self.begin_stream(id, now);
    }

    /// Asks how far a producer is committed, and whose a key is, unless that is under way.
    pub(super) fn look_up(&mut self, id: ShortId, lookup: Lookup) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let Some(leadership) = stream.role.leader_mut() else {
            return;
        };
        if let std::collections::hash_map::Entry::Vacant(entry) = leadership.lookups.entry(lookup) {
            entry.insert(Retry::default());
            let request = Request::Producer {
                epoch: leadership.epoch,
                lookup,
            };
            self.commands.push_back(Command::Ask(stream.ticket, request));
        }
    }

    pub(super) fn producer_found(
        &mut self,
        id: ShortId,
        lookup: Lookup,
        result: Result<ProducerState, EdgeError>,
        now: Now,
    ) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let Some(leadership) = stream.role.leader_mut() else {
            return;
        };
        match result {
            Ok(state) => {
                leadership.lookups.remove(&lookup);
                leadership.producers.trim(leadership.backlog.committed());
                leadership.producers.learn(lookup.producer, &state);
                let (sessions, links) = (stream.sessions.clone(), stream.downstreams.values_mut());
                links.for_each(|link| link.take_key_state(lookup, &state));
                for key in sessions {
                    self.take_key_state(key, lookup, &state);
                    self.stream_is_there(key, now);
                }
                self.greet_links(id);
            }
            Err(error) if error.is_passing() => {
                if let Some(retry) = leadership.lookups.get_mut(&lookup) {
                    retry.fail(now.instant, &mut self.jitter);
                    self.counters.uplink_retries += 1;
                }
                self.schedule_stream(id);
            }
            Err(error) => self.lose(id, error, now),
        }
    }

    /// Gives a session what the edge said of its key, if it was asked about this one.
    fn take_key_state(&mut self, key: SessionKey, lookup: Lookup, state: &ProducerState) {
        if let Some(session) = self.sessions.get_mut(&key)
            && session.token.author == lookup.producer.author
            && lookup.key.is_some()
            && session.signer.asked() == lookup.key
        {
            session.signer.answer(state.key.as_ref());
        }
    }

    pub(super) fn batch_answered(&mut self, id: ShortId, result: Result<Committed, EdgeError>, now: Now) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let Some(leadership) = stream.role.leader_mut() else {
            return;
        };
        let closed = leadership.batch_closed;
        match result {
            Ok(Committed {
                committed,
                waiting,
                withdrawn,
            }) => match self.confirm(id, committed) {
                true => {
                    // Before anything more is sent: what was committed since is not for those whose rights are over.
                    for one in withdrawn {
                        self.withdraw((id, one.author), one.before, true, now);
                    }
                    if let Some(closed) = closed {
                        self.commits
                            .observe(now.instant.saturating_duration_since(closed));
                    }
                    if waiting > 0 {
                        self.fetch(id, now);
                    }
                    self.close_batch(id, now);
                    self.queue_stream(id);
                    self.schedule_stream(id);
                }
                false => {
                    let error = EdgeError::Refused(format!(
                        "the edge committed up to {committed}, which is not the end of the batch"
                    ));
                    self.lose(id, error, now);
                }
            },
            Err(error) if error.is_passing() => {
                leadership.batch_retry.fail(now.instant, &mut self.jitter);
                self.counters.uplink_retries += 1;
                self.schedule_stream(id);
            }
            Err(error) => self.lose(id, error, now),
        }
    }

    fn confirm(&mut self, id: ShortId, committed: streamchain_protocol::ids::Seq) -> bool {
        let Some(Leadership {
            backlog, producers, ..
        }) = self
            .streams
            .get_mut(&id)
            .and_then(|stream| stream.role.leader_mut())
        else {
            return false;
        };
        let before = backlog.bytes();
        let Some(producer_seqs) = backlog.confirm(committed) else {
            return false;
        };
        self.uncommitted_bytes -= before - backlog.bytes();
        self.counters.batches_stored += 1;
        self.counters.messages_stored += producer_seqs.len() as u64;
        producer_seqs
            .into_iter()
            .for_each(|(producer, producer_seq)| producers.stored(producer, producer_seq));
        true
    }

    /// This relay does not lead the stream, or no longer. A relay that follows others asks who leads now; else the stream is
    /// forgotten, and its sessions are sent *stream moved*.
    pub(super) fn lose(&mut self, id: ShortId, error: EdgeError, now: Now) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        self.counters.streams_lost += 1;
        // After `NotLeader` the next epoch is another one anyway.
        if matches!(error, EdgeError::Refused(_)) && self.disputed.len() < MAX_STREAMS {
            self.disputed.insert(id);
        }
        let was_leader = stream.role.leader().is_some();
        let asks_again = self.follows
            && was_leader
            && self.shutdown == Shutdown::No
            && matches!(error, EdgeError::NotLeader(_));
        self.commands.push_back(Command::StreamLost(id, error));
        self.drop_role(id);
        match asks_again {
            true => self.ask_again(id, now),
            false => self.abandon(id, Ended::Moved, now),
        }
    }

    /// The shard is neither leader nor follower of the stream any more.
    pub(super) fn drop_role(&mut self, id: ShortId) {
        if let Some(stream) = self.streams.get_mut(&id) {
            let role = std::mem::replace(&mut stream.role, Role::Asking);
            let lost = role.leader().map_or(0, |leadership| leadership.backlog.bytes());
            self.uncommitted_bytes -= lost;
            // Other relays ask the edge whom to follow; the shards of this one wait for what it becomes.
            let is_relay = |peer: &LinkPeer| matches!(peer, LinkPeer::Relay(_));
            let relays: Vec<LinkPeer> = stream.downstreams.keys().copied().filter(is_relay).collect();
            for peer in relays {
                self.refuse_link(id, peer, Ended::Moved);
            }
        }
    }

    /// Forgets a stream: its sessions are sent *stream moved*, and its followers that the link is over.
    pub(super) fn abandon(&mut self, id: ShortId, why: Ended, now: Now) {
        self.end_links(id, why);
        let Some(stream) = self.streams.get(&id) else {
            return;
        };
        for key in stream.sessions.clone() {
            self.close_with(key, ErrorCode::StreamMoved, MOVED_TEXT, now);
        }
        self.forget_stream(id);
    }

    /// Takes a stream out, and counts it no longer to the network that named it first.
    pub(super) fn forget_stream(&mut self, id: ShortId) -> Option<Stream> {
        let stream = self.streams.remove(&id)?;
        if let Some(network) = stream.network {
            self.stream_shares.give_back(network);
        }
        Some(stream)
    }
}

/// The request for the epoch of a stream.
pub(super) fn acquire(stream: &Stream) -> Command {
    let Stream { fresh, lost, .. } = *stream;
    Command::Ask(stream.ticket, Request::AcquireEpoch { fresh, lost })
}

/// What sessions end with when another relay leads their stream.
pub(super) const MOVED_TEXT: &str = "another relay leads this stream: connect again";
