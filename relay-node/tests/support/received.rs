//! The frames that clients received, as tests read them.

use streamchain_protocol::proof::AnchorRef;
use streamchain_protocol::wire::cbor::Reader;
use streamchain_protocol::wire::frame::RelayFrame;

/// The seqs of a client's messages and gaps, in the order in which it received them.
pub fn seqs(received: &[String]) -> Vec<u64> {
    let mut all = vec![];
    for said in received {
        if let Some(message) = said.strip_prefix("message ") {
            all.extend(message.split(' ').next().and_then(|seq| seq.parse::<u64>().ok()));
        } else if let Some((from, to)) = said.strip_prefix("gap ").and_then(|gap| gap.split_once("..")) {
            all.extend(from.parse::<u64>().unwrap()..to.parse::<u64>().unwrap());
        }
    }
    all
}

/// Frames as a test reads them.
pub fn as_text(message: &[u8]) -> Vec<String> {
    let mut reader = Reader::new(message);
    let mut all = vec![];
    while !reader.is_at_end() {
        all.push(match RelayFrame::read(&mut reader).unwrap().unwrap() {
            RelayFrame::Welcome {
                epoch,
                head,
                committed,
                stored,
                ..
            } => {
                format!("welcome epoch {epoch} head {head} committed {committed} stored {stored:?}")
            }
            RelayFrame::Message { seq, payload, .. } if payload.len() < 100 => {
                format!("message {seq} {}", String::from_utf8_lossy(payload))
            }
            RelayFrame::Message { seq, payload, .. } => format!("message {seq} of {} bytes", payload.len()),
            RelayFrame::Accepted {
                producer_seq,
                seq,
                count,
            } => {
                let group = count.map_or(String::new(), |count| format!("+{count}"));
                let place = seq.map_or("before".into(), |seq| format!("as {seq}"));
                format!("accepted {producer_seq}{group} {place}")
            }
            RelayFrame::Signature { seq, group, .. } => format!("signature {seq}+{}", group.count),
            RelayFrame::SignedGroup(group) => {
                let texts: Vec<_> = group
                    .payloads
                    .iter()
                    .map(|text| String::from_utf8_lossy(text))
                    .collect();
                format!("group {}+{} {}", group.seq, group.header.count, texts.join(" "))
            }
            RelayFrame::Committed { committed } => format!("committed {committed}"),
            RelayFrame::Gap { from, to } => format!("gap {from}..{to}"),
            RelayFrame::Error {
                code,
                retry_ms: Some(wait),
                ..
            } => format!("error {code} wait {wait}"),
            RelayFrame::Error { code, .. } => format!("error {code}"),
            RelayFrame::Anchored(AnchorRef {
                first, count, state, ..
            }) => format!("anchored {first}+{count} {state:?}"),
            RelayFrame::Chain { block, .. } => format!("chain {block}"),
            RelayFrame::Presence(presence) => {
                let listed: Vec<u8> = presence.authors.iter().map(|author| author[0]).collect();
                format!("presence {} {} {listed:?}", presence.readers, presence.publishers)
            }
            RelayFrame::ChainState { block, state, .. } => format!("chain {block} {state:?}"),
        });
    }
    all
}
