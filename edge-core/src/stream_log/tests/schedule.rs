//! Sealing by need and offers, on a virtual clock.

use super::super::outbox::REFUSED_MS;
use super::*;

const PACE: Pace = Pace {
    max_age_ms: 10_000,
    offer_interval_ms: 60_000,
};

fn state() -> LogState {
    let mut state = acquired().state().unwrap();
    state.listed = true;
    state
}

fn open(messages: u64, backlog: u64) -> LogState {
    LogState {
        head: Seq(messages),
        backlog,
        ..state()
    }
}

fn shared(state: LogState) -> LogState {
    let settings = StreamSettings {
        anchor: Anchoring::Shared,
        ..state.settings
    };
    LogState { settings, ..state }
}

fn at(ms: u64) -> UnixMs {
    UnixMs(1_000_000 + ms)
}

#[test]
fn nothing_is_due_of_a_stream_at_rest() {
    let schedule = Schedule::default();
    assert_eq!(schedule.next_due(PACE, &state(), false, at(0)), None);
    assert!(!schedule.is_seal_due(PACE, &state(), at(0)));
}

#[test]
fn what_is_open_waits_until_it_is_old_enough() {
    let (mut schedule, open) = (Schedule::default(), open(3, 300));
    schedule.handle_commit(&open, at(0));
    schedule.handle_commit(&open, at(9_000));
    assert_eq!(schedule.next_due(PACE, &open, false, at(9_000)), Some(at(10_000)));
    assert!(!schedule.is_seal_due(PACE, &open, at(9_000)));
    assert!(schedule.is_seal_due(PACE, &open, at(10_000)));
    let rest = LogState {
        flushed: Seq(2),
        ..open
    };
    schedule.handle_sealed(&rest, at(10_000));
    assert_eq!(
        schedule.next_due(PACE, &rest, false, at(10_100)),
        Some(at(20_000))
    );
    schedule.handle_commit(
        &LogState {
            flushed: Seq(3),
            ..rest.clone()
        },
        at(11_000),
    );
    assert_eq!(
        schedule.next_due(PACE, &rest, false, at(11_000)),
        Some(at(11_000)),
        "its age is not known"
    );
}

#[test]
fn much_is_sealed_at_once() {
    for full in [open(1_000, 0), open(1, 256 * 1024)] {
        let mut schedule = Schedule::default();
        schedule.handle_commit(&full, at(0));
        assert_eq!(schedule.next_due(PACE, &full, false, at(0)), Some(at(0)));
    }
    let mut schedule = Schedule::default();
    schedule.handle_commit(&open(999, 1_000), at(0));
    assert!(!schedule.is_seal_due(PACE, &open(999, 256 * 1024 - 1), at(0)));
}

#[test]
fn what_an_instance_finds_open_is_sealed_at_once() {
    let mut schedule = Schedule::default();
    schedule.handle_restart(&open(1, 100));
    schedule.handle_commit(&open(2, 200), at(5));
    assert!(schedule.is_seal_due(PACE, &open(2, 200), at(5)));
    schedule.handle_restart(&state());
    assert_eq!(schedule.next_due(PACE, &state(), false, at(5)), None);
}

#[test]
fn a_run_is_offered_once_an_interval_with_all_that_is_open() {
    let flushed = |head, flushed| {
        let mut state = shared(open(head, 100));
        state.begin_runs(Seq(0));
        state.flushed = Seq(flushed);
        state
    };
    let mut schedule = Schedule::default();
    let one = flushed(5, 5);
    assert_eq!(
        schedule.next_due(PACE, &one, false, at(0)),
        Some(at(0)),
        "the first at once"
    );
    schedule.handle_offer(at(0));
    assert_eq!(schedule.next_due(PACE, &one, false, at(1)), Some(at(60_000)));
    assert!(!schedule.is_offer_due(PACE, &one, at(59_000)) && schedule.is_offer_due(PACE, &one, at(60_000)));

    let mut taken = one.clone();
    taken.mark_offered(&run_of(0, 5), Seq(0));
    assert_eq!(schedule.next_due(PACE, &taken, false, at(1)), None, "nothing new");
    let more = LogState {
        head: Seq(6),
        ..taken
    };
    schedule.handle_commit(&more, at(55_000));
    let due = schedule.next_due(PACE, &more, false, at(55_000));
    assert_eq!(due, Some(at(60_000)), "sealed for the offer, before its age");
    let own = LogState {
        settings: state().settings,
        ..more
    };
    assert_eq!(schedule.next_due(PACE, &own, false, at(55_000)), Some(at(65_000)));
}

fn run_of(first: u64, count: u32) -> Run {
    Run {
        first: Seq(first),
        count,
        root: B256::ZERO,
    }
}

#[test]
fn a_refusal_lets_offers_and_segments_wait() {
    let mut state = shared(open(5, 0));
    state.begin_runs(Seq(0));
    state.flushed = Seq(5);
    let mut schedule = Schedule::default();
    schedule.handle_refusal(at(0));
    assert_eq!(
        schedule.next_due(PACE, &state, false, at(10)),
        Some(at(REFUSED_MS))
    );
    assert!(schedule.is_refused(at(REFUSED_MS - 1)) && !schedule.is_refused(at(REFUSED_MS)));
    state.run = None;
    assert_eq!(
        schedule.next_due(PACE, &state, true, at(10)),
        Some(at(REFUSED_MS))
    );
    assert_eq!(
        schedule.next_due(PACE, &state, true, at(REFUSED_MS + 5)),
        Some(at(REFUSED_MS + 5))
    );
}

#[test]
fn failures_are_followed_by_longer_waits() {
    let (mut schedule, open) = (Schedule::default(), open(5_000, 1 << 20));
    for wait in [2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
        schedule.handle_flush(false);
        assert_eq!(schedule.next_due(PACE, &open, false, at(0)), Some(at(wait)));
    }
    schedule.handle_flush(true);
    assert_eq!(schedule.next_due(PACE, &open, false, at(0)), Some(at(0)));
}
