//! Each edge of a pass: a step, an event, the step that follows and what else changes.

mod broadcast;
mod pass;
mod prepare;

use alloy_primitives::{Address, B256, Bytes, U256, aliases::U96, keccak256};
use alloy_sol_types::{SolCall, SolError};
use streamchain_protocol::ids::{ProducerId, Seq, StreamId};
use streamchain_protocol::proof::{leaves, merkle};
use streamchain_protocol::stream_settings::Mode;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::{Record, encode_records};

use crate::abi::{self, IStreamChain, multicallCall};
use crate::anchorer::choice::Turn;
use crate::anchorer::flight::{Flight, FlightWatch};
use crate::anchorer::gas_owners::GasOwners;
use crate::anchorer::obstacle::Obstacle;
use crate::anchorer::pending::Pending;
use crate::anchorer::plan::{Added, Draft, Limits, Prepared};
use crate::anchorer::segment::Segment;
use crate::anchorer::settings::Settings;
use crate::anchorer::spending::{Spending, end_of_day};
use crate::anchorer::step::{Context, Effect, Event, Step, Transition, Unsigned, Wait};
use crate::ethereum::{Answer, FeeHistory, FeePolicy, Fees, Receipt, RpcError, Signer, WEI_PER_GWEI};
use crate::journal::Journal;

const NOW: UnixMs = UnixMs(1_700_000_000_000);
const FEES: Fees = Fees {
    max_fee: 3 * WEI_PER_GWEI,
    tip: WEI_PER_GWEI,
};
const IDLE_UNTIL_NEXT_ROUND: (Step, Effect) = (Step::Idle, Effect::Wait(Wait::Interval));

/// All that a transition may look at; tests change what they are about.
struct Scene {
    settings: Settings,
    signer: Signer,
    pending: Pending,
    flight: Option<Flight>,
    watch: FlightWatch,
    spending: Spending,
}

impl Scene {
    fn new() -> Self {
        let signer = Signer::from_hex(&"11".repeat(32)).unwrap();
        let settings = Settings {
            chain_id: 1,
            contract: Address::repeat_byte(0xc0),
            interval_ms: 2_000,
            fees: FeePolicy {
                cap: 100 * WEI_PER_GWEI,
                tip_floor: 1,
            },
            bump_after_ms: 36_000,
            resend_after_ms: 24_000,
            retry_after_ms: 10_000,
            daily_gas: None,
            poll_ms: 4_000,
            gas_owners: GasOwners::All,
            finality_depth: None,
            recheck_after_ms: 60_000,
            rounds: None,
        };
        Self {
            pending: Pending::new(signer.address(), &settings),
            settings,
            signer,
            flight: None,
            watch: FlightWatch::default(),
            spending: Spending::default(),
        }
    }

    /// With one segment of one stream of the account.
    fn with_segment(mode: Mode) -> Self {
        let mut scene = Self::new();
        let segment = scene.segment(scene.signer.address(), mode);
        scene.insert(&segment);
        scene
    }

    /// With a transaction that has two attempts, both signed just now.
    fn with_flight() -> Self {
        let mut scene = Self::new();
        let flight = Flight {
            nonce: 5,
            gas_limit: 60_000,
            data: Bytes::from_static(b"calldata"),
            runs: Vec::new(),
            gas_parts: Vec::new(),
            leaves_more: false,
            attempts: Vec::new(),
            raw: Bytes::new(),
            since: NOW,
        };
        let sign = |flight: Flight, fees| flight.signed(fees, &scene.settings, &scene.signer, NOW).unwrap();
        let lower = Fees {
            max_fee: 2 * WEI_PER_GWEI,
            tip: 1,
        };
        scene.flight = Some(sign(sign(flight, lower), FEES));
        scene
    }

    fn segment(&self, owner: Address, mode: Mode) -> Segment {
        let name_hash = keccak256("demo");
        let stream = abi::stream_id(owner, name_hash);
        Segment {
            stream,
            owner,
            name: "demo".into(),
            name_hash,
            first: Seq(0),
            count: 2,
            root: merkle::root(&leaves(stream, Seq(0), &records()).unwrap()).unwrap(),
            mode,
            prove: false,
        }
    }

