//! The sender: brings segments onto the chain, as one account, one transaction at a time.
//!
//! What always holds:
//! - the signed bytes are saved before they are sent, and a transaction that may be in some pool is sent again with
//!   the same bytes after a crash;
//! - what to anchor is decided by the contract's own `nextSeq`, read anew before each transaction whenever there is
//!   doubt, so an anchored run is never sent on purpose a second time, and what a reorganisation took back is sent
//!   again;
//! - a segment is forgotten only when the chain has it in a finalized block;
//! - the gas of a UTC day never exceeds the operator's budget: it is counted, with what a transaction may use at most,
//!   in the write that saves the transaction.
//! - messages and digests of a stream that wants them on chain are emitted in the very transaction that anchors them,
//!   so the contract's own continuity keeps them from being emitted twice on one chain.
//!
//! One round: read the contract for the streams that wait → read what is to be emitted → nonce → fees → gas → balance → sign → save → send; later
//! rounds ask for the receipt, send the same bytes again, or raise the fee, until the transaction is in a block or
//! its nonce is taken.

mod emission;
mod events;
mod flight;
mod pending;
mod plan;
mod round;
mod spending;
mod status;

use alloy_primitives::{Address, B256, U256};
use streamchain_protocol::stream_settings::Mode;

pub use emission::MAX_EMITTED_BYTES;
pub use pending::{MAX_HELD_SEGMENTS, MAX_SEGMENTS_PER_ANCHOR, Obstacle, Run};
pub use status::{BlockedStream, GasBudget, InFlight, Status};

use crate::backoff::Backoff;
use crate::ethereum::FeePolicy;
use crate::ethereum::Request;
use crate::ethereum::Signer;
use crate::journal::{self, Journal, RestoreError, Row};
use flight::{Flight, FlightWatch};
use pending::Pending;
use round::Step;
use spending::Spending;

/// Streams anchored by one transaction at most: about a million gas once they are open.
pub const MAX_RUNS: usize = 100;
/// The most gas one transaction may ask for: half of what EIP-7825 allows one (2^24), so that a full batch of new
/// streams still finds room in a block.
pub const MAX_TRANSACTION_GAS: u64 = 8_000_000;

const FLIGHT_KEY: &str = "flight";
const SPENDING_KEY: &str = "spending";
const BOOK_PREFIX: &str = "book/";

/// What does not change while the sender runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The chain's id; goes into every signature.
    pub chain_id: u64,
    /// The contract.
    pub contract: Address,
    /// The pause between rounds, in ms: what arrives meanwhile shares a transaction.
    pub interval_ms: u64,
    /// Bounds for fees.
    pub fees: FeePolicy,
    /// A transaction that is in no block after so many ms gets a higher fee.
    pub bump_after_ms: u64,
    /// The same bytes are sent again after so many ms, in case that the pool dropped them.
    pub resend_after_ms: u64,
    /// What others have to do on chain (open a stream, hand it back, send the account money) is looked for again after
    /// so many ms.
    pub retry_after_ms: u64,
    /// The gas that the account's transactions may use in a UTC day; `None`: as much as they need.
    pub daily_gas: Option<u64>,
    /// The contract is read again for a stream whose segments are still held after so many ms: heals what a lost
    /// event would leave behind.
    pub recheck_after_ms: u64,
}

/// A segment to be anchored: a contiguous run of messages under one root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The stream's id.
    pub stream: B256,
    /// The stream's owner.
    pub owner: Address,
    /// The stream's name, for people.
    pub name: String,
    /// keccak256 of the name.
    pub name_hash: B256,
    /// The first message's seq.
    pub first: u64,
    /// How many messages.
    pub count: u32,
    /// The Merkle root over the messages' leaves.
    pub root: B256,
    /// What goes on chain beside the root.
    pub mode: Mode,
    /// Whether the anchor is stored, so that contracts can check the messages.
    pub prove: bool,
}

/// Why a segment is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// The id is not that of the owner's stream of this name. The caller has a bug.
    #[error("stream {stream} is not keccak256(abi.encode(owner, nameHash))")]
    WrongId {
        /// The id given.
        stream: B256,
    },
    /// No message, or a range past 2^64. The caller has a bug.
    #[error("the segment of {stream} at message {first} is empty or too long")]
    BadRange {
        /// The stream.
        stream: B256,
        /// The segment's first message.
        first: u64,
    },
    /// Another segment begins at the same message. The caller has a bug.
    #[error("another segment of {stream} at message {first} is here already")]
    Different {
        /// The stream.
        stream: B256,
        /// The segment's first message.
        first: u64,
    },
    /// Too many segments wait. Keep it and come again later.
    #[error("{held} segments are waiting for the chain; no room for more")]
    Full {
        /// How many there are.
        held: usize,
    },
}

