//! Mutations of corpus inputs, determined by a seed alone.

use streamchain_protocol::util::SplitMix64;

/// Numbers on which length fields and counters break most often.
const EDGES: [u64; 12] = [
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFF_FFFF,
    0xFFFF_FFFF,
    (1 << 53) - 1,
    i64::MAX as u64,
    u64::MAX,
];

/// Most mutations that are applied to one input: enough to break one field and still reach what is behind it.
const MAX_STEPS: u64 = 6;

/// Longest input, bytes: above the largest frame, so that bounds are reached as well.
const MAX_INPUT_BYTES: usize = 70_000;

/// A source of mutations: the same seed gives the same inputs.
#[derive(Debug, Clone)]
pub struct Mutator(SplitMix64);

impl Mutator {
    /// From any seed.
    pub fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    fn next(&mut self) -> u64 {
        self.0.next_bits()
    }

    fn edge(&mut self) -> u64 {
        let index = self.below(EDGES.len());
        EDGES.get(index).copied().unwrap_or_default()
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or(0)
    }

    /// A changed copy of one of `corpus`, which may be joined with a part of another.
    pub fn input(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let (first, second) = (self.below(corpus.len()), self.below(corpus.len()));
        let mut bytes = corpus.get(first).cloned().unwrap_or_default();
        let other = corpus.get(second).cloned().unwrap_or_default();
        for _ in 0..=self.next() % MAX_STEPS {
            self.step(&mut bytes, &other);
        }
        bytes.truncate(MAX_INPUT_BYTES);
        bytes
    }

    fn step(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(bytes.len() + 1);
        match self.next() % 9 {
            0 => bytes.truncate(at),
            1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << (self.next() % 8);
                }
            }
            2 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = self.next().to_le_bytes()[0];
                }
            }
            3 => bytes.insert(at, self.next().to_le_bytes()[0]),
            4 => {
                let end = (at + self.below(16)).min(bytes.len());
                bytes.drain(at..end);
            }
            5 => {
                let end = (at + self.below(64)).min(bytes.len());
                let part: Vec<u8> = bytes.drain(at..end).collect();
                bytes.splice(at..at, [part.clone(), part].concat());
            }
            6 => {
                let from = self.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend(other.iter().skip(from));
            }
            7 => {
                let number = self.edge().to_be_bytes();
                let width = 1 << self.below(4);
                for (byte, value) in bytes.iter_mut().skip(at).zip(number.iter().skip(8 - width)) {
                    *byte = *value;
                }
            }
            _ => {
                let text = self.edge().to_string();
                bytes.splice(at..at, text.into_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_the_same_inputs_and_another_does_not() {
        let corpus = [b"a first input".to_vec(), b"another".to_vec()];
        let run = |seed| {
            let mut mutator = Mutator::new(seed);
            (0..100).map(|_| mutator.input(&corpus)).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    #[test]
    fn inputs_differ_from_the_corpus_and_have_a_bound() {
        let corpus = [vec![0; MAX_INPUT_BYTES]];
        let mut mutator = Mutator::new(1);
        let inputs: Vec<_> = (0..50).map(|_| mutator.input(&corpus)).collect();
        assert!(inputs.iter().all(|input| input.len() <= MAX_INPUT_BYTES));
        assert!(inputs.iter().filter(|input| **input != corpus[0]).count() > 40);
    }
}
