//! The Listener object: one per contract, follows its events. A shell over [`chain::Listener`].

use crate::api::call::{Encoded, reply, serve};
use crate::api::listener::{EnsureListener, ListenerRequest, ListenerStatus, NoteMined, Replay};
use crate::clock::now;
use crate::config::chain::ChainConfig;
use crate::objects::chain_machine::{ChainMachine, Kept};
use crate::problem::{Kind, Problem};
use crate::storage::d1::{self, anchors, chain_events};
use std::cell::Cell;
use streamchain_chain::journal::RestoreError;
use streamchain_chain::listener as chain;
use streamchain_chain::listener::Batch;
use streamchain_chain::{Command, Machine};
use streamchain_protocol::time::UnixMs;
use worker::{DurableObject, Env, Error, Request, Response, State, console_error, durable_object};

/// The listener of one contract.
#[durable_object(alarm)]
pub struct Listener {
    pub(super) kept: ChainMachine<chain::Listener>,
    /// Batches in a row that not every stream was notified of.
    pub(super) failed_batches: Cell<u32>,
}

impl Kept for chain::Listener {
    const NAME: &'static str = "listener";

    fn restored<'a>(
        config: ChainConfig,
        rows: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, RestoreError> {
        Self::restore(config.listener(), rows)
    }
}

impl DurableObject for Listener {
    fn new(state: State, env: Env) -> Self {
        Self {
            kept: ChainMachine::new(state, env),
            failed_batches: Cell::new(0),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        serve(request, async |asked, _| self.answer(asked).await).await
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.kept.round(|batch| self.carry_out(batch)).await
    }
}

impl Listener {
    async fn answer(&self, asked: ListenerRequest) -> Result<Vec<u8>, Problem> {
        match asked {
            ListenerRequest::EnsureListener(_) => {
                reply::<EnsureListener>(self.kept.arm().await.map_err(Problem::from))
            }
            ListenerRequest::NoteMined(asked) => reply::<NoteMined>(self.note_mined(&asked).await),
            ListenerRequest::ListenerStatus(_) => reply::<ListenerStatus>(self.status()),
            ListenerRequest::Replay(_) => reply::<Replay>(self.replay().await),
        }
    }

    async fn note_mined(&self, asked: &NoteMined) -> Result<(), Problem> {
        let rows = self.kept.with(|machine| {
            machine.handle_mined(asked.block, asked.block_hash, asked.tx, now());
            machine.take_unsaved()
        })?;
        self.kept.save(rows)?;
        Ok(self.kept.arm().await?)
    }

    fn status(&self) -> Result<Encoded<chain::Status>, Problem> {
        Ok(Encoded::of(&self.kept.with(|machine| machine.status())?))
    }

    /// Empties the tables that are made of the chain's events, and reads the chain anew to fill them. Refused while
    /// the chain is not reached: nothing would come in the place of what goes. The tables go first: a crash in between
    /// leaves them empty and no answer, so that the caller asks again.
    async fn replay(&self) -> Result<Encoded<chain::Status>, Problem> {
        let status = self.kept.with(|machine| machine.status())?;
        if !self.kept.with(|machine| machine.is_reached())? {
            let reason = status.error.unwrap_or_else(|| "it was not read yet".into());
            let detail = format!("the chain is not reached: {reason}");
            return Err(Problem::new(Kind::ChainUnreachable, detail));
        }
        let db = self.kept.env().d1("DB")?;
        d1::batch(&db, vec![anchors::remove_all(&db), chain_events::remove_all(&db)]).await?;
        self.kept.with(chain::Listener::replay)?;
        if let Some(Command::Save(rows)) = self.kept.with(|machine| machine.next_command(UnixMs(0)))? {
            self.kept.save(rows)?;
        }
        self.kept.arm().await?;
        self.status()
    }

    /// Carries out a batch, and says to the machine whether all of it was done.
    async fn carry_out(&self, batch: Batch) -> Result<(), Error> {
        let outcome = self.apply(&batch).await.map_err(|error| error.to_string());
        if let Err(error) = &outcome {
            console_error!("listener: {error}");
        }
        self.kept.with(|machine| machine.handle_applied(outcome, now()))
    }
}
