//! Clients against a model of relay and edge, on a virtual clock, with random faults.

mod world;

use super::{ClientOptions, Guarantee, KeptChain, Reading, SignGroups, Signing};
use proptest::prelude::*;
use std::sync::Arc;
use streamchain_protocol::ids::{ProducerId, Seq};
use streamchain_protocol::keccak256;
use streamchain_protocol::signed::{PublicKey, Signature};
use world::{Faults, World};

const PRODUCER: ProducerId = ProducerId([0xAB; 16]);

/// Signs by hashing: whoever checks does the same.
#[derive(Debug)]
pub(super) struct FakeKey;

impl SignGroups for FakeKey {
    fn public_key(&self) -> PublicKey {
        let mut bytes = [0x11; PublicKey::BYTES];
        bytes[0] = 2;
        PublicKey::from_bytes(bytes).unwrap()
    }

    fn sign(&self, bytes: &[u8]) -> Option<Signature> {
        let hash = keccak256(bytes);
        let twice = [hash.0, hash.0].concat();
        twice.try_into().ok().map(Signature)
    }
}

fn signing(chain: KeptChain) -> Signing {
    Signing {
        key: Arc::new(FakeKey),
        stream: world::STREAM,
        author: world::AUTHOR,
        chain,
    }
}

fn signer(chain: KeptChain) -> ClientOptions {
    ClientOptions {
        signing: Some(signing(chain)),
        ..publisher()
    }
}

fn publisher() -> ClientOptions {
    ClientOptions {
        producer: Some(PRODUCER),
        ..ClientOptions::default()
    }
}

fn reader(guarantee: Guarantee) -> ClientOptions {
    ClientOptions {
        read: Some(Reading {
            from: Seq(0),
            guarantee,
        }),
        ..ClientOptions::default()
    }
}

