//! Messages and digests on their way into a transaction.
//!
//! What always holds: what is emitted for a segment gives the segment's root, so the events agree with the anchor that
//! they travel with; a transaction carries whole segments, the first of them however large it is.

use alloy_primitives::{B256, Bytes, keccak256};
use alloy_sol_types::SolCall;
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::proof::LeafFields;
use streamchain_protocol::proof::merkle::{self};
use streamchain_protocol::stream_settings::Mode;
use streamchain_protocol::wire;

use super::pending::{Obstacle, Plan, Ready};
use super::plan::Draft;
use super::round::Step;
use super::{Anchorer, Command};
use crate::abi::{Message, emitDigestsCall, emitMessagesCall};

/// Messages and digests in one transaction at most, in bytes of calldata: pools take no transaction above 128 KiB, and
/// runs of other streams travel with it.
pub const MAX_EMITTED_BYTES: usize = 100_000;
/// Segments read for one transaction at most: each is one query.
const MAX_SEGMENTS_READ: usize = 64;
/// The calldata of a message without its payload: offset, time, author, offset and length, 32 bytes each.
const MESSAGE_BYTES: usize = 160;
const WORD: usize = 32;

/// What is emitted for a run so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Emission {
    digests: Vec<B256>,
    messages: Vec<wire::Record>,
    /// How many of the run's segments are in.
    pub segments: usize,
}

impl Emission {
    /// The call, if there is anything to emit.
    pub(super) fn encode(self, stream: B256, first: u64) -> Option<Bytes> {
        if !self.messages.is_empty() {
            let call = emitMessagesCall {
                stream,
                firstSeq: first,
                messages: self.messages.into_iter().map(message_of).collect(),
            };
            return Some(call.abi_encode().into());
        }
        let call = emitDigestsCall {
            stream,
            firstSeq: first,
            digests: self.digests,
        };
        (!call.digests.is_empty()).then(|| call.abi_encode().into())
    }

    fn bytes(&self) -> usize {
        let messages = self.messages.iter();
        let messages = messages.map(|it| MESSAGE_BYTES + it.payload.len().next_multiple_of(WORD));
        self.digests.len() * WORD + messages.sum::<usize>()
    }

    fn append(&mut self, other: Self) {
        self.digests.extend(other.digests);
        self.messages.extend(other.messages);
        self.segments += 1;
    }

    /// What is emitted for one segment; `None` when the records are not those of the root.
    fn of(mode: Mode, stream: B256, first: u64, root: B256, records: &[u8]) -> Option<Self> {
        let records = wire::decode_records(records).ok()?;
        let leaf = |(seq, record): (u64, &wire::Record)| LeafFields {
            stream: StreamId(stream.0),
            seq: Seq(seq),
            time: record.time,
            author: record.author,
            payload_hash: keccak256(&record.payload),
        };
        let digests: Vec<B256> = (first..).zip(&records).map(|it| leaf(it).leaf()).collect();
        if merkle::root(&digests) != Some(root) {
            return None;
        }
        Some(match mode {
            Mode::Payload => Self {
                messages: records,
                ..Self::default()
            },
            _ => Self {
                digests,
                ..Self::default()
            },
        })
    }
}

impl Anchorer {
    /// The segment that has to be read next for the transaction being made, if any.
    pub(super) fn reading(&self) -> Option<Command> {
        let Step::ReadRecords(draft) = &self.step else {
            return None;
        };
        let (plan, emission) = draft.runs.iter().find(unread)?;
        let (first, count, _) = *plan.segments.get(emission.segments)?;
        let stream = plan.run.stream;
        Some(Command::Read { stream, first, count })
    }

    /// Takes in the outcome of the last [`Command::Read`]: the segment's records, or why they cannot be had.
    pub fn handle_records(&mut self, outcome: Result<Vec<u8>, String>, now_ms: u64) {
        if !self.asked {
            return; // an answer to a question that was given up
        }
        self.asked = false;
        let Step::ReadRecords(mut draft) = std::mem::replace(&mut self.step, Step::Idle) else {
            return;
        };
        let records = match outcome {
            Ok(records) => records,
            Err(reason) => {
                return self.fail(format!("the messages to emit cannot be read: {reason}"), now_ms);
            }
        };
        let Some(index) = draft.runs.iter().position(|run| unread(&run)) else {
            return;
        };
        let (used, read) = draft
            .runs
            .iter()
            .fold((0, 0), |(bytes, segments), (_, emission)| {
                (bytes + emission.bytes(), segments + emission.segments)
            });
        let (plan, emission) = &mut draft.runs[index];
        let Some(&(first, _, root)) = plan.segments.get(emission.segments) else {
            return;
        };
        let stream = plan.run.stream;
        let Some(more) = Emission::of(plan.mode, stream, first, root, &records) else {
            self.pending.block(stream, Obstacle::Damaged(first), now_ms);
            return self.rest(now_ms);
        };
        let fits = used + more.bytes() <= self.emission_limit && read < MAX_SEGMENTS_READ;
        if fits || read == 0 {
            emission.append(more);
            self.turn = Some(stream);
        }
        match fits {
            true => self.go_on(draft, now_ms),
            false => self.cut(draft, now_ms),
        }
    }

    /// The transaction is full: what was not read waits for the next one.
    fn cut(&mut self, mut draft: Draft, now_ms: u64) {
        draft.runs.retain_mut(|(plan, emission)| {
            if plan.mode == Mode::Root || emission.segments == plan.segments.len() {
                return true;
            }
            let shorter = self.pending.get(&plan.run.stream).map(|entry| {
                let most = emission.segments;
                entry.run_from(plan.run.stream, plan.run.first, most)
            });
            match shorter {
                Some(Ready::Run(shorter)) if shorter.segments.len() == emission.segments => {
                    *plan = shorter;
                    true
                }
                _ => false,
            }
        });
        draft
            .opens
            .retain(|(stream, _)| draft.runs.iter().any(|(plan, _)| plan.run.stream == *stream));
        self.go_on(draft, now_ms);
    }
}

fn message_of(record: wire::Record) -> Message {
    Message {
        time: record.time,
        author: record.author,
        payload: record.payload,
    }
}

fn unread((plan, emission): &&(Plan, Emission)) -> bool {
    plan.mode != Mode::Root && emission.segments < plan.segments.len()
}
