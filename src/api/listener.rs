//! What the Listener object is asked. The object is named by the contract's address.

use crate::api::call::{Encoded, Handle, requests, wire_by_field};
use crate::config::Config;
use alloy_primitives::{B256, hex};
use streamchain_chain::listener::Status;
use streamchain_edge_core::request_id::RequestId;
use worker::Env;

requests! {
    /// What the Listener object is asked.
    ListenerRequest {
        /// Arms the alarm, if it is not.
        EnsureListener -> (),
        /// A transaction of ours is in a block.
        NoteMined -> (),
        /// How far it is.
        ListenerStatus -> Encoded<Status>,
        /// Reads the chain anew from the contract's first block.
        Replay -> Encoded<Status>,
    }
}

wire_by_field! {
    EnsureListener {}
    NoteMined { block, block_hash, tx }
    ListenerStatus {}
    Replay {}
}

/// The object of the contract; `None` before the contract is deployed.
pub(crate) fn listener_object(
    env: &Env,
    id: &RequestId,
    config: &Config,
) -> worker::Result<Option<Handle<ListenerRequest>>> {
    let Some(contract) = config.contract else {
        return Ok(None);
    };
    let stub = env
        .durable_object("LISTENER")?
        .get_by_name(&hex::encode_prefixed(contract))?;
    Ok(Some(Handle::new(stub, id)))
}

/// Arms the alarm.
#[derive(Debug)]
pub(crate) struct EnsureListener {}

/// A transaction of the signing account that has an event, as its receipt says.
#[derive(Debug)]
pub(crate) struct NoteMined {
    /// The height of its block.
    pub block: u64,
    /// The hash of its block.
    pub block_hash: B256,
    /// The transaction.
    pub tx: B256,
}

/// Asks for the status.
#[derive(Debug)]
pub(crate) struct ListenerStatus {}

/// Asks for a new reading of the chain.
#[derive(Debug)]
pub(crate) struct Replay {}
