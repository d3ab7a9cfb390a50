//! Random groups, forgeries, repetitions, faults of the edge and deaths of the relay: what is stored is always whole groups that hold
//! and follow each other, and in the end each is stored once.

use crate::support::edge::Fault;
use crate::support::signed::{Author, Group};
use crate::support::{Net, Who};
use std::time::Duration;
use streamchain_protocol::B256;
use streamchain_protocol::util::SplitMix64;

const SEEDS: u64 = 4;
const STEPS: usize = 50;

/// An author with all that it signed.
struct Publisher {
    author: Author,
    who: Who,
    groups: Vec<Group>,
}

impl Publisher {
    fn sign(&mut self, net: &mut Net, random: &mut SplitMix64) {
        let number = self.groups.len();
        let count = 1 + below(random, 30);
        let texts: Vec<String> = (0..count)
            .map(|index| format!("{}/{number}/{index}", self.author.producer))
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let group = self.author.sign(&texts);
        if below(random, 4) == 0 {
            net.send_group(self.who, &forged(&group, random));
        }
        net.send_group(self.who, &group);
        self.groups.push(group);
    }

    /// Sends what must be refused, or changes nothing.
    fn misbehave(&self, net: &mut Net, random: &mut SplitMix64) {
        let Some(group) = self.groups.get(below(random, self.groups.len().max(1))) else {
            return;
        };
        let wrong = forged(group, random);
        net.send_group(self.who, &wrong);
        if below(random, 3) == 0 {
            net.publish(self.who, wrong.frame.first, "forged");
        }
    }

    /// Sends all groups again from the first one that is not stored.
    fn send_again(&self, net: &mut Net) {
        let of = |group: &&Group| !self.is_stored(net, group);
        let unstored: Vec<Group> = self.groups.iter().filter(of).cloned().collect();
        unstored.iter().for_each(|group| net.send_group(self.who, group));
    }

    fn is_stored(&self, net: &Net, group: &Group) -> bool {
        let last = group.payloads.last().unwrap();
        net.edge
            .records
            .iter()
            .any(|record| record.payload[..] == last[..])
    }
}

/// The group with a fault, or as it is.
fn forged(group: &Group, random: &mut SplitMix64) -> Group {
    let mut wrong = group.clone();
    match below(random, 5) {
        0 => wrong.frame.signature.0[7] ^= 1,
        1 => wrong.payloads.push(b"forged".to_vec()),
        2 => wrong.payloads[0] = b"forged".to_vec(),
        3 => wrong.frame.previous = B256::repeat_byte(9),
        _ => {}
    }
    wrong
}

fn below(random: &mut SplitMix64, bound: usize) -> usize {
    (random.next_bits() % bound as u64) as usize
}

/// One step of the world.
fn step(net: &mut Net, publishers: &mut [Publisher], random: &mut SplitMix64) {
    let one = below(random, publishers.len());
    match below(random, 20) {
        0 => {
            net.restart_relay();
            for publisher in publishers.iter_mut() {
                publisher.who = net.open_author(&publisher.author);
                publisher.send_again(net);
            }
        }
        1 | 2 => net
            .edge
            .batch_faults
            .push_back([Fault::Before, Fault::After][below(random, 2)]),
        3..=5 => publishers[one].misbehave(net, random),
        6 | 7 => publishers[one].send_again(net),
        _ => publishers[one].sign(net, random),
    }
    net.pass(Duration::from_millis(below(random, 40) as u64));
}

fn lives_through(seed: u64) {
    let (mut net, mut random) = (Net::new(), SplitMix64::new(seed));
    let mut publishers: Vec<Publisher> = (1..4)
        .map(|producer| {
            let author = Author::new(producer);
            let who = net.open_author(&author);
            let groups = vec![];
            Publisher { author, who, groups }
        })
        .collect();
    for _ in 0..STEPS {
        // The edge stops the test when it is given a part of a group, or one that does not follow.
        step(&mut net, &mut publishers, &mut random);
    }
    for round in 0.. {
        assert!(round < 50, "seed {seed}: not all is stored in the end");
        publishers
            .iter()
            .for_each(|publisher| publisher.send_again(&mut net));
        net.pass(Duration::from_secs(1));
        let all = publishers.iter().all(|publisher| {
            publisher
                .groups
                .iter()
                .all(|group| publisher.is_stored(&net, group))
        });
        if all {
            break;
        }
    }
    let signed: usize = publishers.iter().map(|publisher| publisher.groups.len()).sum();
    assert_eq!(
        net.verified_groups(),
        signed as u64,
        "seed {seed}: each group once"
    );
    for publisher in &publishers {
        let sent = publisher.groups.iter().flat_map(|group| group.payloads.clone());
        let stored = net
            .edge
            .records
            .iter()
            .filter(|record| record.author == publisher.author.address);
        assert!(
            stored.map(|record| record.payload.to_vec()).eq(sent),
            "seed {seed}: in the order in which they were signed, and nothing else"
        );
    }
    let messages = publishers
        .iter()
        .flat_map(|publisher| &publisher.groups)
        .map(|group| group.payloads.len())
        .sum::<usize>();
    assert_eq!(net.edge.records.len(), messages);
}

#[test]
fn random_worlds_store_whole_groups_once_and_in_order() {
    (0..SEEDS).for_each(lives_through);
}
