//! What the parts of a subscription to a pattern have in common.

use super::args::{Place, SubArgs};
use crate::authors::{Authors, Believed};
use crate::edge::ReachArgs;
use crate::exit::Exit;
use crate::recent::Recent;
use crate::roster::{MAX_FOLLOWED, Start};
use crate::signed::Signed;
use std::cell::RefCell;
use streamchain_client::core::{Guarantee, Message};
use streamchain_client::http::{EdgeClient, ListedStream};
use streamchain_protocol::Address;
use streamchain_protocol::ids::{Seq, StreamId, StreamName, StreamRef};

/// What the tasks of the command have for its output.
pub(super) enum Line {
    /// The edge lists these; whether they came since the command began.
    Listed(Vec<ListedStream>, bool),
    /// The stream is reached.
    Opened(StreamId),
    Message(StreamName, Box<Message>, Option<Signed>),
    /// The messages of a stream from `from` on are taken back, of which `written` had been written.
    Retracted {
        stream: StreamName,
        from: Seq,
        written: u64,
    },
    Note(String),
    /// The connection to a stream ended, and would go on at `start`.
    Ended {
        stream: StreamId,
        start: Start,
        note: String,
    },
    /// The command can't go on.
    Failed(Exit),
}

/// What is the same for all streams.
pub(super) struct How {
    pub(super) edge: EdgeClient,
    pub(super) reach: ReachArgs,
    pub(super) from: Place,
    pub(super) guarantee: Guarantee,
    /// Whom the caller believes, if authors are checked.
    pub(super) believed: Option<Believed>,
    /// What is known of the authors of streams that ended, which may come again: of as many as are followed at a time.
    pub(super) ended: RefCell<Recent<StreamId, Authors>>,
    /// Whose streams they are; the operator's without one.
    pub(super) owner: Option<Address>,
}

impl How {
    pub(super) fn new(args: &SubArgs) -> Result<Self, Exit> {
        Ok(Self {
            edge: args.edge.client()?,
            reach: args.reach.clone(),
            from: args.from,
            guarantee: args.guarantee(),
            believed: args.believed(),
            ended: RefCell::new(Recent::new(MAX_FOLLOWED)),
            owner: args.owner,
        })
    }

    /// What checks the authors of a stream, which goes on where it ended if it comes again; none where authors are not checked.
    pub(super) fn authors(&self, stream: StreamId, reference: &StreamRef, start: Start) -> Option<Authors> {
        let believed = self.believed.clone()?;
        if let Some(mut authors) = self.ended.borrow_mut().remove(&stream) {
            authors.go_on();
            return Some(authors);
        }
        let edge = (self.edge.clone(), self.reach.clone());
        let (stream, behind) = (reference.clone(), behind(start, self.from));
        Some(Authors::new(edge, stream, believed, MAX_FOLLOWED, behind))
    }

    /// The name that a stream is asked for by: only the operator's streams have their names for it.
    pub(super) fn reference(&self, stream: &ListedStream) -> StreamRef {
        match self.owner {
            Some(_) => StreamRef::Id(stream.id),
            None => StreamRef::Name(stream.name.clone()),
        }
    }
}

/// Behind which message a stream goes on; none where it begins as the caller said, which may be inside a group.
fn behind(start: Start, asked: Place) -> Option<Seq> {
    match (start, asked) {
        (Start::Asked, _) => None,
        (Start::Seq(seq), Place::Seq(from)) if seq == from => None,
        (Start::Seq(seq), _) => Some(seq),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_comes_again_does_not_begin_in_a_group() {
        let asked = Place::Seq(Seq(5));
        assert_eq!(behind(Start::Asked, asked), None);
        assert_eq!(behind(Start::Seq(Seq(5)), asked), None, "it had no message yet");
        assert_eq!(behind(Start::Seq(Seq(7)), asked), Some(Seq(7)));
        assert_eq!(behind(Start::Seq(Seq(7)), Place::Head), Some(Seq(7)));
        assert_eq!(behind(Start::Asked, Place::Head), None);
    }
}
