//! The frames of the upper end as bytes.

use super::items::{end, head, need, out_of_shape, read_presence, too_many, uint_or_null, write_presence};
use crate::core::limits::{LINK_RUN_MESSAGES, MAX_LINK_TEXT_BYTES};
use crate::core::link::{DownFrame, Ended};
use crate::core::replay_buffer::EncodedMessage;
use crate::core::reply::{Refusal, Reply};
use crate::core::send_queue::NoticeFrame;
use bytes::Bytes;
use streamchain_protocol::Address;
use streamchain_protocol::ids::{Epoch, Seq};
use streamchain_protocol::limits::MAX_PAYLOAD_BYTES;
use streamchain_protocol::stream_settings::Signed;
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::wire::cbor::{CborError, Reader, Writer};
use streamchain_protocol::wire::frame::{ErrorCode, RelayFrame};

const FOLLOWING: u64 = 17;
const MESSAGES: u64 = 18;
const COMMITTED: u64 = 19;
const NOTICE: u64 = 20;
const WELCOME: u64 = 21;
const ANSWER: u64 = 22;
const WITHDRAWN: u64 = 23;
const ERASED: u64 = 24;
const ENDED: u64 = 25;
const PRESENCE: u64 = 26;

/// What became of a publication.
mod answer {
    pub(super) const ACCEPTED: u64 = 0;
    pub(super) const DUPLICATE: u64 = 1;
    pub(super) const REFUSED: u64 = 2;
    pub(super) const TOO_FAST: u64 = 3;
    pub(super) const PASSED: u64 = 4;
}

/// The codes of refused publications; one that is not among them is of a later version.
const REFUSALS: [ErrorCode; 9] = [
    ErrorCode::TooLarge,
    ErrorCode::NotAllowed,
    ErrorCode::ProducerGap,
    ErrorCode::Overloaded,
    ErrorCode::Unexpected,
    ErrorCode::RateLimited,
    ErrorCode::BadSignature,
    ErrorCode::SignatureRequired,
    ErrorCode::BrokenChain,
];

pub(super) fn write_down(frame: &DownFrame, w: &mut Writer<'_>) {
    match frame {
        DownFrame::Following {
            epoch,
            head,
            committed,
            signed,
            start,
        } => {
            w.array(6).uint(FOLLOWING).uint(epoch.0);
            w.uint(head.0).uint(committed.0);
            w.uint_or_null(signed.map(|signed| u64::from(signed == Signed::Required)));
            w.uint(start.0);
        }
        DownFrame::Messages { first, messages } => {
            w.array(3).uint(MESSAGES).uint(first.0);
            w.array(2 * messages.len() as u64);
            for EncodedMessage { message, signature } in messages {
                w.bytes(message);
                match signature {
                    Some(signature) => w.bytes(signature),
                    None => w.null(),
                };
            }
        }
        DownFrame::Committed(committed) => {
            w.array(2).uint(COMMITTED).uint(committed.0);
        }
        DownFrame::Notice(notice) => {
            w.array(4).uint(NOTICE).uint(notice.end.0).bytes(&notice.whole);
            match &notice.brief {
                Some(brief) => w.bytes(brief),
                None => w.null(),
            };
        }
        DownFrame::Welcome { publisher, stored } => {
            w.array(3).uint(WELCOME).uint(*publisher);
            w.uint_or_null(*stored);
        }
        DownFrame::Answer {
            publisher,
            producer_seq,
            reply,
        } => write_answer(*publisher, *producer_seq, reply, w),
        DownFrame::Withdrawn {
            author,
            before,
            again,
        } => {
            w.array(4).uint(WITHDRAWN);
            match author {
                Some(author) => w.bytes(author.as_slice()),
                None => w.null(),
            };
            w.uint(before.0).uint((*again).into());
        }
        DownFrame::Erased(seq) => {
            w.array(2).uint(ERASED).uint(seq.0);
        }
        DownFrame::Presence(total) => write_presence(PRESENCE, total, w),
        DownFrame::Ended(why) => {
            let why = match why {
                Ended::Moved => 0,
                Ended::Gone => 1,
                Ended::Unreachable => 2,
            };
            w.array(2).uint(ENDED).uint(why);
        }
    }
}

