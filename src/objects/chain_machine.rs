//! What the Anchorer and the Listener have in common: a machine that is restored from rows, driven by the alarm with
//! answers of nodes, and saved.
//!
//! What always holds: what the machine in memory believes is what is saved, or the machine is dropped.

use crate::clock::now;
use crate::config::chain::ChainConfig;
use crate::objects::to_error;
use crate::outbound::json_rpc::{self, Rpc};
use crate::storage::alarm::{Alarm, MAX_ROUND_MS};
use crate::storage::machine_rows;
use std::cell::{OnceCell, RefCell};
use streamchain_chain::ethereum::Answer;
use streamchain_chain::journal::{RestoreError, Row};
use streamchain_chain::{Command, Machine};
use worker::{Env, Error, Response, State, console_error};

/// A machine that an object keeps.
pub(crate) trait Kept: Machine + Sized {
    /// The object's name in the log.
    const NAME: &'static str;

    /// Makes the machine from its saved rows.
    fn restored<'a>(
        config: ChainConfig,
        rows: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, RestoreError>;

    /// Sees each answer of a node before the machine does.
    async fn observe(_env: &Env, _answer: &Answer) {}
}

/// The machine of an object, and what drives it.
pub(crate) struct ChainMachine<M> {
    state: State,
    env: Env,
    /// Made from the saved rows when it is first needed; dropped when saving fails.
    machine: RefCell<Option<M>>,
    rpc: OnceCell<Rpc>,
    alarm: Alarm,
}

impl<M: Kept> ChainMachine<M> {
    /// The machine that is saved in this object's storage.
    pub(crate) fn new(state: State, env: Env) -> Self {
        Self {
            state,
            env,
            machine: RefCell::new(None),
            rpc: OnceCell::new(),
            alarm: Alarm::default(),
        }
    }

    /// The object's bindings.
    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    /// The nodes that the configuration names.
    pub(crate) fn rpc(&self) -> Result<&Rpc, Error> {
        json_rpc::configured(&self.rpc, &self.env)
    }

    /// Runs a step of the machine. Never across an await.
    pub(crate) fn with<T>(&self, step: impl FnOnce(&mut M) -> T) -> Result<T, Error> {
        let mut machine = self.machine.borrow_mut();
        if machine.is_none() {
            let config = ChainConfig::of(&self.env).map_err(to_error)?;
            let rows = machine_rows::load(&self.state.storage())?;
            let rows = rows.iter().map(|(key, value)| (key.as_str(), value.as_str()));
            *machine = Some(M::restored(config, rows).map_err(to_error)?);
        }
        match machine.as_mut() {
            Some(machine) => Ok(step(machine)),
            None => Err(Error::RustError("the machine could not be restored".into())),
        }
    }

    /// Writes rows, all or none.
    pub(crate) fn save(&self, rows: Vec<Row>) -> Result<(), Error> {
        let saved = machine_rows::save(&self.state.storage(), rows);
        if saved.is_err() {
            self.machine.replace(None);
        }
        saved
    }

    /// Has the alarm come when the machine is next due.
    pub(crate) async fn arm(&self) -> Result<(), Error> {
        let due = self.with(|machine| machine.poll_timeout(now()))?;
        self.alarm.arm(&self.state.storage(), due).await
    }

    /// The alarm came: one round of the machine, where `perform` does what only this machine asks for.
    pub(crate) async fn round(
        &self,
        perform: impl AsyncFn(M::Task) -> Result<(), Error>,
    ) -> worker::Result<Response> {
        let name = M::NAME;
        self.alarm.begin_once(&self.state.storage(), MAX_ROUND_MS).await;
        if let Err(error) = self.drive(perform).await {
            console_error!("{name}: {error}");
        }
        match self.with(|machine| machine.poll_timeout(now())) {
            Ok(due) => self.alarm.end(&self.state.storage(), due).await,
            Err(error) => {
                self.alarm.fail();
                console_error!("{name}: {error}");
            }
        }
        Response::empty()
    }

    /// Does what the machine asks for until it has nothing to ask.
    async fn drive(&self, perform: impl AsyncFn(M::Task) -> Result<(), Error>) -> Result<(), Error> {
        let rpc = self.rpc()?;
        self.with(M::handle_interruption)?;
        loop {
            match self.with(|machine| machine.next_command(now()))? {
                None => return Ok(()),
                Some(Command::Save(rows)) => self.save(rows)?,
                Some(Command::Distrust(reason)) => {
                    console_error!("{}: the node contradicts itself: {reason}", M::NAME);
                    rpc.distrust();
                }
                Some(Command::Call(request)) => {
                    let outcome = rpc.call(&request).await;
                    if let Ok(answer) = &outcome {
                        M::observe(&self.env, answer).await;
                    }
                    self.with(|machine| machine.handle_answer(outcome, now()))?;
                }
                Some(Command::Do(task)) => perform(task).await?,
            }
        }
    }
}
