//! The Stream object's part in who leads the stream: relays that ask for it, and give it back.

use super::object::Stream;
use crate::api::call::Encoded;
use crate::api::relays::{FindLeader, relays_object};
use crate::api::stream::{Acquire, Overview, Release, ReportPresence};
use crate::clock;
use crate::config::Config;
use crate::problem::{Kind, Problem};
use futures_util::future::{Either, select};
use std::pin::pin;
use std::time::Duration;
use streamchain_edge_core::directory::LeaderView;
use streamchain_edge_core::request_id::RequestId;
use streamchain_edge_core::stream_log::{Acquiring, Asking, Follow, Refusal, ReportedPresence};
use streamchain_protocol::ids::RelayId;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::Acquired;
use worker::Delay;

/// How often a request is decided anew: the leader is looked up, may change meanwhile, and may be waited for.
const MAX_ROUNDS: usize = 6;

impl Stream {
    /// The relay leads the stream, or learns whom it is to follow. On a report that the leader is lost, the answer waits until
    /// that one gave a sign of life, or had the time to.
    pub(super) async fn acquire(
        &self,
        id: &RequestId,
        asked: &Acquire,
    ) -> Result<Encoded<Acquired>, Problem> {
        let since = clock::now();
        let mut view: Option<LeaderView> = None;
        for _ in 0..MAX_ROUNDS {
            let now = clock::now();
            let asking = Asking {
                relay: &asked.relay,
                asked: &asked.asked,
                view: view.as_ref(),
                committed: self.committed.get(),
                since,
            };
            match self.step(|log| log.acquire(&asking, now))? {
                Acquiring::Leads(grant) => {
                    self.begin_watching().await;
                    return Ok(Encoded::of(&Acquired::Leads(grant)));
                }
                Acquiring::Follows(follow) => return self.follow_grant(&asked.relay, follow, now),
                Acquiring::Unreachable(relay) => return Err(Refusal::Unreachable { relay }.into()),
                Acquiring::LookUp(leader) => view = Some(self.find_leader(id, leader, asked).await?),
                Acquiring::Wait(until) => {
                    self.wait_for_leader(since, until).await?;
                    view = match self.state()?.relay_leader().cloned() {
                        Some(leader) => Some(self.find_leader(id, leader, asked).await?),
                        None => None,
                    };
                }
            }
        }
        let detail = "the stream is moving from relay to relay: try again";
        Err(Problem::new(Kind::Overloaded, detail).header("retry-after", "1"))
    }

    async fn find_leader(
        &self,
        id: &RequestId,
        leader: RelayId,
        asked: &Acquire,
    ) -> Result<LeaderView, Problem> {
        let state = self.state()?;
        let is_lost = asked.asked.lost == Some(state.epoch);
        let asked = FindLeader {
            leader,
            follower: asked.relay.clone(),
            lost: is_lost.then(|| state.id.short()),
        };
        relays_object(&self.env, id)?.call(asked).await
    }

    /// Waits until `until`, or until the leader committed since `since`, or there is another one.
    async fn wait_for_leader(&self, since: UnixMs, until: UnixMs) -> Result<(), Problem> {
        let epoch = self.state()?.epoch;
        let wait = Duration::from_millis(until.since(clock::now()).max(1));
        let mut timeout = pin!(Delay::from(wait));
        while self.committed.get() <= since && self.state()?.epoch == epoch {
            let changed = pin!(self.waiters.changed(self.waiters.changes()));
            if let Either::Right(_) = select(changed, timeout.as_mut()).await {
                break;
            }
        }
        Ok(())
    }

    fn follow_grant(
        &self,
        follower: &RelayId,
        follow: Follow,
        now: UnixMs,
    ) -> Result<Encoded<Acquired>, Problem> {
        let config = Config::of(&self.env).map_err(Problem::internal)?;
        let key = config.relay_key(follow.leader(), follow.key).link_key();
        let follow = follow.grant(follower, &key, now);
        Ok(Encoded::of(&Acquired::Follows { follow }))
    }

    /// Takes what the leader says of who is at the stream.
    pub(super) fn take_presence(&self, asked: ReportPresence) -> Result<(), Problem> {
        self.step(|log| log.need_leader(&asked.relay, asked.epoch))?;
        let reported = ReportedPresence::new(asked.presence, asked.epoch, clock::now());
        self.presence.replace(Some(reported));
        Ok(())
    }

    /// What the stream is, and who is there.
    pub(super) fn overview(&self) -> Result<Overview, Problem> {
        let state = self.state()?;
        let reported = self.presence.borrow();
        let presence = reported
            .as_ref()
            .and_then(|reported| reported.shown(&state, clock::now()));
        Ok(Overview {
            presence: presence.cloned(),
            state,
        })
    }

    pub(super) async fn release(&self, asked: &Release) -> Result<(), Problem> {
        self.step(|log| log.release(&asked.relay, asked.epoch))?;
        self.waiters.notify();
        self.arm().await
    }
}
