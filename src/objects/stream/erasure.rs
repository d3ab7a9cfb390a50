//! The Stream object's part in erasing a message: it has to be flushed first, and the relays are to forget it.

use super::object::Stream;
use crate::api::relays::RelayNotice;
use crate::api::stream::{FlushTo, ForgetErased};
use crate::problem::{Kind, Problem};
use streamchain_edge_core::request_id::RequestId;
use streamchain_edge_core::stream_log::LogState;
use streamchain_protocol::ids::RelayId;
use streamchain_protocol::wire::{Notice, NoticeEvent};

/// Segments that one request waits for; more are left when the database is behind.
const MAX_SEGMENTS: usize = 32;

impl Stream {
    /// Flushes until the database has a message.
    pub(super) async fn flush_to(&self, asked: &FlushTo) -> Result<LogState, Problem> {
        for _ in 0..MAX_SEGMENTS {
            let state = self.state()?;
            if asked.seq >= state.head {
                let detail = format!(
                    "message {} is not stored: the stream has {} messages",
                    asked.seq, state.head
                );
                return Err(Problem::new(Kind::NoSuchMessage, detail));
            }
            if asked.seq < state.flushed {
                return Ok(state);
            }
            self.list().await?;
            self.seal_one(&self.env.d1("DB")?).await?;
        }
        let detail = "the database is behind: the message is not flushed yet";
        Err(Problem::new(Kind::Overloaded, detail).header("retry-after", "2"))
    }

    /// Has the relays of the stream drop a message from what they keep for late subscribers.
    pub(super) async fn forget_erased(&self, id: &RequestId, asked: &ForgetErased) -> Result<(), Problem> {
        let state = self.state()?;
        let notice = Notice {
            stream: state.id.short(),
            event: NoticeEvent::Erased { seq: asked.seq },
        };
        let to_relay = |relay: RelayId| RelayNotice {
            relay,
            notice: notice.clone(),
        };
        let notices: Vec<RelayNotice> = state.relays().into_iter().map(to_relay).collect();
        match notices.is_empty() {
            true => Ok(()),
            false => self.post_notices(id, notices).await.map(drop),
        }
    }
}
