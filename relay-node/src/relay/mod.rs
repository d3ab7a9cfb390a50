//! The relay process: a thread for each shard, the edge client, and the supervisor that starts and ends them.

pub(crate) mod addresses;
mod bundles;
pub(crate) mod certificate;
pub(crate) mod clock;
pub(crate) mod edge_client;
pub(crate) mod edge_status;
mod feature_support;
mod ice_tcp_listeners;
mod links;
pub(crate) mod metrics;
pub(crate) mod options;
pub(crate) mod shard_links;
pub(crate) mod shard_thread;
pub(crate) mod supervisor;
