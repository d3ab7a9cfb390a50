use super::*;
use streamchain_protocol::ids::Seq;
use streamchain_protocol::keccak256;
use streamchain_protocol::proof::bucket::{BUCKETS, BucketRoot, Buckets, bucket_proof, round_root};
use streamchain_protocol::proof::run::BadRuns;

const OWNER: Address = Address::repeat_byte(1);
const STREAM: StreamId = StreamId([7; 32]);

/// Another stream in the same bucket.
fn neighbour() -> StreamId {
    let mut id = STREAM;
    id.0[31] = 8;
    id
}

fn run(stream: StreamId, first: u64, previous: B256) -> RunEntry {
    RunEntry {
        stream,
        first: Seq(first),
        count: 2,
        root: keccak256(first.to_be_bytes()),
        previous,
    }
}

/// A round whose bucket 7 has these runs, as the chain has it, and the list as an honest edge gives it.
fn round(number: u64, entries: Vec<RunEntry>) -> (Anchor, BucketList) {
    let mut buckets: Buckets = [BucketRoot::default(); BUCKETS];
    buckets[7] = bucket_root(&entries);
    let anchor = Anchor {
        first: Seq(number),
        count: 1,
        root: round_root(number, &buckets),
        block: 100 + number,
        block_hash: B256::repeat_byte(1),
        log_index: 0,
        is_final: true,
        round: None,
    };
    let proof = bucket_proof(number, 7, &buckets);
    (anchor, BucketList { proof, entries })
}

/// Three rounds: a run of the stream, one of its neighbour alone, and both.
fn three() -> Vec<(Anchor, BucketList)> {
    let first = run(STREAM, 0, B256::ZERO);
    let other = run(neighbour(), 0, B256::ZERO);
    vec![
        round(0, vec![first]),
        round(1, vec![other]),
        round(
            2,
            vec![run(STREAM, 2, first.leaf()), run(neighbour(), 2, other.leaf())],
        ),
    ]
}

/// Reads these rounds; the first fault ends it.
fn read(rounds: &mut Rounds, all: &[(Anchor, BucketList)]) -> Result<Vec<Anchor>, RoundFault> {
    let on_chain: Vec<Anchor> = all.iter().map(|(anchor, _)| *anchor).collect();
    while let Some(due) = rounds.due(7, &on_chain).first() {
        let list = all[due.first.0 as usize].1.clone();
        rounds.take(7, due, Some(list))?;
    }
    Ok(rounds.anchors(STREAM, &on_chain))
}

fn fresh() -> Rounds {
    Rounds::new(OWNER, [STREAM])
}

#[test]
fn runs_are_where_their_rounds_are() {
    let (mut rounds, all) = (fresh(), three());
    let anchors = read(&mut rounds, &all).unwrap();
    let places: Vec<_> = anchors
        .iter()
        .map(|at| (at.first.0, at.round, at.block))
        .collect();
    assert_eq!(places, [(0, Some(0), 100), (2, Some(2), 102)]);
    assert_eq!(rounds.follow(STREAM), Ok(()));
    assert!(rounds.has(STREAM));
    assert!(!rounds.has(neighbour()), "it is not wanted");
    assert_eq!(rounds.stream, rounds_stream(OWNER));
}

#[test]
fn lists_are_read_once_and_in_order() {
    let (mut rounds, all) = (fresh(), three());
    read(&mut rounds, &all).unwrap();
    let on_chain: Vec<Anchor> = all.iter().map(|(anchor, _)| *anchor).collect();
    assert_eq!(rounds.due(7, &on_chain), []);
    assert_eq!(rounds.due(8, &on_chain).len(), 3, "another bucket");

    let mut skipping = fresh();
    let fault = skipping.take(7, &all[1].0, Some(all[1].1.clone()));
    assert_eq!(fault, Err(RoundFault::Missing { due: 0 }));
}

#[test]
fn a_round_that_changed_on_the_chain_is_read_again() {
    let (mut rounds, mut all) = (fresh(), three());
    read(&mut rounds, &all).unwrap();
    all[1] = round(1, vec![run(STREAM, 9, B256::ZERO)]);
    all.truncate(2);
    let anchors = read(&mut rounds, &all).unwrap();
    let firsts: Vec<u64> = anchors.iter().map(|at| at.first.0).collect();
    assert_eq!(firsts, [0, 9], "round 2 is gone, and round 1 is another");
}

/// What is found when the edge gives another list for round 2 than the round has.
fn lie(change: fn(&mut BucketList)) -> RoundFault {
    let mut all = three();
    change(&mut all[2].1);
    read(&mut fresh(), &all).unwrap_err()
}

#[test]
fn a_list_that_is_not_the_rounds_is_found() {
    let changes: [fn(&mut BucketList); 5] = [
        |list| list.entries[0].count += 1,
        |list| list.entries.truncate(1),
        |list| list.entries.clear(),
        |list| list.proof[0].0[0] ^= 1,
        |list| list.proof.truncate(7),
    ];
    for change in changes {
        assert!(matches!(
            lie(change),
            RoundFault::Root {
                round: 2,
                bucket: 7,
                ..
            }
        ));
    }
}

#[test]
fn a_list_that_breaks_the_rules_is_found_in_any_round() {
    let two = vec![run(STREAM, 0, B256::ZERO), run(STREAM, 2, B256::ZERO)];
    let fault = read(&mut fresh(), &[round(0, two)]).unwrap_err();
    assert!(
        matches!(
            fault,
            RoundFault::List {
                reason: BadRuns::Order(1),
                ..
            }
        ),
        "{fault}"
    );

    let mut elsewhere = run(STREAM, 0, B256::ZERO);
    elsewhere.stream.0[0] = 8;
    let fault = read(&mut fresh(), &[round(0, vec![elsewhere])]).unwrap_err();
    assert!(matches!(fault, RoundFault::Bucket { .. }), "{fault}");
}

#[test]
fn a_list_that_is_not_there_is_withheld() {
    let all = three();
    let fault = fresh().take(7, &all[0].0, None).unwrap_err();
    assert_eq!(fault, RoundFault::Withheld { round: 0, bucket: 7 });
}

#[test]
fn a_run_that_names_another_past_is_found() {
    let first = run(STREAM, 0, B256::ZERO);
    for (previous, expected) in [(B256::ZERO, first.leaf()), (B256::repeat_byte(1), first.leaf())] {
        let all = [round(0, vec![first]), round(1, vec![run(STREAM, 2, previous)])];
        let mut rounds = fresh();
        read(&mut rounds, &all).unwrap();
        let fault = RoundFault::Previous {
            round: 1,
            first: Seq(2),
            given: previous,
            expected,
        };
        assert_eq!(rounds.follow(STREAM), Err(fault));
    }
}
