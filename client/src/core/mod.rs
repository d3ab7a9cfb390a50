//! The client without sockets, clock or HTTP: what was published and is not stored yet ([`Outbox`]), what was received
//! and is not read yet ([`Feed`]), and the machine of sessions around both ([`StreamClient`]).
//!
//! Times are milliseconds of any clock that does not go back. Random bits are arguments.

mod event_stream;
mod failure;
mod feed;
mod frames;
pub mod limits;
mod message;
mod outbox;
mod pacer;
mod stream_client;

#[cfg(test)]
mod tests;

pub use event_stream::{EventStreamParser, LineTooLong, ServerEvent};
pub use failure::{Failure, Fatal};
pub use feed::{Feed, FeedEvent, Guarantee, Reading};
pub use message::Message;
pub use outbox::{Outbox, Post, PostAnswer, PublishError, Stored};
pub use pacer::Pacer;
pub use stream_client::{ClientOptions, Command, Event, Input, Route, StreamClient};
