//! The check of authors' signatures: every group's, and every producer's chain of groups.
//!
//! What always holds: a group counts as signed only when all its messages are there with the payloads that were signed, it follows
//! the producer's group before it, its signature is its key's, and somebody vouches for the key at the times of its messages. What
//! the edge says itself, such as digests, does not count. Where nobody vouches, the group is counted as [`unvouched`](super::unvouched),
//! and what comes behind it is checked as well.

use super::key_use::KeyUse;
use super::message::{GroupItem, GroupPlace, Message};
use super::unvouched::{Unvouched, UnvouchedGroups};
use crate::commands::authors::Attested;
use crate::core::GroupKey;
use std::collections::{BTreeMap, HashMap, HashSet};
use streamchain_chain::authors::{AuthorFault, Voucher, still_counts, voucher};
use streamchain_protocol::ids::{ProducerId, Seq, StreamId, StreamName};
use streamchain_protocol::proof::{AuthorError, check_stream, check_time};
use streamchain_protocol::signed::{
    Certificate, ChainError, GroupError, GroupHeader, GroupMember, GroupWalker, KeyError, ProducerChain,
    PublicKey, SignedGroup, Walked, author_of,
};
use streamchain_protocol::time::{UnixMs, UnixSec};
use streamchain_protocol::{Address, B256};

/// How often the edge is asked for certificates of a key, while a wallet says no to one that covers the time: a key has few of them,
/// and a group for each message may be signed with it.
const MAX_QUESTIONS: u32 = 64;

/// Why authors' signatures do not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SignatureFault {
    #[error("message {seq} is in the middle of a group that history does not give from its beginning")]
    NoBeginning { seq: Seq },
    #[error("message {seq}: history gives another header of its group than before")]
    OtherHeader { seq: Seq },
    #[error("message {seq}, author {author}: {fault}")]
    Group {
        seq: Seq,
        author: Address,
        fault: GroupError,
    },
    #[error("message {seq}, author {author}, producer {producer}: {fault}")]
    Chain {
        seq: Seq,
        author: Address,
        producer: ProducerId,
        fault: ChainError,
    },
    #[error("the group that ends with message {seq}, author {author}: {fault}")]
    Author {
        seq: Seq,
        author: Address,
        fault: AuthorFault,
    },
    #[error(
        "the group that ends with message {seq}: nobody vouches for it that key {key} is author {author}'s: {reason}"
    )]
    NotVouched {
        seq: Seq,
        author: Address,
        key: PublicKey,
        reason: Box<Unvouched>,
    },
    #[error("message {seq} of author {author}: {reason}")]
    Required {
        seq: Seq,
        author: Address,
        reason: &'static str,
    },
}

/// What the signatures of a stream amount to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Signed {
    pub groups: u64,
    /// Messages in groups whose author is the key, whose wallet delegated to it, or whose key the caller named as the author's.
    pub by_authors: u64,
    /// Messages in groups whose key the caller knows, but the operator says whose it is.
    pub by_known_keys: u64,
    /// Messages in groups whose key the operator vouches for.
    pub by_operator: u64,
    /// Messages in groups for whose keys nobody vouches.
    pub unvouched: u64,
    /// Messages without a signature.
    pub unsigned: u64,
    pub producers: u64,
}

/// A message as the walker takes it.
struct Member<'a> {
    message: &'a Message,
    producer: ProducerId,
    producer_seq: u64,
    header: Option<GroupHeader>,
}

impl GroupMember for Member<'_> {
    fn author(&self) -> Address {
        self.message.author
    }
    fn producer(&self) -> ProducerId {
        self.producer
    }
    fn producer_seq(&self) -> u64 {
        self.producer_seq
    }
    fn payload_hash(&self) -> B256 {
        self.message.payload_hash
    }
    fn payload_size(&self) -> u64 {
        self.message.payload_bytes
    }
    fn group(&self) -> Option<&GroupHeader> {
        self.header.as_ref()
    }
}

pub(super) struct Signatures {
    stream: (StreamId, StreamName),
    chain_id: u64,
    walker: GroupWalker,
    /// The group that is being read, and the times of its messages so far.
    open: Option<(GroupItem, UnixSec, UnixSec)>,
    chains: BTreeMap<(Address, ProducerId), ProducerChain>,
    keys: HashMap<PublicKey, GroupKey>,
    /// Authors that are the key themselves.
    own: HashSet<(Address, PublicKey)>,
    certified: HashMap<(Address, PublicKey), Certified>,
    signed: Signed,
    unvouched: UnvouchedGroups,
    /// The first message or group whose author is not attested as it must be.
    refusal: Option<SignatureFault>,
}

/// A certificate for this stream.
struct Known {
    certificate: Certificate,
    /// Who vouches by it.
    found: Result<Voucher, Unvouched>,
    /// When the edge was asked for it.
    asked: UnixSec,
}

/// What is known of a key that is not its author.
#[derive(Default)]
struct Certified {
    known: Vec<Known>,
    /// When the edge was asked and had no certificate of the key, of whatever time.
    absent: Option<UnixSec>,
    /// How often the edge was asked.
    questions: u32,
}

