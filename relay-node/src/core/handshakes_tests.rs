use super::*;
use proptest::prelude::*;
use std::net::IpAddr;
use std::time::Duration;

fn network(number: u32) -> Network {
    Network::of(IpAddr::from((0x0A00_0000 + number).to_be_bytes()))
}

/// Handshakes, and a clock that stands where the test puts it.
struct Scene {
    all: Handshakes,
    now: Instant,
    next: u64,
}

impl Scene {
    fn new() -> Self {
        Self {
            all: Handshakes::default(),
            now: Instant::now(),
            next: 0,
        }
    }

    /// Begins one, if there is room; returns which one had to make way.
    fn begin(&mut self, number: u32) -> Result<Option<PeerKey>, ()> {
        let evicted = match self.all.room(network(number), self.now) {
            Room::Full => return Err(()),
            Room::Free => None,
            Room::InPlaceOf(key) => {
                let of = *self
                    .all
                    .of
                    .iter()
                    .find(|(_, keys)| keys.contains_key(&key))
                    .unwrap()
                    .0;
                self.all.end(of, key);
                Some(key)
            }
        };
        self.next += 1;
        self.all.begin(network(number), PeerKey(self.next), self.now);
        Ok(evicted)
    }

    fn has(&self, number: u32, key: u64) -> bool {
        let all = self.all.of.get(&network(number));
        all.is_some_and(|all| all.contains_key(&PeerKey(key)))
    }
}

#[test]
fn four_networks_that_fill_all_places_keep_nobody_out() {
    let mut scene = Scene::new();
    for number in 0..MAX_HANDSHAKES as u32 {
        scene.begin(number % 4).unwrap();
    }
    assert_eq!(
        scene.begin(9),
        Ok(Some(PeerKey(1))),
        "the oldest of a greedy network makes way"
    );
    let honest = scene.next;
    for number in 0..10_000 {
        let _ = scene.begin(number % 4);
    }
    assert!(
        scene.has(9, honest),
        "and what the greedy begin is at their own cost"
    );
}

#[test]
fn a_network_at_its_share_replaces_only_what_takes_too_long() {
    let mut scene = Scene::new();
    for _ in 0..MAX_NETWORK_HANDSHAKES {
        scene.begin(1).unwrap();
    }
    assert_eq!(scene.begin(1), Err(()), "all of them may still be honest");
    assert_eq!(scene.begin(2), Ok(None));
    scene.now += HANDSHAKE_GRACE;
    assert_eq!(scene.begin(1), Ok(Some(PeerKey(1))));
}

#[test]
fn one_handshake_each_from_everywhere_makes_way_after_its_grace() {
    let mut scene = Scene::new();
    for number in 0..MAX_HANDSHAKES as u32 {
        scene.begin(number).unwrap();
    }
    assert_eq!(scene.begin(77_777), Err(()));
    scene.now += HANDSHAKE_GRACE;
    assert_eq!(scene.begin(77_777), Ok(Some(PeerKey(1))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever floods: the limits hold, and a client whose network has fewer handshakes than the flood's gets in at once
    /// and is still there after an honest handshake's time.
    #[test]
    fn an_honest_client_gets_in_beside_any_flood(
        networks in 1u32..400,
        rounds in 1usize..6,
        pause_ms in 0u64..400,
    ) {
        let mut scene = Scene::new();
        for round in 0..rounds * MAX_HANDSHAKES {
            let _ = scene.begin(round as u32 % networks);
            if round % 64 == 0 {
                scene.now += Duration::from_millis(pause_ms);
            }
        }
        prop_assert!(scene.begin(5_000).is_ok());
        let honest = scene.next;
        for round in 0..2 * MAX_HANDSHAKES {
            let _ = scene.begin(round as u32 % networks);
            prop_assert!(scene.all.count() <= MAX_HANDSHAKES);
        }
        prop_assert!(scene.has(5_000, honest));
        for all in scene.all.of.values() {
            prop_assert!(all.len() <= MAX_NETWORK_HANDSHAKES);
        }
        prop_assert_eq!(scene.all.of.values().map(BTreeMap::len).sum::<usize>(), scene.all.count());
    }
}
