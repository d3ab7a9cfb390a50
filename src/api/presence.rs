//! What a Stream object is asked about who is at the stream.

use crate::api::call::wire_by_field;
use streamchain_edge_core::stream_log::LogState;
use streamchain_protocol::ids::{Epoch, RelayId};
use streamchain_protocol::wire::Presence;

wire_by_field! {
    GetOverview {}
    Overview { state, presence }
    ReportPresence { relay, epoch, presence }
}

/// Asks for the state and for who is there.
#[derive(Debug)]
pub(crate) struct GetOverview {}

/// What the stream is, and who is there.
#[derive(Debug)]
pub(crate) struct Overview {
    /// What it is.
    pub state: LogState,
    /// Who is there, as far as that is known.
    pub presence: Option<Presence>,
}

/// Who is at the stream, as its leader knows.
#[derive(Debug)]
pub(crate) struct ReportPresence {
    /// The relay.
    pub relay: RelayId,
    /// Its epoch.
    pub epoch: Epoch,
    /// Who is there; checked.
    pub presence: Presence,
}
