//! The contract: what a call does to the streams, and the events that it emits.

use super::fake_chain::State;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolCall, SolError, SolEvent};
use streamchain_chain::abi::{self, IStreamChain, anchorCall, multicallCall, openCall, streamsCall};
use streamchain_protocol::ids::StreamId;
use streamchain_protocol::proof::range;

/// Topics and data.
pub type Event = (Vec<B256>, Bytes);

/// The contract. On error: its revert data.
pub fn execute(state: &mut State, from: Address, data: &[u8]) -> Result<(Bytes, Vec<Event>), Bytes> {
    if let Ok(call) = multicallCall::abi_decode(data) {
        let mut returned = Vec::new();
        let mut events = Vec::new();
        for data in call.data {
            let (bytes, more) = execute(state, from, &data)?;
            returned.push(bytes);
            events.extend(more);
        }
        return Ok((multicallCall::abi_encode_returns(&returned).into(), events));
    }
    if let Ok(call) = streamsCall::abi_decode(data) {
        let (anchorer, next) = state.streams.get(&call.stream).copied().unwrap_or_default();
        let next = next.to_be_bytes();
        let returned = [&[0; 12], anchorer.as_slice(), &[0; 24], &next].concat();
        return Ok((returned.into(), Vec::new()));
    }
    if let Some(outcome) = rounds(state, from, data) {
        return outcome;
    }
    if let Ok(call) = openCall::abi_decode(data) {
        let stream = abi::stream_id(from, call.nameHash).word();
        if state.streams.contains_key(&stream) {
            return Err(IStreamChain::StreamAlreadyOpen { stream }.abi_encode().into());
        }
        state.streams.insert(stream, (call.anchorer, 0));
        return Ok((stream.to_vec().into(), Vec::new()));
    }
    if let Ok(call) = IStreamChain::publishCall::abi_decode(data) {
        let event = abi::Published {
            stream: call.stream,
            author: from,
            payload: call.payload,
        };
        return Ok((Bytes::new(), vec![encode(&event)]));
    }
    if let Some(events) = emissions(data) {
        return Ok((Bytes::new(), events));
    }
    anchor_runs(state, from, data)
}

/// The events of a call that carries messages or their digests; `None` when it is another call.
fn emissions(data: &[u8]) -> Option<Vec<Event>> {
    if let Ok(call) = IStreamChain::emitDigestsCall::abi_decode(data) {
        let event = |(seq, digest)| {
            encode(&IStreamChain::DigestEmitted {
                stream: call.stream,
                seq,
                digest,
            })
        };
        return Some((call.firstSeq..).zip(call.digests).map(event).collect());
    }
    let call = IStreamChain::emitMessagesCall::abi_decode(data).ok()?;
    let event = |(seq, message): (u64, abi::Message)| {
        encode(&IStreamChain::MessageEmitted {
            stream: call.stream,
            seq,
            author: message.author,
            time: message.time,
            payload: message.payload,
        })
    };
    Some((call.firstSeq..).zip(call.messages).map(event).collect())
}

/// `anchorRound` and `peak`, which a contract of the version before does not have; `None` for other calls.
fn rounds(state: &mut State, from: Address, data: &[u8]) -> Option<Result<(Bytes, Vec<Event>), Bytes>> {
    let is_peak = abi::peakCall::abi_decode(data).is_ok();
    let call = abi::anchorRoundCall::abi_decode(data);
    if !is_peak && call.is_err() {
        return None;
    }
    if state.has_no_rounds {
        return Some(Err(Bytes::new()));
    }
    let Ok(call) = call else {
        let peak = abi::peakCall::abi_decode(data).expect("the other call");
        let height = u8::try_from(peak.height).expect("a height");
        let peak = state
            .peaks
            .get(&(peak.rounds, height))
            .copied()
            .unwrap_or_default();
        return Some(Ok((peak.to_vec().into(), Vec::new())));
    };
    let run = abi::Anchor {
        stream: call.stream,
        firstSeq: call.round,
        count: 1,
        root: call.root,
    };
    let (rounds, round) = (StreamId(call.stream.0), call.round);
    let anchored = anchor(state, from, vec![run]);
    if anchored.is_ok() {
        let peak = |height| state.peaks.get(&(call.stream, height)).copied();
        let made = range::append(round, range::range_leaf(rounds, round, call.root), peak);
        // Rounds that a test only says are there have no peaks.
        if let Some(node) = made.and_then(|mut made| made.pop()) {
            state.peaks.insert((call.stream, node.height), node.hash);
        }
    }
    Some(anchored.map(|events| (Bytes::new(), events)))
}

/// `anchor` and `anchorStored`.
fn anchor_runs(state: &mut State, from: Address, data: &[u8]) -> Result<(Bytes, Vec<Event>), Bytes> {
    let stored = abi::anchorStoredCall::abi_decode(data);
    let anchors = match &stored {
        Ok(call) => call.anchors.clone(),
        Err(_) => {
            anchorCall::abi_decode(data)
                .expect("a call the fake contract knows")
                .anchors
        }
    };
    let runs = anchors.len();
    let mut events = anchor(state, from, anchors)?;
    if stored.is_ok() {
        events.push(encode(&IStreamChain::AnchorsStored {
            commitment: keccak256(data),
            runs: U256::from(runs),
        }));
    }
    Ok((Bytes::new(), events))
}

fn anchor(state: &mut State, from: Address, anchors: Vec<abi::Anchor>) -> Result<Vec<Event>, Bytes> {
    let mut events = Vec::new();
    for it in anchors {
        let Some((anchorer, next)) = state.streams.get_mut(&it.stream) else {
            return Err(IStreamChain::StreamNotOpen { stream: it.stream }
                .abi_encode()
                .into());
        };
        if *anchorer != from {
            let error = IStreamChain::NotAnchorer {
                stream: it.stream,
                caller: from,
                anchorer: *anchorer,
            };
            return Err(error.abi_encode().into());
        }
        if it.firstSeq != *next {
            let error = IStreamChain::Overlap {
                stream: it.stream,
                nextSeq: alloy_primitives::aliases::U96::from(*next),
                firstSeq: it.firstSeq,
            };
            return Err(error.abi_encode().into());
        }
        *next += u64::from(it.count);
        let (stream, anchorer) = (it.stream, from);
        let (first, count, root) = (it.firstSeq, it.count, it.root);
        events.push(encode(&abi::Anchored {
            stream,
            anchorer,
            firstSeq: first,
            count,
            root,
        }));
    }
    Ok(events)
}

fn encode<E: SolEvent>(event: &E) -> Event {
    let log = event.encode_log_data();
    (log.topics().to_vec(), log.data)
}