impl Certified {
    /// What the certificates say that cover the times of a use and still count: a good one before one that does not vouch.
    fn covering(&self, used: &KeyUse, now: UnixSec) -> Option<&Result<Voucher, Unvouched>> {
        let covers = |one: &&Known| {
            check_time(&one.certificate, used.times.0).is_ok()
                && check_time(&one.certificate, used.times.1).is_ok()
                && still_counts(one.asked, used.times.1, now)
        };
        let mut found = self.known.iter().filter(covers);
        let any = found.clone().next();
        let good = found.find(|one| one.found.is_ok());
        good.or(any).map(|one| &one.found)
    }

    fn is_absent(&self, used: &KeyUse, now: UnixSec) -> bool {
        self.absent
            .is_some_and(|asked| still_counts(asked, used.times.1, now))
    }
}

impl Signatures {
    /// Of a stream from its first message on; certificates are for the chain with this id.
    pub(super) fn new(stream: StreamId, name: StreamName, chain_id: u64) -> Self {
        Self {
            stream: (stream, name),
            chain_id,
            walker: GroupWalker::new(stream),
            open: None,
            chains: BTreeMap::new(),
            keys: HashMap::new(),
            own: HashSet::new(),
            certified: HashMap::new(),
            signed: Signed::default(),
            unvouched: UnvouchedGroups::default(),
            refusal: None,
        }
    }

    /// The stream whose messages are taken, and its name.
    pub(super) fn stream(&self) -> (StreamId, &StreamName) {
        (self.stream.0, &self.stream.1)
    }

    /// Takes the next message; returns who used which key where a group ended whose author is not the key.
    pub(super) fn take(&mut self, message: &Message) -> Result<Option<KeyUse>, SignatureFault> {
        let Some(place) = message.group else {
            self.check_closed(message)?;
            self.signed.unsigned += 1;
            return Ok(None);
        };
        let member = self.member(message, place)?;
        let fault = |fault| SignatureFault::Group {
            seq: message.seq,
            author: message.author,
            fault,
        };
        match self.walker.push(&member).map_err(fault)? {
            Walked::Unsigned => Err(SignatureFault::NoBeginning { seq: message.seq }),
            Walked::Inside => Ok(None),
            Walked::Group(group) => self.take_group(message.seq, &group),
        }
    }

    /// Checks that no group is cut by the end of the messages.
    pub(super) fn finish(&self, end: Seq) -> Result<(), SignatureFault> {
        self.walker.finish().map_err(|fault| SignatureFault::Group {
            seq: end,
            author: Address::ZERO,
            fault,
        })
    }

    pub(super) fn summary(&self) -> Signed {
        Signed {
            producers: self.chains.len() as u64,
            ..self.signed
        }
    }

    fn check_closed(&self, message: &Message) -> Result<(), SignatureFault> {
        self.walker.finish().map_err(|fault| SignatureFault::Group {
            seq: message.seq,
            author: message.author,
            fault,
        })
    }

