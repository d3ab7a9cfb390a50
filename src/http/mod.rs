//! The resources of the HTTP API, one file each: read the request, ask an object or the database, answer.

pub(crate) mod anchors;
pub(crate) mod assets;
pub(crate) mod audit;
pub(crate) mod chain;
pub(crate) mod config;
pub(crate) mod costs;
pub(crate) mod erasure;
pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod ice_servers;
pub(crate) mod keys;
mod marks;
pub(crate) mod members;
pub(crate) mod messages;
pub(crate) mod publish;
pub(crate) mod receipts;
pub(crate) mod relays;
mod round_status;
pub(crate) mod rounds;
pub(crate) mod runs;
pub(crate) mod segments;
pub(crate) mod sessions;
pub(crate) mod signals;
pub(crate) mod status;
mod stream_rows;
pub(crate) mod streams;
pub(crate) mod tokens;
