//! How long a silent relay is waited for: little at first, and longer where a silence was no death.
//!
//! A machine that stalls for a second is silent and not dead. Who takes it for dead each time would report its leader again and
//! again, and the edge then sends the sessions elsewhere.

use super::limits::{LONGEST_SILENCE, MAX_CONNECTIONS, SILENCE_TIMEOUT};
use super::tls::Fingerprint;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How much longer a relay is waited for after a silence that was no death: the third one in a row is then no longer within the ten
/// seconds in which the edge counts reports.
const FACTOR: u32 = 3;

/// How soon after a silence a relay must be reached again for the silence to have been no death: sooner than one starts anew.
const FALSE_ALARM_WITHIN: Duration = Duration::from_secs(5);

/// After so long without a silence a relay is waited for as at first.
const FORGIVEN_AFTER: Duration = Duration::from_secs(300);

/// Which relays were taken for dead, by certificate.
#[derive(Debug, Default)]
pub(super) struct Patience(HashMap<Fingerprint, Alarm>);

#[derive(Debug, Clone, Copy)]
struct Alarm {
    silence: Duration,
    at: Instant,
}

impl Patience {
    /// How long this relay may be silent.
    pub(super) fn with(&self, relay: &Fingerprint, now: Instant) -> Duration {
        let known = self.0.get(relay).filter(|alarm| !alarm.is_forgiven(now));
        known.map_or(SILENCE_TIMEOUT, |alarm| alarm.silence)
    }

    /// This relay was silent for too long.
    pub(super) fn was_silent(&mut self, relay: Fingerprint, now: Instant) {
        self.0.retain(|_, alarm| !alarm.is_forgiven(now));
        if self.0.len() >= MAX_CONNECTIONS && !self.0.contains_key(&relay) {
            return;
        }
        let first = Alarm {
            silence: SILENCE_TIMEOUT,
            at: now,
        };
        self.0.entry(relay).or_insert(first).at = now;
    }

    /// This relay was reached.
    pub(super) fn was_reached(&mut self, relay: &Fingerprint, now: Instant) {
        if let Some(alarm) = self.0.get_mut(relay)
            && now.duration_since(alarm.at) <= FALSE_ALARM_WITHIN
        {
            alarm.silence = (alarm.silence * FACTOR).min(LONGEST_SILENCE);
        }
    }
}

impl Alarm {
    fn is_forgiven(&self, now: Instant) -> bool {
        now.duration_since(self.at) >= FORGIVEN_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELAY: Fingerprint = [1; 32];

    #[test]
    fn a_relay_that_was_silent_and_alive_is_waited_for_longer() {
        let (mut patience, mut now) = (Patience::default(), Instant::now());
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(patience.with(&RELAY, now).as_millis());
            now += patience.with(&RELAY, now);
            patience.was_silent(RELAY, now);
            now += FALSE_ALARM_WITHIN;
            patience.was_reached(&RELAY, now);
        }
        assert_eq!(seen, [800, 2_400, 7_200, 10_000]);
        assert_eq!(patience.with(&[2; 32], now), SILENCE_TIMEOUT, "others are not");
        now += FORGIVEN_AFTER;
        assert_eq!(patience.with(&RELAY, now), SILENCE_TIMEOUT);
        patience.was_silent([2; 32], now);
        assert_eq!(patience.0.len(), 1, "what is forgiven is forgotten");
    }

    #[test]
    fn a_relay_that_comes_back_later_was_dead() {
        let (mut patience, now) = (Patience::default(), Instant::now());
        patience.was_silent(RELAY, now);
        let later = now + FALSE_ALARM_WITHIN + Duration::from_millis(1);
        patience.was_reached(&RELAY, later);
        assert_eq!(patience.with(&RELAY, later), SILENCE_TIMEOUT);
    }

    #[test]
    fn no_more_relays_are_kept_than_can_be_connected() {
        let (mut patience, now) = (Patience::default(), Instant::now());
        for index in 0..=MAX_CONNECTIONS {
            let mut relay = [0; 32];
            relay[..8].copy_from_slice(&index.to_be_bytes());
            patience.was_silent(relay, now);
        }
        assert_eq!(patience.0.len(), MAX_CONNECTIONS);
    }
}
