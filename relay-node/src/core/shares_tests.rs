use super::*;
use proptest::prelude::*;
use std::net::IpAddr;

fn network(number: u32) -> Network {
    Network::of(IpAddr::from((0x0A00_0000 + number).to_be_bytes()))
}

fn fill(shares: &mut Shares, number: u32) -> usize {
    while shares.take(network(number)) {}
    shares.of(network(number))
}

#[test]
fn one_network_alone_gets_a_ninth() {
    let mut shares = Shares::new(20_000);
    assert_eq!(fill(&mut shares, 1), 2_223);
    assert!(shares.has_room(network(2)), "others are served");
}

#[test]
fn sixty_greedy_networks_leave_places_to_others() {
    let mut shares = Shares::new(20_000);
    (0..60).for_each(|number| {
        fill(&mut shares, number);
    });
    let newcomers = (1_000..1_002).filter(|number| shares.take(network(*number)));
    assert_eq!(newcomers.count(), 2);
}

#[test]
fn many_networks_with_one_each_fill_all_places() {
    let mut shares = Shares::new(100);
    assert_eq!(
        (0..1_000).filter(|number| shares.take(network(*number))).count(),
        100
    );
    assert!(shares.is_full());
}

#[test]
fn a_fixed_share_is_kept_to_however_much_is_free() {
    let mut shares = Shares::with_share(4_096, 256);
    assert_eq!(fill(&mut shares, 1), 256);
}

proptest! {
    #[test]
    fn counts_are_exact_and_newcomers_get_what_is_free(
        acts in prop::collection::vec((0u32..12, any::<bool>()), 0..400),
        places in 1usize..60,
    ) {
        let mut shares = Shares::new(places);
        let mut held: Vec<u32> = Vec::new();
        for (number, takes) in acts {
            if takes {
                let (before, newcomer) = (held.len(), !held.contains(&number));
                let taken = shares.take(network(number));
                prop_assert!(taken || !newcomer || before >= places, "a newcomer gets what is free");
                if taken {
                    held.push(number);
                }
            } else if let Some(at) = held.iter().position(|other| *other == number) {
                held.swap_remove(at);
                shares.give_back(network(number));
            } else {
                shares.give_back(network(number));
            }
            prop_assert_eq!(shares.taken(), held.len());
            prop_assert!(held.len() <= places);
            let own = held.iter().filter(|other| **other == number).count();
            prop_assert_eq!(shares.of(network(number)), own);
        }
    }
}
