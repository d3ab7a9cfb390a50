//! The Limits objects: what a client asks for that no other object counts. A shell over a meter; keeps nothing.

use crate::api::call::{reply, serve};
use crate::api::limits::{LimitsRequest, Take};
use crate::clock;
use crate::config::Config;
use crate::problem::{Kind, Problem};
use crate::rate_limit::Gate;
use streamchain_edge_core::rate_policy::Policy;
use worker::{DurableObject, Env, Request, Response, State, durable_object};

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
        serve(request, async |asked, _| match asked {
            LimitsRequest::Take(asked) => reply::<Take>(self.take(&asked)),
        })
        .await
    }
}

impl Limits {
    fn take(&self, asked: &Take) -> Result<(), Problem> {
        let config = Config::of(&self.env).map_err(Problem::internal)?;
        let policy = Policy::ALL.into_iter().find(|known| known.name() == asked.policy);
        let policy = policy.ok_or_else(|| Problem::new(Kind::BadRequest, "there is no such limit"))?;
        self.gate.take(&config, policy, &asked.key, clock::now())
    }
}
