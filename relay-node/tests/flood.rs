//! A hundred clients far over their rates beside ten inside theirs, on real sockets.
//!
//! How long somebody waits says more of the machine than of the relay when both cores are busy with other things. So the
//! relay is measured by its own work: the CPU time of its thread for each frame of the flood, beside that of a relay
//! which takes the same flood. Frames wait for each other in one thread, so what a frame costs is what the others wait.

use relay_node::bench::{BenchRelay, Member, Seat};
use relay_node::core::limits::RATE_BURST_MS;
use relay_node::core::{Rate, Rates};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use streamchain_protocol::cbor::Reader;
use streamchain_protocol::frame::RelayFrame;

const CALM: usize = 10;
const FLOODERS: usize = 100;

/// What a session may send in a second.
const RATE: u32 = 2;

/// The calm send once in a second each.
const CALM_EVERY: Duration = Duration::from_secs(1);

/// The flooders send every 80 ms: twelve in a second, six times what they may.
const FLOOD_EVERY: Duration = Duration::from_millis(80);

/// How long the flood comes to one relay at a time; both in turns, so that whatever else the machine does falls on both alike.
const WINDOW: Duration = Duration::from_secs(2);

const ROUNDS: u32 = 4;

const PATIENCE: Duration = Duration::from_secs(60);

/// One of the calm, and how it was answered.
struct Calm {
    member: Member,
    accepted: u64,
    refused: u64,
}

impl Calm {
    fn hear(&mut self) {
        while let Some(message) = self.member.receive() {
            let mut reader = Reader::new(&message);
            while !reader.is_at_end() {
                match RelayFrame::read(&mut reader).expect("a relay's frames are well-formed") {
                    Some(RelayFrame::Accepted { .. }) => self.accepted += 1,
                    Some(RelayFrame::Error { .. }) => self.refused += 1,
                    _ => {}
                }
            }
        }
    }
}

/// The calm go on for one window.
async fn watch(calm: &mut [Calm]) {
    let start = Instant::now();
    let mut due = start;
    let mut turn = 0;
    while start.elapsed() < WINDOW {
        if Instant::now() >= due {
            calm[turn % CALM].member.publish(32);
            turn += 1;
            due += CALM_EVERY / CALM as u32;
        }
        hear(calm).await;
    }
}

