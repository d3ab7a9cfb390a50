//! The Limits objects: what a client asks for that no other object counts. A shell over a meter; keeps nothing.
//!
//! Internal path: `POST /take`.

use super::api::Take;
use crate::config::Config;
use crate::objects::call::Method;
use crate::problem::{Kind, Problem};
use crate::rate_limit::Gate;
use crate::request::from_json;
use crate::response::{Answer, json};
use streamchain_edge_core::rate_policy::Policy;
use worker::{Date, DurableObject, Env, Request, Response, State, durable_object};

/// One share of the clients.
#[durable_object(fetch)]
pub struct Limits {
    env: Env,
    gate: Gate,
}

impl DurableObject for Limits {
    fn new(_state: State, env: Env) -> Self {
        Self {
            env,
            gate: Gate::default(),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        match self.answer(request).await {
            Ok(response) => Ok(response),
            Err(problem) => problem.into_response(),
        }
    }
}

impl Limits {
    async fn answer(&self, mut request: Request) -> Answer {
        if request.method() != Method::Post || request.path() != "/take" {
            return Err(Problem::internal("the Limits object has POST /take"));
        }
        let config = Config::of(&self.env).map_err(Problem::internal)?;
        let Take { policy, key } = from_json(&request.bytes().await?)?;
        let policy = Policy::ALL.into_iter().find(|known| known.name() == policy);
        let policy = policy.ok_or_else(|| Problem::new(Kind::BadRequest, "there is no such limit"))?;
        self.gate.take(&config, policy, &key, Date::now().as_millis())?;
        json(200, &serde_json::json!({}))
    }
}
