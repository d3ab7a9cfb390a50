//! Who wrote the messages that are read: each group's signature over all its messages, and who vouches for the key.
//!
//! What always holds: nothing that relay or edge says makes a message signed, except that an operator vouches for the keys of
//! services, which is shown. A message is shown only once its whole group was checked.

use crate::exit::Exit;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use streamchain_chain::authors::{Voucher, voucher};
use streamchain_client::core::{Message, MessageSignature};
use streamchain_client::http::{EdgeClient, Method};
use streamchain_client::signing;
use streamchain_protocol::ids::{ProducerId, Seq, StreamId, StreamName, StreamRef};
use streamchain_protocol::limits::MAX_GROUP_MESSAGES;
use streamchain_protocol::proof::{check_stream, check_time};
use streamchain_protocol::signed::{Certificate, GroupDigest, PublicKey, author_of, group_root};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::{Address, B256, keccak256};

/// Most producers whose last group is remembered, of all streams that are read together, so that streams of many do not fill
/// the memory.
const MAX_PRODUCERS: usize = 10_000;

/// Most keys whose certificates are remembered, of all streams that are read together.
const MAX_KEYS: usize = 10_000;

/// A message that was checked, and what is shown of its author.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) message: Message,
    pub(crate) signed: Value,
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
    stream: StreamRef,
    /// The stream's id and name; asked for with the first signed message.
    named: Option<(StreamId, StreamName)>,
    takes_unsigned: bool,
    /// How many streams are read together: each remembers its share.
    streams: usize,
    /// The messages of a group that is not whole yet.
    open: Vec<Message>,
    /// Where each producer's chain of groups stands.
    chains: HashMap<(Address, ProducerId), (u64, B256)>,
    keys: HashMap<(Address, PublicKey), Vec<(Certificate, &'static str)>>,
    /// What history says of messages that came without a signature: from the first seq to the one behind the last.
    looked_up: (Seq, VecDeque<Option<Arc<MessageSignature>>>),
}

impl Authors {
    /// Checks the messages of one of so many streams that are read together.
    pub(crate) fn new(edge: EdgeClient, stream: StreamRef, takes_unsigned: bool, streams: usize) -> Self {
        Self {
            edge,
            stream,
            named: None,
            takes_unsigned,
            streams: streams.max(1),
            open: Vec::new(),
            chains: HashMap::new(),
            keys: HashMap::new(),
            looked_up: (Seq(0), VecDeque::new()),
        }
    }

    /// Takes the next message; returns those that are checked with it.
    pub(crate) async fn take(&mut self, message: Message) -> Result<Vec<Checked>, Exit> {
        let signature = match message.signature.clone() {
            Some(signature) => Some(signature),
            // A reader that begins inside a group gets no signature for it.
            None => self.looked_up(message.seq).await?,
        };
        let Some(signature) = signature else {
            return self.unsigned(message);
        };
        if self.open.is_empty() && message.seq > signature.seq {
            self.open = self.before(&signature, message.seq).await?;
        }
        let first = self.open.len();
        let (seq, author) = (message.seq, message.author);
        self.open.push(message);
        let is_whole = self.open.len() == usize::from(signature.header.count);
        let follows = signature.seq.0.saturating_add(first as u64) == seq.0
            && self.open.iter().all(|member| member.author == author);
        if !follows {
            return Err(wrong(seq, "it is not of the group whose signature it came with"));
        }
        if !is_whole {
            return Ok(Vec::new());
        }
        let members = std::mem::take(&mut self.open);
        self.check_group(&signature, &members).await?;
        let voucher = self.voucher(author, &signature.header.key, &members).await?;
        let signed = json!({ "key": signature.header.key, "voucher": voucher });
        let checked = |message| Checked {
            message,
            signed: signed.clone(),
        };
        Ok(members.into_iter().map(checked).collect())
    }

