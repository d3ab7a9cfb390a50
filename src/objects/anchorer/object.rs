//! The Anchorer object: one per signing account, brings segments onto the chain. A shell over [`AnchorerMachine`].
//!
//! Internal paths: `POST /segments`, `POST /events`, `POST /ensure`, `GET /status`, `GET /costs`.

use super::api::{EventsBody, SegmentsBody};
use crate::config::chain::ChainConfig;
use crate::objects::{own_json, to_error};
use crate::outbound::json_rpc;
use crate::outbound::json_rpc::Rpc;
use crate::storage::alarm::Alarm;
use crate::storage::d1::segments;
use crate::storage::machine_rows;
use std::cell::{OnceCell, RefCell};
use streamchain_chain::anchorer::{Anchorer as AnchorerMachine, Command, SegmentError};
use streamchain_chain::costs::{Costs, Estimates};
use streamchain_chain::ethereum::{Answer, Request as RpcRequest, RpcError};
use streamchain_chain::journal::Row;
use streamchain_protocol::ids::{Seq, StreamId};
use worker::{
    Date, DurableObject, Env, Error, Method, Request, Response, State, console_error, console_warn,
    durable_object,
};

/// The machine of one account.
#[durable_object(alarm)]
pub struct Anchorer {
    state: State,
    env: Env,
    /// The machine, made from the saved rows when it is first needed; dropped when saving fails.
    machine: RefCell<Option<AnchorerMachine>>,
    rpc: OnceCell<Rpc>,
    alarm: Alarm,
    /// The costs told last, and when.
    costs: RefCell<Option<(u64, Costs)>>,
}

/// For how long, in ms, costs are told again as they are: about a block of Ethereum.
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

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let path = request.path();
        match (request.method(), path.as_str()) {
            (Method::Post, "/segments") => match own_json(&request.text().await?) {
                Ok(body) => self.take_segments(body).await,
                Err(error) => Response::error(error.to_string(), 400),
            },
            (Method::Post, "/events") => match own_json(&request.text().await?) {
                Ok(body) => self.hear(&body).await,
                Err(error) => Response::error(error.to_string(), 400),
            },
            (Method::Post, "/ensure") => {
                self.arm().await?;
                Response::from_json(&serde_json::json!({ "armed": true }))
            }
            (Method::Get, "/costs") => self.tell_costs().await,
            (Method::Get, "/status") => {
                let now_ms = Date::now().as_millis();
                Response::from_json(&self.with(|machine| machine.status(now_ms))?)
            }
            _ => Response::error(format!("the Anchorer object has no {path}"), 404),
        }
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.alarm.begin(&self.state.storage()).await;
        if let Err(error) = self.drive().await {
            console_error!("anchorer: {error}");
        }
        let now_ms = Date::now().as_millis();
        match self.with(|machine| machine.poll_timeout(now_ms)) {
            Ok(due) => self.alarm.end(&self.state.storage(), due).await,
            Err(error) => console_error!("anchorer: {error}"), // the alarm that was set first stands
        }
        Response::empty()
    }
}

impl Anchorer {
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

    async fn take_segments(&self, body: SegmentsBody) -> worker::Result<Response> {
        let segments: Result<Vec<_>, _> = body.segments.into_iter().map(TryInto::try_into).collect();
        let segments = match segments {
            Ok(segments) => segments,
            Err(error) => return Response::error(error, 400),
        };
        let taken = self.with(|machine| {
            let new = machine.handle_segments(&segments);
            (new, machine.take_unsaved())
        })?;
        let (new, rows) = taken;
        self.save(rows)?;
        match new {
            Ok(accepted) => {
                self.arm().await?;
                Response::from_json(&serde_json::json!({ "accepted": accepted }))
            }
            Err(error) => {
                let status = match error {
                    SegmentError::WrongId { .. } | SegmentError::BadRange { .. } => 400,
                    SegmentError::Different { .. } => 409,
                    SegmentError::Full { .. } => 503,
                };
                console_warn!("anchorer: {error}");
                Response::error(error.to_string(), status)
            }
        }
    }

    async fn hear(&self, body: &EventsBody) -> worker::Result<Response> {
        let now_ms = Date::now().as_millis();
        let rows = self.with(|machine| {
            for reverted in &body.reverted {
                machine.handle_reverted(&reverted.run());
            }
            for event in &body.anchored {
                match event.is_final() {
                    true => machine.handle_final(&event.run(), now_ms),
                    false => machine.handle_anchored(&event.run(), now_ms),
                }
            }
            machine.take_unsaved()
        })?;
        self.save(rows)?;
        self.arm().await?;
        Response::from_json(&serde_json::json!({}))
    }

    async fn arm(&self) -> Result<(), Error> {
        let now_ms = Date::now().as_millis();
        let due = self.with(|machine| machine.poll_timeout(now_ms))?;
        self.alarm.arm(&self.state.storage(), due).await
    }

    async fn tell_costs(&self) -> worker::Result<Response> {
        let now_ms = Date::now().as_millis();
        let told = self.costs.borrow().clone();
        if let Some((at, costs)) = told.filter(|(at, _)| now_ms < at + COSTS_LIVE_MS) {
            return tell(at, &costs);
        }
        let known = self.with(|machine| machine.latest())?;
        let estimated = match self.estimate(known).await {
            // The stream may have moved on meanwhile, or been given to another account.
            Err(error) if known.is_some() && error.revert().is_some() => self.estimate(None).await,
            outcome => outcome,
        };
        match estimated {
            Ok(costs) => {
                self.costs.replace(Some((now_ms, costs.clone())));
                tell(now_ms, &costs)
            }
            Err(error) => Response::error(error.to_string(), 503),
        }
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
        costs.ok_or_else(|| RpcError::Malformed("the node tells no base fee".into()))
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
                    console_error!("anchorer: RPC node rejected: {reason}");
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

fn tell(at: u64, costs: &Costs) -> worker::Result<Response> {
    let mut told = serde_json::to_value(costs)?;
    told["now"] = at.into();
    Response::from_json(&told)
}
