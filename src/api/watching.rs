//! What a Stream object is asked on behalf of the stream's webhooks.

use crate::api::call::wire_by_field;
use streamchain_edge_core::stream_log::{Reader, Watch};
use streamchain_protocol::ids::Seq;

wire_by_field! {
    SetWatch { watch }
    ReadAsWebhook { reader, event, seq }
}

/// What the Webhooks object is to be woken for from now on.
#[derive(Debug)]
pub(crate) struct SetWatch {
    /// `None` for nothing.
    pub watch: Option<Watch>,
}

/// Asks for what is behind a webhook's cursor. Where there is nothing, the Webhooks object is woken once there is.
#[derive(Debug)]
pub(crate) struct ReadAsWebhook {
    /// Whose rights count: to read the stream, and to manage it.
    pub reader: Reader,
    /// The last event that was delivered.
    pub event: u64,
    /// The first message that was not.
    pub seq: Seq,
}
