//! `/v1/auth/…`: access tokens.

use super::{Answer, Call, json};
use crate::auth::new_guest;

/// `POST /v1/auth/guest`: a new author with a token.
pub fn guest(call: &Call) -> Answer {
    let guest = new_guest(&call.config, call.now_ms)?;
    json(
        201,
        &serde_json::json!({"token": guest.token, "author": guest.author, "expires": guest.expires}),
    )
}
