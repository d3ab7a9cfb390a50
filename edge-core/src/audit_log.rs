//! The audit log's entries, and how a flood of refusals becomes few of them.
//!
//! What always holds: an entry's bytes are canonical JSON (RFC 8785: sorted members, no white space), so that all readers
//! compute the same hash; no entry has a client's address, but only a value that whoever has the deployment's secret can
//! compare with an address.

use alloy_primitives::hex;
use serde::{Deserialize, Serialize};
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
    /// Whose budget its refusals count in; the entry's JSON does not have it.
    pub class: ActorClass,
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
    /// In a summary: the refusals that became no entries of their own.
    pub left_out: Vec<LeftOut>,
}

/// The actor of what the system does by itself.
const SYSTEM: &str = "system";

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
        if !self.left_out.is_empty() {
            let left_out = self.left_out.iter().map(|left| {
                // Sorted already, as canonical JSON has them.
                json!({ "action": left.action, "class": left.class.as_str(), "count": left.count })
            });
            members.insert("leftOut".to_owned(), left_out.collect());
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

/// Whose refusals share a budget, so that those of one class hide none of another's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorClass {
    /// An operator, or the system itself.
    Operator,
    /// An account that signed in, or a service of one.
    Account,
    /// A guest: anybody may be as many of them as they ask for.
    Guest,
    /// Somebody without valid credentials.
    #[default]
    Nobody,
}

impl ActorClass {
    /// Returns the word in a summary.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Account => "account",
            Self::Guest => "guest",
            Self::Nobody => "nobody",
        }
    }
}

/// How many refusals of one class and action became no entries of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Whose they were.
    pub class: ActorClass,
    /// What was refused.
    pub action: String,
    /// How many.
    pub count: u64,
}

/// How often one kind of refusal (actor, action, reason) becomes an entry.
const REFUSALS_PER_KIND: Quota = Quota::new(3, 60_000);

/// How many refusals from one client address become entries, within the budget of a class.
const REFUSALS_PER_ADDRESS: Quota = Quota::new(10, 60_000);

/// How many refusals of one class of actors become entries.
const REFUSALS_PER_CLASS: Quota = Quota::new(30, 60_000);

/// Most kinds, and addresses, that are remembered. What is left out of other kinds is counted by class and action.
const MAX_KINDS: usize = 256;

/// Most class and action pairs of kinds that are not remembered: four classes of some forty actions.
const MAX_PAIRS: usize = 256;

/// How long what was left out gathers before a summary says so, milliseconds.
pub const SUMMARY_MS: u64 = 60_000;

/// Lets the first few refusals of a kind through and counts the rest, in bounded memory.
#[derive(Debug)]
pub struct Sampler {
    kinds: Meter<String>,
    addresses: Meter<(ActorClass, String)>,
    classes: Meter<ActorClass>,
    /// How many refusals were left out since the last entry of the kind, or since the last summary.
    left_out: HashMap<String, LeftOut>,
    /// When the first of those was left out.
    since: Option<UnixMs>,
}

impl Default for Sampler {
    fn default() -> Self {
        Self {
            kinds: Meter::new(MAX_KINDS),
            addresses: Meter::new(MAX_KINDS),
            classes: Meter::new(4),
            left_out: HashMap::new(),
            since: None,
        }
    }
}

impl Sampler {
    /// Counts the refusals that `entry` stands for. Returns how many refusals an entry is to be written for now; `None`
    /// when there is to be none.
    pub fn admit(&mut self, kind: &str, entry: &Entry, now: UnixMs) -> Option<u64> {
        let class = entry.class;
        let key = kind.to_owned();
        // A bucket that many share refuses nobody, or a flood would hide others: the class bounds them.
        let is_shared = self.kinds.is_shared(&key);
        let passes = (self.kinds.take(key, REFUSALS_PER_KIND, 1, now).is_ok() || is_shared)
            && self.is_within_address(entry, now)
            && self.classes.take(class, REFUSALS_PER_CLASS, 1, now).is_ok();
        if passes {
            let before = self.left_out.remove(kind);
            return Some(entry.count + before.map_or(0, |left| left.count));
        }
        let left = LeftOut {
            class,
            action: entry.action.clone(),
            count: entry.count,
        };
        let is_known = self.left_out.len() < MAX_KINDS || self.left_out.contains_key(kind);
        match is_known {
            true => self.leave_out(kind.to_owned(), left, now),
            false => self.add(&[left], now),
        }
        None
    }

    fn is_within_address(&mut self, entry: &Entry, now: UnixMs) -> bool {
        let Some(from) = &entry.from else { return true };
        let address = (entry.class, from.clone());
        let is_shared = self.addresses.is_shared(&address);
        let taken = self.addresses.take(address, REFUSALS_PER_ADDRESS, 1, now);
        taken.is_ok() || is_shared
    }

    /// Adds what another sampler left out.
    pub fn add(&mut self, left_out: &[LeftOut], now: UnixMs) {
        for left in left_out {
            let pair = format!("{} {}", left.class.as_str(), left.action);
            let has_room = self.left_out.len() < MAX_KINDS + MAX_PAIRS || self.left_out.contains_key(&pair);
            let pair = if has_room { pair } else { OTHERS.to_owned() };
            self.leave_out(pair, left.clone(), now);
        }
    }

    fn leave_out(&mut self, key: String, left: LeftOut, now: UnixMs) {
        self.since = self.since.or(Some(now));
        let more = left.count;
        let known = self.left_out.entry(key).or_insert(LeftOut { count: 0, ..left });
        known.count = known.count.saturating_add(more);
    }

    /// Returns whether anything was left out, and that since `after_ms`.
    pub fn has_left_out(&self, now: UnixMs, after_ms: u64) -> bool {
        self.since.is_some_and(|since| now >= since.plus_ms(after_ms))
    }

