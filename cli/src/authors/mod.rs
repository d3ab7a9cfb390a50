//! Who wrote the messages that are read: each group's signature over all its messages, and who vouches for the key.
//!
//! What always holds: nothing that relay or edge says makes a message signed; a key that the operator alone vouches for counts as no
//! signature. A message is shown only once its whole group was checked.
//!
//! [`groups`], [`chains`] and [`keys`] are pure; what is here asks the edge.

mod chains;
mod groups;
mod keys;

use crate::edge::{ReachArgs, Watch};
use crate::exit::Exit;
use crate::signed::{Signed, VouchedBy};
use chains::Chains;
use groups::Groups;
use keys::Keys;
use relay_node::AuthorKey;
use serde::Deserialize;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use streamchain_chain::authors::{Voucher, voucher};
use streamchain_client::core::{Message, MessageSignature};
use streamchain_client::http::{EdgeClient, Method};
use streamchain_client::signing;
use streamchain_protocol::ids::{Seq, StreamId, StreamName, StreamRef};
use streamchain_protocol::limits::MAX_GROUP_MESSAGES;
use streamchain_protocol::proof::{check_stream, check_time};
use streamchain_protocol::signed::{Certificate, GroupDigest, PublicKey, author_of, group_root};
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::{Address, B256, keccak256};

/// Most producers whose last group is remembered, and most keys, of all streams that are read together: about 200 bytes each.
const MAX_REMEMBERED: usize = 100_000;

/// How many are remembered of each stream in any case. A group that is left out or repeated is seen unless more producers than these
/// published since the producer's last group.
const MIN_REMEMBERED: usize = 1_000;

/// What the caller of the command takes, and whom it believes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Believed {
    /// Whether messages are shown whose author the operator alone attests.
    pub(crate) operator: bool,
    /// Keys that the caller knows to be certain authors'.
    pub(crate) keys: Vec<AuthorKey>,
}

/// A message that was checked, and what is shown of its author.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) message: Message,
    pub(crate) signed: Signed,
}

/// A certificate as the edge shows it.
#[derive(Deserialize)]
struct Shown {
    #[serde(flatten)]
    certificate: Certificate,
    #[serde(default, rename = "chainId")]
    chain_id: u64,
}

#[derive(Deserialize)]
struct StreamShown {
    id: StreamId,
    name: StreamName,
    owner: Address,
}

/// Checks the messages of one stream, which are given in the order of seq.
pub(crate) struct Authors {
    edge: EdgeClient,
    reach: ReachArgs,
    stream: StreamRef,
    /// The stream's id and name; asked for with the first signed message.
    named: Option<(StreamId, StreamName)>,
    believed: Believed,
    groups: Groups,
    chains: Chains,
    keys: Keys,
    /// What history says of messages that came without a signature: from the first seq to the one behind the last.
    looked_up: (Seq, VecDeque<Option<Arc<MessageSignature>>>),
}

impl Authors {
    /// Checks the messages of one of so many streams that are read together. The reader took the messages before `behind`; without
    /// it, its first message may be inside a group.
    pub(crate) fn new(
        (edge, reach): (EdgeClient, ReachArgs),
        stream: StreamRef,
        believed: Believed,
        streams: usize,
        behind: Option<Seq>,
    ) -> Self {
        let share = (MAX_REMEMBERED / streams.max(1)).max(MIN_REMEMBERED);
        Self {
            edge,
            reach,
            stream,
            named: None,
            believed,
            groups: Groups::behind(behind),
            chains: Chains::new(share),
            keys: Keys::new(share),
            looked_up: (Seq(0), VecDeque::new()),
        }
    }

    /// The messages are read again from behind the last one that [`Self::take`] returned.
    pub(crate) fn go_on(&mut self) {
        self.groups.go_on();
    }

