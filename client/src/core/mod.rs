//! The client without sockets, clock or HTTP: what was published and is not stored yet (`outbox`), what was received
//! and is not read yet (`feed`), and the machine of sessions around both (`stream_client`).
//!
//! Times are milliseconds of any clock that does not go back. Random bits are arguments.

mod event_stream;
mod failure;
mod feed;
mod frames;
mod groups;
mod limits;
mod message;
mod outbox;
mod pacer;
mod stream_client;
mod turns;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use event_stream::EventStreamParser;
pub use event_stream::ServerEvent;
pub use failure::{Failure, Fatal};
pub use feed::{Guarantee, Reading};
pub use groups::{KeptChain, SealedGroup, SignGroups, Signing};
pub use message::{Message, MessageSignature};
pub(crate) use outbox::PostAnswer;
pub use outbox::{PublishError, Stored};
pub(crate) use stream_client::{ClientOptions, Command, Input, StreamClient};
pub use stream_client::{Event, Route};
