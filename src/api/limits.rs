//! What the Limits objects are asked.

use crate::api::call::{Handle, requests, wire_by_field};
use crate::config::Config;
use crate::problem::{Kind, Problem};
use streamchain_edge_core::rate_policy::Policy;
use streamchain_edge_core::request_id::RequestId;
use worker::{Env, console_error};

requests! {
    /// What a Limits object is asked.
    LimitsRequest {
        /// Counts one.
        Take -> (),
    }
}

wire_by_field! {
    Take { policy, key }
}

/// One more for a client or an account.
#[derive(Debug)]
pub(crate) struct Take {
    /// The policy's name.
    pub policy: String,
    /// Who is counted.
    pub key: String,
}

/// Over how many objects clients are spread that are counted: each takes about a thousand requests in a second.
const OBJECTS: u32 = 16;

/// The object that counts what `key` asks for.
fn limits_object(env: &Env, id: &RequestId, key: &str) -> worker::Result<Handle<LimitsRequest>> {
    // FNV-1a: spreads short texts well, and needs no table.
    let hash = key.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let name = (hash % OBJECTS).to_string();
    Ok(Handle::new(env.durable_object("LIMITS")?.get_by_name(&name)?, id))
}

/// Counts one in a Limits object, or gives its refusal. Should the object fail, nobody is refused.
pub(crate) async fn take(
    env: &Env,
    id: &RequestId,
    config: &Config,
    policy: Policy,
    key: &str,
) -> Result<(), Problem> {
    if !config.policies.quota(policy).limits() {
        return Ok(());
    }
    let asked = Take {
        policy: policy.name().to_owned(),
        key: key.to_owned(),
    };
    match limits_object(env, id, key)?.call(asked).await {
        Err(refused) if refused.kind() == Kind::RateLimited => Err(refused),
        Err(error) => {
            console_error!("request {id}: limits: {error}");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}
