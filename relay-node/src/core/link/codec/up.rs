//! The frames of the lower end as bytes.

use super::items::{end, head, need, out_of_shape, read_presence, too_many, uint_or_null, write_presence};
use crate::core::limits::LINK_CREDIT_BYTES;
use crate::core::link::{Follow, Forwarded, Greeting, UpFrame};
use bytes::Bytes;
use std::net::IpAddr;
use streamchain_protocol::ids::{Epoch, ProducerId, Seq};
use streamchain_protocol::signed::{MAX_GROUP_BYTES, MAX_GROUP_MESSAGES, PublicKey, Signature};
use streamchain_protocol::util::Network;
use streamchain_protocol::wire::ProducerKey;
use streamchain_protocol::wire::cbor::{CborError, Reader, Writer};
use streamchain_protocol::{Address, B256};

const FOLLOW: u64 = 1;
const CREDIT: u64 = 2;
const HELLO: u64 = 3;
const PUBLISH: u64 = 4;
const GROUP: u64 = 5;
const LEAVE: u64 = 6;
const UNFOLLOW: u64 = 7;
const HERE: u64 = 8;

pub(super) fn write_up(frame: &UpFrame, ticket: &str, w: &mut Writer<'_>) {
    match frame {
        UpFrame::Follow(follow) => {
            w.array(5).uint(FOLLOW).text(ticket);
            w.uint_or_null(follow.known.map(|(epoch, _)| epoch.0));
            w.uint_or_null(follow.known.map(|(_, from)| from.0));
            w.uint(follow.credit.into());
        }
        UpFrame::Credit(bytes) => {
            w.array(2).uint(CREDIT).uint((*bytes).into());
        }
        UpFrame::Hello(greeting) => {
            w.array(6).uint(HELLO).uint(greeting.publisher);
            w.bytes(greeting.producer.author.as_slice());
            w.bytes(&greeting.producer.id.0);
            match greeting.key {
                Some(key) => w.bytes(key.as_bytes()),
                None => w.null(),
            };
            match greeting.network.address() {
                IpAddr::V4(ip) => w.bytes(&ip.octets()),
                IpAddr::V6(ip) => w.bytes(&ip.octets()),
            };
        }
        UpFrame::Publish(forwarded) => {
            match &forwarded.signed {
                None => {
                    w.array(4).uint(PUBLISH);
                    w.uint(forwarded.publisher).uint(forwarded.producer_seq);
                }
                Some((previous, signature)) => {
                    w.array(6).uint(GROUP);
                    w.uint(forwarded.publisher).uint(forwarded.producer_seq);
                    w.bytes(previous.as_slice()).bytes(&signature.0);
                    w.array(forwarded.payloads.len() as u64);
                }
            }
            for payload in &forwarded.payloads {
                w.bytes(payload);
            }
        }
        UpFrame::Leave(publisher) => {
            w.array(2).uint(LEAVE).uint(*publisher);
        }
        UpFrame::Unfollow => {
            w.array(1).uint(UNFOLLOW);
        }
        UpFrame::Here(here) => write_presence(HERE, here, w),
    }
}

/// Reads the *follow* that a link begins with, and the ticket that it shows.
pub(crate) fn read_follow(frame: &[u8]) -> Result<(&str, Follow), CborError> {
    let mut r = Reader::new(frame);
    let (items, kind) = head(&mut r)?;
    if kind != FOLLOW || items < 5 {
        return Err(out_of_shape("kind"));
    }
    let ticket = r.text("ticket")?;
    let epoch = uint_or_null(&mut r, "epoch")?.map(Epoch);
    let from = uint_or_null(&mut r, "from")?.map(Seq);
    let credit = r.uint("credit")?.min(LINK_CREDIT_BYTES.into());
    end(&mut r, items - 5)?;
    let follow = Follow {
        known: epoch.zip(from),
        credit: u32::try_from(credit).unwrap_or(LINK_CREDIT_BYTES),
        network: None,
        granted: None,
    };
    Ok((ticket, follow))
}

/// Reads a frame of the lower end behind *follow*; `None` for a kind that is not known.
pub(crate) fn read_up(frame: &Bytes) -> Result<Option<UpFrame>, CborError> {
    let mut r = Reader::new(frame);
    let (items, kind) = head(&mut r)?;
    let (read, used) = match kind {
        CREDIT => {
            need(items, 2)?;
            let credit = r.uint("credit")?.min(LINK_CREDIT_BYTES.into());
            (
                UpFrame::Credit(u32::try_from(credit).unwrap_or(LINK_CREDIT_BYTES)),
                2,
            )
        }
        HELLO => {
            need(items, 6)?;
            (UpFrame::Hello(read_hello(&mut r)?), 6)
        }
        PUBLISH => {
            need(items, 4)?;
            let publisher = r.uint("publisher")?;
            let producer_seq = r.uint("producer_seq")?;
            let payloads = vec![frame.slice_ref(r.payload()?)];
            let signed = None;
            let forwarded = Forwarded {
                publisher,
                producer_seq,
                payloads,
                signed,
            };
            (UpFrame::Publish(forwarded), 4)
        }
        GROUP => {
            need(items, 6)?;
            (UpFrame::Publish(read_group(frame, &mut r)?), 6)
        }
        LEAVE => {
            need(items, 2)?;
            (UpFrame::Leave(r.uint("publisher")?), 2)
        }
        UNFOLLOW => (UpFrame::Unfollow, 1),
        HERE => {
            need(items, 4)?;
            (UpFrame::Here(read_presence(&mut r)?), 4)
        }
        FOLLOW => return Err(out_of_shape("kind")),
        _ => {
            end(&mut r, items - 1)?;
            return Ok(None);
        }
    };
    end(&mut r, items - used)?;
    Ok(Some(read))
}

fn read_hello(r: &mut Reader<'_>) -> Result<Greeting, CborError> {
    let publisher = r.uint("publisher")?;
    let author = Address::from(r.fixed::<20>("author")?);
    let id = ProducerId(r.fixed("producer")?);
    let key = match r.null("key")? {
        true => None,
        false => {
            let key = PublicKey::from_bytes(r.fixed("key")?);
            Some(key.map_err(|_| out_of_shape("key"))?)
        }
    };
    let network = r.bytes("network")?;
    let v4 = <[u8; 4]>::try_from(network).map(IpAddr::from);
    let v6 = || <[u8; 16]>::try_from(network).map(IpAddr::from);
    let address = v4.or_else(|_| v6()).map_err(|_| out_of_shape("network"))?;
    Ok(Greeting {
        publisher,
        producer: ProducerKey { author, id },
        key,
        network: Network::of(address),
    })
}

fn read_group(frame: &Bytes, r: &mut Reader<'_>) -> Result<Forwarded, CborError> {
    let publisher = r.uint("publisher")?;
    let producer_seq = r.uint("producer_seq")?;
    let previous = B256::from(r.fixed::<32>("previous")?);
    let signature = Signature(r.fixed("signature")?);
    let count = r.array("payloads")?;
    if count == 0 || count > MAX_GROUP_MESSAGES as u64 {
        return Err(too_many("payloads", count));
    }
    let (mut payloads, mut bytes) = (Vec::new(), 0);
    for _ in 0..count {
        let payload = r.payload()?;
        bytes += payload.len();
        payloads.push(frame.slice_ref(payload));
    }
    if bytes > MAX_GROUP_BYTES {
        return Err(too_many("payloads", bytes as u64));
    }
    Ok(Forwarded {
        publisher,
        producer_seq,
        payloads,
        signed: Some((previous, signature)),
    })
}
