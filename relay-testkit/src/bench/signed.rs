//! What signatures cost the relay and the line: the same messages, in groups and without.

use super::fan_out::{BenchArgs, CONNECT_TIMEOUT, deliveries};
use super::kind::Kind;
use super::load::Member;
use super::relay::BenchRelay;
use crate::signing::{GroupSigner, SigningKey};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use streamchain_protocol::ids::{Epoch, ProducerId, Seq, StreamId};
use streamchain_protocol::limits::MAX_COALESCE_BYTES;
use streamchain_protocol::signed::GroupHeader;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::frame::{ClientFrame, RelayFrame, SignedGroup};
use streamchain_protocol::wire::{Record, encode_records};
use streamchain_protocol::{Address, B256};

/// Messages in a group: what a person sends, what a sensor does, and the most.
const GROUP_SIZES: [usize; 3] = [1, 20, 256];

/// How many subscribers the deliveries are compared at.
const SUBSCRIBERS: usize = 100;

/// Messages in a group there.
const FAN_OUT_GROUP: usize = 20;

/// How many rounds are compared, in turns, so that a busy moment of the machine is in both.
const ROUNDS: usize = 5;

/// Groups of one measurement of the relay's CPU.
const CHECKED_GROUPS: usize = 400;

/// All figures.
pub(super) async fn signed(args: &BenchArgs) -> Result<Value> {
    let bytes = GROUP_SIZES
        .iter()
        .map(|messages| bytes_per_message(*messages, args.payload))
        .collect::<Result<Vec<_>>>()?;
    let mut checks = Vec::new();
    for messages in GROUP_SIZES {
        checks.push(cpu_of_checks(messages, args.payload).await?);
    }
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let of = async |kind| deliveries(SUBSCRIBERS, args, FAN_OUT_GROUP, kind).await;
        let (unsigned, signed) = (of(Kind::Unsigned).await?, of(Kind::Signed).await?);
        let (in_parts, unasked) = (of(Kind::SignedInParts).await?, of(Kind::SignedUnasked).await?);
        rounds
            .push(json!({ "unsigned": unsigned, "signed": signed, "inParts": in_parts, "unasked": unasked }));
    }
    Ok(json!({ "bytes": bytes, "checks": checks, "messagesInGroup": FAN_OUT_GROUP, "rounds": rounds }))
}

/// The relay's CPU time for a group beyond that of the same messages without a signature.
async fn cpu_of_checks(messages: usize, payload: usize) -> Result<Value> {
    let groups = CHECKED_GROUPS.min(20_000 / messages).max(100);
    let mut micros = Vec::new();
    for signs in [false, true] {
        let relay = BenchRelay::start().await?;
        let mut publisher = Member::publisher(&relay, CONNECT_TIMEOUT).await?;
        let before = relay.cpu().context("the relay's CPU time is not known")?;
        for _ in 0..groups {
            publisher.publish_together(messages, payload, signs)?;
            while publisher.unsent() > 0 {
                publisher
                    .run_until(Instant::now() + Duration::from_micros(200))
                    .await?;
            }
            publisher.run_once().await?;
        }
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        while relay.stored() < publisher.published() {
            anyhow::ensure!(Instant::now() < deadline, "the messages are not stored");
            publisher
                .run_until(Instant::now() + Duration::from_millis(5))
                .await?;
        }
        let spent = relay.cpu().context("the relay's CPU time is not known")? - before;
        micros.push(spent.as_secs_f64() * 1e6 / groups as f64);
    }
    let (unsigned, signed) = (micros.first().copied(), micros.last().copied());
    let checked = signed.unwrap_or(0.0) - unsigned.unwrap_or(0.0);
    Ok(json!({
        "messages": messages, "groups": groups, "unsignedMicros": unsigned, "signedMicros": signed,
        "checkMicros": checked,
    }))
}

/// Bytes of a message in each place, without a signature and as one of a group.
fn bytes_per_message(messages: usize, payload: usize) -> Result<Value> {
    let (stream, producer) = (StreamId([1; 32]), ProducerId([2; 16]));
    let key = SigningKey::generate()?;
    let (author, public) = (key.author()?, key.public());
    let mut signer = GroupSigner::new(key, stream, author, producer);
    let payload = vec![7; payload];
    let payloads = vec![payload.as_slice(); messages];
    let frame = signer.sign(&payloads)?;
    let header = GroupHeader {
        count: u16::try_from(messages)?,
        previous: frame.previous,
        key: public,
        signature: frame.signature,
    };
    let (mut plain, mut grouped) = (Vec::new(), Vec::new());
    for (producer_seq, payload) in (0..).zip(&payloads) {
        ClientFrame::Publish {
            producer_seq,
            payload,
        }
        .write(&mut plain);
    }
    ClientFrame::Group {
        producer_seq: 0,
        previous: B256::ZERO,
        signature: frame.signature,
        payloads: payloads.clone(),
    }
    .write(&mut grouped);
    let sent = (plain.len(), grouped.len());
    let delivered = delivered_bytes(author, producer, &payloads, header);
    let records = |group: Option<GroupHeader>| {
        let records = (0..).zip(&payloads).map(|(producer_seq, payload)| Record {
            time: UnixMs(1_700_000_000_000),
            author,
            producer,
            producer_seq,
            payload: payload.to_vec().into(),
            group: group.filter(|_| producer_seq == 0),
        });
        encode_records(&records.collect::<Vec<_>>()).len()
    };
    let stored = (records(None), records(Some(header)));
    let each = |(plain, grouped): (usize, usize)| {
        let of = |bytes: usize| (10.0 * bytes as f64 / messages as f64).round() / 10.0;
        json!({ "unsigned": of(plain), "signed": of(grouped) })
    };
    Ok(
        json!({ "messages": messages, "sent": each(sent), "delivered": each(delivered), "stored": each(stored) }),
    )
}

/// Bytes of the frames of a group to a subscriber, and to one who asked for signatures.
fn delivered_bytes(
    author: Address,
    producer: ProducerId,
    payloads: &[&[u8]],
    header: GroupHeader,
) -> (usize, usize) {
    let group = SignedGroup {
        epoch: Epoch(1),
        seq: Seq(1_000),
        time: UnixMs(1_700_000_000_000),
        author,
        producer,
        producer_seq: 1_000,
        header,
        payloads: payloads.to_vec(),
    };
    let bytes = |frames: &mut dyn Iterator<Item = RelayFrame<'_>>| {
        let mut out = Vec::new();
        frames.for_each(|frame| frame.write(&mut out));
        out.len()
    };
    let plain = bytes(&mut group.messages());
    let in_parts = plain + bytes(&mut [group.signature()].into_iter());
    let whole = bytes(&mut [RelayFrame::SignedGroup(group)].into_iter());
    let delivered = match whole <= MAX_COALESCE_BYTES {
        true => whole,
        false => in_parts,
    };
    (plain, delivered)
}
