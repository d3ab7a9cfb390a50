//! The HTTP interface between relays and the edge: JSON, `camelCase`.

use super::link_reach::{LinkReach, MAX_LINK_ADDRESSES};
use super::location::Location;
use super::notice::Notice;
use crate::ids::{Epoch, Incarnation, RelayId, RelayKeyId, Seq, StreamId, StreamName};
use crate::limits::{MAX_RELAY_SHARDS, MAX_RELAY_TURN_URLS, MAX_SHARD_CANDIDATES};
use crate::stream_settings::Signed;
use crate::time::{UnixMs, UnixSec};
use crate::webrtc::{Candidate, can_be_reached, parse_fingerprint};
use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

/// `PUT /v1/relays/{relay}`: a relay registers, and renews with the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// This run of the relay.
    pub incarnation: Incarnation,
    /// SHA-256 fingerprint of its DTLS certificate: 32 bytes as `AB:CD:…` (RFC 8122).
    pub fingerprint: String,
    /// The relay's region, for the status page; may be empty.
    #[serde(default)]
    pub region: String,
    /// Its threads, each with addresses of its own.
    pub shards: Vec<Shard>,
    /// URLs of its own TURN server (RFC 7065), whose only peer it is itself; may be empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turn: Vec<String>,
    /// Open sessions.
    #[serde(default)]
    pub sessions: u64,
    /// Streams that it leads.
    #[serde(default)]
    pub streams: u64,
    /// The last notice that it acknowledges: [`Renewed::cursor`] of the answer before, 0 at first.
    #[serde(default)]
    pub cursor: u64,
    /// Whether it ends sessions at the time in their tokens: it then gets tokens of version 2.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub session_ends: bool,
    /// Whether it reads notices of rounds: it then gets one for all of its streams in a round.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reads_rounds: bool,
    /// Whether any of its shards serves any stream: sessions are then spread over them ([`super::shard_of_session`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub spreads: bool,
    /// How other relays reach its links. A relay with it takes streams from others, and others from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh: Option<LinkReach>,
    /// Where it is. Without it the edge takes the place that its requests come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// How many sessions it has room for; no bound is known without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u64>,
    /// Whether it takes further channels on a connection, with grants of the edge. A connection reaches one shard, so a relay with several
    /// does only where each serves every stream.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub joins: bool,
    /// The key that it was authenticated with. The edge sets it and ignores what a relay sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<RelayKeyId>,
}

/// One thread of a relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Where clients reach it, best first.
    pub candidates: Vec<Candidate>,
}

/// Why a registration was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// The fingerprint is not 32 bytes as `AB:CD:…`.
    #[error("fingerprint: expected 32 bytes as AB:CD:…, upper-case, of the certificate's SHA-256")]
    Fingerprint,
    /// There is no shard, or there are more than 64.
    #[error("shards: {0}, expected 1 to 64")]
    Shards(usize),
    /// A shard has no candidate, or more than 8.
    #[error("shards[{shard}].candidates: {given}, expected 1 to 8")]
    Candidates {
        /// Which shard.
        shard: usize,
        /// How many it has.
        given: usize,
    },
    /// A candidate has port 0, which cannot be reached.
    #[error("shards[{0}].candidates: port 0")]
    Port(usize),
    /// A candidate has an address that no client can reach.
    #[error("shards[{0}].candidates: an address that no client can reach")]
    Address(usize),
    /// There are too many TURN URLs, or a text is not one.
    #[error("turn: expected at most {MAX_RELAY_TURN_URLS} URLs as turn:host:port?transport=udp")]
    Turn,
    /// The region is longer than 64 characters.
    #[error("region: expected at most 64 characters")]
    Region,
    /// There is no address of its links or too many, one cannot be reached, or the fingerprint is none.
    #[error(
        "mesh: expected 1 to {MAX_LINK_ADDRESSES} addresses that can be reached, and a fingerprint as AB:CD:…"
    )]
    Mesh,
}

