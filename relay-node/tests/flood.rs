//! A hundred clients far over their rates beside ten inside theirs, on real sockets.
//!
//! How long somebody waits says more of the machine than of the relay when both cores are busy with other things. So the
//! relay is measured by its own work: the CPU time of its thread for each frame of the flood, beside that of a relay
//! which takes the same flood. Frames wait for each other in one thread, so what a frame costs is what the others wait.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

use relay_node::Rates;
use relay_node::limits::RATE_BURST_MS;
use relay_testkit::bench::flood::{
    Answer, Calm, FLOOD_EVERY, FLOODERS, RATE, RATES, WINDOW, answers, run_all, watch, welcomed,
};
use relay_testkit::bench::{BenchRelay, Member, Seat};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The flood comes to one relay at a time, to both in turns, so that whatever else the machine does falls on both alike.
const ROUNDS: u32 = 4;

const PATIENCE: Duration = Duration::from_secs(60);

const BYTES: usize = 32;

/// What a flooder sends at once, each second: more than its whole burst, so that it is over its rate however slow the machine is.
/// That is three and a half times what it may; above four times it would be ended.
const SENT_AT_ONCE: u32 = 7;
const SENT_EVERY: Duration = Duration::from_secs(1);
const _: () = assert!(SENT_AT_ONCE > RATE.messages_per_s * RATE_BURST_MS / 1_000);

/// A relay's flooders: what they sent, and how it was answered.
#[derive(Default)]
struct Tally {
    sent: AtomicU64,
    accepted: AtomicU64,
    limited: AtomicU64,
}

impl Tally {
    fn answered(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed) + self.limited.load(Ordering::Relaxed)
    }
}

/// What the flooders are to do.
#[derive(Default)]
struct Orders {
    connected: AtomicBool,
    here: AtomicBool,
    elsewhere: AtomicBool,
    stop: AtomicBool,
}

/// Connects to both relays, and floods those that are ordered.
async fn flooders(seats: [Vec<Seat>; 2], tally: &[Tally; 2], orders: &Orders) {
    let [here, elsewhere] = seats;
    let mut here = welcomed(here, PATIENCE).await.expect("the flooders connect");
    let mut elsewhere = welcomed(elsewhere, PATIENCE).await.expect("the flooders connect");
    orders.connected.store(true, Ordering::Relaxed);
    let mut due = [Instant::now(); 2];
    while !orders.stop.load(Ordering::Relaxed) {
        let ordered = [&orders.here, &orders.elsewhere].map(|order| order.load(Ordering::Relaxed));
        let now = Instant::now();
        let sends = [0, 1].map(|relay| ordered[relay] && now >= due[relay]);
        flood(&mut here, sends[0], &tally[0]).await;
        flood(&mut elsewhere, sends[1], &tally[1]).await;
        for (due, _) in due.iter_mut().zip(sends).filter(|(_, sends)| *sends) {
            *due = now + SENT_EVERY;
        }
        tokio::time::sleep(FLOOD_EVERY).await;
    }
}

/// Each of the members sends its messages if that is ordered, and all read the answers.
async fn flood(members: &mut [Member], ordered: bool, tally: &Tally) {
    for member in members.iter_mut().filter(|member| !member.is_closed()) {
        if ordered {
            (0..SENT_AT_ONCE).for_each(|_| member.publish(BYTES));
            tally.sent.fetch_add(u64::from(SENT_AT_ONCE), Ordering::Relaxed);
        }
        // One that the relay has ended can't send any more: that is what is wanted.
        let _ = member.run_once().await;
        while let Some(message) = member.receive() {
            count(&message, tally);
        }
    }
}

fn count(message: &[u8], tally: &Tally) {
    for answer in answers(message).expect("a relay's frames are well-formed") {
        match answer {
            Answer::Accepted => tally.accepted.fetch_add(1, Ordering::Relaxed),
            Answer::Limited => tally.limited.fetch_add(1, Ordering::Relaxed),
            Answer::Refused => 0,
        };
    }
}

/// CPU time of a relay while its flood comes, and for how many of the flood's frames.
#[derive(Default)]
struct Work {
    cpu: Duration,
    frames: u64,
}

impl Work {
    fn of_each_frame(&self) -> Duration {
        self.cpu / u32::try_from(self.frames.max(1)).expect("some thousand frames")
    }
}

