//! The Durable Objects: thin shells over the machines of `streamchain-protocol` and `streamchain-chain`.
//!
//! What always holds: an object's truth is in its storage alone, and one step of a machine is one transaction
//! there; so a crash between two steps loses nothing, and the next request or alarm goes on.

pub mod account;
pub mod anchorer;
pub mod audit;
pub mod call;
pub mod limits;
mod listener;
pub mod relays;
pub mod stream;

use crate::config::Config;
use alloy_primitives::Address;
use call::{Method, call};
use serde::de::DeserializeOwned;
use std::time::Duration;
use streamchain_protocol::ids::ShortId;
use streamchain_protocol::util::json;
use worker::{Env, Error, Stub, console_error};

/// How long the watchdog waits for an object, milliseconds.
const ENSURE_TIMEOUT_MS: u64 = 5_000;

/// The object of one stream: named by the short id's digits.
pub fn stream_stub(env: &Env, stream: ShortId) -> worker::Result<Stub> {
    env.durable_object("STREAM")?.get_by_name(&stream.to_hex())
}

/// The object of one principal: named by its address.
pub fn account_stub(env: &Env, account: Address) -> worker::Result<Stub> {
    env.durable_object("ACCOUNT")?
        .get_by_name(&alloy_primitives::hex::encode_prefixed(account))
}

/// The one directory of relays.
pub fn relays_stub(env: &Env) -> worker::Result<Stub> {
    env.durable_object("RELAYS")?.get_by_name("relays")
}

/// Over how many objects clients are spread that are counted: each takes about a thousand requests in a second.
const LIMITS_OBJECTS: u32 = 16;

/// The object that counts what `key` asks for.
pub fn limits_stub(env: &Env, key: &str) -> worker::Result<Stub> {
    // FNV-1a: spreads short texts well, and needs no table.
    let hash = key.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    env.durable_object("LIMITS")?
        .get_by_name(&(hash % LIMITS_OBJECTS).to_string())
}

/// The way into the audit log: one for each operator, as its stream is.
pub fn audit_stub(env: &Env, config: &Config) -> worker::Result<Stub> {
    env.durable_object("AUDIT")?
        .get_by_name(&alloy_primitives::hex::encode_prefixed(config.operator))
}

/// The object of the signing account: named by its address.
pub fn anchorer_stub(env: &Env, config: &Config) -> worker::Result<Stub> {
    env.durable_object("ANCHORER")?
        .get_by_name(&alloy_primitives::hex::encode_prefixed(config.operator))
}

/// The object of the contract: named by its address; `None` before the contract is deployed.
pub fn listener_stub(env: &Env, config: &Config) -> worker::Result<Option<Stub>> {
    let Some(contract) = config.contract else {
        return Ok(None);
    };
    env.durable_object("LISTENER")?
        .get_by_name(&alloy_primitives::hex::encode_prefixed(contract))
        .map(Some)
}

/// Arms the alarms of the Anchorer and the Listener, where they are not. What fails is logged: it is tried again.
pub async fn ensure_chain_objects(env: &Env) {
    let config = match Config::of(env) {
        Ok(config) => config,
        Err(error) => return console_error!("{error}"),
    };
    let stubs = [
        ("anchorer", anchorer_stub(env, &config).map(Some)),
        ("listener", listener_stub(env, &config)),
    ];
    for (name, stub) in stubs {
        let armed = async {
            let Some(stub) = stub? else {
                return Ok(());
            };
            let ensure = call(&stub, Method::Post, "/ensure", None);
            call::within(Duration::from_millis(ENSURE_TIMEOUT_MS), ensure)
                .await?
                .text()
                .await
                .map(drop)
        };
        if let Err(error) = armed.await {
            console_error!("{name} /ensure: {error}");
        }
    }
}

/// Reads JSON that another part of this Worker wrote.
fn own_json<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    json::from_text(text).map_err(to_error)
}

/// An error of a machine or of the configuration, as the runtime takes errors.
fn to_error(error: impl std::fmt::Display) -> Error {
    Error::RustError(error.to_string())
}
