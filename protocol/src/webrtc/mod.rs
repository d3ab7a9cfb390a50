//! What WebRTC takes before a data channel is open: SDP, ICE candidates, fingerprints, TURN credentials.

mod candidate;
mod fingerprint;
mod ice_servers;
mod sdp;
mod turn_credentials;

pub use candidate::{Candidate, Transport, can_be_reached};
pub use fingerprint::{format_fingerprint, parse_fingerprint};
pub use ice_servers::IceServer;
pub use sdp::{Answer, DataProtocol, Offer, OfferError};
pub use turn_credentials::{TurnCredentials, TurnSecret, TurnUsernameError, user_of};
