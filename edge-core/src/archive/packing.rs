//! Building a pack, out of segments or out of another pack.

use serde::{Deserialize, Serialize};
use streamchain_protocol::B256;
use streamchain_protocol::archive::{BadPack, PackBuilder, PackError, PackIndex, PackedRun, SegmentToPack};
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::cbor::CborError;
use streamchain_protocol::wire::{StoredPayload, StoredRecord, decode_stored_records, erase_payloads};

/// What the database knows of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackRow {
    /// The stream.
    pub stream: StreamId,
    /// The first message's seq.
    pub first: Seq,
    /// The seq behind the last message.
    pub end: Seq,
    /// How often the pack was rewritten.
    pub generation: u64,
    /// Length of the whole pack.
    pub bytes: u64,
    /// Length of its index and trailer.
    pub tail: u64,
    /// Its digest.
    pub digest: B256,
    /// The time of the oldest message whose payload is there; `None` when all payloads are erased.
    pub oldest: Option<UnixMs>,
    /// The time of the newest message.
    pub newest: UnixMs,
}

impl PackRow {
    /// Returns the name of the pack's object. A pack that is written anew gets another name, so that an object never
    /// changes.
    pub fn key(&self) -> String {
        key(self.stream, self.first, self.end, self.generation)
    }
}

/// Returns the name of a pack's object.
pub(super) fn key(stream: StreamId, first: Seq, end: Seq, generation: u64) -> String {
    match generation {
        0 => format!("streams/{stream}/{first}-{end}.pack"),
        _ => format!("streams/{stream}/{first}-{end}.{generation}.pack"),
    }
}

/// Why a pack can't be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackingError {
    /// The segments do not fill the pack's range.
    #[error("the segments end at {end}: expected {expected}")]
    Range {
        /// Where they end.
        end: Seq,
        /// Where the pack is to end.
        expected: Seq,
    },
    /// A segment does not fit.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The pack that is rewritten is damaged.
    #[error(transparent)]
    Source(#[from] BadPack),
    /// A segment's bytes are not records.
    #[error(transparent)]
    Records(#[from] CborError),
    /// A segment has another number of messages than its row says.
    #[error("the segment at {0} has another number of messages than its row says")]
    Count(Seq),
}

/// A pack that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its row.
    pub row: PackRow,
}

/// A pack that is being built, segment by segment.
#[derive(Debug)]
pub struct Packer {
    stream: StreamId,
    first: Seq,
    end: Seq,
    pack: PackBuilder,
    oldest: Option<UnixMs>,
    newest: UnixMs,
}

impl Packer {
    /// Makes an empty pack from `first` on.
    pub fn new(stream: StreamId, first: Seq) -> Self {
        Self {
            stream,
            first,
            end: first,
            pack: PackBuilder::new(stream, first),
            oldest: None,
            newest: UnixMs(0),
        }
    }

    /// Returns the seq behind the last message that was added.
    pub fn end(&self) -> Seq {
        self.end
    }

    /// Adds the segment that follows.
    pub fn push(&mut self, segment: &SegmentToPack<'_>) -> Result<(), PackingError> {
        let first = segment.first;
        let messages = decode_stored_records(segment.records)?;
        if messages.len() as u64 != u64::from(segment.count) {
            return Err(PackingError::Count(first));
        }
        self.pack.push(segment)?;
        for message in &messages {
            self.newest = self.newest.max(message.time);
            if let StoredPayload::Kept(_) = message.payload {
                self.oldest = Some(
                    self.oldest
                        .map_or(message.time, |oldest| oldest.min(message.time)),
                );
            }
        }
        self.end = Seq(first.0.saturating_add(segment.count.into()));
        Ok(())
    }

    /// Lists the runs of rounds over the pack's messages, in order.
    pub fn push_runs(&mut self, runs: impl IntoIterator<Item = PackedRun>) -> Result<(), PackingError> {
        runs.into_iter()
            .try_for_each(|run| self.pack.push_run(run))
            .map_err(Into::into)
    }

    /// Returns the pack, which must reach to `end`.
    pub fn finish(self, end: Seq, generation: u64) -> Result<Built, PackingError> {
        if self.end != end {
            return Err(PackingError::Range {
                end: self.end,
                expected: end,
            });
        }
        let (bytes, _, tail, digest) = self.pack.finish()?;
        let row = PackRow {
            stream: self.stream,
            first: self.first,
            end,
            generation,
            bytes: bytes.len() as u64,
            tail,
            digest,
            oldest: self.oldest,
            newest: self.newest,
        };
        Ok(Built { bytes, row })
    }
}

/// Returns the next generation of a pack, without the payloads of the messages for which `goes` says so.
pub fn rewrite(
    row: &PackRow,
    pack: &[u8],
    goes: impl Fn(Seq, &StoredRecord) -> bool,
) -> Result<Built, PackingError> {
    let index = PackIndex::of_pack(row.stream, pack)?;
    let mut packer = Packer::new(row.stream, index.first);
    for segment in &index.segments {
        let records = segment.records(0, pack)?;
        let (records, _) = erase_payloads(segment.first, records, &goes)?;
        packer.push(&SegmentToPack {
            first: segment.first,
            count: segment.count,
            root: segment.root,
            mode: segment.mode,
            prove: segment.prove,
            anchor: segment.anchor,
            records: &records,
        })?;
    }
    packer.push_runs(index.runs)?;
    packer.finish(row.end, row.generation + 1)
}
