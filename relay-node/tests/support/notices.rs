//! What the edge notifies the relay of.

use super::{Net, STREAM};
use streamchain_protocol::ids::{ProducerId, Seq};
use streamchain_protocol::proof::{AnchorRef, AnchorState};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::{Notice, NoticeEvent, Record};
use streamchain_protocol::{Address, B256};

impl Net {
    /// The chain has an anchor over these messages.
    pub fn anchored(&mut self, first: u64, count: u64) {
        let event = NoticeEvent::Anchored(AnchorRef {
            first: Seq(first),
            count,
            root: B256::ZERO,
            tx: B256::ZERO,
            block: 1,
            state: AnchorState::Anchored,
        });
        let now = self.now();
        self.shard.handle_notice(
            &Notice {
                stream: STREAM,
                event,
            },
            now,
        );
    }

    /// A message comes to the edge by HTTP, and the edge notifies the relay.
    pub fn append(&mut self, producer: u8, producer_seq: u64, text: &str) {
        self.edge.inbox.push(Record {
            time: UnixMs(1),
            author: Address::repeat_byte(producer),
            producer: ProducerId([producer; 16]),
            producer_seq,
            payload: text.as_bytes().to_vec().into(),
            group: None,
        });
        self.notify_append();
    }

    /// The edge says that messages wait.
    pub fn notify_append(&mut self) {
        let (event, now) = (NoticeEvent::Append, self.now());
        self.shard.handle_notice(
            &Notice {
                stream: STREAM,
                event,
            },
            now,
        );
    }
}
