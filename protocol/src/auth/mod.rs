//! Who somebody is and what they may do: keys, tokens, API keys, rights, sign-in with Ethereum, secrets of webhooks.

mod access_token;
mod api_key;
mod join_grant;
mod keys;
mod link_ticket;
mod rights;
mod session_token;
pub mod siwe;
mod webhook;

pub use access_token::{AccessClaims, AccessError, Scope};
pub use api_key::{ApiKey, KEY_PREFIX, KeyRef, SECRET_BYTES};
pub use join_grant::JoinGrant;
pub use keys::{KeyError, LinkKey, MasterSecret, RelayKey, SessionKeys, mac_bytes};
pub use link_ticket::{LinkTicket, LinkTicketError};
pub use rights::{Access, Right, Rights};
pub use session_token::{FingerprintHash, MaxMessage, SessionRights, SessionToken, TokenError, ice_password};
pub use webhook::WebhookSecret;