    fn unsigned(&mut self, message: Message) -> Result<Vec<Checked>, Exit> {
        if !self.open.is_empty() {
            return Err(wrong(message.seq, "it stands inside a signed group"));
        }
        if !self.takes_unsigned {
            return Err(wrong(
                message.seq,
                "it is not signed: the operator attests its author",
            ));
        }
        let signed = json!(false);
        Ok(vec![Checked { message, signed }])
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
            let page = self.edge.signed_history(&self.stream, seq, limit).await?;
            let signatures = page.messages.into_iter().map(|message| message.signature);
            self.looked_up = (seq, signatures.collect());
        }
        let known = index(self.looked_up.0).and_then(|index| self.looked_up.1.get(index));
        Ok(known.cloned().flatten())
    }

    /// The messages of a group that are before this seq, where the reader began.
    async fn before(&self, signature: &MessageSignature, seq: Seq) -> Result<Vec<Message>, Exit> {
        let count = seq.0.saturating_sub(signature.seq.0);
        let page = self
            .edge
            .signed_history(&self.stream, signature.seq, count)
            .await?;
        let messages: Vec<_> = page
            .messages
            .into_iter()
            .filter(|message| message.seq < seq)
            .collect();
        match messages.len() as u64 == count {
            true => Ok(messages),
            false => Err(Exit::NotDone(format!(
                "the messages before {seq} in its group can't be read"
            ))),
        }
    }

    /// Checks the signature, and that the group follows the producer's group before it, if that was seen.
    async fn check_group(&mut self, signature: &MessageSignature, members: &[Message]) -> Result<(), Exit> {
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
        let producer = (author, signature.producer);
        let expected = match self.chains.get(&producer) {
            Some(known) => Some(*known),
            None => (first == 0).then_some((0, B256::ZERO)),
        };
        if expected.is_some_and(|expected| expected != (first, header.previous)) {
            return Err(wrong(
                signature.seq,
                "its group does not follow the producer's group before it: one was left out or changed",
            ));
        }
        if self.chains.len() >= MAX_PRODUCERS / self.streams {
            self.chains.clear();
        }
        self.chains.insert(producer, (signed.end(), signed.digest()));
        Ok(())
    }

    /// Who vouches for it that the key is the author's.
    async fn voucher(
        &mut self,
        author: Address,
        key: &PublicKey,
        members: &[Message],
    ) -> Result<&'static str, Exit> {
        if author_of(key) == Ok(author) {
            return Ok("self");
        }
        let times: Vec<UnixMs> = members.iter().map(|message| message.time).collect();
        let covers = |certificate: &Certificate| {
            times
                .iter()
                .try_for_each(|time| check_time(certificate, time.to_sec()))
        };
        let known = self.keys.get(&(author, *key)).into_iter().flatten();
        if let Some((_, voucher)) = known.clone().find(|(known, _)| covers(known).is_ok()) {
            return Ok(voucher);
        }
        let seq = members.first().map(|message| message.seq).unwrap_or_default();
        let (id, name) = self.named().await?.clone();
        let at = times.last().copied().unwrap_or_default().to_sec();
        let path = format!(
            "/v1/authors/{author}/keys/{}?at={at}&stream={id}&name={name}",
            key.to_base64()
        );
        let shown: Shown = self.edge.json(Method::GET, &path, None).await?;
        covers(&shown.certificate).map_err(|error| wrong(seq, &error.to_string()))?;
        check_stream(&shown.certificate, id, &name).map_err(|error| wrong(seq, &error.to_string()))?;
        let vouched = voucher(&shown.certificate, key, author, shown.chain_id)
            .map_err(|error| wrong(seq, &error.to_string()))?;
        let word = match vouched {
            Voucher::Own => "self",
            Voucher::Wallet { .. } => "wallet",
            Voucher::Operator => "operator",
            Voucher::ContractWallet { .. } => {
                return Err(Exit::NotDone(format!(
                    "message {seq}: its author is a contract wallet, which only the chain can be asked about: use verify-stream"
                )));
            }
        };
        if self.keys.len() >= MAX_KEYS / self.streams {
            self.keys.clear();
        }
        let known = self.keys.entry((author, *key)).or_default();
        known.push((shown.certificate, word));
        Ok(word)
    }

    async fn named(&mut self) -> Result<&(StreamId, StreamName), Exit> {
        if self.named.is_none() {
            let path = format!("/v1/streams/{}", self.stream);
            let shown: StreamShown = self.edge.json(Method::GET, &path, None).await?;
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

fn wrong(seq: Seq, reason: &str) -> Exit {
    Exit::Refused(format!("message {seq}: {reason}"))
}
