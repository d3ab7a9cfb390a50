//! One link: a bidirectional stream of a connection, with frames of CBOR behind their lengths (4 bytes, big-endian).

use super::event::LinkEvent;
use super::limits::{MAX_FOLLOW_BYTES, WRITE_BYTES};
use super::peers::PeerConnection;
use super::queue::LinkQueue;
use super::status::{End, LinkStatus};
use crate::core::link::{DownFrame, LinkFrame, MAX_LINK_FRAME_BYTES, read_down, read_up, write_frame};
use crate::core::replay_buffer::EncodedMessage;
use crate::relay::clock::now;
use bytes::{Bytes, BytesMut};
use quinn::{RecvStream, SendStream, VarInt};
use std::sync::Arc;
use std::time::Duration;
use streamchain_protocol::wire::cbor::{CborError, Reader};
use streamchain_protocol::wire::frame::RelayFrame;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::debug;

/// The code that a stream is reset with when what came over it was not as it must be.
pub(super) const MALFORMED: VarInt = VarInt::from_u32(1);

/// Bytes of a frame's length.
const LENGTH_BYTES: usize = 4;

/// Bytes that are taken from the connection at a time.
const READ_BYTES: usize = 64 * 1024;

/// Why a link ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("the other relay ended it")]
    Ended,
    #[error("a frame of {0} bytes is too long")]
    TooLong(usize),
    #[error("a frame stopped half-way, or the other relay takes no bytes")]
    Stalled,
    #[error("malformed: {0}")]
    Malformed(#[from] CborError),
    #[error("{0}")]
    Read(#[from] quinn::ReadError),
    #[error("{0}")]
    Write(#[from] quinn::WriteError),
    #[error("another link took its place, or its shard is gone")]
    Replaced,
}

/// Takes frames from a stream.
pub(super) struct FrameReader {
    stream: RecvStream,
    buffer: BytesMut,
    max_bytes: usize,
    /// How long a frame may take.
    stall: Duration,
}

impl FrameReader {
    /// For a stream whose first frame is a short one.
    pub(super) fn new(stream: RecvStream, stall: Duration) -> Self {
        Self {
            stall,
            stream,
            buffer: BytesMut::new(),
            max_bytes: MAX_FOLLOW_BYTES,
        }
    }

    /// The first frame was good: longer ones may come.
    pub(super) fn expect_frames(&mut self) {
        self.max_bytes = MAX_LINK_FRAME_BYTES;
    }

    /// The next frame. Memory is taken for bytes that came, not for a length that was claimed.
    pub(super) async fn next(&mut self) -> Result<Bytes, LinkError> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(frame);
            }
            let more = self.stream.read_chunk(READ_BYTES, true);
            // Between two frames there may be any time.
            let more = match self.buffer.is_empty() {
                true => more.await,
                false => timeout(self.stall, more).await.map_err(|_| LinkError::Stalled)?,
            };
            let more = more?.ok_or(LinkError::Ended)?;
            self.buffer.extend_from_slice(&more.bytes);
        }
    }

    fn take(&mut self) -> Result<Option<Bytes>, LinkError> {
        let Some(length) = self.buffer.first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > self.max_bytes {
            return Err(LinkError::TooLong(length));
        }
        let end = LENGTH_BYTES + length;
        let Some(frame) = self.buffer.get(LENGTH_BYTES..end) else {
            return Ok(None);
        };
        // A copy of its own, so that a message that is kept keeps no more than its frame.
        let frame = Bytes::copy_from_slice(frame);
        bytes::Buf::advance(&mut self.buffer, end);
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        Ok(Some(frame))
    }
}

/// Appends a frame behind its length.
fn append(frame: &LinkFrame, ticket: &str, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    write_frame(frame, ticket, out);
    let length = u32::try_from(out.len() - start - LENGTH_BYTES).unwrap_or(u32::MAX);
    if let Some(head) = out.get_mut(start..start + LENGTH_BYTES) {
        head.copy_from_slice(&length.to_be_bytes());
    }
}

/// A link that runs.
pub(super) struct Link {
    pub number: u64,
    pub end: End,
    /// The connection that it is a part of.
    pub peer: Arc<PeerConnection>,
    pub send: SendStream,
    pub receive: FrameReader,
    pub queue: LinkQueue,
    /// What *follow* shows.
    pub ticket: String,
    pub events: mpsc::Sender<LinkEvent>,
    /// How long bytes may wait for the other end to take them.
    pub stall: Duration,
    pub status: Arc<LinkStatus>,
}

impl Link {
    /// Carries frames until an end is reached, and reports that to the shard. `replaced` resolves when another link takes its place.
    pub(super) async fn run(self, replaced: impl Future<Output = ()>) {
        let Self {
            number,
            end,
            peer,
            mut send,
            receive,
            queue,
            ticket,
            events,
            stall,
            status,
        } = self;
        let open = status.link(end);
        let over = tokio::select! {
            over = read(receive, end, number, &events, &status) => over,
            over = write((&mut send, stall), queue, &ticket, &status) => over,
            () = replaced => Err(LinkError::Replaced),
        };
        match over {
            // One of the relays has ended it, and all that was said here is written.
            Ok(()) | Err(LinkError::Ended) => drop(send.finish()),
            Err(reason) => {
                debug!(number, ?end, %reason, "a link ended");
                status.count_lost();
                drop(send.reset(MALFORMED));
            }
        }
        drop(open);
        // A shard that hears nothing is gone.
        let loss = peer.loss();
        drop(events.send(LinkEvent::Lost { number, loss }).await);
    }
}

async fn read(
    mut receive: FrameReader,
    end: End,
    number: u64,
    events: &mpsc::Sender<LinkEvent>,
    status: &LinkStatus,
) -> Result<(), LinkError> {
    receive.expect_frames();
    loop {
        let bytes = receive.next().await?;
        status.count_in(bytes.len());
        let frame = match end {
            End::Lower => read_down(&bytes)?.map(LinkFrame::Down),
            End::Upper => read_up(&bytes)?.map(LinkFrame::Up),
        };
        if let Some(LinkFrame::Down(DownFrame::Messages { messages, .. })) = &frame {
            observe_delay(messages.last(), status);
        }
        if let Some(frame) = frame {
            let event = LinkEvent::Frame { number, frame };
            events.send(event).await.map_err(|_| LinkError::Replaced)?;
        }
    }
}

/// Notes how long the newest message of a run took.
fn observe_delay(newest: Option<&EncodedMessage>, status: &LinkStatus) {
    let frame = newest.map(|newest| RelayFrame::read(&mut Reader::new(&newest.message)));
    if let Some(Ok(Some(RelayFrame::Message { time, .. }))) = frame {
        status.observe_delay(Duration::from_millis(now().unix.since(time)));
    }
}

/// Writes what is queued, as much at a time as there is.
async fn write(
    (send, stall): (&mut SendStream, Duration),
    mut queue: LinkQueue,
    ticket: &str,
    status: &LinkStatus,
) -> Result<(), LinkError> {
    let mut bytes = Vec::new();
    while let Some(frame) = queue.next().await {
        bytes.clear();
        append(&frame, ticket, &mut bytes);
        while bytes.len() < WRITE_BYTES
            && let Some(frame) = queue.try_next()
        {
            append(&frame, ticket, &mut bytes);
        }
        status.count_out(bytes.len());
        let written = timeout(stall, send.write_all(&bytes)).await;
        written.map_err(|_| LinkError::Stalled)??;
    }
    Ok(())
}
