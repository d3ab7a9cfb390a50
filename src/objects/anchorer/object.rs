//! The Anchorer object: one per signing account, brings segments onto the chain. A shell over [`AnchorerMachine`].

use crate::api::anchorer::{
    AddSegments, AnchorerRequest, AnchorerStatus, AnnounceRuns, ApplyAnchors, EnsureAnchorer, EstimateCosts,
    SegmentsAdded,
};
use crate::api::call::{Encoded, new_request_id, reply, serve, within};
use crate::api::listener::{NoteMined, listener_object};
use crate::clock::now;
use crate::config::Config;
use crate::config::chain::ChainConfig;
use crate::objects::chain_machine::{ChainMachine, Kept};
use crate::problem::{Kind, Problem};
use crate::response::put_member;
use crate::storage::d1::rounds;
use crate::storage::history::History;
use serde_json::Value;
use std::cell::RefCell;
use std::time::Duration;
use streamchain_chain::anchorer::{
    Anchorer as AnchorerMachine, ReadRecords, ReadRounds, ReadSegments, SegmentError, Status, StoredSegment,
    Task,
};
use streamchain_chain::costs::{Costs, Estimates};
use streamchain_chain::ethereum::{Answer, Receipt, Request as RpcRequest, RpcError};
use streamchain_chain::journal::RestoreError;
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::proof::AnchorState;
use streamchain_protocol::time::UnixMs;
use worker::{DurableObject, Env, Error, Request, Response, State, console_error, durable_object};

/// The machine of one account.
#[durable_object(alarm)]
pub struct Anchorer {
    pub(super) kept: ChainMachine<AnchorerMachine>,
    /// The costs that were estimated last, and when.
    costs: RefCell<Option<(UnixMs, Costs)>>,
}

impl Kept for AnchorerMachine {
    const NAME: &'static str = "anchorer";

    fn restored<'a>(
        config: ChainConfig,
        rows: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, RestoreError> {
        Self::restore(config.anchorer(), config.signer, rows)
    }

    /// A receipt shows where an event of ours is: the Listener checks that it sees it.
    async fn observe(env: &Env, answer: &Answer) {
        let Answer::Receipt(Some(receipt)) = answer else {
            return;
        };
        if receipt.succeeded()
            && let Err(error) = note_mined(env, receipt).await
        {
            console_error!(
                "anchorer: the listener was not notified of {}: {error}",
                receipt.transaction_hash
            );
        }
    }
}

/// How long the Listener may take to note a transaction.
const LISTENER_TIMEOUT: Duration = Duration::from_secs(5);

/// For how long, in ms, estimated costs are answered again: about a block of Ethereum.
const COSTS_LIVE_MS: u64 = 12_000;

impl DurableObject for Anchorer {
    fn new(state: State, env: Env) -> Self {
        Self {
            kept: ChainMachine::new(state, env),
            costs: RefCell::new(None),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        serve(request, async |asked, _| self.answer(asked).await).await
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.kept.round(|asked| self.perform(asked)).await
    }
}

impl Anchorer {
    async fn answer(&self, asked: AnchorerRequest) -> Result<Vec<u8>, Problem> {
        match asked {
            AnchorerRequest::AddSegments(asked) => reply::<AddSegments>(self.add_segments(asked).await),
            AnchorerRequest::AnnounceRuns(asked) => reply::<AnnounceRuns>(self.announce(&asked).await),
            AnchorerRequest::ApplyAnchors(asked) => reply::<ApplyAnchors>(self.apply_anchors(&asked).await),
            AnchorerRequest::EnsureAnchorer(_) => {
                reply::<EnsureAnchorer>(self.kept.arm().await.map_err(Problem::from))
            }
            AnchorerRequest::AnchorerStatus(_) => reply::<AnchorerStatus>(self.status()),
            AnchorerRequest::EstimateCosts(_) => reply::<EstimateCosts>(self.costs().await),
        }
    }

    fn status(&self) -> Result<Encoded<Status>, Problem> {
        let now = now();
        Ok(Encoded::of(&self.kept.with(|machine| machine.status(now))?))
    }

    async fn add_segments(&self, asked: AddSegments) -> Result<SegmentsAdded, Problem> {
        let segments = asked.segments;
        let (added, rows) = self.kept.with(|machine| {
            let added = machine.handle_segments(&segments);
            (added, machine.take_unsaved())
        })?;
        self.kept.save(rows)?;
        let refused = match added {
            Ok(_) => None,
            Err(full @ SegmentError::Full { .. }) => Some(full.to_string()),
            Err(error) => return Err(Problem::internal(error)),
        };
        self.kept.arm().await?;
        Ok(SegmentsAdded { refused })
    }

