//! The messages and digests that a transaction carries.
//!
//! What always holds: what is emitted for a segment gives the segment's root, so the events agree with the anchor in
//! the same transaction.

use alloy_primitives::{B256, Bytes};
use alloy_sol_types::SolCall;
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::limits::EMITTED_OVERHEAD;
use streamchain_protocol::proof::{leaves, merkle};
use streamchain_protocol::stream_settings::Mode;
use streamchain_protocol::wire::{Record, decode_records};

use super::stream::SegmentRow;
use crate::abi::{Message, emitDigestsCall, emitMessagesCall};

/// What a digest takes as calldata.
const DIGEST_BYTES: usize = 32;

/// What is emitted for a run so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Emission {
    digests: Vec<B256>,
    messages: Vec<Record>,
    /// How many of the run's segments are in.
    pub(super) segments: usize,
}

impl Emission {
    /// The call that emits it; `None` when there is nothing to emit.
    pub(super) fn encode(self, stream: StreamId, first: Seq) -> Option<Bytes> {
        let (stream, first) = (stream.word(), first.0);
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

    /// The most bytes of calldata that it takes.
    pub(super) fn max_bytes(&self) -> usize {
        let messages = self.messages.iter();
        let messages = messages.map(|record| record.payload.len() + EMITTED_OVERHEAD);
        self.digests.len() * DIGEST_BYTES + messages.sum::<usize>()
    }

    /// How many events it takes.
    pub(super) fn events(&self) -> usize {
        self.digests.len() + self.messages.len()
    }

    /// Adds what is emitted for the run's next segment.
    pub(super) fn append(&mut self, next: Self) {
        self.digests.extend(next.digests);
        self.messages.extend(next.messages);
        self.segments += next.segments;
    }

    /// What is emitted for one segment; `None` when the records do not give the segment's root.
    pub(super) fn of(stream: StreamId, first: Seq, segment: &SegmentRow, records: &[u8]) -> Option<Self> {
        let digests = leaves(stream, first, records)?;
        if merkle::root(&digests) != Some(segment.root) {
            return None;
        }
        let (digests, messages) = match segment.mode {
            Mode::Payload => (Vec::new(), decode_records(records).ok()?),
            _ => (digests, Vec::new()),
        };
        Some(Self {
            digests,
            messages,
            segments: 1,
        })
    }
}

fn message_of(record: Record) -> Message {
    Message {
        time: record.time.0,
        author: record.author,
        payload: record.payload,
    }
}
