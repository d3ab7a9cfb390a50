//! The upper end of a link.

use crate::core::fan::{Fan, Standing};
use crate::core::limits::{
    LINK_CREDIT_BYTES, LINK_FRAME_BYTES, LINK_MARK_BYTES, LINK_RUN_BYTES, LINK_RUN_MESSAGES,
    MAX_LINK_PUBLISHERS, MAX_NOTICE_BYTES, MAX_NOTICES,
};
use crate::core::link::{DownFrame, Follow, Greeting, presence_bytes};
use crate::core::replay_buffer::EncodedMessage;
use crate::core::send_queue::NoticeFrame;
use crate::core::signer::Signer;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use streamchain_protocol::ids::{Epoch, Seq};
use streamchain_protocol::signed::PublicKey;
use streamchain_protocol::util::Network;
use streamchain_protocol::wire::{Presence, ProducerKey};

/// Who publishes through a link.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub producer: ProducerKey,
    pub signer: Signer,
    /// The key that its *hello* named.
    pub key: Option<PublicKey>,
    pub network: Network,
    /// Where this shard follows: its number on the link upwards.
    pub forwarded_as: Option<u64>,
    /// The number that was refused: all later ones are passed over until it comes again.
    pub refused_from: Option<u64>,
}

/// A shard or relay that follows this one in a stream.
#[derive(Debug)]
pub(crate) struct Downstream {
    pub generation: u64,
    /// What it knew when it began to follow.
    known: Option<(Epoch, Seq)>,
    /// The next message for it; `None` until it was sent *following*.
    cursor: Option<Seq>,
    /// Bytes that it may be sent; below zero after a frame that was larger than what was left.
    credit: i64,
    committed_sent: Seq,
    notices: VecDeque<NoticeFrame>,
    notices_bytes: usize,
    publishers: HashMap<u64, Publisher>,
    /// Those of them that wait for their welcome.
    waiting: BTreeSet<u64>,
    /// Who is at the stream there, as it said last.
    pub here: Presence,
    /// Who is at the stream, for it to be sent.
    presence: Option<Arc<Presence>>,
    /// The number of the state that it was offered last.
    presence_offered: u64,
}

impl Downstream {
    pub(crate) fn new(generation: u64, follow: &Follow) -> Self {
        let mut new = Self {
            generation,
            known: follow.known,
            cursor: None,
            credit: 0,
            committed_sent: Seq(0),
            notices: VecDeque::new(),
            notices_bytes: 0,
            publishers: HashMap::new(),
            waiting: BTreeSet::new(),
            here: Presence::default(),
            presence: None,
            presence_offered: 0,
        };
        new.add_credit(follow.credit);
        new
    }

    /// The lower end takes so many bytes more. A lower end that gives more than a link may have is held to that.
    pub(crate) fn add_credit(&mut self, bytes: u32) {
        self.credit = self
            .credit
            .saturating_add(i64::from(bytes))
            .min(i64::from(LINK_CREDIT_BYTES));
    }

    /// A stream of this epoch begins for the lower end, or goes on there: what it is sent first.
    pub(crate) fn start(&mut self, standing: Standing, fan: &Fan) -> DownFrame {
        let wanted = self.known.take().filter(|(epoch, _)| *epoch == standing.epoch);
        let start = fan.replay.start();
        let cursor = wanted.map_or(start, |(_, wanted)| wanted.max(start));
        self.cursor = Some(cursor);
        self.committed_sent = standing.committed;
        self.following(standing, cursor)
    }

    /// What the lower end is sent when a setting changed.
    pub(crate) fn settings(&self, standing: Standing) -> Option<DownFrame> {
        self.cursor.map(|cursor| self.following(standing, cursor))
    }

    fn following(&self, standing: Standing, start: Seq) -> DownFrame {
        DownFrame::Following {
            epoch: standing.epoch,
            head: standing.head,
            committed: standing.committed,
            signed: standing.signed,
            start,
        }
    }

    /// The epoch is over: the lower end begins anew with the next one, and so do its publishers.
    pub(crate) fn stop(&mut self) {
        self.known = None;
        self.cursor = None;
        self.notices.clear();
        self.notices_bytes = 0;
        self.waiting.clear();
        self.publishers.clear();
    }

    /// Whether it was sent *following* in this epoch.
    pub(crate) fn is_started(&self) -> bool {
        self.cursor.is_some()
    }

    /// Messages below `end` that it was not sent yet.
    pub(crate) fn lag(&self, end: Seq) -> u64 {
        self.cursor.map_or(0, |cursor| end.0.saturating_sub(cursor.0))
    }