    async fn announce(&self, asked: &AnnounceRuns) -> Result<(), Problem> {
        let (is_known, rows) = self.kept.with(|machine| {
            let is_known = machine.handle_runs_waiting(asked.first_bucket);
            (is_known, machine.take_unsaved())
        })?;
        self.kept.save(rows)?;
        if !is_known {
            let detail = format!("no group of buckets begins with {}", asked.first_bucket);
            return Err(Problem::new(Kind::BadRequest, detail));
        }
        Ok(self.kept.arm().await?)
    }

    async fn apply_anchors(&self, asked: &ApplyAnchors) -> Result<(), Problem> {
        let now = now();
        let rows = self.kept.with(|machine| {
            for anchor in &asked.anchors {
                match anchor.state {
                    AnchorState::Reverted => machine.handle_reverted(&anchor.run()),
                    AnchorState::Final => machine.handle_final(&anchor.run(), now),
                    AnchorState::Anchored => machine.handle_anchored(&anchor.run(), now),
                }
            }
            machine.take_unsaved()
        })?;
        self.kept.save(rows)?;
        Ok(self.kept.arm().await?)
    }

    async fn costs(&self) -> Result<Encoded<Value>, Problem> {
        let now = now();
        let known = self.costs.borrow().clone();
        if let Some((at, costs)) = known.filter(|(at, _)| now.since(*at) < COSTS_LIVE_MS) {
            return encode(at, &costs);
        }
        let known = self.kept.with(|machine| machine.latest())?;
        let estimated = match self.estimate(known).await {
            // The stream may have moved on meanwhile, or been given to another account.
            Err(error) if known.is_some() && error.revert().is_some() => self.estimate(None).await,
            outcome => outcome,
        };
        let costs = estimated.map_err(|error| Problem::new(Kind::ChainUnreachable, error.to_string()))?;
        self.costs.replace(Some((now, costs.clone())));
        encode(now, &costs)
    }

    /// Asks the node what the modes cost.
    async fn estimate(&self, known: Option<(StreamId, Seq)>) -> Result<Costs, RpcError> {
        let broken = |error: &dyn std::fmt::Display| RpcError::Transport(error.to_string());
        let config = ChainConfig::of(self.kept.env()).map_err(|error| broken(&error))?;
        let rpc = self.kept.rpc().map_err(|error| broken(&error))?;
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

    /// Does what the machine asks for, and gives it the outcome.
    async fn perform(&self, asked: Task) -> Result<(), Error> {
        match asked {
            Task::Records(ReadRecords { stream, first, count }) => {
                let records = self.records(stream, first, count).await;
                let records = records.map_err(|error| error.to_string());
                self.kept.with(|machine| machine.handle_records(records, now()))
            }
            Task::Segments(asked) => {
                let stored = self.stored(asked).await.map_err(|error| error.to_string());
                self.kept.with(|machine| machine.handle_stored(stored, now()))
            }
            Task::Rounds(ReadRounds { from, limit }) => {
                let stored = self.stored_rounds(from, limit).await;
                let stored = stored.map_err(|error| error.to_string());
                self.kept.with(|machine| machine.handle_stored(stored, now()))
            }
            Task::Round(task) => self.perform_round(task).await,
        }
    }

    /// The segments of a stream that the machine does not keep.
    async fn stored(&self, asked: ReadSegments) -> Result<Vec<StoredSegment>, Error> {
        let history = History::of(self.kept.env())?;
        history.to_anchor(asked.stream, asked.from, asked.limit).await
    }

    /// The rounds that the machine does not keep.
    async fn stored_rounds(&self, from: u64, limit: usize) -> Result<Vec<StoredSegment>, Error> {
        let roots = rounds::roots_from(&self.kept.env().d1("DB")?, from, limit).await?;
        let stored = roots.into_iter();
        Ok(stored
            .map(|(round, root)| StoredSegment::of_round(round, root))
            .collect())
    }

    /// The records of one segment.
    async fn records(&self, stream: StreamId, first: Seq, count: u32) -> Result<Vec<u8>, Error> {
        let history = History::of(self.kept.env())?;
        let rows = history.with_records(stream, first, first.next(), 1).await?;
        match rows.into_iter().next() {
            Some(row) if row.first == first && row.count == u64::from(count) => Ok(row.records),
            _ => Err(Error::RustError(format!(
                "the database has no such segment at {first}"
            ))),
        }
    }
}

async fn note_mined(env: &Env, receipt: &Receipt) -> Result<(), Problem> {
    let config = Config::of(env).map_err(Problem::internal)?;
    let Some(listener) = listener_object(env, &new_request_id(), &config)? else {
        return Ok(());
    };
    let noted = NoteMined {
        block: receipt.block_number,
        block_hash: receipt.block_hash,
        tx: receipt.transaction_hash,
    };
    within(LISTENER_TIMEOUT, listener.call(noted)).await
}

fn encode(at: UnixMs, costs: &Costs) -> Result<Encoded<Value>, Problem> {
    let mut shown = serde_json::to_value(costs).map_err(Problem::internal)?;
    put_member(&mut shown, "now", &at);
    Ok(Encoded::of(&shown))
}
