//! Requests that the Worker itself sends, and JSON-RPC over them.

pub(crate) mod fetch;
pub(crate) mod json_rpc;
