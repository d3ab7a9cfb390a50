//! The steps of a pass, what they ask for, and what may follow from an outcome.

use alloy_primitives::U256;
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::time::UnixMs;

use super::choice::Turn;
use super::flight::{Flight, FlightWatch};
use super::obstacle::Obstacle;
use super::pending::Pending;
use super::plan::{Draft, Limits, Prepared};
use super::segment::Run;
use super::settings::Settings;
use super::spending::{GasPart, Spending};
use super::stream::StoredSegment;
use crate::abi;
use crate::ethereum::{Answer, BlockId, Fees, Request, RpcError, Signer};
use crate::rounds::{Contract, RoundMaker};

/// Where the pass is. Each step but `Idle` waits for the outcome of one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// No pass is under way.
    Idle,
    /// Read which round is next: a contract of the version before has none.
    ReadRounds,
    /// Read the contract for these streams.
    ReadStreams(Vec<StreamId>),
    /// Read the segments of the draft's streams that the database alone has.
    ReadSegments(Draft),
    /// Read the records that the transaction is to emit.
    ReadRecords(Draft),
    /// Read the account's nonce.
    ReadNonce(Prepared),
    /// Read what blocks cost at the moment.
    ReadFees(Prepared, u64),
    /// Estimate the gas of the transaction with this nonce and these fees.
    Estimate(Prepared, u64, Fees),
    /// Read the account's balance before the transaction is signed.
    ReadBalance(Unsigned),
    /// Send the newest attempt.
    Broadcast,
    /// Ask for the receipt of the attempt with this index; the newest is asked for first.
    AskReceipt(usize),
    /// Compare the account's nonce with the transaction's: no attempt has a receipt.
    CheckNonce,
    /// Ask whether the node knows the newest attempt: it refused that, in words that may mean anything.
    AskKnown,
    /// Read what blocks cost, to raise the fee of the transaction under way.
    ReadFeesToBump,
    /// Read the contract's finalized state for these streams.
    ReadFinal(Vec<StreamId>),
    /// Read the newest block: the state of the one so many blocks behind it counts as final.
    ReadHead(Vec<StreamId>, u64),
    /// Read the contract's state in the block at this height, which counts as final.
    ReadDeep(Vec<StreamId>, u64),
}

/// A transaction that lacks only its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unsigned {
    pub(super) prepared: Prepared,
    pub(super) nonce: u64,
    pub(super) fees: Fees,
    pub(super) gas_limit: u64,
    pub(super) gas_parts: Vec<GasPart>,
}

/// A question that a step asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// A call of a node.
    Call(Request),
    /// The records of a segment: its stream, its first message and its count.
    Records(StreamId, Seq, u32),
    /// The segments of a stream from this seq on, without their records.
    Segments(StreamId, Seq),
}

/// The outcomes that a step waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A new pass begins.
    Begin,
    /// A segment's records, or why the database cannot give them.
    Records(Result<Vec<u8>, String>),
    /// A stream's segments, or why the database cannot give them.
    Segments(Result<Vec<StoredSegment>, String>),
    /// The outcome of a call.
    Answer(Result<Answer, RpcError>),
}

/// When the next pass begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// After the pause between passes.
    Interval,
    /// When others may have acted on chain, or sent the account money.
    Others,
    /// After a failure: the back-off grows.
    Failure,
    /// At this time, in Unix ms.
    Until(UnixMs),
}

/// A change of the machine that goes with a transition. Effects are applied in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// The chain has the stream up to this seq.
    Cover(StreamId, Seq),
    /// The stream cannot be anchored for now.
    Block(StreamId, Obstacle),
    /// The database has nothing of the stream behind this seq.
    EndAt(StreamId, Seq),
    /// The stream's state on the chain is not known any more.
    ForgetCoverage(StreamId),
    /// The finalized state was read for the stream.
    MarkRead(StreamId),
    /// The chain has the stream in a finalized block up to this seq.
    Settle(StreamId, Seq),
    /// This stream, of the account or of somebody else, had its turn; `None` begins again with the first.
    SetTurn(Option<StreamId>),
    /// Whether it is the rounds' turn, or that of other streams.
    SetRoundsTurn(bool),
    /// Whether the contract has rounds is known.
    SetContract(Contract),
    /// No transaction but one with rounds is made before this time.
    HoldStreams(UnixMs),
    /// The next transaction is made within these limits.
    SetLimits(Limits),
    /// The account's balance is known.
    SetBalance(U256),
    /// A new transaction was signed.
    Launch(Box<Flight>),
    /// The transaction under way has one more attempt.
    Replace(Box<Flight>),
    /// A node accepted the newest attempt.
    Accept,
    /// What is known of the transaction under way changes.
    SetWatch(FlightWatch),
    /// This much of the gas that was reserved at this time was not used.
    GiveBackGas(u64, UnixMs),
    /// The transaction under way succeeded: its runs are on the chain.
    Land,
    /// A transaction with these runs reverted.
    Suspect(Vec<Run>),
    /// The transaction under way is given up, or reverted: what became of its runs is not known.
    GiveUp,
    /// Nothing is wrong any more.
    ClearError,
    /// This is wrong, for the status.
    Note(String),
    /// The node gave an answer that cannot be true.
    Distrust(&'static str),
    /// When the next pass begins.
    Wait(Wait),
}