/// Publishes under faults, then without, and checks what is stored and what each reader got.
fn run(seed: u64, messages: u64, faults: Faults, publisher: &ClientOptions) {
    let mut world = World::new(seed, faults);
    let publishing = world.join(publisher);
    let readers = [
        world.join(&reader(Guarantee::Stored)),
        world.join(&ClientOptions {
            signatures: true,
            ..reader(Guarantee::Live)
        }),
        world.join(&ClientOptions {
            producer: Some(ProducerId([0xCD; 16])),
            ..reader(Guarantee::Live)
        }),
    ];
    let mut published = 0;
    for _ in 0..600 {
        for _ in 0..world.below(4) {
            if published < messages {
                published += u64::from(world.publish(publishing, &published.to_be_bytes()));
            }
        }
        world.step();
    }
    world.heal();
    for _ in 0..20_000 {
        if published < messages {
            published += u64::from(world.publish(publishing, &published.to_be_bytes()));
        }
        world.step();
        if published == messages && world.is_settled(messages) {
            break;
        }
    }
    let expected: Vec<u64> = (0..messages).collect();
    assert_eq!(world.log(), expected, "each message is stored once, in order");
    assert_eq!(
        world.stored_events(publishing),
        expected,
        "and the publisher is notified of each once"
    );
    for reader in readers {
        assert_eq!(
            world.read(reader),
            expected,
            "reader {reader} gets each once, in order"
        );
        assert!(world.read_signed(reader) <= published as usize);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everything_is_stored_and_read_exactly_once(
        seed: u64,
        messages in 1_u64..400,
        kills in 0_u64..30,
        moves in 0_u64..60,
        cuts in 0_u64..60,
        refusals in 0_u64..200,
        failures in 0_u64..600,
        gaps in 0_u64..300,
        is_signed: bool,
    ) {
        let publisher = if is_signed { signer(KeptChain::default()) } else { publisher() };
        run(seed, messages, Faults { kills, moves, cuts, refusals, failures, gaps }, &publisher);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_signed_chain_goes_on_whatever_ends_when(
        seed: u64,
        messages in 1_u64..300,
        kills in 0_u64..30,
        moves in 0_u64..30,
        cuts in 0_u64..60,
        refusals in 0_u64..200,
        failures in 0_u64..600,
        http_only: bool,
    ) {
        let mut world = World::new(seed, Faults { kills, moves, cuts, refusals, failures, gaps: 0 });
        let options = |chain| ClientOptions { http_only, ..signer(chain) };
        let publishing = world.join(&options(KeptChain::default()));
        let mut published = 0;
        for step in 0..2_000 {
            if step == 1_500 {
                world.heal();
            }
            // The program is ended, and run again with the same input.
            if step < 1_500 && world.below(200) == 0 {
                let chain = world.kept_chain(publishing);
                world.restart(publishing, &options(chain));
                published = 0;
            }
            for _ in 0..world.below(6) {
                if published < messages {
                    published += u64::from(world.publish(publishing, &published.to_be_bytes()));
                }
            }
            world.step();
        }
        for _ in 0..20_000 {
            while published < messages && world.publish(publishing, &published.to_be_bytes()) {
                published += 1;
            }
            world.step();
            if world.is_settled(messages) {
                break;
            }
        }
        let expected: Vec<u64> = (0..messages).collect();
        prop_assert_eq!(world.log(), expected.clone(), "each message is stored once, in order");
        prop_assert_eq!(world.stored_events(publishing), expected);
        prop_assert_eq!(world.signed_messages(), messages);
    }
}

#[test]
fn without_faults_nothing_is_sent_twice() {
    let mut world = World::new(1, Faults::default());
    let publishing = world.join(&publisher());
    for number in 0..50_u64 {
        world.publish(publishing, &number.to_be_bytes());
    }
    for _ in 0..200 {
        world.step();
    }
    assert_eq!(world.log().len(), 50);
    assert_eq!(world.publishes_received(), 50);
}

#[test]
fn who_asks_gets_each_group_with_its_signature() {
    let mut world = World::new(5, Faults::default());
    let publishing = world.join(&signer(KeptChain::default()));
    let asking = [Guarantee::Live, Guarantee::Stored].map(|guarantee| ClientOptions {
        signatures: true,
        ..reader(guarantee)
    });
    let readers = asking.map(|options| world.join(&options));
    let unasked = world.join(&reader(Guarantee::Live));
    for number in 0..300_u64 {
        world.publish(publishing, &number.to_be_bytes());
        (0..world.below(3)).for_each(|_| world.step());
    }
    (0..500).for_each(|_| world.step());
    let expected: Vec<u64> = (0..300).collect();
    for reader in readers {
        assert_eq!(world.read(reader), expected);
        assert_eq!(world.read_signed(reader), expected.len());
    }
    assert_eq!((world.read(unasked), world.read_signed(unasked)), (expected, 0));
}

#[test]
fn the_first_group_of_an_epoch_has_its_signature() {
    let mut world = World::new(6, Faults::default());
    let publishing = world.join(&signer(KeptChain::default()));
    let readers = [Guarantee::Live, Guarantee::Stored].map(|guarantee| {
        world.join(&ClientOptions {
            signatures: true,
            ..reader(guarantee)
        })
    });
    for round in 0..5_u64 {
        for number in round * 10..round * 10 + 10 {
            world.publish(publishing, &number.to_be_bytes());
        }
        (0..200).for_each(|_| world.step());
        world.take_over();
        // Until all have a session again, however long they wait before they open one.
        (0..2_000).for_each(|_| world.step());
    }
    let expected: Vec<u64> = (0..50).collect();
    for reader in readers {
        assert_eq!(world.read(reader), expected);
        assert_eq!(world.read_signed(reader), expected.len());
    }
}

#[test]
fn a_new_leader_ends_no_session() {
    let mut world = World::new(
        4,
        Faults {
            moves: 100,
            ..Faults::default()
        },
    );
    let publishing = world.join(&publisher());
    let reading = world.join(&reader(Guarantee::Live));
    for number in 0..300_u64 {
        world.publish(publishing, &number.to_be_bytes());
        (0..5).for_each(|_| world.step());
    }
    world.heal();
    (0..2_000).for_each(|_| world.step());
    let expected: Vec<u64> = (0..300).collect();
    assert_eq!((world.log(), world.read(reading)), (expected.clone(), expected));
    assert_eq!(world.sessions_opened(), 2, "one for each client");
}

#[test]
fn http_alone_is_enough() {
    let mut world = World::new(2, Faults::default());
    let publishing = world.join(&ClientOptions {
        http_only: true,
        ..publisher()
    });
    let reading = world.join(&ClientOptions {
        http_only: true,
        ..reader(Guarantee::Stored)
    });
    for number in 0..200_u64 {
        assert!(world.publish(publishing, &number.to_be_bytes()));
    }
    for _ in 0..3_000 {
        world.step();
    }
    let expected: Vec<u64> = (0..200).collect();
    assert_eq!(world.log(), expected);
    assert_eq!(world.read(reading), expected);
    assert_eq!(world.publishes_received(), 0);
}

#[test]
fn a_pace_that_the_relay_names_is_kept() {
    let mut world = World::new(3, Faults::default());
    world.limit_to(100);
    let publishing = world.join(&publisher());
    for number in 0..400_u64 {
        world.publish(publishing, &number.to_be_bytes());
    }
    for _ in 0..100 {
        world.step();
    }
    let received = world.publishes_received();
    assert!((200..=260).contains(&received), "{received} in the first second");
}
