//! Streams that this shard follows: the lower ends of links, and sessions that go from one epoch to the next.
//!
//! What always holds: no session that was welcomed is sent anything of a new epoch before its *welcome* to it; what it sends between two
//! epochs is of the old one, and is dropped: the client sends again what is not stored. A session that waits for its first *welcome* keeps
//! what it subscribed to and published, unless it has messages of the old epoch that are not known to be committed.

use super::links::{down, up};
use super::streams::{MOVED_TEXT, acquire};
use super::{Command, Now, Shard};
use crate::core::edge_requests::{EdgeError, Loss, LostLeader};
use crate::core::fan::Standing;
use crate::core::link::{Change, DownFrame, Ended, Following, LinkPeer, Origin, presence_bytes};
use crate::core::reply::Reply;
use crate::core::retry::Retry;
use crate::core::send_queue::NoticeFrame;
use crate::core::stream::Role;
use streamchain_protocol::ids::{Epoch, ShortId};
use streamchain_protocol::wire::FollowGrant;
use streamchain_protocol::wire::frame::ErrorCode;

impl Shard {
    pub(super) fn take_from_above(
        &mut self,
        id: ShortId,
        peer: LinkPeer,
        generation: u64,
        frame: DownFrame,
        now: Now,
    ) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let Some(following) = stream
            .role
            .follower_mut()
            .filter(|following| following.has_link(peer, generation))
        else {
            return; // the link was lost or replaced
        };
        match frame {
            DownFrame::Following {
                epoch,
                head,
                committed,
                signed,
                start,
            } => {
                let standing = Standing {
                    epoch,
                    signed,
                    head,
                    committed,
                };
                let change = following.take_following(standing, start);
                self.followed(id, epoch, change, now);
            }
            DownFrame::Messages { first, messages } => {
                self.counters.link_messages += messages.len() as u64;
                following.take_messages(first, messages);
                self.queue_stream(id);
            }
            DownFrame::Committed(committed) => {
                following.take_committed(committed);
                self.queue_stream(id);
            }
            DownFrame::Notice(notice) => {
                following.count_notice(notice.bytes());
                self.pass_notice(id, &notice);
            }
            DownFrame::Welcome { publisher, stored } => self.take_welcome(id, publisher, stored, now),
            DownFrame::Answer {
                publisher,
                producer_seq,
                reply,
            } => self.take_answer(id, publisher, producer_seq, reply, now),
            DownFrame::Withdrawn {
                author,
                before,
                again,
            } => self.withdraw((id, author), before, again, now),
            DownFrame::Erased(seq) => self.erase(id, seq),
            DownFrame::Presence(total) => {
                following.count_notice(presence_bytes(&total));
                self.take_presence_from_above(id, total, now);
            }
            DownFrame::Ended(why) => self.link_ended(id, why, now),
        }
        self.give_credit(id);
    }

    fn give_credit(&mut self, id: ShortId) {
        let stream = self.streams.get_mut(&id);
        if let Some(following) = stream.and_then(|stream| stream.role.follower_mut())
            && let Some(frame) = following.credit()
        {
            self.commands.push_back(up(id, following, frame));
        }
    }

    /// The upper end has said what is followed.
    fn followed(&mut self, id: ShortId, epoch: Epoch, change: Change, now: Now) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.lost = None;
            stream.acquire_epoch = Retry::default();
            if change != Change::Settings {
                stream.presence.begin_link();
            }
        }
        self.enter_epoch(id, epoch, now);
        if change == Change::Settings {
            self.settings_changed(id, now);
        }
        let stream = self.streams.get_mut(&id);
        if let Some(following) = stream.and_then(|stream| stream.role.follower_mut()) {
            for frame in following.greetings() {
                self.commands.push_back(up(id, following, frame));
            }
        }
        self.begin_stream(id, now);
    }

    /// The stream is there, in a role of this shard: whoever waits for it goes on.
    pub(super) fn begin_stream(&mut self, id: ShortId, now: Now) {
        let Some(stream) = self.streams.get(&id) else {
            return;
        };
        for key in stream.sessions.clone() {
            self.stream_is_there(key, now);
        }
        self.touch_presence(id);
        self.begin_links(id);
    }

    /// The stream has this epoch now.
    pub(super) fn enter_epoch(&mut self, id: ShortId, epoch: Epoch, now: Now) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let before = stream.epoch.replace(epoch);
        if before.is_some_and(|before| before != epoch) {
            self.leave_epoch(id, now);
        }
    }

    /// The stream's epoch is over: sessions that began in it begin anew with the next one, or end where their clients can't.
    pub(super) fn leave_epoch(&mut self, id: ShortId, now: Now) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.downstreams.values_mut().for_each(|link| link.stop());
        for key in stream.sessions.clone() {
            let Some(session) = self.sessions.get_mut(&key).filter(|session| session.has_begun()) else {
                continue;
            };
            if !session.leave_epoch() {
                self.close_with(key, ErrorCode::StreamMoved, MOVED_TEXT, now);
            }
        }
    }

    /// Sends a notice of the stream to all who have it from here.
    pub(super) fn pass_notice(&mut self, id: ShortId, notice: &NoticeFrame) {
        let Some(stream) = self.streams.get(&id) else {
            return;
        };
        for key in &stream.sessions {
            if let Some(session) = self.sessions.get_mut(key) {
                session.send_queue.notice(notice);
            }
        }
        self.notify_links(id, notice);
        self.queue_stream(id);
    }

    /// The leader knows a publisher of this shard.
    fn take_welcome(&mut self, id: ShortId, publisher: u64, stored: Option<u64>, now: Now) {
        let stream = self.streams.get_mut(&id);
        let Some(following) = stream.and_then(|stream| stream.role.follower_mut()) else {
            return;
        };
        let Some((waits, again)) = following.take_welcome(publisher) else {
            return;
        };
        for frame in again {
            self.commands.push_back(up(id, following, frame));
        }
        match waits {
            Some(Origin::Session(key)) => {
                self.welcome(key, stored, now);
                if self.pump(key, now) {
                    self.queue_session(key);
                }
            }
            Some(Origin::Link(peer, number)) => {
                let stream = self.streams.get_mut(&id);
                if let Some(link) = stream.and_then(|stream| stream.downstreams.get_mut(&peer)) {
                    link.welcome(number);
                    let publisher = number;
                    let frame = DownFrame::Welcome { publisher, stored };
                    let generation = link.generation;
                    self.commands.push_back(down(id, peer, generation, frame));
                }
            }
            None => {}
        }
    }

    /// The leader has answered a publication that was forwarded.
    fn take_answer(&mut self, id: ShortId, publisher: u64, producer_seq: u64, reply: Reply, now: Now) {
        let stream = self.streams.get_mut(&id);
        let Some(following) = stream.and_then(|stream| stream.role.follower_mut()) else {
            return;
        };
        let Some((origin, extent)) = following.take_answer(publisher, producer_seq) else {
            return;
        };
        match origin {
            Origin::Session(key) => {
                let outcome = self.reply(key, extent, reply, now);
                self.count_refused(&outcome, extent.messages);
                self.send_outcome(key, outcome, now);
                if self.pump(key, now) {
                    self.queue_session(key);
                }
            }
            Origin::Link(peer, number) => {
                let stream = self.streams.get_mut(&id);
                let link = stream.and_then(|stream| stream.downstreams.get_mut(&peer));
                if let Some(link) = link {
                    let frame = DownFrame::Answer {
                        publisher: number,
                        producer_seq,
                        reply,
                    };
                    let generation = link.generation;
                    self.commands.push_back(down(id, peer, generation, frame));
                }
            }
        }
    }

    /// The upper end has ended the link.
    fn link_ended(&mut self, id: ShortId, why: Ended, now: Now) {
        let stream = self.streams.get(&id);
        let Some(Role::Follower(following)) = stream.map(|stream| &stream.role) else {
            return;
        };
        match following.peer {
            // The relay's own shard that has the stream from the edge has lost it, or never got it.
            LinkPeer::Shard(_) => self.abandon(id, why, now),
            LinkPeer::Relay(_) => self.upstream_lost(id, Loss::Failed, now),
        }
    }

    /// The link of a stream to the other end is gone, and all that was on its way.
    pub(crate) fn handle_link_lost(&mut self, id: ShortId, peer: LinkPeer, loss: Loss, now: Now) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.downstreams.contains_key(&peer) {
            self.end_link(id, peer);
            self.rest_if_unused(id, now);
        } else if stream
            .role
            .follower_mut()
            .is_some_and(|following| following.peer == peer)
        {
            self.upstream_lost(id, loss, now);
        }
    }

    /// The leader is not reached any more: the edge is asked who leads now. Sessions stay, and what they publish waits.
    fn upstream_lost(&mut self, id: ShortId, loss: Loss, now: Now) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let Some(following) = stream
            .role
            .follower_mut()
            .filter(|following| !following.is_lost())
        else {
            return; // the edge is being asked already
        };
        let was_up = following.is_up();
        following.disconnect();
        let epoch = match (was_up, loss) {
            // A closed port is evidence also of a leader that was never reached.
            (false, Loss::PortClosed) => following.granted,
            (true, _) | (false, Loss::Failed) => following.epoch(),
        };
        stream.lost = epoch.map(|epoch| LostLeader { epoch, loss });
        match was_up {
            true => self.commands.push_back(acquire(stream)),
            // It was not reached at all: the edge may have to find out first that it is gone.
            false => {
                stream.acquire_epoch.fail(now.instant, &mut self.jitter);
                self.schedule_stream(id);
            }
        }
    }

    /// Another relay leads the stream, and this one is to follow it.
    pub(super) fn granted_to_follow(&mut self, id: ShortId, grant: Box<FollowGrant>, now: Now) {
        if grant.stream.short() != id {
            let error = EdgeError::Refused("the answer is about another stream".into());
            return self.lose(id, error, now);
        }
        let stream = self.streams.get(&id);
        if stream.is_some_and(|stream| stream.role.leader().is_some()) {
            self.counters.streams_lost += 1;
            self.drop_role(id);
            self.leave_epoch(id, now);
        }
        self.next_key += 1;
        let generation = self.next_key;
        let peer = LinkPeer::Relay(generation);
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        // Answers to what was asked in an earlier role are of no use now.
        stream.ticket.generation = generation;
        match &mut stream.role {
            Role::Follower(following) => following.reconnect(peer, generation),
            role => {
                let following = Following::new(peer, generation, self.memory.replay_bytes);
                *role = Role::Follower(Box::new(following));
            }
        }
        if let Some(following) = stream.role.follower_mut() {
            following.granted = Some(grant.epoch);
            self.commands.push_back(Command::Dial(generation, grant));
            self.commands.push_back(up(id, following, following.follow(None)));
        }
    }

    /// This relay led the stream, and another one does now: asks which, for those who go on with the next epoch.
    pub(super) fn ask_again(&mut self, id: ShortId, now: Now) {
        self.leave_epoch(id, now);
        self.next_key += 1;
        let generation = self.next_key;
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.is_unused() {
            self.forget_stream(id);
            return;
        }
        // Answers to what was asked as the leader are of no use now.
        stream.ticket.generation = generation;
        stream.lost = None;
        stream.fresh = None;
        self.commands.push_back(acquire(stream));
    }
}