    /// Sends what is new, as far as there is credit.
    pub(crate) fn pump(&mut self, fan: &Fan, committed: Seq, send: &mut impl FnMut(DownFrame)) -> u64 {
        let Some(mut cursor) = self.cursor else {
            return 0;
        };
        let mut sent = 0;
        while self.credit > 0 {
            let first = cursor.max(fan.replay.start());
            let messages = fan.replay.run(first, LINK_RUN_BYTES, LINK_RUN_MESSAGES);
            if messages.is_empty() {
                break;
            }
            let bytes: usize = messages.iter().map(EncodedMessage::len).sum();
            self.credit -= frame_bytes(bytes);
            cursor = Seq(first.0 + messages.len() as u64);
            sent += messages.len() as u64;
            send(DownFrame::Messages { first, messages });
        }
        self.cursor = Some(cursor);
        if committed > self.committed_sent && self.credit > 0 {
            self.committed_sent = committed;
            self.credit -= i64::from(LINK_MARK_BYTES);
            send(DownFrame::Committed(committed));
        }
        while self.credit > 0
            && let Some(notice) = self.notices.pop_front()
        {
            self.notices_bytes -= notice.bytes();
            self.credit -= frame_bytes(notice.bytes());
            send(DownFrame::Notice(notice));
        }
        if self.credit > 0
            && let Some(presence) = self.presence.take()
        {
            self.credit -= frame_bytes(presence_bytes(&presence));
            send(DownFrame::Presence(presence));
        }
        sent
    }

    /// Queues a notice; the oldest are dropped when there are too many.
    pub(crate) fn notice(&mut self, notice: &NoticeFrame) {
        if self.cursor.is_none() {
            return;
        }
        self.notices_bytes += notice.bytes();
        self.notices.push_back(notice.clone());
        while (self.notices.len() > MAX_NOTICES || self.notices_bytes > MAX_NOTICE_BYTES)
            && let Some(oldest) = self.notices.pop_front()
        {
            self.notices_bytes -= oldest.bytes();
        }
    }

    /// The lower end is to be sent who is at the stream, unless it was this state already. What waited for credit is replaced.
    pub(crate) fn offer_presence(&mut self, version: u64, total: &Arc<Presence>) {
        if self.presence_offered != version {
            self.presence_offered = version;
            self.presence = Some(total.clone());
        }
    }

    /// A publisher begins, and waits for its welcome; `false` when there are too many.
    pub(crate) fn hello(&mut self, greeting: &Greeting) -> bool {
        if self.publishers.len() >= MAX_LINK_PUBLISHERS || self.publishers.contains_key(&greeting.publisher) {
            return false;
        }
        let publisher = Publisher {
            producer: greeting.producer,
            signer: Signer::of(greeting.key, greeting.producer.author),
            key: greeting.key,
            network: greeting.network,
            forwarded_as: None,
            refused_from: None,
        };
        self.publishers.insert(greeting.publisher, publisher);
        self.waiting.insert(greeting.publisher);
        true
    }

    /// The publishers that wait for their welcome.
    pub(crate) fn waiting(&self) -> Vec<u64> {
        self.waiting.iter().copied().collect()
    }

    /// A publisher is welcomed.
    pub(crate) fn welcome(&mut self, publisher: u64) {
        self.waiting.remove(&publisher);
    }

    /// A publisher that was welcomed.
    pub(crate) fn welcomed(&mut self, publisher: u64) -> Option<&mut Publisher> {
        match self.waiting.contains(&publisher) {
            true => None,
            false => self.publishers.get_mut(&publisher),
        }
    }

    pub(crate) fn publisher(&mut self, publisher: u64) -> Option<&mut Publisher> {
        self.publishers.get_mut(&publisher)
    }

    /// A publisher is gone. Returns it, and whether it was welcomed.
    pub(crate) fn leave(&mut self, publisher: u64) -> Option<(Publisher, bool)> {
        let waited = self.waiting.remove(&publisher);
        let gone = self.publishers.remove(&publisher)?;
        Some((gone, !waited))
    }

    /// The numbers of all publishers.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.publishers.keys().copied().collect()
    }
}

/// What a frame with so many bytes of contents counts for.
pub(super) fn frame_bytes(contents: usize) -> i64 {
    i64::try_from(contents)
        .unwrap_or(i64::MAX)
        .saturating_add(i64::from(LINK_FRAME_BYTES))
}
