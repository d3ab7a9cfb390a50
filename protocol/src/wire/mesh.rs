//! What relays and the edge say of the mesh: where a relay is, how its links are reached, and whom it is to follow.

use super::relay_api::EpochGrant;
use crate::ids::{Epoch, RelayId, SessionId, StreamId, StreamName};
use crate::stream_settings::Signed;
use crate::time::UnixSec;
use crate::util::json::{self, JsonError};
use crate::webrtc::{can_be_reached, parse_fingerprint};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::net::SocketAddr;

/// Most addresses of a relay's links: an IPv4 and an IPv6 address of two networks.
pub const MAX_LINK_ADDRESSES: usize = 4;

/// How other relays reach a relay's links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkReach {
    /// UDP addresses, the best first: 1 to [`MAX_LINK_ADDRESSES`].
    pub addresses: Vec<SocketAddr>,
    /// SHA-256 fingerprint of its link certificate: 32 bytes as `AB:CD:…`.
    pub fingerprint: String,
}

impl LinkReach {
    /// Returns whether it has as many addresses as it may, each of which can be reached, and a fingerprint.
    pub fn is_valid(&self) -> bool {
        let reachable = |address: &SocketAddr| address.port() != 0 && can_be_reached(address.ip());
        (1..=MAX_LINK_ADDRESSES).contains(&self.addresses.len())
            && self.addresses.iter().all(reachable)
            && parse_fingerprint(&self.fingerprint).is_some()
    }
}

/// A place on the earth, in thousandths of a degree: about 100 m, which is closer than any address is known to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Degrees", into = "Degrees")]
pub struct Location {
    latitude: i32,
    longitude: i32,
}

/// A [`Location`] in JSON.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Degrees {
    latitude: f64,
    longitude: f64,
}

/// A latitude or longitude is not on the earth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a latitude from -90 to 90 and a longitude from -180 to 180")]
pub struct LocationError;

impl TryFrom<Degrees> for Location {
    type Error = LocationError;
    fn try_from(degrees: Degrees) -> Result<Self, LocationError> {
        Self::of_degrees(degrees.latitude, degrees.longitude).ok_or(LocationError)
    }
}

impl From<Location> for Degrees {
    fn from(location: Location) -> Self {
        let (latitude, longitude) = location.degrees();
        Self { latitude, longitude }
    }
}

impl Location {
    /// Returns the place with these coordinates in degrees; `None` where there is no such place.
    pub fn of_degrees(latitude: f64, longitude: f64) -> Option<Self> {
        let within = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
        let thousandths = |degrees: f64| (degrees * 1_000.0).round() as i32;
        within.then(|| Self {
            latitude: thousandths(latitude),
            longitude: thousandths(longitude),
        })
    }

    /// Returns latitude and longitude in degrees.
    pub fn degrees(self) -> (f64, f64) {
        (
            f64::from(self.latitude) / 1_000.0,
            f64::from(self.longitude) / 1_000.0,
        )
    }
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
    use super::*;
    use crate::ids::Seq;
    use crate::util::json::{from_text, from_value};

    fn reach() -> LinkReach {
        LinkReach {
            addresses: vec![
                "192.0.2.1:7443".parse().unwrap(),
                "[2001:db8::1]:7443".parse().unwrap(),
            ],
            fingerprint: ["AB"; 32].join(":"),
        }
    }

    #[test]
    fn a_reach_is_checked_member_by_member() {
        assert!(reach().is_valid());
        let changed = |change: fn(&mut LinkReach)| {
            let mut reach = reach();
            change(&mut reach);
            reach.is_valid()
        };
        assert!(!changed(|reach| reach.addresses.clear()));
        assert!(!changed(
            |reach| reach.addresses = vec!["192.0.2.1:1".parse().unwrap(); 5]
        ));
        assert!(!changed(|reach| reach.addresses[0].set_port(0)));
        assert!(!changed(
            |reach| reach.addresses[1] = "[fe80::1]:7443".parse().unwrap()
        ));
        assert!(!changed(|reach| reach.fingerprint.truncate(5)));
    }

    #[test]
    fn a_place_off_the_earth_is_refused() {
        let read = |text: &str| from_text::<Location>(text);
        let berlin = read(r#"{"latitude":52.5200066,"longitude":13.404954}"#).unwrap();
        assert_eq!(berlin.degrees(), (52.52, 13.405));
        let json = serde_json::to_value(berlin).unwrap();
        assert_eq!(json.to_string(), r#"{"latitude":52.52,"longitude":13.405}"#);
        assert_eq!(from_value::<Location>(&json), Ok(berlin));
        for wrong in [
            r#"{"latitude":90.1,"longitude":0}"#,
            r#"{"latitude":0,"longitude":-180.5}"#,
            r#"{"latitude":0}"#,
            r#"{"latitude":"0","longitude":0}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Location::of_degrees(f64::NAN, 0.0), None);
    }

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
}
