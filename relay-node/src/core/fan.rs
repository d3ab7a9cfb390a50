//! What a stream's peers are sent of it: the recent messages, and those of this turn joined to chunks.
//!
//! What always holds: `fanned <= replay.end()`: what is below was offered to every subscriber.

use crate::core::replay_buffer::{Chunk, ReplayBuffer};
use crate::core::send_queue::View;
use streamchain_protocol::ids::{Epoch, Seq};
use streamchain_protocol::limits::MAX_COALESCE_BYTES;
use streamchain_protocol::stream_settings::Signed;

/// How a stream stands: what *welcome* says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub epoch: Epoch,
    /// Whether messages must be signed; `None` where the edge stores no groups.
    pub signed: Option<Signed>,
    /// The next seq to be given, as far as the shard knows.
    pub head: Seq,
    /// Every seq below it is committed.
    pub committed: Seq,
}

/// The messages of a stream for its peers, whether the shard leads or follows.
#[derive(Debug)]
pub(crate) struct Fan {
    pub replay: ReplayBuffer,
    fanned: Seq,
    fresh: Vec<Chunk>,
    fresh_signed: Vec<Chunk>,
    /// Whether a subscriber ever asked for signatures.
    pub has_verifiers: bool,
}

impl Fan {
    /// No messages yet; the first one will be `start`, and at most `max_bytes` of encoded messages are kept.
    pub(crate) fn new(start: Seq, max_bytes: usize) -> Self {
        Self {
            replay: ReplayBuffer::new(start, max_bytes),
            fanned: start,
            fresh: Vec::new(),
            fresh_signed: Vec::new(),
            has_verifiers: false,
        }
    }

    /// The messages below `end`, as a leader of another epoch sends them; `None` where they do not reach as far.
    pub(crate) fn under(&self, epoch: Epoch, end: Seq) -> Option<Self> {
        let replay = self.replay.under(epoch, end)?;
        Some(Self {
            replay,
            fanned: end,
            fresh: Vec::new(),
            fresh_signed: Vec::new(),
            has_verifiers: self.has_verifiers,
        })
    }

    /// Joins the messages of this turn to chunks, once for all who are caught up; with signatures only where somebody asked for
    /// them and there are some.
    pub(crate) fn freshen(&mut self) {
        let from = self.fanned.max(self.replay.start());
        let signed = self.has_verifiers && self.replay.has_signatures(from);
        self.fresh = chunks(&self.replay, from, false);
        self.fresh_signed = match signed {
            true => chunks(&self.replay, from, true),
            false => Vec::new(),
        };
        self.fanned = self.replay.end();
    }

    /// What peers are sent of a stream that is committed below `committed`.
    pub(crate) fn view(&self, committed: Seq) -> View<'_> {
        View {
            replay: &self.replay,
            fresh: &self.fresh,
            fresh_signed: &self.fresh_signed,
            committed,
        }
    }
}

/// All messages from `from` on, joined.
fn chunks(replay: &ReplayBuffer, mut from: Seq, signatures: bool) -> Vec<Chunk> {
    let mut all = Vec::new();
    while let Some(chunk) = replay.chunk(from, MAX_COALESCE_BYTES, signatures) {
        from = chunk.end;
        all.push(chunk);
    }
    all
}
