//! Keeps a session within the rate limits that the relay named in its welcome.
//!
//! What always holds: what is sent in any span of time is at most the rate times that span, plus a burst that is
//! smaller than the relay's own.

use super::limits::PACER_BURST_MS;
use streamchain_protocol::wire::frame::ChannelLimits;

const MICROS_PER_S: u64 = 1_000_000;

/// Counts what was sent against the rate limits of a session.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pacer {
    messages_per_s: u64,
    bytes_per_s: u64,
    messages_due_micros: u64,
    bytes_due_micros: u64,
}

impl Pacer {
    /// Returns a pacer for a new session, which begins with a full burst.
    pub(crate) fn new(limits: &ChannelLimits) -> Self {
        Self {
            messages_per_s: limits.messages_per_s,
            bytes_per_s: limits.bytes_per_s,
            messages_due_micros: 0,
            bytes_due_micros: 0,
        }
    }

    /// Returns how many messages may share one data-channel message, so that it is a part of a burst at most.
    pub(crate) fn max_together(&self) -> usize {
        match self.messages_per_s {
            0 => usize::MAX,
            rate => usize::try_from(rate * PACER_BURST_MS / 4_000).map_or(usize::MAX, |count| count.max(1)),
        }
    }

    /// Returns how long to wait before more may be sent, milliseconds; 0 to send now.
    pub(crate) fn wait_ms(&self, now_ms: u64) -> u64 {
        let due = self.messages_due_micros.max(self.bytes_due_micros);
        let allowed = now_ms.saturating_add(PACER_BURST_MS).saturating_mul(1_000);
        due.saturating_sub(allowed).div_ceil(1_000)
    }

    /// Counts what was sent.
    pub(crate) fn spend(&mut self, messages: u64, bytes: u64, now_ms: u64) {
        let now = now_ms.saturating_mul(1_000);
        let later = |due: u64, amount: u64, rate: u64| {
            let micros = amount.saturating_mul(MICROS_PER_S).checked_div(rate).unwrap_or(0);
            due.max(now).saturating_add(micros)
        };
        self.messages_due_micros = later(self.messages_due_micros, messages, self.messages_per_s);
        self.bytes_due_micros = later(self.bytes_due_micros, bytes, self.bytes_per_s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(messages_per_s: u64, bytes_per_s: u64) -> ChannelLimits {
        ChannelLimits {
            payload: 65_536,
            batch_ms: 50,
            buffer: 0,
            messages_per_s,
            bytes_per_s,
            group_messages: 0,
            signed: false,
        }
    }

    #[test]
    fn no_span_has_more_than_the_rate_and_the_burst() {
        let mut pacer = Pacer::new(&limits(100, 0));
        let (mut now, mut sent) = (0, 0);
        while now < 10_000 {
            match pacer.wait_ms(now) {
                0 => {
                    pacer.spend(1, 50, now);
                    sent += 1;
                    assert!(sent <= 151 + now / 10, "{sent} after {now} ms");
                }
                wait => now += wait,
            }
        }
        assert!(sent >= 1_100, "{sent}: the rate is used up");
    }

    #[test]
    fn bytes_have_a_rate_of_their_own() {
        let mut pacer = Pacer::new(&limits(0, 1_000));
        pacer.spend(1, 2_500, 0);
        assert_eq!(pacer.wait_ms(0), 1_000);
        assert_eq!(pacer.wait_ms(1_000), 0);
        assert_eq!(pacer.max_together(), usize::MAX);
    }

    #[test]
    fn without_limits_nothing_waits() {
        let mut pacer = Pacer::new(&limits(0, 0));
        pacer.spend(1_000_000, 1 << 40, 5);
        assert_eq!(pacer.wait_ms(5), 0);
    }
}
