//! What relays and the edge say of the mesh: which shard serves what, and whom a relay is to follow.

use super::link_reach::LinkReach;
use super::relay_api::EpochGrant;
use crate::ids::{Epoch, RelayId, SessionId, ShortId, StreamId, StreamName};
use crate::stream_settings::Signed;
use crate::time::UnixSec;
use crate::util::json::{self, JsonError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Returns the index of the shard of a relay with `shards` shards that serves a stream. The edge puts that shard's
/// candidates in its answers; the relay numbers its threads in the order of its registration.
pub fn shard_of(stream: ShortId, shards: usize) -> usize {
    let [a, b, c, d, ..] = stream.0;
    u32::from_be_bytes([a, b, c, d]) as usize % shards.max(1)
}

/// Returns the index of the shard, of a relay with `shards` shards that spreads sessions, which a session is sent to. A
/// session's id is random, so its last bytes spread evenly.
pub fn shard_of_session(session: SessionId, shards: usize) -> usize {
    let [.., a, b, c, d] = session.0;
    u32::from_be_bytes([a, b, c, d]) as usize % shards.max(1)
}

/// Whom a relay is to take a stream from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowGrant {
    /// The whole id.
    pub stream: StreamId,
    /// The name.
    pub name: StreamName,
    /// The relay that leads the stream.
    pub leader: RelayId,
    /// The leader's epoch.
    pub epoch: Epoch,
    /// Whether messages must be signed.
    pub signed: Signed,
    /// How the leader's links are reached.
    pub link: LinkReach,
    /// What the follower shows to the leader: a [`crate::auth::LinkTicket`].
    pub ticket: String,
    /// The last second in which the leader takes the ticket.
    pub expires: UnixSec,
}

/// The answer to [`super::AcquireEpoch`]: the grant alone, or `{"follow": …}`, which only a relay gets that said that it follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, try_from = "Value")]
pub enum Acquired {
    /// The relay leads the stream.
    Leads(EpochGrant),
    /// The relay is to follow.
    Follows {
        /// Whom, and how.
        follow: FollowGrant,
    },
}

impl TryFrom<Value> for Acquired {
    type Error = JsonError;

    fn try_from(answer: Value) -> Result<Self, JsonError> {
        match answer.get("follow") {
            Some(follow) => json::from_value(follow).map(|follow| Self::Follows { follow }),
            None => json::from_value(&answer).map(Self::Leads),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::link_reach::tests::reach;
    use super::*;
    use crate::ids::Seq;
    use crate::util::json::{from_text, from_value};

    #[test]
    fn an_answer_is_read_as_what_it_grants() {
        let leads = EpochGrant {
            stream: StreamId([1; 32]),
            name: "chat".parse().unwrap(),
            epoch: Epoch(3),
            head: Seq(7),
            waiting: 0,
            signed: None,
        };
        let follow = FollowGrant {
            stream: leads.stream,
            name: leads.name.clone(),
            leader: "eu-1".parse().unwrap(),
            epoch: Epoch(3),
            signed: Signed::default(),
            link: reach(),
            ticket: "ticket".into(),
            expires: UnixSec(9),
        };
        let of_before = serde_json::to_value(&leads).unwrap();
        for answer in [Acquired::Leads(leads), Acquired::Follows { follow }] {
            let json = serde_json::to_value(&answer).unwrap();
            assert_eq!(from_value::<Acquired>(&json), Ok(answer));
        }
        assert_eq!(of_before["epoch"], 3);
        assert!(from_text::<Acquired>(r#"{"follow":{"epoch":1}}"#).is_err());
        assert!(from_text::<Acquired>("[]").is_err());
    }

    #[test]
    fn sessions_are_spread_over_all_shards() {
        let mut counts = [0_u32; 3];
        let mut bits = crate::util::SplitMix64::new(1);
        for _ in 0..3_000 {
            let session = SessionId(bits.next_bits().to_be_bytes());
            counts[shard_of_session(session, 3)] += 1;
        }
        assert!(
            counts.iter().all(|count| (900..1_100).contains(count)),
            "{counts:?}"
        );
        assert_eq!(shard_of_session(SessionId([9; 8]), 0), 0);
    }

    #[test]
    fn shards_are_shared_out_by_the_first_four_bytes() {
        let mut id = [0; 20];
        id[3] = 5;
        assert_eq!(shard_of(ShortId(id), 4), 1);
        assert_eq!(shard_of(ShortId(id), 1), 0);
        assert_eq!(shard_of(ShortId(id), 0), 0);
    }
}
