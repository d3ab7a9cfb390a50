use super::super::tests::{id, registration, wanted};
use super::*;
use proptest::prelude::*;
use streamchain_protocol::limits::RELAY_LEASE_MS;
use streamchain_protocol::wire::LinkReach;

const STREAM: ShortId = ShortId([5; 20]);
const FRANKFURT: (f64, f64) = (50.11, 8.68);
const LONDON: (f64, f64) = (51.51, -0.13);
const SYDNEY: (f64, f64) = (-33.87, 151.21);

fn at((latitude, longitude): (f64, f64)) -> Option<Location> {
    Location::of_degrees(latitude, longitude)
}

/// A registration of a relay that shares streams.
fn sharing(place: Option<Location>, sessions: u64, capacity: Option<u64>) -> Registration {
    Registration {
        mesh: Some(LinkReach {
            addresses: vec!["192.0.2.1:7443".parse().unwrap()],
            fingerprint: ["CD"; 32].join(":"),
        }),
        spreads: true,
        location: place,
        capacity,
        ..registration(1, sessions)
    }
}

fn register(directory: &mut Directory, name: &str, registration: Registration) {
    directory.register(&id(name), registration, UnixMs(0)).unwrap();
}

/// A relay each in Frankfurt and Sydney that share streams.
fn two_places(capacity: Option<u64>) -> Directory {
    let mut directory = Directory::default();
    register(&mut directory, "eu", sharing(at(FRANKFURT), 9, capacity));
    register(&mut directory, "au", sharing(at(SYDNEY), 0, capacity));
    directory
}

fn of(current: Option<&str>, serving: &[&str], client: Option<Location>) -> Wanted {
    Wanted {
        serving: serving.iter().map(|name| id(name)).collect(),
        client,
        ..wanted(STREAM, current)
    }
}

/// The relay, why, and whether it takes the stream from others.
fn place(directory: &mut Directory, wanted: &Wanted) -> (RelayId, Reason, bool) {
    let placed = directory.place(wanted, UnixMs(1)).unwrap();
    (
        placed.chosen.relay,
        placed.chosen.why.unwrap().reason,
        placed.follows,
    )
}

#[test]
fn great_circles_have_their_lengths() {
    let km = |a: (f64, f64), b: (f64, f64)| {
        let point = |place| Point::from(at(place).unwrap());
        point(a).km_to(point(b))
    };
    for (a, b, expected) in [
        (FRANKFURT, LONDON, 637.0),
        (FRANKFURT, SYDNEY, 16_480.0),
        ((0.0, 179.9), (0.0, -179.9), 22.2),
        ((90.0, 0.0), (-90.0, 77.0), 20_015.0),
        (LONDON, LONDON, 0.0),
    ] {
        let tolerance = 1.0 + expected * 0.005;
        assert!(
            (km(a, b) - expected).abs() < tolerance,
            "{a:?} {b:?}: {}",
            km(a, b)
        );
    }
}

#[test]
fn a_client_goes_to_the_relay_near_it() {
    let mut directory = two_places(None);
    let mut near = |client| place(&mut directory, &of(None, &[], at(client)));
    assert_eq!(near(LONDON), (id("eu"), Reason::Nearest, false));
    assert_eq!(near(SYDNEY), (id("au"), Reason::Nearest, false));
    let far = of(Some("eu"), &["eu"], at(SYDNEY));
    assert_eq!(place(&mut directory, &far), (id("au"), Reason::Nearest, true));
}

#[test]
fn among_near_relays_the_one_with_the_stream_comes_first() {
    let mut directory = two_places(None);
    register(&mut directory, "eu-2", sharing(at(FRANKFURT), 0, None));
    let client = at(LONDON);
    let new = place(&mut directory, &of(None, &[], client));
    assert_eq!(new, (id("eu-2"), Reason::LeastLoaded, false));
    let known = place(&mut directory, &of(Some("eu"), &["eu"], client));
    assert_eq!(known, (id("eu"), Reason::HasStream, true));
    let barred = Wanted {
        barred: vec![id("eu")],
        ..of(Some("eu-2"), &["eu-2", "eu"], client)
    };
    assert_eq!(place(&mut directory, &barred).0, id("eu-2"));
}

