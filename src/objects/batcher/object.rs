//! A Batcher object: gathers the runs of its buckets' streams for rounds. A shell over [`chain::Batcher`].

use crate::api::anchorer::{AnnounceRuns, anchorer_object};
use crate::api::batcher::*;
use crate::api::by_method::answer_call;
use crate::api::call::{Encoded, new_request_id, reply, serve, within};
use crate::clock::now;
use crate::config::Config;
use crate::config::chain::ChainConfig;
use crate::objects::chain_machine::{ChainMachine, Kept};
use crate::objects::notify::{OBJECT_TIMEOUT, notify_of_round};
use crate::objects::to_error;
use crate::problem::{Kind, Problem};
use crate::storage::d1::runs;
use crate::storage::history::History;
use serde_json::{Value, json};
use streamchain_chain::batcher as chain;
use streamchain_chain::batcher::{BatcherTask, Fixing, Offered};
use streamchain_chain::journal::RestoreError;
use streamchain_chain::rounds::Closed;
use streamchain_edge_core::request_id::RequestId;
use streamchain_protocol::proof::run::RunEntry;
use wasm_bindgen::prelude::*;
use worker::{DurableObject, Env, Error, Request, Response, State, durable_object};

/// The batcher of one group of buckets.
#[durable_object(alarm)]
pub struct Batcher {
    kept: ChainMachine<chain::Batcher>,
}

impl Kept for chain::Batcher {
    const NAME: &'static str = "batcher";

    fn restored<'a>(
        config: ChainConfig,
        rows: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, RestoreError> {
        Self::restore(config.batcher(), rows)
    }
}

impl DurableObject for Batcher {
    fn new(state: State, env: Env) -> Self {
        Self {
            kept: ChainMachine::new(state, env),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        serve(request, async |asked, _| self.answer(asked).await).await
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.kept.round(|task| self.perform(task)).await
    }
}

#[wasm_bindgen(wasm_bindgen_futures = ::worker::wasm_bindgen_futures, js_sys = ::worker::js_sys)]
impl Batcher {
    /// Answers a request that comes as a call of this method: `Handle::call_method`.
    pub async fn call(
        &self,
        name: String,
        shape: u32,
        id: String,
        body: Vec<u8>,
    ) -> Result<JsValue, JsValue> {
        let answer = async |asked, _: &RequestId| self.answer(asked).await;
        answer_call((&name, shape), &id, body, answer).await
    }
}

impl Batcher {
    async fn answer(&self, asked: BatcherRequest) -> Result<Vec<u8>, Problem> {
        match asked {
            BatcherRequest::OfferRun(asked) => reply::<OfferRun>(self.offer(&asked).await),
            BatcherRequest::CloseRound(asked) => reply::<CloseRound>(self.close(&asked)),
            BatcherRequest::FixRound(asked) => reply::<FixRound>(self.fix(&asked).await),
            BatcherRequest::WatchStream(asked) => reply::<WatchStream>(self.watch(&asked).await),
            BatcherRequest::ApplyRounds(asked) => reply::<ApplyRounds>(self.apply_rounds(&asked).await),
            BatcherRequest::EnsureBatcher(_) => {
                reply::<EnsureBatcher>(self.kept.arm().await.map_err(Problem::from))
            }
            BatcherRequest::BatcherStatus(_) => reply::<BatcherStatus>(self.status()),
        }
    }

    fn status(&self) -> Result<Encoded<Value>, Problem> {
        let pending = self.kept.with(|machine| machine.pending())?;
        Ok(Encoded::of(&json!({ "pending": pending })))
    }

    /// Runs a step of the machine, and writes what it changed before anybody learns of its outcome.
    fn step<T>(&self, step: impl FnOnce(&mut chain::Batcher) -> T) -> Result<T, Error> {
        let (outcome, rows) = self
            .kept
            .with(|machine| (step(machine), machine.take_unsaved()))?;
        self.kept.save(rows)?;
        Ok(outcome)
    }