fn write_answer(publisher: u64, producer_seq: u64, reply: &Reply, w: &mut Writer<'_>) {
    let items = match reply {
        Reply::Passed => 4,
        Reply::Accepted(_) | Reply::Duplicate(_) | Reply::TooFast(_) => 5,
        Reply::Refused(_) => 8,
    };
    w.array(items).uint(ANSWER).uint(publisher).uint(producer_seq);
    match reply {
        Reply::Accepted(seq) => w.uint(answer::ACCEPTED).uint(seq.0),
        Reply::Duplicate(seq) => w.uint(answer::DUPLICATE).uint_or_null(seq.map(|seq| seq.0)),
        Reply::Refused(refusal) => {
            w.uint(answer::REFUSED).uint(refusal.code as u64);
            w.text(&refusal.text);
            w.uint(refusal.from).uint(refusal.cost.into())
        }
        Reply::TooFast(wait_ms) => w.uint(answer::TOO_FAST).uint(*wait_ms),
        Reply::Passed => w.uint(answer::PASSED),
    };
}

/// Reads a frame of the upper end; `None` for a kind that is not known.
pub(crate) fn read_down(frame: &Bytes) -> Result<Option<DownFrame>, CborError> {
    let mut r = Reader::new(frame);
    let (items, kind) = head(&mut r)?;
    let (read, used) = match kind {
        FOLLOWING => {
            need(items, 6)?;
            (read_following(&mut r)?, 6)
        }
        MESSAGES => {
            need(items, 3)?;
            (read_messages(frame, &mut r)?, 3)
        }
        COMMITTED => {
            need(items, 2)?;
            (DownFrame::Committed(Seq(r.uint("committed")?)), 2)
        }
        NOTICE => {
            need(items, 4)?;
            (read_notice(frame, &mut r)?, 4)
        }
        WELCOME => {
            need(items, 3)?;
            let publisher = r.uint("publisher")?;
            let stored = uint_or_null(&mut r, "stored")?;
            (DownFrame::Welcome { publisher, stored }, 3)
        }
        ANSWER => {
            need(items, 4)?;
            read_answer(items, &mut r)?
        }
        WITHDRAWN => {
            need(items, 4)?;
            let author = match r.null("author")? {
                true => None,
                false => Some(Address::from(r.fixed::<20>("author")?)),
            };
            let before = UnixSec(r.uint("before")?);
            let again = r.uint("again")? != 0;
            let withdrawn = DownFrame::Withdrawn {
                author,
                before,
                again,
            };
            (withdrawn, 4)
        }
        ERASED => {
            need(items, 2)?;
            (DownFrame::Erased(Seq(r.uint("seq")?)), 2)
        }
        PRESENCE => {
            need(items, 4)?;
            (DownFrame::Presence(read_presence(&mut r)?.into()), 4)
        }
        ENDED => {
            need(items, 2)?;
            let why = match r.uint("reason")? {
                1 => Ended::Gone,
                2 => Ended::Unreachable,
                // Whatever a later version says: the edge is asked.
                _ => Ended::Moved,
            };
            (DownFrame::Ended(why), 2)
        }
        _ => {
            end(&mut r, items - 1)?;
            return Ok(None);
        }
    };
    end(&mut r, items - used)?;
    Ok(Some(read))
}

fn read_following(r: &mut Reader<'_>) -> Result<DownFrame, CborError> {
    Ok(DownFrame::Following {
        epoch: Epoch(r.uint("epoch")?),
        head: Seq(r.uint("head")?),
        committed: Seq(r.uint("committed")?),
        signed: uint_or_null(r, "signed")?.map(|signed| match signed {
            0 => Signed::Optional,
            _ => Signed::Required,
        }),
        start: Seq(r.uint("start")?),
    })
}