    /// The message with its producer and number, which only its group's header says.
    fn member<'a>(&mut self, message: &'a Message, place: GroupPlace) -> Result<Member<'a>, SignatureFault> {
        let seq = message.seq;
        let second = UnixMs(message.time).to_sec();
        let item = match (place, &self.open) {
            (GroupPlace::Header(item), _) if item.first == seq => {
                self.check_closed(message)?;
                self.open = Some((item, second, second));
                item
            }
            // The header comes again on the next page.
            (GroupPlace::Header(item), Some((open, ..))) if item != *open => {
                return Err(SignatureFault::OtherHeader { seq });
            }
            (GroupPlace::Header(GroupItem { first, .. }) | GroupPlace::Inside(first), Some((open, ..)))
                if first == open.first =>
            {
                *open
            }
            _ => return Err(SignatureFault::NoBeginning { seq }),
        };
        if let Some((_, from, to)) = &mut self.open {
            (*from, *to) = (second.min(*from), second.max(*to));
        }
        Ok(Member {
            message,
            producer: item.producer,
            producer_seq: item
                .producer_seq
                .saturating_add(seq.0.saturating_sub(item.first.0)),
            header: (item.first == seq).then_some(item.header),
        })
    }

    fn take_group(&mut self, seq: Seq, group: &SignedGroup) -> Result<Option<KeyUse>, SignatureFault> {
        let (author, producer, key) = (group.signed.author, group.signed.producer, group.key);
        let wrong = |fault: AuthorFault| SignatureFault::Author { seq, author, fault };
        if !self
            .key(&key)
            .map_err(|error| wrong(AuthorError::from(error).into()))?
            .verify(&group.signed, &group.signature)
        {
            return Err(wrong(AuthorFault::Signature(key)));
        }
        let chain = self.chains.entry((author, producer)).or_default();
        chain
            .push_group(&group.signed)
            .map_err(|fault| SignatureFault::Chain {
                seq,
                author,
                producer,
                fault,
            })?;
        let (messages, times) = (
            u64::from(group.signed.count),
            self.open.take().map(|(_, from, to)| (from, to)),
        );
        self.signed.groups += 1;
        let is_own = self.own.contains(&(author, key)) || author_of(&key) == Ok(author);
        if is_own {
            self.own.insert((author, key));
            self.signed.by_authors += messages;
            return Ok(None);
        }
        Ok(Some(KeyUse {
            author,
            key,
            times: times.unwrap_or_default(),
            seq,
            messages,
        }))
    }

    fn key(&mut self, key: &PublicKey) -> Result<&GroupKey, KeyError> {
        match self.keys.entry(*key) {
            std::collections::hash_map::Entry::Occupied(known) => Ok(known.into_mut()),
            std::collections::hash_map::Entry::Vacant(new) => {
                Ok(new.insert(GroupKey::new(key).ok_or(KeyError::NotOnCurve)?))
            }
        }
    }

    /// Who vouches for a key at the times of its use, by the certificates that are known; `None`: another one may, or the edge is to
    /// be asked again, since the key may have been revoked after it was asked.
    pub(super) fn vouched(&self, used: &KeyUse, now: UnixSec) -> Option<Result<Voucher, Unvouched>> {
        let certified = self.certified.get(&(used.author, used.key))?;
        match certified.covering(used, now) {
            Some(Ok(voucher)) => Some(Ok(voucher.clone())),
            _ if certified.is_absent(used, now) => Some(Err(Unvouched::Absent)),
            // Another certificate may cover these times as well, and its wallet may say yes.
            Some(Err(reason)) if certified.questions >= MAX_QUESTIONS => Some(Err(reason.clone())),
            _ => None,
        }
    }

    /// Checks a certificate that the edge gave for a key, but for a contract wallet's answer.
    pub(super) fn judge(
        &self,
        used: &KeyUse,
        certificate: Option<&Certificate>,
    ) -> Result<Voucher, Unvouched> {
        let certificate = certificate.ok_or(Unvouched::Absent)?;
        let voucher = voucher(certificate, &used.key, used.author, self.chain_id);
        let voucher = voucher.map_err(Unvouched::Invalid)?;
        check_stream(certificate, self.stream.0, &self.stream.1).map_err(Unvouched::Elsewhere)?;
        for time in [used.times.0, used.times.1] {
            check_time(certificate, time).map_err(Unvouched::Elsewhere)?;
        }
        Ok(voucher)
    }

    /// Keeps what the edge and the chain said of a key when the edge was `asked`, in place of what they said of it before.
    pub(super) fn keep(
        &mut self,
        used: &KeyUse,
        certificate: Option<Certificate>,
        found: &Result<Voucher, Unvouched>,
        asked: UnixSec,
    ) {
        let certified = self.certified.entry((used.author, used.key)).or_default();
        certified.questions = certified.questions.saturating_add(1);
        match (certificate, found) {
            (None, _) => certified.absent = Some(asked),
            // It may be good for other times, which are not asked about, and for no other stream.
            (Some(_), Err(Unvouched::Elsewhere(_) | Unvouched::Invalid(_))) => {}
            (Some(certificate), found) => {
                let begins = certificate.span().0;
                certified.known.retain(|one| one.certificate.span().0 != begins);
                certified.known.push(Known {
                    certificate,
                    found: found.clone(),
                    asked,
                });
            }
        }
    }

    /// Counts the messages of a group by who vouches for its key.
    pub(super) fn count(&mut self, used: &KeyUse, attested: Attested) {
        let count = match attested {
            Attested::ByAuthor | Attested::ByCaller => &mut self.signed.by_authors,
            Attested::KeyKnown => &mut self.signed.by_known_keys,
            Attested::ByOperator => &mut self.signed.by_operator,
        };
        *count += used.messages;
    }

    /// Counts a group for whose key nobody vouches. It is a fault where it is forged, or where authors have to be attested.
    pub(super) fn count_unvouched(&mut self, used: &KeyUse, reason: Unvouched, is_required: bool) {
        self.signed.unvouched += used.messages;
        if is_required || reason.is_forged() {
            let KeyUse { seq, author, key, .. } = *used;
            self.refusal.get_or_insert(SignatureFault::NotVouched {
                seq,
                author,
                key,
                reason: Box::new(reason.clone()),
            });
        }
        self.unvouched.add(used, reason);
    }

    /// Notes why the author of a message is not attested as the caller requires, if there is a reason.
    pub(super) fn require(&mut self, seq: Seq, author: Address, reason: Option<&'static str>) {
        if let Some(reason) = reason {
            self.refusal
                .get_or_insert(SignatureFault::Required { seq, author, reason });
        }
    }

    /// The first message or group whose author is not attested as it must be, and the groups that nobody vouches for.
    pub(super) fn attested(self) -> (Option<SignatureFault>, UnvouchedGroups) {
        (self.refusal, self.unvouched)
    }
}

#[cfg(test)]
#[path = "signatures_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "unvouched_tests.rs"]
mod unvouched_tests;