    /// Takes the next message; returns those that are checked with it.
    pub(crate) async fn take(&mut self, message: Message) -> Result<Vec<Checked>, Exit> {
        let seq = message.seq;
        let fault = |fault| wrong(seq, fault);
        self.groups.check_next(seq).map_err(fault)?;
        // A signature is over the hash of what was erased: it says nothing of a payload that stands beside the hash.
        if message.erased.is_some() && !message.payload.is_empty() {
            return Err(wrong(seq, "it is said to be erased, and has a payload"));
        }
        let signature = match message.signature.clone() {
            Some(signature) => Some(signature),
            // A reader that begins inside a group gets no signature for it.
            None => self.looked_up(seq).await?,
        };
        let Some(signature) = signature else {
            self.groups.push_unsigned(seq).map_err(fault)?;
            self.take_operators_word(seq, "it is not signed: the operator attests its author")?;
            let signed = Signed::No;
            return Ok(vec![Checked { message, signed }]);
        };
        let lacking = self.groups.lacks(&signature, seq).map_err(fault)?;
        if lacking > 0 {
            let before = self.history(signature.seq, lacking).await?;
            self.groups.begin(&signature, before).map_err(fault)?;
        }
        let Some(members) = self.groups.push(&signature, message).map_err(fault)? else {
            return Ok(Vec::new());
        };
        let signed = self.check_group(&signature, &members).await?;
        let checked = |message| Checked { message, signed };
        Ok(members.into_iter().map(checked).collect())
    }

    /// Refuses a message whose author the operator alone attests, unless the caller takes such ones.
    fn take_operators_word(&self, seq: Seq, reason: &str) -> Result<(), Exit> {
        match self.believed.operator {
            true => Ok(()),
            false => Err(wrong(seq, reason)),
        }
    }

    /// Asks the edge for as long as the command waits for it: what is read meanwhile is not lost by one failure.
    fn watch(&self) -> Watch {
        Watch::new(&self.reach)
    }

    /// The signature that history has for a message.
    async fn looked_up(&mut self, seq: Seq) -> Result<Option<Arc<MessageSignature>>, Exit> {
        let index = |from: Seq| {
            seq.0
                .checked_sub(from.0)
                .and_then(|index| usize::try_from(index).ok())
        };
        let is_known = index(self.looked_up.0).is_some_and(|index| index < self.looked_up.1.len());
        if !is_known {
            let limit = MAX_GROUP_MESSAGES as u64;
            let ask = async || self.edge.signed_history(&self.stream, seq, limit).await;
            let page = self.watch().until_answered(ask).await?;
            let from = page.messages.into_iter().zip((seq.0..).map(Seq));
            let signatures =
                from.map_while(|(message, seq)| (message.seq == seq).then_some(message.signature));
            self.looked_up = (seq, signatures.collect());
        }
        let known = index(self.looked_up.0).and_then(|index| self.looked_up.1.get(index));
        Ok(known.cloned().flatten())
    }

    /// The messages of a group that are before the one where the reader began.
    async fn history(&self, from: Seq, count: u64) -> Result<Vec<Message>, Exit> {
        let ask = async || self.edge.signed_history(&self.stream, from, count).await;
        let mut messages = self.watch().until_answered(ask).await?.messages;
        messages.truncate(usize::try_from(count).unwrap_or(usize::MAX));
        match messages.len() as u64 == count {
            true => Ok(messages),
            false => Err(Exit::NotDone(format!(
                "the {count} messages from {from} on, of a group that begins before the first message, can't be read"
            ))),
        }
    }

    /// Checks the signature, that the group follows the producer's group before it, if that was seen, and who vouches for the key.
    async fn check_group(
        &mut self,
        signature: &MessageSignature,
        members: &[Message],
    ) -> Result<Signed, Exit> {
        let stream = self.named().await?.0;
        let (header, first) = (&signature.header, signature.producer_seq);
        let author = members.first().map(|message| message.author).unwrap_or_default();
        let hashes: Vec<B256> = members.iter().map(payload_hash).collect();
        let signed = GroupDigest {
            stream,
            author,
            producer: signature.producer,
            first,
            count: u32::from(header.count),
            previous: header.previous,
            root: group_root(first, &hashes),
        };
        if !signing::verify(&header.key, &signed.preimage(), &header.signature) {
            return Err(wrong(signature.seq, "the signature of its group does not hold"));
        }
        self.chains
            .push(&signed)
            .map_err(|fault| wrong(signature.seq, fault))?;
        let voucher = self.voucher(author, &header.key, members).await?;
        if voucher == VouchedBy::Operator {
            let reason = format!(
                "the operator alone says that key {} is its author's (--author-key names keys that you know)",
                header.key
            );
            self.take_operators_word(signature.seq, &reason)?;
        }
        let key = header.key;
        Ok(Signed::By { key, voucher })
    }