/// One window of the flood at one relay, and until that has handled what came; the calm go on.
async fn flooded(
    relay: &BenchRelay,
    tally: &Tally,
    ordered: &AtomicBool,
    calm: &mut [Calm],
    work: &mut Work,
) {
    let cpu = || relay.cpu().expect("the system says what a thread used");
    let (before, frames) = (cpu(), tally.sent.load(Ordering::Relaxed));
    let sent = || tally.sent.load(Ordering::Relaxed) - frames;
    let deadline = Instant::now() + PATIENCE;
    ordered.store(true, Ordering::Relaxed);
    loop {
        watch(calm, WINDOW, BYTES).await.expect("the calm stay connected");
        let is_enough = sent() >= FLOODERS as u64 * u64::from(SENT_AT_ONCE);
        if is_enough || Instant::now() > deadline {
            break;
        }
    }
    ordered.store(false, Ordering::Relaxed);
    settle(calm).await;
    work.cpu += cpu() - before;
    work.frames += sent();
}

#[tokio::test(flavor = "current_thread")]
async fn a_flood_is_refused_cheaply_and_calm_clients_are_served() {
    let relay = BenchRelay::start_with(RATES).await.unwrap();
    let unlimited = BenchRelay::start_with(Rates::NONE).await.unwrap();
    let mut calm = Calm::all(&relay, PATIENCE).await.unwrap();
    let seats = |at: &BenchRelay| -> Vec<Seat> { (0..FLOODERS).map(|_| Seat::of(at).unwrap()).collect() };
    let seats = [seats(&relay), seats(&unlimited)];
    let (tally, orders) = (Arc::new(<[Tally; 2]>::default()), Arc::new(Orders::default()));
    let flooding = {
        let (tally, orders) = (tally.clone(), orders.clone());
        // In a thread of their own: what they cost themselves is not the relay's.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime
                .expect("a runtime")
                .block_on(flooders(seats, &tally, &orders));
        })
    };
    while !orders.connected.load(Ordering::Relaxed) {
        settle(&mut calm).await;
        assert!(!flooding.is_finished(), "the flooders connect");
    }

    let started = Instant::now();
    let (mut holding, mut taking) = (Work::default(), Work::default());
    for _ in 0..ROUNDS {
        flooded(&relay, &tally[0], &orders.here, &mut calm, &mut holding).await;
        flooded(&unlimited, &tally[1], &orders.elsewhere, &mut calm, &mut taking).await;
    }
    let published: u64 = calm.iter().map(Calm::published).sum();
    let accepted = |calm: &[Calm]| -> u64 { calm.iter().map(Calm::accepted).sum() };
    let deadline = Instant::now() + PATIENCE;
    let (stored, taken) = loop {
        let counts = (
            relay.stored(),
            published + tally[0].accepted.load(Ordering::Relaxed),
        );
        let is_settled = counts.0 == counts.1 && accepted(&calm) >= published;
        if is_settled || Instant::now() > deadline {
            break counts;
        }
        settle(&mut calm).await;
    };
    orders.stop.store(true, Ordering::Relaxed);
    flooding.join().expect("the flood ends");

    assert_eq!(
        accepted(&calm),
        published,
        "every message of the calm was accepted"
    );
    let refused: u64 = calm.iter().map(Calm::refused).sum();
    assert_eq!(refused, 0, "nobody inside the rate is refused");
    assert_eq!(stored, taken, "all that was accepted is stored, and nothing else");
    is_held_back(&tally[0], started.elapsed());
    let (held, taken) = (holding.of_each_frame(), taking.of_each_frame());
    println!("a frame of the flood costs the relay {held:?}, one that takes it {taken:?}");
    assert!(
        held < taken,
        "to hold a frame back ({held:?}) is less work than to take it ({taken:?})"
    );
}

/// What was taken of the flood stays inside its rates, and everybody got an error.
fn is_held_back(tally: &Tally, within: Duration) {
    let limited = tally.limited.load(Ordering::Relaxed);
    let taken = tally.accepted.load(Ordering::Relaxed);
    assert!(
        limited >= FLOODERS as u64,
        "every flooder got an error: {limited}"
    );
    let seconds = within.as_secs() + 1 + u64::from(RATE_BURST_MS / 1_000);
    let most = FLOODERS as u64 * u64::from(RATE.messages_per_s) * seconds;
    assert!(
        taken <= most,
        "{taken} of the flood were taken, at most {most} may be"
    );
    let sent = tally.sent.load(Ordering::Relaxed);
    assert!(
        tally.answered() < sent,
        "not every frame over the rate is answered: {} of {sent}",
        tally.answered()
    );
    println!(
        "of {sent} frames of the flood {taken} were taken, and {limited} answered that they have to wait"
    );
}

/// Lets what is on its way arrive.
async fn settle(calm: &mut [Calm]) {
    let end = Instant::now() + Duration::from_millis(500);
    while Instant::now() < end {
        run_all(calm).await.expect("the calm stay connected");
    }
}
