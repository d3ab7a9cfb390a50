//! The machines that only the edge runs: pure, so that native tests drive them on a virtual clock.
//!
//! No clock, no randomness, no I/O and no `worker` in here: time comes in as `now`, random bytes as
//! arrays, rows through a storage trait.

pub mod account;
pub mod archive;
pub mod attempt;
pub mod audit_log;
pub mod certificates;
pub mod chain_notices;
pub mod directory;
pub mod event_query;
pub mod key_proof;
pub mod matching;
pub mod metrics;
pub mod publication;
pub mod rate_policy;
pub mod receipt_building;
pub mod request_id;
pub mod signalling;
pub mod slots;
pub mod stream_log;
pub mod token_renewal;
pub mod turn_service;
pub mod webhooks;
