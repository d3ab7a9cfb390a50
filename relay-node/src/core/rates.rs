//! How much a session, and a stream, may send.
//!
//! What always holds: within any span a session's accepted frames and bytes stay below its rate times that span, and a
//! burst; it is sent one error for each wait, and what it sends meanwhile is dropped; one that sends more than
//! [`FLOOD_FACTOR`] times its rate within [`FLOOD_WINDOW_S`] seconds, taken or not, is ended, and no other. A dropped message is never skipped: later ones are not accepted before it (see `Session::refused_from`).

use crate::core::limits::{
    CONNECTION_RATE_FACTOR, FLOOD_FACTOR, FLOOD_WINDOW_S, MAX_SESSIONS, NETWORK_CHECKS_PER_S, RATE_BURST_MS,
    RATE_RETRY_MS, SESSION_BYTES_PER_S, SESSION_MESSAGES_PER_S, STREAM_BYTES_PER_S, STREAM_MESSAGES_PER_S,
};
use std::time::Instant;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::util::{Bucket, Meter, Network, Quota};

/// A rate; 0 stands for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Frames in a second.
    pub messages_per_s: u32,
    /// Payload bytes in a second.
    pub bytes_per_s: u32,
}

impl Rate {
    /// The rate that limits nothing.
    pub const NONE: Self = Self {
        messages_per_s: 0,
        bytes_per_s: 0,
    };

    /// So many times this rate.
    fn times(self, factor: u32) -> Self {
        Self {
            messages_per_s: self.messages_per_s.saturating_mul(factor),
            bytes_per_s: self.bytes_per_s.saturating_mul(factor),
        }
    }

    /// Quotas that let a burst pass at once.
    fn quotas(self) -> (Quota, Quota) {
        let of = |per_s: u32| {
            let amount = u64::from(per_s) * u64::from(RATE_BURST_MS) / 1_000;
            Quota::new(u32::try_from(amount).unwrap_or(u32::MAX), RATE_BURST_MS)
        };
        (of(self.messages_per_s), of(self.bytes_per_s))
    }
}

/// The rate limits of a shard's clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// The rate of each session.
    pub session: Rate,
    /// Of all messages of one stream.
    pub stream: Rate,
    /// Signatures that are checked in a second for the sessions of one network; 0 stands for no limit.
    pub network_checks_per_s: u32,
}

impl Rates {
    /// No limit for sessions or streams.
    pub const NONE: Self = Self {
        session: Rate::NONE,
        stream: Rate::NONE,
        network_checks_per_s: 0,
    };
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            session: Rate {
                messages_per_s: SESSION_MESSAGES_PER_S,
                bytes_per_s: SESSION_BYTES_PER_S,
            },
            stream: Rate {
                messages_per_s: STREAM_MESSAGES_PER_S,
                bytes_per_s: STREAM_BYTES_PER_S,
            },
            network_checks_per_s: NETWORK_CHECKS_PER_S,
        }
    }
}

/// Frames and bytes, counted together.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counted {
    messages: Bucket,
    bytes: Bucket,
}

