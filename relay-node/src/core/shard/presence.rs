//! Who is at the streams: counted, sent to sessions and over links, reported to the edge.

use super::links::up;
use super::{Command, Now, Shard};
use crate::core::edge_requests::Request;
use crate::core::limits::MAX_PRESENCE_REPORTS_PER_S;
use crate::core::link::UpFrame;
use crate::core::presence::{Attendee, Count, frame};
use crate::core::session::SessionKey;
use crate::core::stream::Role;
use std::sync::Arc;
use streamchain_protocol::ids::ShortId;
use streamchain_protocol::util::Quota;
use streamchain_protocol::wire::Presence;
use streamchain_protocol::wire::frame::Abilities;

/// Reports to the edge that a shard sends.
const REPORTS: Quota = Quota::new(MAX_PRESENCE_REPORTS_PER_S, 1_000);

/// Nanoseconds in a millisecond.
const NS_PER_MS: u64 = 1_000_000;

impl Shard {
    /// Sessions of a stream or those who follow it have come, gone or changed. It costs next to nothing, however often.
    pub(super) fn touch_presence(&mut self, id: ShortId) {
        let stream = self.streams.get_mut(&id);
        if stream.is_some_and(|stream| stream.presence.touch()) {
            self.to_count.push(id);
        }
    }

    /// A client says what it can do, and whether it wants to know who is there and may be listed itself. What it subscribed to
    /// goes on in the form that it takes now.
    pub(super) fn take_abilities(&mut self, key: SessionKey, abilities: Abilities) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        session.takes_second_welcome = abilities.has(Abilities::SECOND_WELCOME);
        session
            .send_queue
            .set_takes_groups(abilities.has(Abilities::TAKES_GROUPS));
        session.wants_presence = abilities.has(Abilities::WANTS_PRESENCE);
        session.may_be_listed = abilities.has(Abilities::MAY_BE_LISTED);
        let (id, form) = (session.stream(), session.send_queue.group_form());
        let stream = self.streams.get_mut(&id);
        if let Some((fan, _)) = stream.and_then(|stream| stream.role.fan_mut()) {
            fan.asked.add(form);
        }
        self.touch_presence(id);
    }

    /// Sees to it that the stream is called when its sessions are to be counted.
    pub(super) fn plan_presence(&mut self, id: ShortId, now: Now) {
        let stream = self.streams.get_mut(&id);
        if stream.is_some_and(|stream| stream.presence.plan(now.instant)) {
            self.schedule_stream(id);
        }
    }

    /// Counts the sessions if that is due, and sends on what changed.
    pub(super) fn presence_due(&mut self, id: ShortId, now: Now) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if !stream.presence.take_due(now.instant) {
            return;
        }
        if stream.presence.take_stale(now.instant) {
            self.count_presence(id);
        }
        self.send_presence(id, now);
        self.report_presence(id, now);
        self.plan_presence(id, now);
    }

    fn count_presence(&mut self, id: ShortId) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let mut count = Count::default();
        for session in stream.sessions.iter().filter_map(|key| self.sessions.get(key)) {
            let is_welcomed = session.hello.is_some_and(|hello| hello.welcomed);
            count.add(Attendee {
                author: session.token.author,
                network: session.network,
                reads: session.send_queue.is_subscribed(),
                publishes: is_welcomed && session.token.rights.publish,
                may_be_listed: session.may_be_listed,
            });
        }
        let here = count.finish(stream.downstreams.values().map(|link| &link.here));
        match &stream.role {
            Role::Leader(_) => stream.presence.set_total(Arc::new(here)),
            Role::Follower(following) if following.is_up() => {
                if let Some(here) = stream.presence.send_up(here) {
                    self.commands.push_back(up(id, following, UpFrame::Here(here)));
                }
            }
            // It is counted again as soon as there is somebody to send it to.
            Role::Follower(_) | Role::Asking => {}
        }
    }

    /// Takes what a follower counted.
    pub(super) fn take_presence_from_above(&mut self, id: ShortId, total: Arc<Presence>, now: Now) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.presence.set_total(total);
            self.send_presence(id, now);
            self.schedule_stream(id);
        }
    }

    /// Sends who is there to the sessions that asked and to those who follow, as far as it is new to them.
    fn send_presence(&mut self, id: ShortId, now: Now) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let to_all = stream.presence.sends_to_all(now.instant);
        let Some((version, total)) = stream.presence.total() else {
            return;
        };
        let (total, mut shown, mut asking) = (total.clone(), None, 0);
        for link in stream.downstreams.values_mut() {
            link.offer_presence(version, &total);
        }
        for key in &stream.sessions {
            let Some(session) = self.sessions.get_mut(key) else {
                continue;
            };
            // Who may not read the stream is not shown who reads it.
            if !(session.wants_presence && session.token.rights.subscribe) {
                continue;
            }
            asking += 1;
            if session.presence_sent == version || !(to_all || session.presence_sent == 0) {
                continue;
            }
            session.presence_sent = version;
            session
                .send_queue
                .set_presence(shown.get_or_insert_with(|| frame(&total)));
            session.wants_pump = true;
            if let Some(peer) = self.peers.get_mut(&session.peer).filter(|peer| !peer.queued) {
                peer.queued = true;
                self.to_drive.push_back(session.peer);
            }
        }
        if to_all {
            stream.presence.sent_to_all(asking, now.instant);
        }
        if !stream.downstreams.is_empty() {
            self.queue_stream(id);
        }
    }

    /// The edge has answered a report.
    pub(super) fn presence_reported(&mut self, id: ShortId, now: Now) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.presence.report_answered();
            self.report_presence(id, now);
            self.schedule_stream(id);
        }
    }

    /// Reports to the edge who is there, where this shard leads.
    fn report_presence(&mut self, id: ShortId, now: Now) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let Some(epoch) = stream.role.leader().map(|leadership| leadership.epoch) else {
            return;
        };
        let (reports, now_ns) = (&mut self.presence_reports, now.unix.0.saturating_mul(NS_PER_MS));
        let may_report = || reports.take(REPORTS, 1, now_ns).is_ok();
        if let Some(presence) = stream.presence.report(epoch, now.instant, may_report) {
            let request = Request::Presence { epoch, presence };
            self.commands.push_back(Command::Ask(stream.ticket, request));
        }
    }
}