#[test]
fn the_streams_of_a_full_relay_grow_on_to_the_next() {
    let mut directory = two_places(Some(10));
    let client = at(LONDON);
    let mut next = |serving: &[&str]| place(&mut directory, &of(Some("eu"), serving, client));
    assert_eq!(next(&["eu"]), (id("eu"), Reason::HasStream, true));
    assert_eq!(next(&["eu"]), (id("au"), Reason::Nearest, true), "eu has ten");
    for _ in 0..9 {
        assert_eq!(next(&["eu", "au"]).0, id("au"));
    }
    assert_eq!(next(&["eu", "au"]).1, Reason::AllFull);
}

#[test]
fn sessions_that_were_sent_without_asking_count() {
    let mut directory = two_places(Some(100));
    let first = directory.place(&of(None, &[], at(LONDON)), UnixMs(1)).unwrap();
    assert_eq!((first.chosen.relay, first.room), (id("eu"), Some(90)));
    let later = Wanted {
        handed: Some((id("eu"), 90)),
        ..of(Some("eu"), &["eu"], at(LONDON))
    };
    assert_eq!(place(&mut directory, &later).0, id("au"));
}

#[test]
fn a_relay_that_shares_nothing_keeps_its_streams_to_itself() {
    let mut directory = two_places(None);
    let old = Registration {
        location: at(SYDNEY),
        capacity: Some(1),
        ..registration(1, 5)
    };
    register(&mut directory, "old", old);
    let stays = place(&mut directory, &of(Some("old"), &[], at(LONDON)));
    assert_eq!(stays, (id("old"), Reason::Stays, false));
    let shared = Wanted {
        barred: vec![id("eu"), id("au")],
        ..of(Some("eu"), &["eu"], at(SYDNEY))
    };
    assert_eq!(
        place(&mut directory, &shared).0,
        id("au"),
        "a relay that can't follow is no way out"
    );
    register(&mut directory, "eu", sharing(at(FRANKFURT), 9, None));
    let later = UnixMs(RELAY_LEASE_MS);
    directory.register(&id("old"), registration(1, 0), later).unwrap();
    let moved = directory
        .place(&of(Some("eu"), &["eu"], at(LONDON)), later)
        .unwrap();
    assert_eq!((moved.chosen.relay, moved.follows), (id("old"), false));
    assert_eq!(moved.gone, [id("eu")]);
}

#[test]
fn a_session_that_joins_goes_to_its_connections_relay() {
    let mut directory = two_places(None);
    let wanted = |relay: &str, current: Option<&str>, serving: &[&str]| Wanted {
        only: Some(id(relay)),
        ..of(current, serving, at(LONDON))
    };
    let far = wanted("au", Some("eu"), &["eu"]);
    assert_eq!(
        place(&mut directory, &far).0,
        id("au"),
        "the near one has the stream"
    );
    assert_eq!(place(&mut directory, &wanted("au", None, &[])).0, id("au"));
    let full = Wanted { is_full: true, ..far };
    assert_eq!(directory.place(&full, UnixMs(1)), None);
    assert_eq!(directory.place(&wanted("gone", None, &[]), UnixMs(1)), None);
    register(&mut directory, "old", registration(1, 0));
    let stays = wanted("au", Some("old"), &[]);
    assert_eq!(
        directory.place(&stays, UnixMs(1)),
        None,
        "it shares its streams with no other"
    );
}

#[test]
fn a_stream_at_as_many_relays_as_may_be_gets_no_other() {
    let mut directory = two_places(None);
    let full = Wanted {
        is_full: true,
        ..of(Some("eu"), &["eu"], at(SYDNEY))
    };
    assert_eq!(place(&mut directory, &full), (id("eu"), Reason::HasStream, true));
}

#[test]
fn a_relay_whose_place_is_unknown_counts_as_far() {
    let mut directory = two_places(None);
    register(&mut directory, "nowhere", sharing(None, 0, None));
    let near = |directory: &mut Directory, client| place(directory, &of(None, &[], client)).0;
    assert_eq!(near(&mut directory, at(LONDON)), id("eu"));
    for _ in 0..8 {
        assert_ne!(
            near(&mut directory, None),
            id("eu"),
            "nobody is near an unknown place"
        );
    }
}