impl Counted {
    /// Takes both or neither; how many milliseconds to wait else.
    fn take(&mut self, quotas: (Quota, Quota), cost: Cost, now_ns: u64) -> Result<(), u64> {
        let mut after = *self;
        let messages = after.messages.take(quotas.0, u64::from(cost.frames), now_ns);
        let bytes = after.bytes.take(quotas.1, cost.bytes as u64, now_ns);
        let waits = [messages.err(), bytes.err()].map(|over| over.map(|over| over.retry_ms));
        match waits.into_iter().flatten().max() {
            Some(wait) => Err(wait.max(RATE_RETRY_MS)),
            None => {
                *self = after;
                Ok(())
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    pub frames: u32,
    /// Payload bytes.
    pub bytes: usize,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamGate {
    since: Instant,
    counted: Counted,
}

impl StreamGate {
    /// A gate that nothing has passed.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            since: now,
            counted: Counted::default(),
        }
    }

    /// Takes messages; how many milliseconds to wait else.
    pub(crate) fn take(&mut self, rate: Rate, cost: Cost, now: Instant) -> Result<(), u64> {
        self.counted.take(rate.quotas(), cost, ns(self.since, now))
    }
}

/// What becomes of a session's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    /// It is refused: the client is sent how many milliseconds to wait.
    Refuse(u64),
    /// It is dropped: the client was sent the wait before.
    Drop,
    /// The client goes on flooding after a refusal: the session ends.
    End,
}

/// What a session sent in each of the last seconds, taken or not.
#[derive(Debug, Clone, Copy, Default)]
struct Sent {
    /// Frames and bytes, the present second first.
    seconds: [(u64, u64); FLOOD_WINDOW_S],
    present: u64,
}

impl Sent {
    /// Adds a frame of `second`; returns whether the last seconds are a flood.
    fn add(&mut self, rate: Rate, cost: Cost, second: u64) -> bool {
        let passed = second.saturating_sub(self.present);
        self.present = self.present.max(second);
        let passed = usize::try_from(passed)
            .unwrap_or(FLOOD_WINDOW_S)
            .min(FLOOD_WINDOW_S);
        self.seconds.rotate_right(passed);
        self.seconds.iter_mut().take(passed).for_each(|old| *old = (0, 0));
        if let Some((frames, bytes)) = self.seconds.first_mut() {
            *frames += u64::from(cost.frames);
            *bytes += cost.bytes as u64;
        }
        let (frames, bytes) = self
            .seconds
            .iter()
            .fold((0, 0), |sum, second| (sum.0 + second.0, sum.1 + second.1));
        let most = |per_s: u32| u64::from(per_s) * FLOOD_FACTOR * FLOOD_WINDOW_S as u64;
        let is_above = |sent: u64, per_s: u32| per_s > 0 && sent > most(per_s);
        is_above(frames, rate.messages_per_s) || is_above(bytes, rate.bytes_per_s)
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionGate {
    since: Instant,
    passed: Counted,
    sent: Sent,
    /// Until when all is dropped, nanoseconds.
    silent_until_ns: u64,
    /// Frames that the next one counts for beside itself.
    owed: u32,
}

impl SessionGate {
    /// A gate that nothing has passed.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            since: now,
            passed: Counted::default(),
            sent: Sent::default(),
            silent_until_ns: 0,
            owed: 0,
        }
    }

    pub(crate) fn judge(&mut self, rate: Rate, cost: Cost, now: Instant) -> Verdict {
        let now_ns = ns(self.since, now);
        let is_flood = self.sent.add(rate, cost, now_ns / 1_000_000_000);
        if now_ns >= self.silent_until_ns {
            let all = Cost {
                frames: cost.frames.saturating_add(self.owed),
                ..cost
            };
            return match self.passed.take(rate.quotas(), all, now_ns) {
                Ok(()) => {
                    self.owed = 0;
                    Verdict::Pass
                }
                Err(wait_ms) => {
                    self.silence(wait_ms, now);
                    Verdict::Refuse(wait_ms)
                }
            };
        }
        match is_flood {
            false => Verdict::Drop,
            true => Verdict::End,
        }
    }

    /// Counts so many frames more with the next one: for what was taken in and cost more than a frame.
    pub(crate) fn owe(&mut self, frames: u32) {
        self.owed = self.owed.saturating_add(frames);
    }

    /// Drops all that comes within `wait_ms`: the client was sent this wait.
    pub(crate) fn silence(&mut self, wait_ms: u64, now: Instant) {
        self.silent_until_ns = ns(self.since, now).saturating_add(wait_ms * 1_000_000);
    }
}

/// What a connection sends on all of its channels together: at most [`CONNECTION_RATE_FACTOR`] times a session's rates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionGate {
    since: Instant,
    passed: Counted,
    sent: Sent,
}

