//! Reports of relays that they do not reach a leader, over all streams.
//!
//! What always holds: a relay whose own links are broken changes the leaders of no more than [`MAX_LOST_STREAMS`] streams and
//! [`MAX_LOST_LEADERS`] relays in a time, and of none of a leader that gave a sign of life since it was reported. A leader that is
//! dead is replaced in all of its streams as soon as its lease is over, whatever was reported.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use streamchain_protocol::ids::{RelayId, ShortId};
use streamchain_protocol::limits::RELAY_LEASE_MS;
use streamchain_protocol::time::UnixMs;

/// How long reports of one relay count together, milliseconds: by then the lease of a leader that died is over.
const REPORTS_LIFE_MS: u64 = RELAY_LEASE_MS;

/// Most leaders that one relay may report in that time. One that does not reach more of them has lost its own way out.
const MAX_LOST_LEADERS: usize = 3;

/// Most streams that one relay may report in that time, so that a leader's death is noticed at once by those who use it, and a
/// broken link changes few leaders before the next renewal shows that they live.
const MAX_LOST_STREAMS: usize = 128;

/// Whether a report that a leader is lost is acted on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Belief {
    /// It is, unless the leader gives a sign of life; also where nothing was reported.
    #[default]
    Believed,
    /// The relay reported this leader before, which has lived since.
    Refuted,
    /// The relay reports more than is believed of one: it has to ask again.
    TooMany,
}

/// What one relay reported.
#[derive(Debug, Default)]
struct Reports {
    since: UnixMs,
    /// The leaders, and when each was reported first.
    leaders: BTreeMap<RelayId, UnixMs>,
    streams: BTreeSet<ShortId>,
}

/// The reports of all relays.
#[derive(Debug, Default)]
pub(super) struct LostReports(BTreeMap<RelayId, Reports>);

impl LostReports {
    /// Notes that `follower` reports the leader of `stream` as lost, which was `heard` of last; returns whether that is believed.
    pub(super) fn note(
        &mut self,
        follower: &RelayId,
        (leader, heard): (&RelayId, UnixMs),
        stream: ShortId,
        now: UnixMs,
    ) -> Belief {
        let reports = self.0.entry(follower.clone()).or_default();
        if now.since(reports.since) >= REPORTS_LIFE_MS {
            reports.since = now;
            reports.streams.clear();
        }
        reports
            .leaders
            .retain(|_, first| now.since(*first) < REPORTS_LIFE_MS);
        if let Some(first) = reports.leaders.get(leader)
            && heard > *first
        {
            return Belief::Refuted;
        }
        let leaders_full = reports.leaders.len() >= MAX_LOST_LEADERS && !reports.leaders.contains_key(leader);
        let streams_full = reports.streams.len() >= MAX_LOST_STREAMS && !reports.streams.contains(&stream);
        if leaders_full || streams_full {
            return Belief::TooMany;
        }
        reports.leaders.entry(leader.clone()).or_insert(now);
        reports.streams.insert(stream);
        Belief::Believed
    }

    /// Forgets what relays reported that are not known any more, or reported nothing lately.
    pub(super) fn forget(&mut self, now: UnixMs, is_known: impl Fn(&RelayId) -> bool) {
        self.0.retain(|relay, reports| {
            let newest = reports.leaders.values().max().copied().unwrap_or_default();
            is_known(relay) && now.since(newest) < REPORTS_LIFE_MS
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEARD: UnixMs = UnixMs(1_000);

    fn relay(name: &str) -> RelayId {
        name.parse().unwrap()
    }

    fn stream(number: u8) -> ShortId {
        ShortId([number; 20])
    }

    fn at(ms: u64) -> UnixMs {
        HEARD.plus_ms(ms)
    }

    #[test]
    fn a_dead_leader_is_replaced_in_many_streams_at_once() {
        let mut reports = LostReports::default();
        for number in 0..MAX_LOST_STREAMS as u8 {
            let belief = reports.note(&relay("b"), (&relay("a"), HEARD), stream(number), at(10));
            assert_eq!(belief, Belief::Believed);
        }
        let mut note = |number, ms| reports.note(&relay("b"), (&relay("a"), HEARD), stream(number), at(ms));
        assert_eq!(note(200, 20), Belief::TooMany);
        assert_eq!(note(7, 20), Belief::Believed, "the same again is no other report");
        assert_eq!(note(200, 20 + REPORTS_LIFE_MS), Belief::Believed);
    }

    #[test]
    fn a_relay_that_reaches_nobody_is_not_believed_of_all() {
        let mut reports = LostReports::default();
        let mut note = |name: &str| reports.note(&relay("z"), (&relay(name), HEARD), stream(1), at(5));
        assert!(["a", "b", "c"].iter().all(|name| note(name) == Belief::Believed));
        assert_eq!(note("d"), Belief::TooMany);
        assert_eq!(note("a"), Belief::Believed);
        let other = reports.note(&relay("y"), (&relay("d"), HEARD), stream(1), at(5));
        assert_eq!(other, Belief::Believed, "others are believed");
    }

    #[test]
    fn a_leader_that_lives_is_not_believed_lost_for_a_while() {
        let mut reports = LostReports::default();
        let mut note =
            |heard: u64, ms| reports.note(&relay("b"), (&relay("a"), at(heard)), stream(1), at(ms));
        assert_eq!(note(0, 10), Belief::Believed);
        assert_eq!(note(0, 20), Belief::Believed);
        assert_eq!(note(1_500, 1_600), Belief::Refuted);
        assert_eq!(note(1_500, 9_000), Belief::Refuted);
        assert_eq!(note(1_500, 10 + REPORTS_LIFE_MS), Belief::Believed);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut reports = LostReports::default();
        for leader in 0..1_000_u32 {
            for number in 0..=255 {
                let name = relay(&format!("r{leader}"));
                reports.note(&relay("b"), (&name, HEARD), stream(number), at(1));
            }
        }
        let kept = &reports.0[&relay("b")];
        assert!(kept.leaders.len() <= MAX_LOST_LEADERS && kept.streams.len() <= MAX_LOST_STREAMS);
        reports.forget(at(2), |_| true);
        assert_eq!(reports.0.len(), 1);
        reports.forget(at(2), |_| false);
        assert!(reports.0.is_empty());
    }
}
