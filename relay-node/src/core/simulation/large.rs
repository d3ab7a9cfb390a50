//! One leader and fifty followers: many sessions that come and go, loss and delay, a partition that heals, a slow link, and a
//! follower that lies behind for a minute.

use super::client::Part;
use super::schedules;
use super::world::{Fault, Network, World};
use proptest::prelude::*;
use std::time::Duration;

const FOLLOWERS: usize = 50;
const RELAYS: usize = FOLLOWERS + 1;
/// How many publish; all others read only.
const PUBLISHERS: usize = 20;
/// How often each client comes back somewhere else.
const MOVES: usize = 4;
/// What a slow link carries in a second, bytes of messages: less than is published.
const SLOW_BYTES_PER_S: u64 = 1_500;
/// How long a run lasts before all is made well, milliseconds: the follower that lies behind does so for a minute of them.
const RUN_MS: u64 = 70_000;

/// What happens to the network in one schedule.
#[derive(Debug, Clone)]
struct Weather {
    loss_per_mille: u64,
    latencies: Vec<u64>,
    /// A relay whose links carry few bytes in a second.
    slow: usize,
    /// One whose links deliver nothing for a minute.
    behind: usize,
    /// How many relays are parted from all others, when, and for how long, milliseconds.
    parted: (usize, u64, u64),
    /// Relays that die or leave, and when.
    deaths: Vec<(usize, u64, bool)>,
}

fn weather() -> impl Strategy<Value = Weather> {
    let latency = prop_oneof![Just(2_u64), Just(20), Just(80), Just(150)];
    (
        prop_oneof![Just(0_u64), Just(10), Just(50)],
        prop::collection::vec(latency, RELAYS),
        (0..RELAYS, 0..RELAYS),
        (1..15_usize, 2_000..20_000_u64, 500..8_000_u64),
        prop::collection::vec((0..RELAYS, 1_000..60_000_u64, any::<bool>()), 0..4),
    )
        .prop_map(
            |(loss_per_mille, latencies, (slow, behind), parted, deaths)| Weather {
                loss_per_mille,
                latencies,
                slow,
                behind,
                parted,
                deaths,
            },
        )
}

/// The faults of a run in their order: when each happens, and which it is.
fn timetable(weather: &Weather, clients: usize) -> Vec<(u64, Fault)> {
    let mut all = vec![(1_000, Fault::Delay(weather.behind, 60_000))];
    let (count, at, length) = weather.parted;
    for relay in (0..count).map(|index| (index * 3 + 1) % RELAYS) {
        all.push((at, Fault::Isolate(relay)));
    }
    all.push((at + length, Fault::Heal));
    all.extend(weather.deaths.iter().map(|(relay, at, leaves)| match leaves {
        true => (*at, Fault::Leave(*relay)),
        false => (*at, Fault::Restart(*relay)),
    }));
    let moves = clients * MOVES;
    let wait = |index: usize| 1_000 + (RUN_MS - 2_000) * index as u64 / moves as u64;
    all.extend((0..moves).map(|index| (wait(index), Fault::Move(index % clients))));
    let publishes = (0..RUN_MS).step_by(500);
    all.extend(publishes.map(|at| (at, Fault::Publish(1))));
    all.sort_by_key(|(at, _)| *at);
    all
}

fn run(seed: u64, weather: &Weather, clients: usize) -> World {
    let network = Network {
        shards: 1,
        loss_per_mille: weather.loss_per_mille,
        slow: Some((weather.slow, SLOW_BYTES_PER_S)),
        arrival: Duration::from_secs(2),
        ..Network::of(&weather.latencies)
    };
    let part = |index: usize| Part {
        is_able: !index.is_multiple_of(10),
        publishes: index < PUBLISHERS,
        subscribes_early: !index.is_multiple_of(3),
        wants_presence: index.is_multiple_of(50),
    };
    let parts: Vec<Part> = (0..clients).map(part).collect();
    let mut world = World::new(seed, network, &parts);
    let mut passed = 0;
    for (at, fault) in timetable(weather, clients) {
        world.pass(Duration::from_millis(at - passed));
        passed = at;
        world.fault(fault);
    }
    world.fault(Fault::Heal);
    world.settle();
    world
}

/// How many clients there are: with what they move, five times as many sessions.
fn clients() -> usize {
    let asked = std::env::var("SIMULATED_SESSIONS").ok();
    asked
        .and_then(|count| count.parse::<usize>().ok())
        .map_or(102, |sessions| sessions / (MOVES + 1))
}

proptest! {
    #![proptest_config(schedules(3, "SIMULATED_LARGE_SCHEDULES"))]

    #[test]
    fn fifty_followers_survive_what_happens(seed in any::<u64>(), weather in weather()) {
        let world = run(seed, &weather, clients());
        if std::env::var_os("SIMULATED_LARGE_SCHEDULES").is_some() {
            let reconnects: u64 = world.clients.iter().map(|client| client.reconnects).sum();
            let gapped: u64 = world.clients.iter().map(|client| client.gapped).sum();
            println!(
                "{} sessions, {} messages, {} epochs, {gapped} messages in gaps, {} links, loss {} per mille",
                world.clients.len() as u64 + reconnects,
                world.edge.records.len(),
                world.edge.epoch,
                world.links_made(),
                weather.loss_per_mille,
            );
        }
    }
}