impl Registration {
    /// Checks what the types do not.
    pub fn check(&self) -> Result<(), RegistrationError> {
        if parse_fingerprint(&self.fingerprint).is_none() {
            return Err(RegistrationError::Fingerprint);
        }
        if self.region.len() > 64 {
            return Err(RegistrationError::Region);
        }
        if self.turn.len() > MAX_RELAY_TURN_URLS || !self.turn.iter().all(|url| is_turn_url(url)) {
            return Err(RegistrationError::Turn);
        }
        if self.mesh.as_ref().is_some_and(|mesh| !mesh.is_valid()) {
            return Err(RegistrationError::Mesh);
        }
        if self.shards.is_empty() || self.shards.len() > MAX_RELAY_SHARDS {
            return Err(RegistrationError::Shards(self.shards.len()));
        }
        for (shard, Shard { candidates }) in self.shards.iter().enumerate() {
            if candidates.is_empty() || candidates.len() > MAX_SHARD_CANDIDATES {
                return Err(RegistrationError::Candidates {
                    shard,
                    given: candidates.len(),
                });
            }
            if candidates.iter().any(|candidate| candidate.port == 0) {
                return Err(RegistrationError::Port(shard));
            }
            if !candidates
                .iter()
                .all(|candidate| can_be_reached(candidate.address))
            {
                return Err(RegistrationError::Address(shard));
            }
        }
        Ok(())
    }
}

/// Returns whether a text is a TURN URL that can stand in a header as it is: `turn:` or `turns:`, and only characters
/// of a host, a port and a query.
pub(crate) fn is_turn_url(url: &str) -> bool {
    let rest = url.strip_prefix("turn:").or_else(|| url.strip_prefix("turns:"));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".:-_[]?=".contains(&byte);
    rest.is_some_and(|rest| (1..=128).contains(&rest.len()) && rest.bytes().all(plain))
}

/// The answer to a registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Renewed {
    /// When to renew, milliseconds from now.
    pub renew_after_ms: u64,
    /// The number of the last notice below, or the relay's own cursor when there is none.
    pub cursor: u64,
    /// The notices above the relay's cursor; each is sent at least once.
    pub notices: Vec<Notice>,
}

/// `PUT /v1/relays/{relay}/streams/{stream}`: a relay acquires a stream's epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcquireEpoch {
    /// This run of the relay; the same run gets the same epoch again.
    pub incarnation: Incarnation,
    /// Whether it takes signed groups. One of the version before does not, and can't read them in the inbox.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub groups: bool,
    /// Whether it follows the leader where there is one: it then gets a [`super::FollowGrant`] instead of a refusal.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follows: bool,
    /// Its link to the leader of this epoch failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Epoch>,
    /// Whether nobody listens at that leader's port any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
}

impl From<Incarnation> for AcquireEpoch {
    /// As a relay of the version before asks.
    fn from(incarnation: Incarnation) -> Self {
        Self {
            incarnation,
            groups: false,
            follows: false,
            lost: None,
            closed: false,
        }
    }
}

/// The answer to [`AcquireEpoch`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochGrant {
    /// The whole id.
    pub stream: StreamId,
    /// The name.
    pub name: StreamName,
    /// The relay's epoch from now on.
    pub epoch: Epoch,
    /// The next seq to be given: as many messages are committed.
    pub head: Seq,
    /// Messages that came by HTTP and wait to be fetched.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub waiting: u64,
    /// Whether messages must be signed. An edge of the version before says nothing: it stores no groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The answer to a producer look-up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducerState {
    /// The producer's last committed producer_seq.
    pub stored: Option<u64>,
    /// The digest of the producer's last committed group; none for one that does not sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<B256>,
    /// What is known of the key that was asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyState>,
}

/// Whether a key signs for the author that it was asked about with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyState {
    /// Whether it does now.
    pub ok: bool,
    /// The second before which it does; for ever when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<UnixSec>,
    /// Why it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The answer to a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// Every seq below is committed.
    pub committed: Seq,
    /// Messages that came by HTTP and wait to be fetched.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub waiting: u64,
    /// Sessions on the stream whose rights were withdrawn lately: they end before anything more is sent to them. The
    /// same comes as a notice, later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withdrawn: Vec<Withdrawal>,
}

