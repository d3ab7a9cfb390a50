//! What the audit log says of a request: every change, and every refusal for who asks or for how much.

use crate::audit_log::{ActorClass, Entry, Outcome};
use alloy_primitives::keccak256;
use streamchain_protocol::ids::ProducerId;
use streamchain_protocol::time::UnixMs;

/// The actor of those without valid credentials.
pub const NOBODY: &str = "nobody";

/// What is kept of a path, characters: a stream's id and a few words fit.
const MAX_TARGET_CHARS: usize = 256;

/// What a request wants to do, as the audit log calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A change: recorded when it is done, refused or failed.
    Change(&'static str),
    /// Recorded only when it is refused for who asks, or for how much.
    Ask(&'static str),
}

/// How a request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// The problem's word, if it was one.
    pub problem: Option<&'static str>,
}

impl Action {
    /// The name of what is to be recorded about a request that was answered so; `None` when nothing is.
    pub fn to_record(self, answered: Answered) -> Option<&'static str> {
        match self {
            Self::Change(name) => Some(name),
            Self::Ask(name) => matches!(answered.status, 401 | 403 | 429).then_some(name),
        }
    }
}

/// Who made a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The actor of the entry.
    pub name: String,
    /// The class of its budget.
    pub class: ActorClass,
}

impl Actor {
    /// Somebody without valid credentials.
    pub fn nobody() -> Self {
        Self {
            name: NOBODY.to_owned(),
            class: ActorClass::Nobody,
        }
    }
}

/// The entry about a request by `actor` for the path `target`.
pub fn entry(
    time: UnixMs,
    actor: Actor,
    action: &str,
    target: &str,
    answered: Answered,
    from: Option<String>,
) -> Entry {
    let reason = match answered.status {
        401 => "unauthorized",
        403 => "forbidden",
        429 => "rate-limited",
        _ => answered.problem.unwrap_or("refused"),
    };
    let outcome = Outcome::of_status(answered.status);
    Entry {
        time,
        actor: actor.name,
        class: actor.class,
        action: action.to_owned(),
        target: target.chars().take(MAX_TARGET_CHARS).collect(),
        outcome,
        reason: (outcome != Outcome::Done).then(|| reason.to_owned()),
        from,
        count: 1,
        left_out: Vec::new(),
    }
}

/// The producer of the audit log's entries in its stream: an entry's number is its producer's number there, less one.
pub fn audit_producer() -> ProducerId {
    let digest = keccak256("streamchain/audit/v1");
    ProducerId(digest.first_chunk().copied().unwrap_or_default())
}

/// What refusals are counted together by: actor, action and reason.
pub fn refusal_kind(entry: &Entry) -> String {
    let reason = entry.reason.as_deref().unwrap_or_default();
    format!("{} {} {reason}", entry.actor, entry.action)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, problem: Option<&'static str>) -> Answered {
        Answered { status, problem }
    }

    fn reason(status: u16, problem: Option<&'static str>) -> Option<String> {
        entry(
            UnixMs(1),
            Actor::nobody(),
            "key.create",
            "/v1/keys",
            answered(status, problem),
            None,
        )
        .reason
    }

    #[test]
    fn changes_are_recorded_always_and_the_rest_when_refused() {
        let (change, ask) = (Action::Change("key.create"), Action::Ask("read"));
        for status in [200, 401, 404, 500] {
            assert_eq!(change.to_record(answered(status, None)), Some("key.create"));
        }
        for status in [401, 403, 429] {
            assert_eq!(ask.to_record(answered(status, None)), Some("read"));
        }
        for status in [200, 404, 409, 500] {
            assert_eq!(ask.to_record(answered(status, None)), None);
        }
    }

    #[test]
    fn an_entry_says_why_it_was_not_done() {
        assert_eq!(reason(201, None), None);
        assert_eq!(reason(401, Some("unauthorized")).as_deref(), Some("unauthorized"));
        assert_eq!(reason(429, None).as_deref(), Some("rate-limited"));
        assert_eq!(reason(409, Some("full")).as_deref(), Some("full"));
        assert_eq!(reason(500, None).as_deref(), Some("refused"));
    }

    #[test]
    fn a_long_path_is_cut() {
        let path = "/é".repeat(300);
        let entry = entry(
            UnixMs(1),
            Actor::nobody(),
            "read",
            &path,
            answered(403, None),
            None,
        );
        assert_eq!(entry.target.chars().count(), 256);
        assert_eq!(refusal_kind(&entry), "nobody read forbidden");
    }
}