/// The step that follows, and what else changes.
pub(super) type Transition = (Step, Vec<Effect>);

/// What a transition may look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub(super) settings: &'a Settings,
    pub(super) signer: &'a Signer,
    pub(super) pending: &'a Pending,
    pub(super) rounds: Option<&'a RoundMaker>,
    pub(super) flight: Option<&'a Flight>,
    pub(super) watch: FlightWatch,
    pub(super) spending: &'a Spending,
    pub(super) limits: Limits,
    pub(super) turn: Turn,
    /// No transaction but one with rounds is made before this time.
    pub(super) next_anchor: UnixMs,
    pub(super) now: UnixMs,
}

impl Context<'_> {
    /// The gas that the day's budget has left for a transaction with rounds, or for one without; `None` without a budget.
    pub(super) fn gas_left(&self, has_rounds: bool) -> Option<u64> {
        let daily = self.settings.daily_gas?;
        let makes_rounds = self.rounds.is_some_and(RoundMaker::is_used);
        Some(match makes_rounds && !has_rounds {
            true => self.spending.left_beside_rounds(daily, self.now),
            false => daily.saturating_sub(self.spending.gas(self.now)),
        })
    }
}

impl Step {
    /// What the step asks for; `None` when it asks for nothing.
    pub(super) fn question(&self, context: &Context<'_>) -> Option<Question> {
        let account = context.signer.address();
        let to = context.settings.contract;
        let read = |ids: &[StreamId], at| Request::Call {
            to,
            data: abi::read_streams(ids),
            at,
        };
        Some(Question::Call(match self {
            Step::Idle => return None,
            Step::ReadRecords(draft) => {
                let unread = draft.unread()?;
                return Some(Question::Records(unread.stream, unread.first, unread.count));
            }
            Step::ReadSegments(draft) => {
                let read = draft.to_read.last()?;
                return Some(Question::Segments(read.stream, read.next));
            }
            Step::ReadRounds => Request::Call {
                to,
                data: abi::read_rounds(context.pending.rounds?),
                at: BlockId::Latest,
            },
            Step::ReadHead(..) => Request::Block(BlockId::Latest),
            Step::ReadDeep(ids, number) => read(ids, BlockId::Number(*number)),
            Step::ReadStreams(ids) => read(ids, BlockId::Latest),
            Step::ReadFinal(ids) => read(ids, BlockId::Finalized),
            Step::ReadNonce(_) | Step::CheckNonce => Request::TransactionCount(account),
            Step::ReadFees(..) | Step::ReadFeesToBump => Request::FeeHistory,
            Step::Estimate(prepared, ..) => Request::EstimateGas {
                from: account,
                to,
                data: prepared.data.clone(),
            },
            Step::ReadBalance(_) => Request::Balance(account),
            Step::Broadcast => Request::Send(context.flight?.raw.clone()),
            Step::AskKnown => Request::Transaction(context.flight?.newest()?.hash),
            Step::AskReceipt(index) => Request::Receipt(context.flight?.attempts.get(*index)?.hash),
        }))
    }
}

/// The pass is over.
pub(super) fn rest(wait: Wait) -> Transition {
    (Step::Idle, vec![Effect::Wait(wait)])
}

/// The pass failed for this reason.
pub(super) fn fail(reason: String) -> Transition {
    (
        Step::Idle,
        vec![Effect::Note(reason), Effect::Wait(Wait::Failure)],
    )
}

/// The node's answer cannot be true.
pub(super) fn distrust(reason: &'static str) -> Transition {
    let (step, mut effects) = fail(format!("RPC node rejected: {reason}"));
    effects.insert(0, Effect::Distrust(reason));
    (step, effects)
}

/// Puts earlier effects before those of a transition.
pub(super) fn after(mut effects: Vec<Effect>, (step, more): Transition) -> Transition {
    effects.extend(more);
    (step, effects)
}
