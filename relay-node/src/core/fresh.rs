//! The chunks of a turn's new messages, made once for all peers that are caught up.

use crate::core::replay_buffer::{Chunk, GroupForm, ReplayBuffer};
use streamchain_protocol::ids::Seq;
use streamchain_protocol::limits::MAX_COALESCE_BYTES;

/// In which forms with signatures subscribers ever asked for groups.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked {
    in_parts: bool,
    whole: bool,
}

impl Asked {
    /// A subscriber asks for groups in this form.
    pub(crate) fn add(&mut self, form: GroupForm) {
        self.in_parts |= form == GroupForm::InParts;
        self.whole |= form == GroupForm::Whole;
    }
}

/// The new messages in each form that somebody asked for.
#[derive(Debug)]
pub(crate) struct Fresh {
    /// Whether a group begins in them; where none does, all forms are the same.
    has_groups: bool,
    unsigned: Vec<Chunk>,
    in_parts: Vec<Chunk>,
    whole: Vec<Chunk>,
}

impl Fresh {
    /// No messages.
    pub(crate) const fn new() -> Self {
        Self {
            has_groups: false,
            unsigned: Vec::new(),
            in_parts: Vec::new(),
            whole: Vec::new(),
        }
    }

    /// Joins the messages from `from` on; with signatures only where somebody asked for them and there are some. Whether there are some
    /// does not depend on who asked: the first who asks comes after this, and is not to be taken for one whose groups have no signatures.
    /// To look costs no more than a part of joining them, which walks the same messages and copies them.
    pub(crate) fn of(replay: &ReplayBuffer, from: Seq, asked: Asked) -> Self {
        let has_groups = replay.has_signatures(from);
        let chunks = |form, is_asked| match is_asked {
            true => joined(replay, from, form),
            false => Vec::new(),
        };
        Self {
            has_groups,
            unsigned: chunks(GroupForm::Unsigned, true),
            in_parts: chunks(GroupForm::InParts, has_groups && asked.in_parts),
            whole: chunks(GroupForm::Whole, has_groups && asked.whole),
        }
    }

    /// The chunks in this form; none where nobody had asked for it.
    pub(crate) fn chunks(&self, form: GroupForm) -> &[Chunk] {
        match form {
            GroupForm::InParts if self.has_groups => &self.in_parts,
            GroupForm::Whole if self.has_groups => &self.whole,
            _ => &self.unsigned,
        }
    }
}

/// All messages from `from` on, joined.
fn joined(replay: &ReplayBuffer, mut from: Seq, form: GroupForm) -> Vec<Chunk> {
    let mut all = Vec::new();
    while let Some(chunk) = replay.chunk(from, MAX_COALESCE_BYTES, form) {
        from = chunk.end;
        all.push(chunk);
    }
    all
}
