//! How much clients may ask for: the edge's rate limits.
//!
//! What always holds: what costs money or memory is counted exactly, in the object that it goes to anyway (sessions,
//! messages: the Stream object) or, for new streams and credentials, in a Limits object; all else roughly, by the
//! platform, in front. Counts are in memory: an object that starts anew begins with full quotas.

use crate::config::Config;
use crate::problem::{Kind, Problem};
use std::cell::RefCell;
use streamchain_edge_core::rate_policy::{Policy, client_key};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::util::{Exceeded, Meter, Quota};
use wasm_bindgen::{JsCast, JsValue};
use worker::js_sys::futures::JsFuture;
use worker::js_sys::{Object, Reflect};
use worker::{Env, Headers, RateLimiter, worker_sys};

/// Keys that one object counts for at most: about 10 MB.
const MAX_KEYS: usize = 65_536;

/// What a client is counted by: its address, in the header that the deployment names.
pub(crate) fn client(headers: &Headers, config: &Config) -> String {
    let address = headers.get(&config.client_header).ok().flatten();
    client_key(&address.unwrap_or_default())
}

/// The refusal, with what draft-ietf-httpapi-ratelimit-headers-09 says about it.
pub(crate) fn exceeded(policy: Policy, quota: Quota, over: Exceeded) -> Problem {
    let name = policy.name();
    let (amount, window_s) = (quota.amount, quota.window_ms / 1_000);
    let wait_s = over.retry_ms.div_ceil(1_000).max(1);
    let detail = format!("the limit {name} is {amount} in {window_s} s: try again in {wait_s} s");
    Problem::new(Kind::RateLimited, detail)
        .with("policy", name)
        .header("retry-after", wait_s.to_string())
        .header("ratelimit", format!("\"{name}\";r=0;t={wait_s}"))
        .header("ratelimit-policy", format!("\"{name}\";q={amount};w={window_s}"))
}

/// An object's counts.
pub(crate) struct Gate(RefCell<Meter<(Policy, String)>>);

impl Default for Gate {
    fn default() -> Self {
        Self(RefCell::new(Meter::new(MAX_KEYS)))
    }
}

impl Gate {
    /// Counts one for `key`, or refuses it.
    pub(crate) fn take(
        &self,
        config: &Config,
        policy: Policy,
        key: &str,
        now: UnixMs,
    ) -> Result<(), Problem> {
        self.take_many(config, policy, key, 1, now)
    }

    /// Counts `count` for `key`, or refuses them. More than the whole quota counts as all of it, so that it passes now and then.
    pub(crate) fn take_many(
        &self,
        config: &Config,
        policy: Policy,
        key: &str,
        count: u32,
        now: UnixMs,
    ) -> Result<(), Problem> {
        let quota = config.policies.quota(policy);
        if !quota.limits() {
            return Ok(());
        }
        let taken = self
            .0
            .borrow_mut()
            .take((policy, key.to_owned()), quota, count.into(), now);
        taken.map(drop).map_err(|over| exceeded(policy, quota, over))
    }
}

/// The filter in front of everything: requests of one client, counted by the platform. Where there is no such binding,
/// nobody is refused here.
pub(crate) async fn front(env: &Env, config: &Config, client: &str) -> Result<(), Problem> {
    let quota = config.policies.quota(Policy::Requests);
    if !quota.limits() {
        return Ok(());
    }
    let Ok(limiter) = env.rate_limiter("REQUESTS") else {
        return Ok(());
    };
    match is_within(&limiter, client).await {
        Ok(false) => {
            let retry_ms = u64::from(quota.window_ms);
            Err(exceeded(Policy::Requests, quota, Exceeded { retry_ms }))
        }
        _ => Ok(()),
    }
}

/// Asks the platform. `worker`'s own call links a serializer of JavaScript's values for these two members.
async fn is_within(limiter: &RateLimiter, client: &str) -> Result<bool, JsValue> {
    let limiter: &worker_sys::RateLimiter = limiter.as_ref().unchecked_ref();
    let asked = Object::new();
    Reflect::set(&asked, &"key".into(), &client.into())?;
    let answer = JsFuture::from(limiter.limit(asked)?).await?;
    Ok(Reflect::get(&answer, &"success".into())?.is_truthy())
}
