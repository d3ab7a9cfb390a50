//! What the Limits objects are asked.

use crate::config::Config;
use crate::objects::call::{Method, call as ask, json_body};
use crate::objects::limits_stub;
use crate::problem::Problem;
use serde::{Deserialize, Serialize};
use streamchain_edge_core::rate_policy::Policy;
use worker::{Env, Response, console_error};

/// `POST /take` on a Limits object.
#[derive(Debug, Serialize, Deserialize)]
pub struct Take {
    /// The policy's name.
    pub policy: String,
    /// Who is counted.
    pub key: String,
}

/// Counts one in a Limits object; the refusal is its response. Should the object fail, nobody is refused.
pub async fn take(
    env: &Env,
    config: &Config,
    policy: Policy,
    key: &str,
) -> Result<Option<Response>, Problem> {
    if !config.policies.quota(policy).limits() {
        return Ok(None);
    }
    let stub = limits_stub(env, key)?;
    let taken = Take {
        policy: policy.name().to_owned(),
        key: key.to_owned(),
    };
    match ask(&stub, Method::Post, "/take", json_body(&taken)?).await {
        Ok(refused) if refused.status_code() == 429 => Ok(Some(refused)),
        Ok(mut taken) => {
            taken.bytes().await?;
            Ok(None)
        }
        Err(error) => {
            console_error!("limits: {error}");
            Ok(None)
        }
    }
}
