//! What the Relays object is asked.

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};
use streamchain_protocol::ids::{RelayId, ShortId};
use streamchain_protocol::wire::Notice;

/// `POST /choose`
#[derive(Debug, Serialize, Deserialize)]
pub struct ChooseRelay {
    /// The stream that a session is opened on.
    pub stream: ShortId,
    /// The relay that has it.
    pub current: Option<RelayId>,
}

/// `POST /notices`
#[derive(Debug, Serialize, Deserialize)]
pub struct PostNotices {
    /// What happened.
    pub notices: Vec<RelayNotice>,
}

/// The answer to [`PostNotices`].
#[derive(Debug, Serialize, Deserialize)]
pub struct NoticesPosted {
    /// Those of the relays that are not alive: they may never hear of it.
    pub dead: Vec<RelayId>,
}

/// `POST /withdraw`: the sessions of these authors are over, on every stream and relay.
#[derive(Debug, Serialize, Deserialize)]
pub struct Withdraw {
    /// Whose.
    pub authors: Vec<Address>,
}

/// One notice for one relay.
#[derive(Debug, Serialize, Deserialize)]
pub struct RelayNotice {
    /// Who must hear of it.
    pub relay: RelayId,
    /// What happened.
    pub notice: Notice,
}