    /// Who vouches for it that the key is the author's.
    async fn voucher(
        &mut self,
        author: Address,
        key: &PublicKey,
        members: &[Message],
    ) -> Result<VouchedBy, Exit> {
        if author_of(key) == Ok(author) {
            return Ok(VouchedBy::Key);
        }
        let times: Vec<UnixSec> = members.iter().map(|message| message.time.to_sec()).collect();
        let now = now();
        if let Some(voucher) = self.keys.vouched((author, *key), &times, now) {
            return Ok(voucher);
        }
        let seq = members.first().map(|message| message.seq).unwrap_or_default();
        let shown = self
            .certificate(author, key, times.last().copied().unwrap_or_default())
            .await?;
        let (id, name) = self.named().await?;
        let checked = times
            .iter()
            .try_for_each(|time| check_time(&shown.certificate, *time))
            .and_then(|()| check_stream(&shown.certificate, *id, name));
        checked.map_err(|error| wrong(seq, &error.to_string()))?;
        let vouched = voucher(&shown.certificate, key, author, shown.chain_id)
            .map_err(|error| wrong(seq, &error.to_string()))?;
        let named = AuthorKey { author, key: *key };
        let by = match vouched {
            Voucher::Own => VouchedBy::Key,
            Voucher::Wallet { .. } => VouchedBy::Wallet,
            _ if self.believed.keys.contains(&named) => VouchedBy::Caller,
            Voucher::Operator => VouchedBy::Operator,
            Voucher::ContractWallet { .. } => {
                return Err(Exit::NotDone(format!(
                    "message {seq}: its author is a contract wallet, which only the chain can be asked about: use verify-stream"
                )));
            }
        };
        self.keys.insert((author, *key), &shown.certificate, by, now);
        Ok(by)
    }

    /// What the edge says of a key at a message's time.
    async fn certificate(&mut self, author: Address, key: &PublicKey, at: UnixSec) -> Result<Shown, Exit> {
        let (id, name) = self.named().await?;
        let path = format!(
            "/v1/authors/{author}/keys/{}?at={at}&stream={id}&name={name}",
            key.to_base64()
        );
        let ask = async || self.edge.json(Method::GET, &path, None).await;
        self.watch().until_answered(ask).await
    }

    async fn named(&mut self) -> Result<&(StreamId, StreamName), Exit> {
        if self.named.is_none() {
            let path = format!("/v1/streams/{}", self.stream);
            let ask = async || self.edge.json(Method::GET, &path, None).await;
            let shown: StreamShown = self.watch().until_answered(ask).await?;
            let is_it = match &self.stream {
                StreamRef::Name(name) => *name == shown.name,
                StreamRef::Id(id) => *id == shown.id,
                StreamRef::Short(short) => *short == shown.id.short(),
            };
            if !is_it || StreamId::of(shown.owner, &shown.name) != shown.id {
                return Err(Exit::NotDone(
                    "the edge shows another stream than the one asked for".into(),
                ));
            }
            self.named = Some((shown.id, shown.name));
        }
        self.named
            .as_ref()
            .ok_or_else(|| Exit::NotDone("the stream is not known".into()))
    }
}

/// The hash of a payload, which outlives one that was erased.
fn payload_hash(message: &Message) -> B256 {
    match &message.erased {
        Some(erased) => erased.digest,
        None => keccak256(&message.payload),
    }
}

fn now() -> UnixSec {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixSec(since.as_secs())
}

fn wrong(seq: Seq, reason: &str) -> Exit {
    Exit::Refused(format!("message {seq}: {reason}"))
}

#[cfg(test)]
mod tests;