fn read_messages(frame: &Bytes, r: &mut Reader<'_>) -> Result<DownFrame, CborError> {
    let first = Seq(r.uint("first")?);
    let parts = r.array("messages")?;
    if parts == 0 || parts % 2 != 0 || parts / 2 > LINK_RUN_MESSAGES as u64 {
        return Err(too_many("messages", parts));
    }
    let (mut messages, mut seq) = (Vec::new(), first);
    for _ in 0..parts / 2 {
        let message = r.bytes("message")?;
        match read_one(message)? {
            RelayFrame::Message {
                seq: given, payload, ..
            } if given == seq && payload.len() <= MAX_PAYLOAD_BYTES => {}
            _ => return Err(out_of_shape("message")),
        }
        let signature = match r.null("signature")? {
            true => None,
            false => Some(r.bytes("signature")?),
        };
        match signature.map(read_one).transpose()? {
            Some(RelayFrame::Signature { seq: given, .. }) if given == seq => {}
            None => {}
            Some(_) => return Err(out_of_shape("signature")),
        }
        messages.push(EncodedMessage {
            message: frame.slice_ref(message),
            signature: signature.map(|signature| frame.slice_ref(signature)),
        });
        seq = seq.next();
    }
    Ok(DownFrame::Messages { first, messages })
}

fn read_notice(frame: &Bytes, r: &mut Reader<'_>) -> Result<DownFrame, CborError> {
    let end = Seq(r.uint("end")?);
    let whole = r.bytes("notice")?;
    let brief = match r.null("brief")? {
        true => None,
        false => Some(r.bytes("brief")?),
    };
    for notice in [Some(whole), brief].into_iter().flatten() {
        match read_one(notice)? {
            RelayFrame::Anchored(_) | RelayFrame::Chain { .. } | RelayFrame::ChainState { .. } => {}
            _ => return Err(out_of_shape("notice")),
        }
    }
    Ok(DownFrame::Notice(NoticeFrame {
        end,
        whole: frame.slice_ref(whole),
        brief: brief.map(|brief| frame.slice_ref(brief)),
    }))
}

/// Reads the items behind the kind; returns how many items the frame has that are known.
fn read_answer(items: u64, r: &mut Reader<'_>) -> Result<(DownFrame, u64), CborError> {
    let publisher = r.uint("publisher")?;
    let producer_seq = r.uint("producer_seq")?;
    let what = r.uint("answer")?;
    let (reply, used) = match what {
        answer::PASSED => (Reply::Passed, 4),
        answer::REFUSED => {
            need(items, 8)?;
            let code = r.uint("code")?;
            let text = r.text("text")?;
            if text.len() > MAX_LINK_TEXT_BYTES {
                return Err(too_many("text", text.len() as u64));
            }
            let known = REFUSALS.into_iter().find(|known| *known as u64 == code);
            let refusal = Refusal {
                code: known.unwrap_or(ErrorCode::Unexpected),
                text: text.to_owned(),
                from: r.uint("from")?,
                cost: u32::try_from(r.uint("cost")?).unwrap_or(u32::MAX),
            };
            (Reply::Refused(refusal), 8)
        }
        answer::ACCEPTED | answer::DUPLICATE | answer::TOO_FAST => {
            need(items, 5)?;
            let number = uint_or_null(r, "answer")?;
            let reply = match (what, number) {
                (answer::ACCEPTED, Some(seq)) => Reply::Accepted(Seq(seq)),
                (answer::TOO_FAST, Some(wait_ms)) => Reply::TooFast(wait_ms),
                (answer::DUPLICATE, seq) => Reply::Duplicate(seq.map(Seq)),
                _ => return Err(out_of_shape("answer")),
            };
            (reply, 5)
        }
        _ => return Err(out_of_shape("answer")),
    };
    let answer = DownFrame::Answer {
        publisher,
        producer_seq,
        reply,
    };
    Ok((answer, used))
}

/// Reads bytes that are one frame for clients, and nothing else.
fn read_one(bytes: &[u8]) -> Result<RelayFrame<'_>, CborError> {
    let mut reader = Reader::new(bytes);
    let frame = RelayFrame::read(&mut reader)?.ok_or(out_of_shape("frame"))?;
    match reader.is_at_end() {
        true => Ok(frame),
        false => Err(out_of_shape("frame")),
    }
}
