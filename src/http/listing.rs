//! What lists of streams have in common: whose streams they have, and how one is shown.

use crate::auth::principal::Principal;
use crate::storage::d1::streams::{StreamRow, Visible};
use alloy_primitives::Address;
use serde_json::{Value, json};
use streamchain_protocol::auth::Right;

/// Whose streams a list has for this principal.
pub(super) fn visible_to(principal: Option<&Principal>) -> Visible {
    match principal {
        Some(one) if one.operator => Visible::All,
        Some(one) if one.scope.streams.is_none() && one.scope.rights.has(Right::Read) => {
            Visible::To(one.account)
        }
        _ => Visible::To(Address::ZERO),
    }
}

/// A stream as lists show it.
pub(super) fn listed(row: &StreamRow) -> Value {
    let settings = &row.settings;
    json!({
        "id": row.id, "short": row.id.short(), "name": row.name, "owner": row.owner,
        "mode": settings.mode, "read": settings.read, "write": settings.write,
        "p2p": settings.p2p, "prove": settings.prove, "anchor": settings.anchor, "retention": settings.retention, "signed": settings.signed,
        "created": row.created,
    })
}
