//! The audit log's entries, and how a flood of refusals becomes few of them.
//!
//! What always holds: an entry's bytes are canonical JSON (RFC 8785: sorted members, no white space), so that all readers
//! compute the same hash; no entry has a client's address, but only a value that whoever has the deployment's secret can
//! compare with an address.

use alloy_primitives::hex;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use streamchain_protocol::auth::mac_bytes;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::util::{Meter, Quota};

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused.
    Refused,
    /// It failed at the edge.
    Failed,
}

impl Outcome {
    /// Returns the word in an entry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// Returns the outcome that an HTTP status stands for.
    pub(crate) const fn of_status(status: u16) -> Self {
        match status {
            0..400 => Self::Done,
            400..500 => Self::Refused,
            _ => Self::Failed,
        }
    }
}

/// One entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it was attempted.
    pub time: UnixMs,
    /// Who attempted it: an address (`0x…`), `relay:` and its id, `system`, or `nobody` (no valid credentials).
    pub actor: String,
    /// What was attempted, for example `stream.create`.
    pub action: String,
    /// What it was attempted on: the path that was asked for.
    pub target: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it was refused: the last word of the problem's type.
    pub reason: Option<String>,
    /// Where it came from: see [`from_where`].
    pub from: Option<String>,
    /// How many such attempts this entry stands for, itself included.
    pub count: u64,
}

impl Entry {
    /// Returns the entry as canonical JSON.
    pub fn to_json(&self) -> String {
        let mut members = Map::new();
        let texts = [
            ("action", Some(&self.action)),
            ("actor", Some(&self.actor)),
            ("from", self.from.as_ref()),
            ("reason", self.reason.as_ref()),
            ("target", Some(&self.target)),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                members.insert(name.to_owned(), json!(text));
            }
        }
        members.insert("outcome".to_owned(), json!(self.outcome.as_str()));
        members.insert("time".to_owned(), json!(self.time));
        if self.count > 1 {
            members.insert("count".to_owned(), json!(self.count));
        }
        members.sort_keys();
        Value::Object(members).to_string()
    }
}

/// Returns what an entry says about a client's address: the first 8 bytes of its HMAC, in hexadecimal.
///
/// The log cannot be changed once it is anchored, so it must not have addresses. The operator, who has the key, can
/// still find out whether two entries are of one address, or of one that is known.
pub fn from_where(key: &[u8; 32], client: &str) -> String {
    hex::encode(&mac_bytes(key, &[client.as_bytes()])[..8])
}

/// How often one kind of refusal (actor, action, reason) becomes an entry.
const REFUSALS_PER_KIND: Quota = Quota::new(3, 60_000);

/// How many refusals become entries in all.
const REFUSALS: Quota = Quota::new(30, 60_000);

/// Most kinds that are remembered; the others share one bucket.
const MAX_KINDS: usize = 256;

/// Lets the first few refusals of a kind through and counts the rest, in bounded memory.
#[derive(Debug)]
pub struct Sampler {
    kinds: Meter<String>,
    all: Meter<()>,
    /// How many refusals were left out since the last entry of the kind.
    left_out: HashMap<String, u64>,
}

/// The kind that stands for all kinds beyond [`MAX_KINDS`].
const OTHERS: &str = "others";

impl Default for Sampler {
    fn default() -> Self {
        Self {
            kinds: Meter::new(MAX_KINDS),
            all: Meter::new(1),
            left_out: HashMap::new(),
        }
    }
}

impl Sampler {
    /// Counts a refusal. Returns how many refusals an entry is to be written for now; `None` when there is to be none.
    pub fn admit(&mut self, kind: &str, now: UnixMs) -> Option<u64> {
        let passes = self
            .kinds
            .take(kind.to_owned(), REFUSALS_PER_KIND, 1, now)
            .is_ok()
            && self.all.take((), REFUSALS, 1, now).is_ok();
        let known = self.left_out.len() < MAX_KINDS || self.left_out.contains_key(kind);
        let kind = if known { kind } else { OTHERS };
        if !passes {
            *self.left_out.entry(kind.to_owned()).or_default() += 1;
            return None;
        }
        Some(1 + self.left_out.remove(kind).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            time: UnixMs(1_700_000_000_000),
            actor: "0x1111111111111111111111111111111111111111".into(),
            action: "stream.create".into(),
            target: "/v1/streams".into(),
            outcome: Outcome::Done,
            reason: None,
            from: Some("00112233aabbccdd".into()),
            count: 1,
        }
    }

    #[test]
    fn an_entry_is_canonical_json() {
        assert_eq!(
            entry().to_json(),
            r#"{"action":"stream.create","actor":"0x1111111111111111111111111111111111111111","from":"00112233aabbccdd","outcome":"done","target":"/v1/streams","time":1700000000000}"#
        );
        let refused = Entry {
            outcome: Outcome::of_status(429),
            reason: Some("rate-limited".into()),
            from: None,
            count: 12,
            ..entry()
        };
        assert_eq!(
            refused.to_json(),
            r#"{"action":"stream.create","actor":"0x1111111111111111111111111111111111111111","count":12,"outcome":"refused","reason":"rate-limited","target":"/v1/streams","time":1700000000000}"#
        );
    }

    #[test]
    fn an_address_can_be_compared_but_not_read() {
        let (key, other) = ([7; 32], [8; 32]);
        assert_eq!(from_where(&key, "192.0.2.7"), from_where(&key, "192.0.2.7"));
        assert_ne!(from_where(&key, "192.0.2.7"), from_where(&key, "192.0.2.8"));
        assert_ne!(from_where(&key, "192.0.2.7"), from_where(&other, "192.0.2.7"));
        assert_eq!(from_where(&key, "192.0.2.7").len(), 16);
    }

    #[test]
    fn a_flood_of_one_refusal_becomes_few_entries_that_count_it() {
        let mut sampler = Sampler::default();
        let first: Vec<_> = (0..1_000)
            .filter_map(|_| sampler.admit("nobody 401", UnixMs(0)))
            .collect();
        assert_eq!(first, [1, 1, 1]);
        assert_eq!(
            sampler.admit("nobody 401", UnixMs(20_000)),
            Some(998),
            "the next one tells of those before"
        );
        assert_eq!(
            sampler.admit("someone 403", UnixMs(20_000)),
            Some(1),
            "another kind has its own place"
        );
    }

    #[test]
    fn a_flood_of_kinds_becomes_few_entries_and_takes_no_memory() {
        let mut sampler = Sampler::default();
        let admitted = (0..100_000)
            .filter(|kind| sampler.admit(&format!("{kind}"), UnixMs(0)).is_some())
            .count();
        assert_eq!(admitted, 30);
        assert!(sampler.left_out.len() <= MAX_KINDS + 1 && sampler.kinds.len() <= MAX_KINDS);
    }
}
