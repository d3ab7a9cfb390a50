//! Requests to the edge.
//!
//! What always holds: an answer is read up to a bound; an error carries the edge's problem (RFC 9457) if it answered one;
//! the access token is sent to the edge alone, and shown nowhere.

mod edge_client;
mod events;
mod history;
mod matches;
mod publish;
mod signing;
mod token;

pub use edge_client::{EdgeClient, Method, SessionAnswer};
pub use events::Events;
pub(crate) use events::{message, signature};
pub use history::Page;
pub use matches::{ListedStream, MatchPage};
pub(crate) use publish::Posted;
pub use signing::{AuthorKey, NoSigning};
