//! Each target on its corpus and on a fixed number of mutations of it. A failure prints the input: put it into the
//! corpus, so that it is tried for ever.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

use std::panic::catch_unwind;
use streamchain_fuzz::{Mutator, TARGETS, Target, corpus_folder};

/// Mutations of each corpus: in a debug build of all targets some ten seconds.
const MUTATIONS: usize = 4_000;

fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let folder = corpus_folder(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn run(target: &Target, input: &[u8]) {
    let outcome = catch_unwind(|| (target.run)(input));
    assert!(
        outcome.is_ok(),
        "{} broke a promise on {} bytes: {:?}",
        target.name,
        input.len(),
        String::from_utf8_lossy(input)
    );
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let mut folders: Vec<String> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    folders.sort();
    names.sort_unstable();
    assert_eq!(folders, names);
    for target in TARGETS {
        assert!(corpus(target).len() >= 2, "{}: at least two inputs", target.name);
    }
}

#[test]
fn targets_keep_their_promises_on_their_corpora() {
    for target in TARGETS {
        for input in corpus(target) {
            run(target, &input);
        }
    }
}

#[test]
fn targets_keep_their_promises_on_mutations() {
    for (index, target) in TARGETS.iter().enumerate() {
        let corpus = corpus(target);
        let mut mutator = Mutator::new(index as u64);
        for _ in 0..MUTATIONS {
            run(target, &mutator.input(&corpus));
        }
    }
}

#[test]
fn a_broken_promise_is_found() {
    let broken = Target {
        name: "broken",
        about: "breaks on the byte 0xFF",
        run: |bytes| assert!(!bytes.contains(&0xFF)),
    };
    let mut mutator = Mutator::new(0);
    let corpus = [b"harmless".to_vec()];
    let found = (0..MUTATIONS).any(|_| {
        let input = mutator.input(&corpus);
        catch_unwind(|| (broken.run)(&input)).is_err()
    });
    assert!(found);
}
