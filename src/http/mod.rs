//! The resources of the HTTP API, one file each: read the request, ask an object or the database, answer.

pub mod anchors;
pub mod assets;
pub mod audit;
pub mod chain;
pub mod config;
pub mod costs;
pub mod events;
pub mod health;
pub mod ice_servers;
pub mod keys;
pub mod members;
pub mod messages;
pub mod publish;
pub mod receipts;
pub mod relays;
pub mod segments;
pub mod sessions;
pub mod signals;
pub mod status;
mod stream_rows;
pub mod streams;
pub mod tokens;