    fn insert(&mut self, segment: &Segment) {
        let segments = std::slice::from_ref(segment);
        self.pending.insert(segments, &mut Journal::default()).unwrap();
    }

    fn stream(&self) -> StreamId {
        abi::stream_id(self.signer.address(), keccak256("demo"))
    }

    fn hash(&self, attempt: usize) -> B256 {
        self.flight.as_ref().unwrap().attempts[attempt].hash
    }

    fn context(&self) -> Context<'_> {
        Context {
            settings: &self.settings,
            signer: &self.signer,
            pending: &self.pending,
            rounds: None,
            flight: self.flight.as_ref(),
            watch: self.watch,
            spending: &self.spending,
            limits: Limits::default(),
            turn: Turn::default(),
            next_anchor: UnixMs(0),
            now: NOW,
        }
    }

    fn answered(&self, step: Step, answer: Answer) -> Transition {
        step.transition(Event::Answer(Ok(answer)), &self.context())
    }

    fn failed(&self, step: Step, error: RpcError) -> Transition {
        step.transition(Event::Answer(Err(error)), &self.context())
    }

    /// The draft of the scene's one segment.
    fn draft(&self) -> Draft {
        let state = contract_state(self.signer.address(), 0);
        match self.answered(Step::ReadStreams(vec![self.stream()]), state) {
            (Step::ReadRecords(draft), _) => draft,
            other => panic!("expected a draft, got {other:?}"),
        }
    }

    /// The transaction that anchors the scene's one segment.
    fn prepared(&self) -> Prepared {
        let state = contract_state(self.signer.address(), 0);
        match self.answered(Step::ReadStreams(vec![self.stream()]), state) {
            (Step::ReadNonce(prepared), _) => prepared,
            other => panic!("expected a transaction, got {other:?}"),
        }
    }

    fn unsigned(&self) -> Unsigned {
        Unsigned {
            prepared: self.prepared(),
            nonce: 5,
            fees: FEES,
            gas_limit: 60_000,
            gas_parts: Vec::new(),
        }
    }
}

/// The records of the scene's segment.
fn records() -> Vec<u8> {
    let record = |seq| Record {
        time: streamchain_protocol::time::UnixMs(seq),
        author: Address::repeat_byte(1),
        producer: ProducerId([2; 16]),
        producer_seq: seq,
        payload: Bytes::from_static(b"payload"),
        group: None,
    };
    encode_records(&[record(0), record(1)])
}

/// What `streams` of one stream returns.
fn contract_state(anchorer: Address, next_seq: u64) -> Answer {
    let state = [&[0; 12], anchorer.as_slice(), &[0; 24], &next_seq.to_be_bytes()].concat();
    Answer::Returned(multicallCall::abi_encode_returns(&vec![Bytes::from(state)]).into())
}

fn node(message: &str) -> RpcError {
    RpcError::Node {
        code: -32000,
        message: message.into(),
        revert: None,
    }
}

fn fee_history(base_fee_gwei: u128) -> Answer {
    Answer::FeeHistory(FeeHistory::new(&[base_fee_gwei * WEI_PER_GWEI], &[WEI_PER_GWEI]))
}

fn receipt(hash: B256, status: u64) -> Answer {
    Answer::Receipt(Some(Receipt {
        transaction_hash: hash,
        block_number: 1,
        block_hash: B256::ZERO,
        status,
        gas_used: 50_000,
        logs: Vec::new(),
    }))
}

/// Fails unless the pass ended, with these effects before the last one.
fn ends_with(transition: Transition, wait: Wait, effects: &[Effect]) {
    let expected = [effects, &[Effect::Wait(wait)]].concat();
    assert_eq!(transition, (Step::Idle, expected));
}

fn note(text: &str) -> Effect {
    Effect::Note(text.into())
}
