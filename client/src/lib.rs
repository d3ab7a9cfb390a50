//! A client of StreamChain: publishes to a stream and reads it, over a WebRTC data channel to a relay, and by HTTP
//! while no relay can be reached.
//!
//! What always holds: a message that was published is stored exactly once, in the order of publishing, however many
//! sessions it takes; a reader gets each message once, in the order of seq, without a hole.
//!
//! The modules, each of which imports only those above it:
//! - [`mod@core`]: the client without sockets, clock or HTTP.
//! - [`signing`]: keys that sign, and their files.
//! - [`peer`]: one data channel to a relay, and the sockets under it.
//! - [`http`]: requests to the edge.
//! - [`connection`]: the client on a network.
//!
//! ```no_run
//! # async fn example() -> Result<(), streamchain_client::core::Fatal> {
//! use streamchain_client::connection::{Connection, ConnectionOptions};
//! use streamchain_client::core::{Event, Reading};
//! use streamchain_client::http::EdgeClient;
//!
//! let edge = EdgeClient::new("https://streamchain.example", None)?;
//! let options = ConnectionOptions { read: Some(Reading::stored_from(0)), ..ConnectionOptions::new("demo") };
//! let mut connection = Connection::open(edge, options)?;
//! loop {
//!     if let Event::Message(message) = connection.next_event().await? {
//!         println!("{} {:?}", message.seq, message.payload);
//!     }
//! }
//! # }
//! ```

#![warn(unreachable_pub)]

pub mod connection;
pub mod core;
pub mod http;
pub mod peer;
pub mod signing;
