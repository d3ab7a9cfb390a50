//! How long a silent relay is waited for: little at first, and longer where a silence was no death.
//!
//! A machine that stalls for a second is silent and not dead. Who takes it for dead each time would report its leader again and
//! again, and the edge then sends the sessions elsewhere.

use super::limits::{LONGEST_SILENCE, MAX_CONNECTIONS};
use super::tls::Fingerprint;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How much longer a relay is waited for after a silence that was no death: the third one in a row is then no longer within the ten
/// seconds in which the edge counts reports.
const FACTOR: u32 = 3;

/// How soon after a silence a relay must be reached again for the silence to have been no death: sooner than one starts anew.
const FALSE_ALARM_WITHIN: Duration = Duration::from_secs(5);

/// How soon after its port was found closed a relay must be reached again for that to have been wrong, as with a firewall that refuses
/// what it does not know: sooner than one starts anew.
const FALSE_REFUSAL_WITHIN: Duration = Duration::from_secs(1);

/// After so long without a silence a relay is waited for as at first.
const FORGIVEN_AFTER: Duration = Duration::from_secs(300);

/// Which relays were taken for dead, by certificate.
#[derive(Debug)]
pub(super) struct Patience {
    /// How long a relay may be silent at first.
    first: Duration,
    alarms: HashMap<Fingerprint, Alarm>,
}

#[derive(Debug, Clone, Copy)]
struct Alarm {
    silence: Duration,
    at: Instant,
    /// When the relay's port was found closed.
    closed: Option<Instant>,
    /// Whether that was wrong once.
    refuses_falsely: bool,
}

impl Patience {
    /// With relays that may be silent for so long at first.
    pub(super) fn new(first: Duration) -> Self {
        let alarms = HashMap::new();
        Self { first, alarms }
    }

    /// How long this relay may be silent.
    pub(super) fn with(&self, relay: &Fingerprint, now: Instant) -> Duration {
        let known = self.alarms.get(relay).filter(|alarm| !alarm.is_forgiven(now));
        known.map_or(self.first, |alarm| alarm.silence)
    }

    /// This relay was silent for too long.
    pub(super) fn was_silent(&mut self, relay: Fingerprint, now: Instant) {
        let _ = self.note(relay, now);
    }

    /// The port of this relay was found closed.
    pub(super) fn was_closed(&mut self, relay: Fingerprint, now: Instant) {
        if let Some(alarm) = self.note(relay, now) {
            alarm.closed = Some(now);
        }
    }

    /// Whether a closed port of this relay says that it is dead.
    pub(super) fn trusts_ports_of(&self, relay: &Fingerprint, now: Instant) -> bool {
        let known = self.alarms.get(relay).filter(|alarm| !alarm.is_forgiven(now));
        !known.is_some_and(|alarm| alarm.refuses_falsely)
    }

    fn note(&mut self, relay: Fingerprint, now: Instant) -> Option<&mut Alarm> {
        self.alarms.retain(|_, alarm| !alarm.is_forgiven(now));
        if self.alarms.len() >= MAX_CONNECTIONS && !self.alarms.contains_key(&relay) {
            return None;
        }
        let first = Alarm {
            silence: self.first,
            at: now,
            closed: None,
            refuses_falsely: false,
        };
        let alarm = self.alarms.entry(relay).or_insert(first);
        (alarm.at, alarm.closed) = (now, None);
        Some(alarm)
    }

    /// This relay was reached.
    pub(super) fn was_reached(&mut self, relay: &Fingerprint, now: Instant) {
        let Some(alarm) = self.alarms.get_mut(relay) else {
            return;
        };
        match alarm.closed {
            Some(closed) => alarm.refuses_falsely |= now.duration_since(closed) <= FALSE_REFUSAL_WITHIN,
            None if now.duration_since(alarm.at) <= FALSE_ALARM_WITHIN => {
                alarm.silence = (alarm.silence * FACTOR).min(LONGEST_SILENCE);
            }
            None => {}
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
    use crate::relay::links::limits::SILENCE_TIMEOUT;

    const RELAY: Fingerprint = [1; 32];

    #[test]
    fn a_relay_that_was_silent_and_alive_is_waited_for_longer() {
        let (mut patience, mut now) = (Patience::new(SILENCE_TIMEOUT), Instant::now());
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
        assert_eq!(patience.alarms.len(), 1, "what is forgiven is forgotten");
    }

    #[test]
    fn a_relay_that_comes_back_later_was_dead() {
        let (mut patience, now) = (Patience::new(SILENCE_TIMEOUT), Instant::now());
        patience.was_silent(RELAY, now);
        let later = now + FALSE_ALARM_WITHIN + Duration::from_millis(1);
        patience.was_reached(&RELAY, later);
        assert_eq!(patience.with(&RELAY, later), SILENCE_TIMEOUT);
    }

    #[test]
    fn a_port_that_was_closed_for_a_living_relay_says_nothing() {
        let (mut patience, mut now) = (Patience::new(SILENCE_TIMEOUT), Instant::now());
        assert!(patience.trusts_ports_of(&RELAY, now));
        patience.was_closed(RELAY, now);
        now += FALSE_REFUSAL_WITHIN + Duration::from_millis(1);
        patience.was_reached(&RELAY, now);
        assert!(patience.trusts_ports_of(&RELAY, now), "it was started again");
        assert_eq!(
            patience.with(&RELAY, now),
            SILENCE_TIMEOUT,
            "it was not silent and alive"
        );
        patience.was_closed(RELAY, now);
        now += FALSE_REFUSAL_WITHIN;
        patience.was_reached(&RELAY, now);
        assert!(!patience.trusts_ports_of(&RELAY, now));
        assert!(patience.trusts_ports_of(&[2; 32], now), "of others it does");
        now += FORGIVEN_AFTER;
        assert!(patience.trusts_ports_of(&RELAY, now));
    }

    #[test]
    fn no_more_relays_are_kept_than_can_be_connected() {
        let (mut patience, now) = (Patience::new(SILENCE_TIMEOUT), Instant::now());
        for index in 0..=MAX_CONNECTIONS {
            let mut relay = [0; 32];
            relay[..8].copy_from_slice(&index.to_be_bytes());
            patience.was_silent(relay, now);
        }
        assert_eq!(patience.alarms.len(), MAX_CONNECTIONS);
    }
}