impl ConnectionGate {
    /// A gate that nothing has passed.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            since: now,
            passed: Counted::default(),
            sent: Sent::default(),
        }
    }

    /// Judges a frame of any of the channels; the rate is that of one session. Each session is sent its own refusal.
    pub(crate) fn judge(&mut self, session: Rate, cost: Cost, now: Instant) -> Verdict {
        let rate = session.times(CONNECTION_RATE_FACTOR);
        let now_ns = ns(self.since, now);
        let is_flood = self.sent.add(rate, cost, now_ns / 1_000_000_000);
        match self.passed.take(rate.quotas(), cost, now_ns) {
            Ok(()) => Verdict::Pass,
            Err(_) if is_flood => Verdict::End,
            Err(wait_ms) => Verdict::Refuse(wait_ms),
        }
    }
}

fn ns(since: Instant, now: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(since).as_nanos()).unwrap_or(u64::MAX)
}

/// The signatures that are checked for each network: one costs as much as dozens of messages, and anybody can make wrong ones.
#[derive(Debug)]
pub(crate) struct CheckMeter(Meter<Network>);

impl CheckMeter {
    pub(crate) fn new() -> Self {
        Self(Meter::new(MAX_SESSIONS))
    }

    /// Takes one check; how many milliseconds to wait else.
    pub(crate) fn take(&mut self, network: Network, per_s: u32, now: UnixMs) -> Result<(), u64> {
        let burst = u64::from(per_s) * u64::from(RATE_BURST_MS) / 1_000;
        let quota = Quota::new(u32::try_from(burst).unwrap_or(u32::MAX), RATE_BURST_MS);
        match self.0.take(network, quota, 1, now) {
            Ok(_) => Ok(()),
            Err(over) => Err(over.retry_ms.max(RATE_RETRY_MS)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_network_has_its_checks_whatever_others_do() {
        let mut meter = CheckMeter::new();
        let network = |last| Network::of(std::net::IpAddr::from([192, 0, 2, last]));
        let passed = (0..5_000)
            .filter(|_| meter.take(network(1), 1_000, UnixMs(0)).is_ok())
            .count();
        assert_eq!(passed, 2_000, "two seconds' worth at once");
        assert!(meter.take(network(2), 1_000, UnixMs(0)).is_ok());
        assert_eq!(meter.take(network(1), 1_000, UnixMs(0)), Err(RATE_RETRY_MS));
        assert!(meter.take(network(1), 1_000, UnixMs(RATE_RETRY_MS)).is_ok());
        assert!((0..5_000).all(|_| meter.take(network(3), 0, UnixMs(0)).is_ok()));
    }

    #[test]
    fn what_is_owed_counts_with_the_next_frame() {
        let start = Instant::now();
        let mut gate = SessionGate::new(start);
        assert_eq!(gate.judge(RATE, FRAME, start), Verdict::Pass);
        gate.owe(15);
        assert_eq!(gate.judge(RATE, FRAME, start), Verdict::Pass, "17 of 20");
        gate.owe(15);
        assert!(matches!(gate.judge(RATE, FRAME, start), Verdict::Refuse(_)));
        assert_eq!(gate.judge(RATE, FRAME, after(start, 1_300)), Verdict::Pass);
        assert_eq!(
            gate.judge(RATE, FRAME, after(start, 1_400)),
            Verdict::Pass,
            "it is counted once"
        );
    }

    /// Ten frames and 1,000 bytes in a second.
    const RATE: Rate = Rate {
        messages_per_s: 10,
        bytes_per_s: 1_000,
    };
    const FRAME: Cost = Cost { frames: 1, bytes: 10 };

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn one_refusal_then_silence_then_it_goes_on() {
        let start = Instant::now();
        let mut gate = SessionGate::new(start);
        for _ in 0..20 {
            assert_eq!(
                gate.judge(RATE, FRAME, start),
                Verdict::Pass,
                "two seconds' worth at once"
            );
        }
        assert_eq!(gate.judge(RATE, FRAME, start), Verdict::Refuse(RATE_RETRY_MS));
        assert_eq!(gate.judge(RATE, FRAME, after(start, 499)), Verdict::Drop);
        for _ in 0..5 {
            assert_eq!(gate.judge(RATE, FRAME, after(start, 500)), Verdict::Pass);
        }
        assert!(matches!(
            gate.judge(RATE, FRAME, after(start, 500)),
            Verdict::Refuse(_)
        ));
    }

    #[test]
    fn bytes_count_as_well() {
        let start = Instant::now();
        let mut gate = SessionGate::new(start);
        let large = Cost {
            frames: 1,
            bytes: 1_500,
        };
        assert_eq!(gate.judge(RATE, large, start), Verdict::Pass);
        assert_eq!(gate.judge(RATE, large, start), Verdict::Refuse(1_000));
    }

    /// After how many frames a session is ended that sends this many in a second, for a minute.
    fn flooded_for(per_s: u64) -> Option<u64> {
        let start = Instant::now();
        let mut gate = SessionGate::new(start);
        (0..60 * per_s).find(|frame| {
            let now = after(start, frame * 1_000 / per_s);
            gate.judge(RATE, FRAME, now) == Verdict::End
        })
    }

    #[test]
    fn a_session_above_four_times_its_rate_is_ended_in_ten_seconds() {
        for per_s in [41, 45, 50, 100, 200, 1_000] {
            let frames = flooded_for(per_s).expect("more than four times the rate is a flood");
            assert!(
                (400..=10 * per_s).contains(&frames),
                "{per_s} a second: after {frames}"
            );
        }
        assert_eq!(flooded_for(40), None, "four times the rate is none");
    }

    #[test]
    fn bytes_make_a_flood_as_well() {
        let start = Instant::now();
        let mut gate = SessionGate::new(start);
        let large = Cost {
            frames: 1,
            bytes: 900,
        };
        let end = (0..600).find(|frame| gate.judge(RATE, large, after(start, frame * 200)) == Verdict::End);
        let end = end.expect("4,500 bytes a second are above four times 1,000");
        assert!((44..50).contains(&end), "{end}");
    }

    #[test]
    fn a_flood_that_is_over_is_forgotten() {
        let start = Instant::now();
        let mut gate = SessionGate::new(start);
        for round in 0..20 {
            for _ in 0..400 {
                assert_ne!(
                    gate.judge(RATE, FRAME, after(start, round * 11_000)),
                    Verdict::End
                );
            }
        }
    }

    #[test]
    fn a_session_that_keeps_flooding_is_ended_others_never() {
        assert_eq!(
            flooded_for(30),
            None,
            "three times the rate is refused, but no flood"
        );
        let frame = flooded_for(200).expect("twenty times the rate is one");
        assert!(
            (400..600).contains(&frame),
            "it is ended after {frame} frames: four times the rate for ten seconds is 400"
        );
    }

    #[test]
    fn a_connection_has_the_rates_of_four_sessions() {
        let start = Instant::now();
        let mut gate = ConnectionGate::new(start);
        let passed = (0..200)
            .filter(|_| gate.judge(RATE, FRAME, start) == Verdict::Pass)
            .count();
        assert_eq!(passed, 80, "two seconds' worth of forty a second");
        assert_eq!(gate.judge(RATE, FRAME, start), Verdict::Refuse(RATE_RETRY_MS));
        let later = after(start, RATE_RETRY_MS);
        assert_eq!(
            gate.judge(RATE, FRAME, later),
            Verdict::Pass,
            "each frame is judged by itself"
        );
        let flood = (0..2_000).map(|_| gate.judge(RATE, FRAME, later)).last();
        assert_eq!(
            flood,
            Some(Verdict::End),
            "above sixteen times a session's rate for ten seconds"
        );
        let free =
            (0..2_000).all(|_| ConnectionGate::new(start).judge(Rate::NONE, FRAME, start) == Verdict::Pass);
        assert!(free);
    }

    #[test]
    fn no_rate_is_no_limit() {
        let start = Instant::now();
        let mut gate = SessionGate::new(start);
        assert!((0..10_000).all(|_| gate.judge(Rate::NONE, FRAME, start) == Verdict::Pass));
    }
}
