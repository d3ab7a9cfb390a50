//! Whether the edge knows a resource that one of an earlier version does not know.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an edge that does not know a resource is not asked for it: one that is replaced by a newer one is noticed within it.
const PAUSE: Duration = Duration::from_secs(60);

/// Whether the edge knows one resource, as far as the relay's threads know.
#[derive(Debug, Default)]
pub(super) struct FeatureSupport(Mutex<Option<Instant>>);

impl FeatureSupport {
    fn until(&self) -> MutexGuard<'_, Option<Instant>> {
        // A thread that panicked elsewhere left a time that is as good as any.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the edge may be asked for it at `now`.
    pub(super) fn is_likely(&self, now: Instant) -> bool {
        self.until().is_none_or(|until| until <= now)
    }

    /// The edge did not know it at `now`.
    pub(super) fn handle_refusal(&self, now: Instant) {
        *self.until() = Some(now + PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_that_knows_it_not_is_asked_again_later() {
        let (now, support) = (Instant::now(), FeatureSupport::default());
        assert!(support.is_likely(now));
        support.handle_refusal(now);
        assert!(!support.is_likely(now));
        assert!(support.is_likely(now + PAUSE));
    }
}
