//! The Anchorer object: one per signing account, brings segments onto the chain. A shell over [`AnchorerMachine`].

use crate::api::anchorer::{
    AddSegments, AnchorerRequest, AnchorerStatus, ApplyAnchors, EnsureAnchorer, EstimateCosts,
};
use crate::api::call::{Encoded, reply, serve};
use crate::config::chain::ChainConfig;
use crate::objects::to_error;
use crate::outbound::json_rpc::{self, Rpc};
use crate::problem::{Kind, Problem};
use crate::response::put_member;
use crate::storage::alarm::{Alarm, MAX_ROUND_MS};
use crate::storage::d1::segments;
use crate::storage::machine_rows;
use serde_json::Value;
use std::cell::{OnceCell, RefCell};
use streamchain_chain::anchorer::{Anchorer as AnchorerMachine, Command, Status};
use streamchain_chain::costs::{Costs, Estimates};
use streamchain_chain::ethereum::{Answer, Request as RpcRequest, RpcError};
use streamchain_chain::journal::Row;
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::proof::AnchorState;
use streamchain_protocol::time::UnixMs;
use worker::{Date, DurableObject, Env, Error, Request, Response, State, console_error, durable_object};

/// The machine of one account.
#[durable_object(alarm)]
pub struct Anchorer {
    state: State,
    env: Env,
    /// The machine, made from the saved rows when it is first needed; dropped when saving fails.
    machine: RefCell<Option<AnchorerMachine>>,
    rpc: OnceCell<Rpc>,
    alarm: Alarm,
    /// The costs that were estimated last, and when.
    costs: RefCell<Option<(u64, Costs)>>,
}

/// For how long, in ms, estimated costs are answered again: about a block of Ethereum.
const COSTS_LIVE_MS: u64 = 12_000;

impl DurableObject for Anchorer {
    fn new(state: State, env: Env) -> Self {
        Self {
            state,
            env,
            machine: RefCell::new(None),
            rpc: OnceCell::new(),
            alarm: Alarm::default(),
            costs: RefCell::new(None),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        serve(request, async |asked, _| self.answer(asked).await).await
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.alarm.begin(&self.state.storage(), MAX_ROUND_MS).await;
        if let Err(error) = self.drive().await {
            console_error!("anchorer: {error}");
        }
        let now_ms = Date::now().as_millis();
        match self.with(|machine| machine.poll_timeout(now_ms)) {
            Ok(due) => self.alarm.end(&self.state.storage(), due.map(UnixMs)).await,
            Err(error) => {
                self.alarm.fail();
                console_error!("anchorer: {error}");
            }
        }
        Response::empty()
    }
}

impl Anchorer {
    async fn answer(&self, asked: AnchorerRequest) -> Result<Vec<u8>, Problem> {
        match asked {
            AnchorerRequest::AddSegments(asked) => reply::<AddSegments>(self.add_segments(asked).await),
            AnchorerRequest::ApplyAnchors(asked) => reply::<ApplyAnchors>(self.apply_anchors(&asked).await),
            AnchorerRequest::EnsureAnchorer(_) => {
                reply::<EnsureAnchorer>(self.arm().await.map_err(Problem::from))
            }
            AnchorerRequest::AnchorerStatus(_) => reply::<AnchorerStatus>(self.status()),
            AnchorerRequest::EstimateCosts(_) => reply::<EstimateCosts>(self.costs().await),
        }
    }

    fn status(&self) -> Result<Encoded<Status>, Problem> {
        let now_ms = Date::now().as_millis();
        Ok(Encoded::of(&self.with(|machine| machine.status(now_ms))?))
    }

    /// Runs a step of the machine. Never across an await.
    fn with<T>(&self, step: impl FnOnce(&mut AnchorerMachine) -> T) -> Result<T, Error> {
        let mut machine = self.machine.borrow_mut();
        if machine.is_none() {
            *machine = Some(self.restore()?);
        }
        match machine.as_mut() {
            Some(machine) => Ok(step(machine)),
            None => Err(Error::RustError("the machine could not be restored".into())),
        }
    }

    fn restore(&self) -> Result<AnchorerMachine, Error> {
        let config = ChainConfig::of(&self.env).map_err(to_error)?;
        let rows = machine_rows::load(&self.state.storage())?;
        let rows = rows.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        AnchorerMachine::restore(config.anchorer(), config.signer, rows).map_err(to_error)
    }

    fn save(&self, rows: Vec<Row>) -> Result<(), Error> {
        let saved = machine_rows::save(&self.state.storage(), rows);
        if saved.is_err() {
            self.machine.replace(None); // what it believes is not what is saved
        }
        saved
    }

    async fn add_segments(&self, asked: AddSegments) -> Result<(), Problem> {
        let segments = asked.segments;
        let (added, rows) = self.with(|machine| {
            let added = machine.handle_segments(&segments);
            (added, machine.take_unsaved())
        })?;
        self.save(rows)?;
        added.map_err(Problem::internal)?;
        Ok(self.arm().await?)
    }

