//! What a stream's peers are sent of it: the recent messages, and those of this turn joined to chunks.
//!
//! What always holds: `fanned <= replay.end()`: what is below was offered to every subscriber.

use crate::core::fresh::{Asked, Fresh};
use crate::core::replay_buffer::ReplayBuffer;
use crate::core::send_queue::View;
use streamchain_protocol::ids::{Epoch, Seq};
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
    fresh: Fresh,
    /// In which forms subscribers want groups.
    pub asked: Asked,
}

impl Fan {
    /// No messages yet; the first one will be `start`, and at most `max_bytes` of encoded messages are kept.
    pub(crate) fn new(start: Seq, max_bytes: usize) -> Self {
        Self {
            replay: ReplayBuffer::new(start, max_bytes),
            fanned: start,
            fresh: Fresh::new(),
            asked: Asked::default(),
        }
    }

    /// The messages below `end`, as a leader of another epoch sends them; `None` where they do not reach as far.
    pub(crate) fn under(&self, epoch: Epoch, end: Seq) -> Option<Self> {
        let replay = self.replay.under(epoch, end)?;
        Some(Self {
            replay,
            fanned: end,
            fresh: Fresh::new(),
            asked: self.asked,
        })
    }

    /// Joins the messages of this turn to chunks, once for all who are caught up.
    pub(crate) fn freshen(&mut self) {
        let from = self.fanned.max(self.replay.start());
        self.fresh = Fresh::of(&self.replay, from, self.asked);
        self.fanned = self.replay.end();
    }

    /// What peers are sent of a stream that is committed below `committed`.
    pub(crate) fn view(&self, committed: Seq) -> View<'_> {
        View {
            replay: &self.replay,
            fresh: &self.fresh,
            committed,
        }
    }
}