    /// Takes an offer; of a stream that is not known here, the database is asked where its next run begins.
    async fn offer(&self, asked: &OfferRun) -> Result<RunOffered, Problem> {
        let offer = chain::OfferRun::from(asked);
        let offered = match self.step(|machine| machine.handle_offer(&offer))? {
            Ok(Offered::Unknown) => {
                let newest = runs::newest(&self.kept.env().d1("DB")?, asked.stream).await?;
                self.step(|machine| {
                    machine.handle_known(asked.stream, asked.owner, newest.as_ref());
                    machine.handle_offer(&offer)
                })?
            }
            offered => offered,
        };
        match offered {
            Ok(Offered::Answer(chain::RunOffered { begin, refused })) => {
                self.kept.arm().await?;
                Ok(RunOffered { begin, refused })
            }
            // Too many others were asked for meanwhile.
            Ok(Offered::Unknown) => Err(Problem::new(Kind::Overloaded, "the batcher is busy: offer again")),
            Err(error) => Err(Problem::internal(error)),
        }
    }

    /// A stream that has no run in any round has nothing to hear of: its next offer says whether it is watched.
    async fn watch(&self, asked: &WatchStream) -> Result<(), Problem> {
        if self.step(|machine| machine.handle_watch(asked.stream))? {
            return Ok(());
        }
        let newest = runs::newest(&self.kept.env().d1("DB")?, asked.stream).await?;
        if newest.is_some() {
            self.step(|machine| {
                machine.handle_known(asked.stream, asked.owner, newest.as_ref());
                machine.handle_watch(asked.stream)
            })?;
        }
        Ok(())
    }

    fn close(&self, asked: &CloseRound) -> Result<Closed, Problem> {
        let closed =
            self.step(|machine| machine.handle_close(asked.round, asked.previous.as_ref(), now()))?;
        closed.map_err(Problem::internal)
    }

    /// Answers once the database has what this batcher has in the round.
    async fn fix(&self, asked: &FixRound) -> Result<(), Problem> {
        let fixing = self.kept.with(|machine| machine.handle_fixed(&asked.fixed))?;
        if let Fixing::Write(list) = fixing.map_err(Problem::internal)? {
            let db = self.kept.env().d1("DB")?;
            runs::put(&db, list.round, list.first_bucket, &list.runs).await?;
            self.step(|machine| machine.handle_written(list.round))?;
            self.kept.arm().await?;
        }
        Ok(())
    }

    async fn apply_rounds(&self, asked: &ApplyRounds) -> Result<(), Problem> {
        let taken = self.step(|machine| {
            let mut taken = true;
            for anchor in &asked.rounds {
                taken &= machine.handle_round_state(anchor);
            }
            taken
        })?;
        self.kept.arm().await?;
        match taken {
            true => Ok(()),
            false => Err(Problem::new(
                Kind::Overloaded,
                "the streams of too many rounds wait to be notified",
            )),
        }
    }

    /// Does what the machine asks for.
    async fn perform(&self, task: BatcherTask) -> Result<(), Error> {
        match task {
            BatcherTask::Announce(first_bucket) => {
                let announced = self
                    .announce(first_bucket)
                    .await
                    .map_err(|error| error.to_string());
                self.kept
                    .with(|machine| machine.handle_announced(announced, now()))
            }
            BatcherTask::ReadList { round, first_bucket } => {
                let list = self
                    .list(round, first_bucket)
                    .await
                    .map_err(|error| error.to_string());
                self.kept.with(|machine| machine.handle_list(list, now()))
            }
            BatcherTask::Notify(notices) => {
                let failed = notify_of_round(self.kept.env(), &new_request_id(), &notices).await;
                self.kept.with(|machine| machine.handle_notified(&failed, now()))
            }
        }
    }

    async fn announce(&self, first_bucket: u8) -> Result<(), Problem> {
        let config = Config::of(self.kept.env()).map_err(Problem::internal)?;
        let anchorer = anchorer_object(self.kept.env(), &new_request_id(), &config)?;
        within(OBJECT_TIMEOUT, anchorer.call(AnnounceRuns { first_bucket })).await
    }

    async fn list(&self, round: u64, first_bucket: u8) -> Result<Vec<RunEntry>, Error> {
        let buckets = Config::of(self.kept.env())
            .map_err(to_error)?
            .batchers
            .buckets_each();
        let history = History::of(self.kept.env())?;
        history.runs_of_group(round, first_bucket, buckets).await
    }
}