/// What the owner of the machine must do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Write these rows, all or none, before asking for the next command. If that fails, drop the machine and
    /// restore it from what is saved.
    Save(Vec<Row>),
    /// Ask a node, and give the outcome to [`Anchorer::handle_answer`].
    Call(Request),
    /// Read a segment's records from the database, and give the outcome to [`Anchorer::handle_records`].
    Read {
        /// The stream.
        stream: B256,
        /// The segment's first message.
        first: u64,
        /// How many messages it has.
        count: u32,
    },
    /// The node gives answers that cannot be true: ask another one from now on, if there is one.
    Distrust(String),
}

/// The machine. See the module's text.
#[derive(Debug)]
pub struct Anchorer {
    settings: Settings,
    signer: Signer,
    journal: Journal,
    pending: Pending,
    flight: Option<Flight>,
    watch: FlightWatch,
    step: Step,
    asked: bool,
    /// No round begins before this time, in Unix ms.
    next_round_ms: u64,
    backoff: Backoff,
    /// How many runs the next transaction may have; halved when a batch is refused as a whole.
    batch_limit: usize,
    /// How many bytes of messages and digests the next transaction may carry; halved when they are too many.
    emission_limit: usize,
    spending: Spending,
    /// The last stream that had its turn.
    turn: Option<B256>,
    distrust: Option<String>,
    balance: Option<U256>,
    last_error: Option<(String, u64)>,
    /// The stream that was anchored last, and its next seq.
    latest: Option<(B256, u64)>,
}

impl Anchorer {
    /// A machine with the state that was saved; without rows, a new one.
    pub fn restore<'a>(
        settings: Settings,
        signer: Signer,
        rows: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, RestoreError> {
        let mut pending = Pending::new(settings.retry_after_ms);
        let mut flight: Option<Flight> = None;
        let mut spending = Spending::default();
        let mut rows: Vec<_> = rows.into_iter().collect();
        rows.sort_unstable(); // a stream's row comes before those of its segments
        for (key, value) in rows {
            if key == FLIGHT_KEY {
                flight = Some(journal::read(key, value)?);
            } else if key == SPENDING_KEY {
                spending = journal::read(key, value)?;
            } else if key.starts_with(BOOK_PREFIX) {
                pending.restore(key, value)?;
            }
        }
        Ok(Self {
            settings,
            signer,
            journal: Journal::default(),
            pending,
            flight,
            watch: FlightWatch::default(),
            step: Step::Idle,
            asked: false,
            next_round_ms: 0,
            backoff: Backoff::default(),
            batch_limit: MAX_RUNS,
            emission_limit: MAX_EMITTED_BYTES,
            spending,
            turn: None,
            distrust: None,
            balance: None,
            last_error: None,
            latest: None,
        })
    }

    /// Takes in segments, all or none. They are promised only once the next [`Command::Save`], or what
    /// [`Self::take_unsaved`] gives, is written. Gives how many were new.
    pub fn handle_segments(&mut self, segments: &[Segment]) -> Result<usize, SegmentError> {
        self.pending.insert(segments, &mut self.journal)
    }

    /// The rows that have to be written now, outside of a round.
    pub fn take_unsaved(&mut self) -> Vec<Row> {
        self.journal.take()
    }

    /// A stream that this account anchored lately, and its next seq, as far as known.
    pub fn latest(&self) -> Option<(B256, u64)> {
        self.latest
    }

    /// The owner lost track of a call (it was interrupted): the round begins anew.
    pub fn handle_interruption(&mut self) {
        self.step = Step::Idle;
        self.asked = false;
    }

    /// When to call [`Self::next_command`] again, in Unix ms; `None`: only after the next segment or event.
    pub fn poll_timeout(&self, now_ms: u64) -> Option<u64> {
        if self.flight.is_some() || !matches!(self.step, Step::Idle) || !self.journal.is_empty() {
            return Some(self.next_round_ms);
        }
        let recheck = self
            .pending
            .oldest_reading_ms()
            .map(|read| read + self.settings.recheck_after_ms);
        let due = [self.pending.next_due_ms(now_ms), recheck]
            .into_iter()
            .flatten()
            .min();
        due.map(|due| due.max(self.next_round_ms))
    }

    /// What to do now; `None`: nothing before [`Self::poll_timeout`], or before the outcome of the last call.
    pub fn next_command(&mut self, now_ms: u64) -> Option<Command> {
        if !self.journal.is_empty() {
            return Some(Command::Save(self.journal.take()));
        }
        if let Some(reason) = self.distrust.take() {
            return Some(Command::Distrust(reason));
        }
        if self.asked {
            return None;
        }
        if matches!(self.step, Step::Idle) && now_ms >= self.next_round_ms {
            self.begin_round(now_ms);
        }
        let command = match self.reading() {
            Some(read) => read,
            None => Command::Call(self.request()?),
        };
        self.asked = true;
        Some(command)
    }
}
