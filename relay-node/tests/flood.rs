//! A hundred clients far over their rates beside ten inside theirs, on real sockets.

use relay_node::bench::{BenchRelay, Member, Seat};
use relay_node::core::{Rate, Rates};
use std::collections::VecDeque;
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

/// How long the calm are watched alone, and then beside the flood; again and again, so that whatever else the machine
/// does falls on both alike.
const ALONE: Duration = Duration::from_secs(2);
const FLOODED: Duration = Duration::from_secs(3);
const ROUNDS: u32 = 6;

const PATIENCE: Duration = Duration::from_secs(60);

/// The relay writes to a peer once in this time at most, so a latency below it says nothing.
const GRAIN: Duration = Duration::from_millis(1);

/// One of the calm: when it sent what is not answered yet, and how long the answers took.
struct Calm {
    member: Member,
    sent: VecDeque<Instant>,
    took: Vec<Duration>,
    refused: usize,
}

impl Calm {
    fn hear(&mut self) {
        while let Some(message) = self.member.receive() {
            let mut reader = Reader::new(&message);
            while !reader.is_at_end() {
                match RelayFrame::read(&mut reader).expect("a relay's frames are well-formed") {
                    Some(RelayFrame::Accepted { .. }) => {
                        let sent = self.sent.pop_front().expect("an answer to what was sent");
                        self.took.push(sent.elapsed());
                    }
                    Some(RelayFrame::Error { .. }) => self.refused += 1,
                    _ => {}
                }
            }
        }
    }
}

/// The calm go on for `time`; what their messages took to be accepted joins `took`.
async fn watch(calm: &mut [Calm], time: Duration, took: &mut Vec<Duration>) {
    let end = Instant::now() + time;
    let mut due = Instant::now();
    let mut turn = 0;
    while Instant::now() < end {
        if Instant::now() >= due {
            // One after the other, so that they do not wait for each other here.
            let one = &mut calm[turn % CALM];
            one.sent.push_back(Instant::now());
            one.member.publish(32);
            turn += 1;
            due += CALM_EVERY / CALM as u32;
        }
        for one in calm.iter_mut() {
            one.member.run_once().await.expect("the calm stay connected");
            one.hear();
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    for one in calm.iter_mut() {
        took.append(&mut one.took);
    }
}

fn median(mut took: Vec<Duration>) -> Duration {
    assert!(took.len() >= 50, "the calm were answered: {} times", took.len());
    took.sort_unstable();
    took[took.len() / 2]
}

/// What the flooders were told.
#[derive(Default)]
struct Told {
    accepted: AtomicU64,
    limited: AtomicU64,
}

/// What the flooders are to do.
#[derive(Default)]
struct Orders {
    connected: AtomicBool,
    flood: AtomicBool,
    stop: AtomicBool,
}

/// Connects, and floods while it is ordered to.
async fn flooders(seats: Vec<Seat>, told: &Told, orders: &Orders) {
    let mut members = Vec::new();
    for seat in seats {
        members.push(
            Member::welcomed(seat, PATIENCE)
                .await
                .expect("a flooder connects"),
        );
    }
    orders.connected.store(true, Ordering::Relaxed);
    let mut due = Instant::now();
    while !orders.stop.load(Ordering::Relaxed) {
        for member in members.iter_mut().filter(|member| !member.is_closed()) {
            if orders.flood.load(Ordering::Relaxed) {
                member.publish(32);
            }
            // One that the relay has ended can't send any more: that is what is wanted.
            let _ = member.run_once().await;
            while let Some(message) = member.receive() {
                count(&message, told);
            }
        }
        due += FLOOD_EVERY;
        tokio::time::sleep_until(due.into()).await;
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

#[tokio::test(flavor = "current_thread")]
async fn a_flood_is_held_back_and_those_inside_their_rates_do_not_notice() {
    let session = Rate {
        messages_per_s: RATE,
        bytes_per_s: 0,
    };
    let stream = Rate::NONE;
    let relay = BenchRelay::start_with(Rates { session, stream }).await.unwrap();
    let mut calm = Vec::new();
    for _ in 0..CALM {
        calm.push(Calm {
            member: Member::publisher(&relay, PATIENCE).await.unwrap(),
            sent: VecDeque::new(),
            took: vec![],
            refused: 0,
        });
    }
    let seats: Vec<Seat> = (0..FLOODERS).map(|_| Seat::of(&relay).unwrap()).collect();
    let (told, orders) = (Arc::new(Told::default()), Arc::new(Orders::default()));
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

    let (mut alone, mut flooded) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        watch(&mut calm, ALONE, &mut alone).await;
        orders.flood.store(true, Ordering::Relaxed);
        watch(&mut calm, FLOODED, &mut flooded).await;
        orders.flood.store(false, Ordering::Relaxed);
    }
    let (alone, flooded) = (median(alone), median(flooded));
    orders.stop.store(true, Ordering::Relaxed);
    flooding.join().expect("the flood ends");

    let (limited, taken) = (
        told.limited.load(Ordering::Relaxed),
        told.accepted.load(Ordering::Relaxed),
    );
    assert!(limited >= FLOODERS as u64, "every flooder was told: {limited}");
    let most = FLOODERS as u64 * u64::from(RATE) * (u64::from(ROUNDS) * (ALONE + FLOODED).as_secs() + 4);
    assert!(
        taken <= most,
        "{taken} of the flood were taken, at most {most} may be"
    );
    assert!(
        flooded <= alone.max(GRAIN) * 2,
        "beside the flood the calm wait {flooded:?}, alone {alone:?}"
    );
    println!(
        "alone {alone:?}, beside the flood {flooded:?}; of the flood {taken} taken, {limited} told to wait"
    );

    settle(&mut calm).await;
    for one in &calm {
        assert_eq!(one.refused, 0, "nobody inside the rate is refused");
        assert!(one.sent.is_empty(), "every message of the calm was accepted");
    }
    let published: u64 = calm.iter().map(|one| one.member.published()).sum();
    let deadline = Instant::now() + PATIENCE;
    while relay.stored() < published + taken && Instant::now() < deadline {
        settle(&mut calm).await;
    }
    assert_eq!(
        relay.stored(),
        published + taken,
        "all that was accepted is stored, and nothing else"
    );
}

/// Lets what is on its way arrive.
async fn settle(calm: &mut [Calm]) {
    let end = Instant::now() + Duration::from_millis(500);
    while Instant::now() < end {
        for one in calm.iter_mut() {
            one.member.run_once().await.expect("the calm stay connected");
            one.hear();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