    /// Returns what was left out, by class and action, once `after_ms` have passed since the first of it; it then begins
    /// anew.
    pub fn take_left_out(&mut self, now: UnixMs, after_ms: u64) -> Option<Vec<LeftOut>> {
        if !self.has_left_out(now, after_ms) {
            return None;
        }
        self.since = None;
        let mut summed: Vec<LeftOut> = Vec::new();
        for (_, left) in self.left_out.drain() {
            let same = |one: &&mut LeftOut| (one.class, &one.action) == (left.class, &left.action);
            match summed.iter_mut().find(same) {
                Some(one) => one.count = one.count.saturating_add(left.count),
                None => summed.push(left),
            }
        }
        summed.sort_by(|a, b| (a.class, &a.action).cmp(&(b.class, &b.action)));
        (!summed.is_empty()).then_some(summed)
    }
}

/// The key of what there is no room for by class and action.
const OTHERS: &str = "others";

/// Returns the entry about refusals that became no entries of their own.
pub fn summary(left_out: Vec<LeftOut>, now: UnixMs) -> Entry {
    let count = left_out
        .iter()
        .fold(0_u64, |sum, left| sum.saturating_add(left.count));
    Entry {
        time: now,
        actor: SYSTEM.to_owned(),
        class: ActorClass::Operator,
        action: "audit.summary".to_owned(),
        target: "/v1/audit".to_owned(),
        outcome: Outcome::Refused,
        reason: Some("left-out".to_owned()),
        from: None,
        count,
        left_out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            time: UnixMs(1_700_000_000_000),
            actor: "0x1111111111111111111111111111111111111111".into(),
            class: ActorClass::Account,
            action: "stream.create".into(),
            target: "/v1/streams".into(),
            outcome: Outcome::Done,
            reason: None,
            from: Some("00112233aabbccdd".into()),
            count: 1,
            left_out: Vec::new(),
        }
    }

    fn refused(class: ActorClass, from: Option<&str>) -> Entry {
        Entry {
            outcome: Outcome::Refused,
            class,
            from: from.map(str::to_owned),
            ..entry()
        }
    }

    fn nobody() -> Entry {
        refused(ActorClass::Nobody, None)
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
            .filter_map(|_| sampler.admit("nobody 401", &nobody(), UnixMs(0)))
            .collect();
        assert_eq!(first, [1, 1, 1]);
        assert_eq!(
            sampler.admit("nobody 401", &nobody(), UnixMs(20_000)),
            Some(998),
            "the next one tells of those before"
        );
        assert_eq!(
            sampler.admit("someone 403", &nobody(), UnixMs(20_000)),
            Some(1),
            "another kind has its own place"
        );
    }

    #[test]
    fn a_flood_of_kinds_becomes_few_entries_and_takes_no_memory() {
        let mut sampler = Sampler::default();
        let admitted = (0..100_000)
            .filter(|kind| sampler.admit(&format!("{kind}"), &nobody(), UnixMs(0)).is_some())
            .count();
        assert_eq!(admitted, 30);
        assert!(sampler.left_out.len() <= MAX_KINDS + 1 && sampler.kinds.len() <= MAX_KINDS);
    }

    #[test]
    fn a_flood_of_one_class_hides_nothing_of_another() {
        let mut sampler = Sampler::default();
        let guests = (0..10_000).map(|guest| format!("guest {guest}"));
        let flood = guests.filter(|kind| {
            let entry = refused(ActorClass::Guest, Some(kind));
            sampler.admit(kind, &entry, UnixMs(0)).is_some()
        });
        assert_eq!(flood.count(), 30);
        for class in [ActorClass::Nobody, ActorClass::Account, ActorClass::Operator] {
            let entry = refused(class, Some("elsewhere"));
            assert_eq!(sampler.admit(class.as_str(), &entry, UnixMs(0)), Some(1));
        }
    }

    #[test]
    fn one_address_takes_a_share_of_its_class() {
        let mut sampler = Sampler::default();
        let mut from = |address: &str, kinds: u64| {
            let kinds = (0..kinds).filter(|kind| {
                let entry = refused(ActorClass::Guest, Some(address));
                let kind = format!("{address} {kind}");
                sampler.admit(&kind, &entry, UnixMs(0)).is_some()
            });
            kinds.count()
        };
        assert_eq!(from("flooder", 1_000), 10);
        assert_eq!(from("attacker", 3), 3);
    }

    #[test]
    fn a_summary_once_a_minute_counts_all_that_was_left_out() {
        let mut sampler = Sampler::default();
        let mut written = 0;
        for index in 0..5_000_u64 {
            let class = [ActorClass::Guest, ActorClass::Nobody][(index % 2) as usize];
            let entry = refused(class, None);
            let admitted = sampler.admit(&format!("{index}"), &entry, UnixMs(index));
            written += admitted.unwrap_or(0);
        }
        let due = UnixMs(4_999 + SUMMARY_MS);
        let early = sampler.take_left_out(due, 2 * SUMMARY_MS);
        assert_eq!(early, None, "not due yet");
        let left_out = sampler.take_left_out(due, SUMMARY_MS).unwrap();
        assert_eq!(left_out.len(), 2, "{left_out:?}");
        let left: u64 = left_out.iter().map(|one| one.count).sum();
        assert_eq!(written + left, 5_000);
        assert!(!sampler.has_left_out(due, 0));
        let mut other = Sampler::default();
        other.add(&left_out, due);
        let passed_on = other.take_left_out(due, 0).unwrap();
        assert_eq!(passed_on, left_out);
        let json = summary(passed_on, due).to_json();
        assert!(json.contains(r#""leftOut":[{"action":"stream.create","class":"guest","count":"#));
    }
}
