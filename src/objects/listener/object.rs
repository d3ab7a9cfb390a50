//! The Listener object: one per contract, follows its events. A shell over [`chain::Listener`].

use crate::api::call::{Encoded, reply, serve};
use crate::api::listener::{EnsureListener, ListenerRequest, ListenerStatus, Replay};
use crate::config::chain::ChainConfig;
use crate::objects::to_error;
use crate::outbound::json_rpc::{self, Rpc};
use crate::problem::{Kind, Problem};
use crate::storage::alarm::{Alarm, MAX_ROUND_MS};
use crate::storage::d1::{self, anchors, chain_events};
use crate::storage::machine_rows;
use std::cell::{Cell, OnceCell, RefCell};
use streamchain_chain::journal::Row;
use streamchain_chain::listener as chain;
use streamchain_chain::listener::Command;
use streamchain_protocol::time::UnixMs;
use worker::{Date, DurableObject, Env, Error, Request, Response, State, console_error, durable_object};

/// The listener of one contract.
#[durable_object(alarm)]
pub struct Listener {
    state: State,
    pub(super) env: Env,
    /// The machine, made from the saved rows when it is first needed; dropped when saving fails.
    machine: RefCell<Option<chain::Listener>>,
    rpc: OnceCell<Rpc>,
    alarm: Alarm,
    /// Batches in a row that not every stream was notified of.
    pub(super) failed_batches: Cell<u32>,
}

impl DurableObject for Listener {
    fn new(state: State, env: Env) -> Self {
        let machine = RefCell::new(None);
        Self {
            state,
            env,
            machine,
            rpc: OnceCell::new(),
            alarm: Alarm::default(),
            failed_batches: Cell::new(0),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        serve(request, async |asked, _| self.answer(asked).await).await
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.alarm.begin(&self.state.storage(), MAX_ROUND_MS).await;
        if let Err(error) = self.drive().await {
            console_error!("listener: {error}");
        }
        match self.with(|machine| machine.poll_timeout()) {
            Ok(due) => self.alarm.end(&self.state.storage(), Some(UnixMs(due))).await,
            Err(error) => {
                self.alarm.fail();
                console_error!("listener: {error}");
            }
        }
        Response::empty()
    }
}

impl Listener {
    async fn answer(&self, asked: ListenerRequest) -> Result<Vec<u8>, Problem> {
        match asked {
            ListenerRequest::EnsureListener(_) => reply::<EnsureListener>(self.ensure().await),
            ListenerRequest::ListenerStatus(_) => reply::<ListenerStatus>(self.status()),
            ListenerRequest::Replay(_) => reply::<Replay>(self.replay().await),
        }
    }

    async fn ensure(&self) -> Result<(), Problem> {
        let due = self.with(|machine| machine.poll_timeout())?;
        Ok(self.alarm.arm(&self.state.storage(), Some(UnixMs(due))).await?)
    }

    fn status(&self) -> Result<Encoded<chain::Status>, Problem> {
        Ok(Encoded::of(&self.with(|machine| machine.status())?))
    }

    /// Runs a step of the machine. Never across an await.
    fn with<T>(&self, step: impl FnOnce(&mut chain::Listener) -> T) -> Result<T, Error> {
        let mut machine = self.machine.borrow_mut();
        if machine.is_none() {
            *machine = Some(self.restore()?);
        }
        match machine.as_mut() {
            Some(machine) => Ok(step(machine)),
            None => Err(Error::RustError("the listener could not be restored".into())),
        }
    }

    fn restore(&self) -> Result<chain::Listener, Error> {
        let config = ChainConfig::of(&self.env).map_err(to_error)?;
        let rows = machine_rows::load(&self.state.storage())?;
        let rows = rows.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        chain::Listener::restore(config.listener(), rows).map_err(to_error)
    }

    fn save(&self, rows: Vec<Row>) -> Result<(), Error> {
        let saved = machine_rows::save(&self.state.storage(), rows);
        if saved.is_err() {
            self.machine.replace(None); // what it believes is not what is saved
        }
        saved
    }

    /// Empties the tables that are made of the chain's events, and reads the chain anew to fill them. Refused while
    /// the chain is not reached: nothing would come in the place of what goes. The tables go first: a crash in between
    /// leaves them empty and no answer, so that the caller asks again.
    async fn replay(&self) -> Result<Encoded<chain::Status>, Problem> {
        let status = self.with(|machine| machine.status())?;
        if !status.ok {
            let reason = status.error.unwrap_or_else(|| "it was not read yet".into());
            let detail = format!("the chain is not reached: {reason}");
            return Err(Problem::new(Kind::ChainUnreachable, detail));
        }
        let db = self.env.d1("DB")?;
        d1::batch(&db, vec![anchors::remove_all(&db), chain_events::remove_all(&db)]).await?;
        self.with(chain::Listener::replay)?;
        if let Some(Command::Save(rows)) = self.with(|machine| machine.next_command(0))? {
            self.save(rows)?;
        }
        self.alarm.arm(&self.state.storage(), Some(UnixMs(0))).await?;
        self.status()
    }

    /// Does what the machine asks for until it has nothing to ask.
    async fn drive(&self) -> Result<(), Error> {
        let rpc = json_rpc::configured(&self.rpc, &self.env)?;
        self.with(chain::Listener::handle_interruption)?;
        loop {
            let now_ms = Date::now().as_millis();
            match self.with(|machine| machine.next_command(now_ms))? {
                None => return Ok(()),
                Some(Command::Save(rows)) => self.save(rows)?,
                Some(Command::Distrust(reason)) => {
                    console_error!("listener: the node contradicts itself: {reason}");
                    rpc.distrust();
                }
                Some(Command::Call(request)) => {
                    let outcome = rpc.call(&request).await;
                    let now_ms = Date::now().as_millis();
                    self.with(|machine| machine.handle_answer(outcome, now_ms))?;
                }
                Some(Command::Apply(batch)) => {
                    let outcome = self.apply(&batch).await.map_err(|error| error.to_string());
                    if let Err(error) = &outcome {
                        console_error!("listener: {error}");
                    }
                    let now_ms = Date::now().as_millis();
                    self.with(|machine| machine.handle_applied(outcome, now_ms))?;
                }
            }
        }
    }
}
