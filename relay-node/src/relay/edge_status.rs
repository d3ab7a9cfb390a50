//! How the edge answers, for the metrics.

use crate::core::EdgeError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How requests to the edge can end; the values of the label `outcome`.
const OUTCOMES: [&str; 6] = [
    "ok",
    "unavailable",
    "unauthorized",
    "not_leader",
    "no_such_stream",
    "refused",
];

/// What all threads of a relay know of the edge since the start.
#[derive(Debug, Default)]
pub(crate) struct EdgeStatus {
    outcomes: [AtomicU64; OUTCOMES.len()],
    registered: AtomicBool,
}

impl EdgeStatus {
    /// Counts a request that has ended.
    pub(super) fn count<T>(&self, result: &Result<T, EdgeError>) {
        let index = match result {
            Ok(_) => 0,
            Err(EdgeError::Unavailable(_)) => 1,
            Err(EdgeError::Unauthorized(_)) => 2,
            Err(EdgeError::NotLeader(_)) => 3,
            Err(EdgeError::NoSuchStream) => 4,
            Err(EdgeError::Refused(_)) => 5,
        };
        if let Some(count) = self.outcomes.get(index) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Each outcome, and how many requests ended so.
    pub(super) fn outcomes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.outcomes.iter().map(|count| count.load(Ordering::Relaxed));
        OUTCOMES.into_iter().zip(counts)
    }

    /// Notes whether the last registration succeeded.
    pub(super) fn set_registered(&self, registered: bool) {
        self.registered.store(registered, Ordering::Relaxed);
    }

    pub(super) fn is_registered(&self) -> bool {
        self.registered.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_own_count() {
        let status = EdgeStatus::default();
        let text = String::new;
        let errors = [
            EdgeError::Unavailable(text()),
            EdgeError::Unauthorized(401),
            EdgeError::NotLeader(text()),
            EdgeError::NoSuchStream,
            EdgeError::Refused(text()),
        ];
        status.count(&Ok(()));
        errors
            .into_iter()
            .for_each(|error| status.count::<()>(&Err(error)));
        assert!(status.outcomes().all(|(_, count)| count == 1));
    }
}
