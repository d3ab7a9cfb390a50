//! A Batcher object: gathers the runs of its buckets' streams for rounds.

use crate::api::batcher::{BatcherRequest, OfferRun};
use crate::api::call::{reply, serve};
use crate::problem::{Kind, Problem};
use worker::{DurableObject, Env, Request, Response, State, durable_object};

/// The batcher of one group of buckets.
#[durable_object(fetch)]
pub struct Batcher {}

impl DurableObject for Batcher {
    fn new(_state: State, _env: Env) -> Self {
        Self {}
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        serve(request, async |asked, _| match asked {
            BatcherRequest::OfferRun(_) => reply::<OfferRun>(Err(Problem::new(
                Kind::Overloaded,
                "rounds are not made by this version",
            ))),
        })
        .await
    }
}