#[test]
fn the_sessions_of_a_stream_are_spread_over_the_shards() {
    let mut directory = two_places(None);
    let spread = directory.place(&of(None, &[], at(LONDON)), UnixMs(1)).unwrap();
    let ports: Vec<u16> = (0..64)
        .map(|session| spread.of_session(SessionId([session; 8])).candidates[0].port)
        .collect();
    assert!(ports.contains(&7100) && ports.contains(&7101), "{ports:?}");
    register(&mut directory, "old", registration(1, 0));
    let old = directory.place(&of(Some("old"), &[], None), UnixMs(1)).unwrap();
    let ports = (0..64).map(|session| old.of_session(SessionId([session; 8])).candidates);
    assert!(
        ports
            .into_iter()
            .all(|candidates| candidates == old.chosen.candidates)
    );
}

proptest! {
    #[test]
    fn a_choice_is_alive_and_no_better_one_was_passed_over(
        relays in prop::collection::vec(
            (any::<bool>(), prop::option::of((-80..80_i32, -179..179_i32)), 0..20_u64, prop::option::of(1..20_u64), any::<bool>()),
            1..12,
        ),
        current in prop::option::of(0..12_usize),
        serving: [bool; 12],
        barred: [bool; 12],
        is_full: bool,
        client in prop::option::of((-80..80_i32, -179..179_i32)),
    ) {
        let location = |(latitude, longitude): (i32, i32)| at((f64::from(latitude), f64::from(longitude)));
        let mut directory = Directory::default();
        let name = |index: usize| id(&format!("r{index}"));
        for (index, (shares, place, sessions, capacity, is_alive)) in relays.iter().enumerate() {
            let mut registration = sharing(place.and_then(location), *sessions, *capacity);
            registration.mesh = registration.mesh.filter(|_| *shares);
            let seen = UnixMs(if *is_alive { RELAY_LEASE_MS } else { 0 });
            directory.register(&name(index), registration, seen).unwrap();
        }
        let shares = |index: &usize| relays.get(*index).is_some_and(|relay| relay.0);
        let serving: Vec<usize> = (0..12).filter(|index| serving[*index] && shares(index)).collect();
        let wanted = Wanted {
            serving: serving.iter().map(|index| name(*index)).collect(),
            barred: (0..12).filter(|index| barred[*index]).map(name).collect(),
            is_full,
            client: client.and_then(location),
            ..wanted(STREAM, current.map(name).as_ref().map(RelayId::as_str))
        };
        let now = UnixMs(RELAY_LEASE_MS);
        let is_alive = |index: usize| relays.get(index).is_some_and(|relay| relay.4);
        let Some(placed) = directory.place(&wanted, now) else {
            prop_assert!(!relays.iter().any(|relay| relay.4));
            return Ok(());
        };
        let chosen = (0..12).find(|index| name(*index) == placed.chosen.relay).unwrap();
        prop_assert!(is_alive(chosen));
        prop_assert_eq!(placed.shares, shares(&chosen));
        let current = current.filter(|index| is_alive(*index));
        if let Some(current) = current.filter(|index| !shares(index)) {
            prop_assert_eq!(chosen, current);
            return Ok(());
        }
        let has_stream = |index: usize| serving.contains(&index) || current == Some(index);
        let is_shared = (0..relays.len()).any(|index| is_alive(index) && has_stream(index));
        prop_assert_eq!(placed.follows, is_shared);
        prop_assert!(!is_shared || shares(&chosen));
        prop_assert!(!(is_shared && is_full) || has_stream(chosen));
        // One that has room and the stream, in the client's own place, is passed over only for another one like it.
        let room = |index: usize| relays[index].3.is_none_or(|capacity| relays[index].2 < capacity);
        let is_free = |index: usize| !is_shared || shares(&index) && (!is_full || has_stream(index));
        let best = (0..relays.len()).any(|index| {
            is_alive(index) && is_free(index) && !wanted.barred.contains(&name(index)) && room(index)
        });
        if best {
            prop_assert!(room(chosen) && !wanted.barred.contains(&name(chosen)));
        }
    }
}