    async fn apply_anchors(&self, asked: &ApplyAnchors) -> Result<(), Problem> {
        let now_ms = Date::now().as_millis();
        let rows = self.with(|machine| {
            for anchor in &asked.anchors {
                match anchor.state {
                    AnchorState::Reverted => machine.handle_reverted(&anchor.run()),
                    AnchorState::Final => machine.handle_final(&anchor.run(), now_ms),
                    AnchorState::Anchored => machine.handle_anchored(&anchor.run(), now_ms),
                }
            }
            machine.take_unsaved()
        })?;
        self.save(rows)?;
        Ok(self.arm().await?)
    }

    async fn arm(&self) -> Result<(), Error> {
        let now_ms = Date::now().as_millis();
        let due = self.with(|machine| machine.poll_timeout(now_ms))?;
        self.alarm.arm(&self.state.storage(), due.map(UnixMs)).await
    }

    async fn costs(&self) -> Result<Encoded<Value>, Problem> {
        let now_ms = Date::now().as_millis();
        let known = self.costs.borrow().clone();
        if let Some((at, costs)) = known.filter(|(at, _)| now_ms < at + COSTS_LIVE_MS) {
            return encode(at, &costs);
        }
        let known = self.with(|machine| machine.latest())?;
        let estimated = match self.estimate(known).await {
            // The stream may have moved on meanwhile, or been given to another account.
            Err(error) if known.is_some() && error.revert().is_some() => self.estimate(None).await,
            outcome => outcome,
        };
        let costs = estimated.map_err(|error| Problem::new(Kind::ChainUnreachable, error.to_string()))?;
        self.costs.replace(Some((now_ms, costs.clone())));
        encode(now_ms, &costs)
    }

    /// Asks the node what the modes cost.
    async fn estimate(&self, known: Option<(StreamId, Seq)>) -> Result<Costs, RpcError> {
        let broken = |error: &dyn std::fmt::Display| RpcError::Transport(error.to_string());
        let config = ChainConfig::of(&self.env).map_err(|error| broken(&error))?;
        let rpc = json_rpc::configured(&self.rpc, &self.env).map_err(|error| broken(&error))?;
        let estimates = Estimates {
            account: config.signer.address(),
            contract: config.contract,
            known,
        };
        let mut gas = [0; 4];
        for (gas, request) in gas.iter_mut().zip(estimates.requests()) {
            if let Answer::Gas(answer) = rpc.call(&request).await? {
                *gas = answer;
            }
        }
        let costs = match rpc.call(&RpcRequest::FeeHistory).await? {
            Answer::FeeHistory(history) => estimates.costs(gas, &history, config.anchorer().fees),
            _ => None,
        };
        costs.ok_or_else(|| RpcError::Malformed("the node has no base fee".into()))
    }

    /// The records of one segment.
    async fn records(&self, stream: StreamId, first: Seq, count: u32) -> Result<Vec<u8>, Error> {
        let db = self.env.d1("DB")?;
        let rows = segments::with_records(&db, stream, first, first.next(), 1).await?;
        match rows.into_iter().next() {
            Some(row) if row.first == first && row.count == u64::from(count) => Ok(row.records),
            _ => Err(Error::RustError(format!(
                "the database has no such segment at {first}"
            ))),
        }
    }

    /// Does what the machine asks for until it has nothing to ask.
    async fn drive(&self) -> Result<(), Error> {
        let rpc = json_rpc::configured(&self.rpc, &self.env)?;
        self.with(AnchorerMachine::handle_interruption)?;
        loop {
            let now_ms = Date::now().as_millis();
            match self.with(|machine| machine.next_command(now_ms))? {
                None => return Ok(()),
                Some(Command::Save(rows)) => self.save(rows)?,
                Some(Command::Distrust(reason)) => {
                    console_error!("anchorer: the node contradicts itself: {reason}");
                    rpc.distrust();
                }
                Some(Command::Read { stream, first, count }) => {
                    let records = self.records(stream, first, count).await;
                    let now_ms = Date::now().as_millis();
                    self.with(|machine| machine.handle_records(records.map_err(|e| e.to_string()), now_ms))?;
                }
                Some(Command::Call(request)) => {
                    let outcome = rpc.call(&request).await;
                    let now_ms = Date::now().as_millis();
                    self.with(|machine| machine.handle_answer(outcome, now_ms))?;
                }
            }
        }
    }
}

fn encode(at: u64, costs: &Costs) -> Result<Encoded<Value>, Problem> {
    let mut shown = serde_json::to_value(costs).map_err(Problem::internal)?;
    put_member(&mut shown, "now", &at);
    Ok(Encoded::of(&shown))
}