/// Sessions on one stream whose rights were withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// Whose sessions; `None` for everybody's.
    pub author: Option<Address>,
    /// Those that were opened until then, by the edge's clock.
    pub before: UnixSec,
}

/// Why the edge refused a relay's request for a stream (409): `type` ends in one of these.
pub mod problem {
    /// The request's epoch is over: release the stream. Carries `epoch`.
    pub const STALE_EPOCH: &str = "stale-epoch";
    /// The batch does not follow what is committed. Carries `expected`.
    pub const GAP: &str = "gap";
    /// A producer_seq was committed before, or leaves one out. Carries `producer` and `stored`.
    pub const PRODUCER_CONFLICT: &str = "producer-conflict";
    /// The stream is assigned to another relay, which `relay` names, or to none.
    pub const NOT_LEADER: &str = "not-owner";
    /// A message is by somebody who opened no session at this relay, and not from the inbox. Carries `author`.
    pub const UNKNOWN_AUTHOR: &str = "unknown-author";
    /// A signed group does not follow its producer's group before it, or a producer mixes signed and unsigned messages. Carries `producer`.
    pub const BROKEN_CHAIN: &str = "broken-chain";
    /// The leader, which `relay` names, lives, and the relay that asks does not reach it: it sends its sessions away, and gets none
    /// of the stream for a while.
    pub const UNREACHABLE: &str = "leader-unreachable";
    /// The stream takes signed messages alone, and one of the batch is not. Carries `author`.
    pub const UNSIGNED: &str = "unsigned";
}