async fn hear(calm: &mut [Calm]) {
    for one in calm.iter_mut() {
        one.member.run_once().await.expect("the calm stay connected");
        one.hear();
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// A relay's flooders: what they sent, and what they were told.
#[derive(Default)]
struct Told {
    sent: AtomicU64,
    accepted: AtomicU64,
    limited: AtomicU64,
}

impl Told {
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

async fn welcomed(seats: Vec<Seat>) -> Vec<Member> {
    let mut members = Vec::new();
    for seat in seats {
        let member = Member::welcomed(seat, PATIENCE).await;
        members.push(member.expect("a flooder connects"));
    }
    members
}

/// Connects to both relays, and floods those that are ordered.
async fn flooders(seats: [Vec<Seat>; 2], told: &[Told; 2], orders: &Orders) {
    let [here, elsewhere] = seats;
    let mut here = welcomed(here).await;
    let mut elsewhere = welcomed(elsewhere).await;
    orders.connected.store(true, Ordering::Relaxed);
    let mut due = Instant::now();
    while !orders.stop.load(Ordering::Relaxed) {
        flood(&mut here, &orders.here, &told[0]).await;
        flood(&mut elsewhere, &orders.elsewhere, &told[1]).await;
        due += FLOOD_EVERY;
        tokio::time::sleep_until(due.into()).await;
    }
}

/// Each of the members sends one message if it is ordered, and hears what it is told.
async fn flood(members: &mut [Member], ordered: &AtomicBool, told: &Told) {
    for member in members.iter_mut().filter(|member| !member.is_closed()) {
        if ordered.load(Ordering::Relaxed) {
            member.publish(32);
            told.sent.fetch_add(1, Ordering::Relaxed);
        }
        // One that the relay has ended can't send any more: that is what is wanted.
        let _ = member.run_once().await;
        while let Some(message) = member.receive() {
            count(&message, told);
        }
    }
}

fn count(message: &[u8], told: &Told) {
    let mut reader = Reader::new(message);
    while let (false, Ok(frame)) = (reader.is_at_end(), RelayFrame::read(&mut reader)) {
        match frame {
            Some(RelayFrame::Accepted { .. }) => told.accepted.fetch_add(1, Ordering::Relaxed),
            Some(RelayFrame::Error { code: 10, .. }) => told.limited.fetch_add(1, Ordering::Relaxed),
            _ => 0,
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
async fn flooded(relay: &BenchRelay, told: &Told, ordered: &AtomicBool, calm: &mut [Calm], work: &mut Work) {
    let cpu = || relay.cpu().expect("the system tells what a thread used");
    let (before, frames) = (cpu(), told.sent.load(Ordering::Relaxed));
    ordered.store(true, Ordering::Relaxed);
    watch(calm).await;
    ordered.store(false, Ordering::Relaxed);
    settle(calm).await;
    work.cpu += cpu() - before;
    work.frames += told.sent.load(Ordering::Relaxed) - frames;
}

async fn start(session: Rate) -> BenchRelay {
    let stream = Rate::NONE;
    BenchRelay::start_with(Rates { session, stream }).await.unwrap()
}

#[tokio::test(flavor = "current_thread")]
async fn a_flood_is_held_back_for_less_than_it_would_cost_and_those_inside_their_rates_are_served() {
    let limited = start(Rate {
        messages_per_s: RATE,
        bytes_per_s: 0,
    });
    let (relay, unlimited) = (limited.await, start(Rate::NONE).await);
    let mut calm = Vec::new();
    for _ in 0..CALM {
        calm.push(Calm {
            member: Member::publisher(&relay, PATIENCE).await.unwrap(),
            accepted: 0,
            refused: 0,
        });
    }
    let seats = |at: &BenchRelay| -> Vec<Seat> { (0..FLOODERS).map(|_| Seat::of(at).unwrap()).collect() };
    let seats = [seats(&relay), seats(&unlimited)];
    let (told, orders) = (Arc::new(<[Told; 2]>::default()), Arc::new(Orders::default()));
    let flooding = {
        let (told, orders) = (told.clone(), orders.clone());
        // In a thread of their own: what they cost themselves is not the relay's.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime
                .expect("a runtime")
                .block_on(flooders(seats, &told, &orders));
        })
    };
    while !orders.connected.load(Ordering::Relaxed) {
        settle(&mut calm).await;
        assert!(!flooding.is_finished(), "the flooders connect");
    }

    let started = Instant::now();
    let (mut holding, mut taking) = (Work::default(), Work::default());
    for _ in 0..ROUNDS {
        flooded(&relay, &told[0], &orders.here, &mut calm, &mut holding).await;
        flooded(&unlimited, &told[1], &orders.elsewhere, &mut calm, &mut taking).await;
    }
    let published: u64 = calm.iter().map(|one| one.member.published()).sum();
    let accepted = |calm: &[Calm]| -> u64 { calm.iter().map(|one| one.accepted).sum() };
    let stored = || published + told[0].accepted.load(Ordering::Relaxed);
    let deadline = Instant::now() + PATIENCE;
    while (relay.stored() != stored() || accepted(&calm) < published) && Instant::now() < deadline {
        settle(&mut calm).await;
    }
    orders.stop.store(true, Ordering::Relaxed);
    flooding.join().expect("the flood ends");

    assert_eq!(
        accepted(&calm),
        published,
        "every message of the calm was accepted"
    );
    let refused: u64 = calm.iter().map(|one| one.refused).sum();
    assert_eq!(refused, 0, "nobody inside the rate is refused");
    assert_eq!(
        relay.stored(),
        stored(),
        "all that was accepted is stored, and nothing else"
    );
    is_held_back(&told[0], started.elapsed());
    let (held, taken) = (holding.of_each_frame(), taking.of_each_frame());
    println!("a frame of the flood costs the relay {held:?}, one that takes it {taken:?}");
    assert!(
        held < taken,
        "to hold a frame back ({held:?}) is less work than to take it ({taken:?})"
    );
}

/// What was taken of the flood stays inside its rates, and everybody was told.
fn is_held_back(told: &Told, within: Duration) {
    let limited = told.limited.load(Ordering::Relaxed);
    let taken = told.accepted.load(Ordering::Relaxed);
    assert!(limited >= FLOODERS as u64, "every flooder was told: {limited}");
    let seconds = within.as_secs() + 1 + u64::from(RATE_BURST_MS / 1_000);
    let most = FLOODERS as u64 * u64::from(RATE) * seconds;
    assert!(
        taken <= most,
        "{taken} of the flood were taken, at most {most} may be"
    );
    let sent = told.sent.load(Ordering::Relaxed);
    assert!(
        told.answered() < sent,
        "not every frame over the rate is answered: {} of {sent}",
        told.answered()
    );
    println!(
        "of {sent} frames of the flood {taken} were taken, and {limited} answered that they have to wait"
    );
}

/// Lets what is on its way arrive.
async fn settle(calm: &mut [Calm]) {
    let end = Instant::now() + Duration::from_millis(500);
    while Instant::now() < end {
        hear(calm).await;
    }
}
