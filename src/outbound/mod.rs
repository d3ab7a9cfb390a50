//! Requests that the Worker itself sends: JSON-RPC, deliveries of webhooks.

pub(crate) mod fetch;
pub(crate) mod json_rpc;
pub(crate) mod webhook;