/// A relay as `GET /v1/status` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RelayStatus {
    /// The relay.
    pub id: RelayId,
    /// The relay's region.
    pub region: String,
    /// Whether it renewed within the lease.
    pub alive: bool,
    /// Open sessions at its last renewal.
    pub sessions: u64,
    /// Streams at its last renewal.
    pub streams: u64,
    /// When it last renewed.
    pub last_seen: UnixMs,
    /// Where it is, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// How many sessions it has room for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u64>,
    /// Whether it takes streams from other relays, and they from it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mesh: bool,
    /// Whether its key is not the one that `MASTER_SECRET` gives it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub old_key: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{SessionId, ShortId};
    use crate::webrtc::Transport;
    use crate::wire::NoticeEvent;
    use std::net::IpAddr;

    fn registration() -> Registration {
        let candidate = Candidate {
            transport: Transport::Udp,
            address: IpAddr::from([127, 0, 0, 1]),
            port: 7100,
        };
        Registration {
            incarnation: Incarnation([1; 8]),
            fingerprint: vec!["AB"; 32].join(":"),
            region: String::new(),
            shards: vec![Shard {
                candidates: vec![candidate],
            }],
            turn: Vec::new(),
            sessions: 0,
            streams: 0,
            cursor: 0,
            session_ends: false,
            reads_rounds: false,
            spreads: false,
            mesh: None,
            location: None,
            capacity: None,
            joins: false,
            key: None,
        }
    }

    #[test]
    fn a_refused_registration_names_the_field() {
        for (error, says) in [
            (RegistrationError::Fingerprint, "fingerprint: "),
            (RegistrationError::Shards(0), "shards: 0"),
            (
                RegistrationError::Candidates { shard: 0, given: 0 },
                "candidates: 0",
            ),
            (RegistrationError::Port(0), "port 0"),
        ] {
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[test]
    fn a_registration_is_checked_field_by_field() {
        assert_eq!(registration().check(), Ok(()));
        let refused = |change: fn(&mut Registration)| {
            let mut changed = registration();
            change(&mut changed);
            changed.check().unwrap_err()
        };
        assert_eq!(
            refused(|r| r.fingerprint.truncate(5)),
            RegistrationError::Fingerprint
        );
        assert_eq!(refused(|r| r.shards.clear()), RegistrationError::Shards(0));
        assert_eq!(
            refused(|r| r.shards[0].candidates[0].port = 0),
            RegistrationError::Port(0)
        );
        for wrong in [
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "::",
            "::192.0.2.1",
            "::ffff:192.0.2.1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            let mut changed = registration();
            changed.shards[0].candidates[0].address = wrong.parse().unwrap();
            assert_eq!(changed.check(), Err(RegistrationError::Address(0)), "{wrong}");
        }
        for right in [
            "127.0.0.1",
            "::1",
            "10.0.0.1",
            "169.254.0.1",
            "fd00::1",
            "2001:db8::1",
        ] {
            let mut changed = registration();
            changed.shards[0].candidates[0].address = right.parse().unwrap();
            assert_eq!(changed.check(), Ok(()), "{right}");
        }
        let none = RegistrationError::Candidates { shard: 0, given: 0 };
        assert_eq!(refused(|r| r.shards[0].candidates.clear()), none);
        let nine = |r: &mut Registration| r.shards[0].candidates = vec![r.shards[0].candidates[0].clone(); 9];
        let too_many = RegistrationError::Candidates { shard: 0, given: 9 };
        assert_eq!(refused(nine), too_many);
        assert_eq!(refused(|r| r.region = "x".repeat(65)), RegistrationError::Region);
        let too_many = |r: &mut Registration| r.turn = vec!["turn:192.0.2.1:3478?transport=udp".into(); 7];
        assert_eq!(refused(too_many), RegistrationError::Turn);
        for wrong in [
            "",
            "turn:",
            "http://a",
            "turn:a>; rel=x",
            "turn:a b",
            "turn:a\r\nx: y",
        ] {
            let mut changed = registration();
            changed.turn = vec![wrong.into()];
            assert_eq!(changed.check(), Err(RegistrationError::Turn), "{wrong:?}");
        }
    }

    #[test]
    fn a_relay_without_turn_registers_as_before() {
        let json = serde_json::to_value(registration()).unwrap();
        assert_eq!(json.get("turn"), None);
        assert_eq!(
            serde_json::from_value::<Registration>(json).unwrap(),
            registration()
        );
        let mut with_turn = registration();
        with_turn.turn = vec![
            "turn:[2001:db8::1]:3478?transport=tcp".into(),
            "turns:turn.example.org:443".into(),
        ];
        assert_eq!(with_turn.check(), Ok(()));
    }

    #[test]
    fn a_relay_of_the_mesh_registers_with_more() {
        let before = serde_json::to_value(registration()).unwrap();
        for name in ["spreads", "mesh", "location", "capacity"] {
            assert_eq!(before.get(name), None, "{name}");
        }
        let mut registration = registration();
        registration.spreads = true;
        registration.mesh = Some(LinkReach {
            addresses: vec!["192.0.2.1:7443".parse().unwrap()],
            fingerprint: ["CD"; 32].join(":"),
        });
        registration.location = Location::of_degrees(-33.868, 151.209);
        registration.capacity = Some(20_000);
        assert_eq!(registration.check(), Ok(()));
        let json = serde_json::to_value(&registration).unwrap();
        assert_eq!(json["mesh"]["addresses"][0], "192.0.2.1:7443");
        assert_eq!(json["location"]["latitude"], -33.868);
        assert_eq!(
            serde_json::from_value::<Registration>(json).unwrap(),
            registration
        );
        registration.mesh.as_mut().unwrap().addresses.clear();
        assert_eq!(registration.check(), Err(RegistrationError::Mesh));
    }

    #[test]
    fn notices_have_the_json_that_both_sides_expect() {
        let notice = Notice {
            stream: ShortId([1; 20]),
            event: NoticeEvent::SessionEnded {
                session: SessionId([2; 8]),
            },
        };
        let json = serde_json::to_value(&notice).unwrap();
        assert_eq!(json["kind"], "sessionEnded");
        assert_eq!(json["session"], "0202020202020202");
        assert_eq!(serde_json::from_value::<Notice>(json).unwrap(), notice);
        let later = r#"{"stream":"0x0101010101010101010101010101010101010101","kind":"later","x":1}"#;
        assert_eq!(
            serde_json::from_str::<Notice>(later).unwrap().event,
            NoticeEvent::Unknown
        );
    }
}
