//! Requests that the Worker itself sends, and JSON-RPC over them.

pub mod fetch;
pub mod json_rpc;
