//! Streams over shards and relays that die, are cut off, lie behind and lead in turn, on a virtual network and clock.
//!
//! What always holds, whatever happens: each message is stored once, and a producer's in order; a client receives messages of one
//! epoch in order, each once or as a gap, and none of an older epoch behind a newer one; what it is told is committed is what is
//! stored; when the network is whole again, everything that was published is stored and everybody has it.

mod client;
mod edge;
mod world;

use proptest::prelude::*;
use std::time::Duration;
use world::{Fault, RELAYS, World};

const CLIENTS: usize = 9;

fn faults() -> impl Strategy<Value = Vec<(u16, Fault)>> {
    let fault = prop_oneof![
        3 => (0..RELAYS).prop_map(Fault::Restart),
        2 => (0..RELAYS).prop_map(Fault::Leave),
        3 => (0..RELAYS, 0..RELAYS).prop_map(|(one, other)| Fault::Part(one, other)),
        2 => Just(Fault::Heal),
        2 => (0..CLIENTS).prop_map(Fault::Move),
        10 => (1..40_u8).prop_map(Fault::Publish),
    ];
    prop::collection::vec((0..400_u16, fault), 4..24)
}

fn latencies() -> impl Strategy<Value = [u64; RELAYS]> {
    [1, 1, 1].map(|_| prop_oneof![Just(1), Just(5), Just(40), Just(150)])
}

/// Lets all of it happen, and then all be well.
fn run(seed: u64, latencies: [u64; RELAYS], faults: &[(u16, Fault)]) -> World {
    let mut world = World::new(seed, CLIENTS, latencies);
    world.pass(Duration::from_millis(100));
    for (wait_ms, fault) in faults {
        world.fault(*fault);
        world.pass(Duration::from_millis(u64::from(*wait_ms)));
    }
    world.fault(Fault::Heal);
    world.fault(Fault::Publish(3));
    world.settle();
    world
}

/// How many schedules are tried: more than in a test run where the variable says so.
fn schedules() -> ProptestConfig {
    let asked = std::env::var("SIMULATED_SCHEDULES").ok();
    ProptestConfig {
        cases: asked.and_then(|cases| cases.parse().ok()).unwrap_or(100),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(schedules())]

    #[test]
    fn a_stream_over_three_relays_survives_what_happens(
        seed in any::<u64>(),
        latencies in latencies(),
        faults in faults(),
    ) {
        run(seed, latencies, &faults);
    }
}

/// Clients that never had to open a second session.
fn unbroken(world: &World) -> usize {
    let clients = world.clients.iter();
    clients
        .filter(|client| client.reconnects == 0 && client.second_welcomes > 0)
        .count()
}

#[test]
fn sessions_of_surviving_relays_go_on_when_the_leader_dies() {
    let mut all = 0;
    for seed in 0..6 {
        let leader_dies = (0..RELAYS).map(|relay| (1_500, Fault::Restart(relay)));
        let busy = leader_dies.flat_map(|death| [(100, Fault::Publish(20)), death]);
        let world = run(seed, [1, 1, 1], &busy.take(2).collect::<Vec<_>>());
        all += unbroken(&world);
    }
    assert!(
        all > 0,
        "some clients were at relays that followed the one that died"
    );
}

#[test]
fn a_leader_that_leaves_is_replaced_before_its_links_break() {
    let mut world = World::new(3, CLIENTS, [1, 1, 1]);
    world.pass(Duration::from_millis(100));
    world.fault(Fault::Publish(20));
    world.pass(Duration::from_millis(200));
    let leader = world.edge.leader().unwrap();
    world.fault(Fault::Leave(leader.relay));
    world.pass(Duration::from_millis(150));
    assert_ne!(
        world.edge.leader().unwrap().relay,
        leader.relay,
        "a follower leads now"
    );
    assert_eq!(world.edge.epoch, 2);
    world.fault(Fault::Publish(3));
    world.settle();
    let elsewhere = |client: &&client::Client| client.second_welcomes > 0;
    let went_on: Vec<_> = world.clients.iter().filter(elsewhere).collect();
    assert!(
        !went_on.is_empty(),
        "sessions at the other relays have a second welcome"
    );
    assert!(went_on.iter().all(|client| client.reconnects == 0));
}

#[test]
fn a_follower_that_lies_behind_gets_gaps_and_catches_up() {
    let publish = (0..20).map(|_| (30, Fault::Publish(30)));
    let world = run(7, [1, 150, 1], &publish.collect::<Vec<_>>());
    assert!(world.most_in_flight > 0, "messages went over links");
    assert_eq!(world.edge.epoch, 1, "nobody else became the leader");
    for client in &world.clients {
        assert_eq!(
            (client.reconnects, client.second_welcomes),
            (0, 0),
            "client {}",
            client.index
        );
    }
}
