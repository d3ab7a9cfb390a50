//! The table of webhooks: how many there are of each account. An object that makes or removes one keeps its row in step.

use super::{number, rows};
use crate::storage::row::Row;
use alloy_primitives::hex;
use streamchain_edge_core::webhooks::{MAX_WEBHOOKS_PER_ACCOUNT, Webhook};
use streamchain_protocol::ids::WebhookId;
use worker::{D1Database, D1Type, Error};

/// Counts a new webhook for its account. Returns whether the account had room for it: nothing is written otherwise.
pub(crate) async fn claim(db: &D1Database, webhook: &Webhook) -> Result<bool, Error> {
    let (id, stream) = (webhook.id.to_hex(), webhook.stream.to_hex());
    let account = hex::encode_prefixed(webhook.creator.account);
    let values = [
        D1Type::Text(&id),
        D1Type::Text(&account),
        D1Type::Text(&stream),
        number(webhook.created.0),
        number(MAX_WEBHOOKS_PER_ACCOUNT),
    ];
    let statement = "INSERT INTO webhooks SELECT ?1, ?2, ?3, ?4 \
         WHERE (SELECT count(*) FROM webhooks WHERE account = ?2) < ?5 RETURNING 1";
    Ok(!rows(db, statement, &values, |_| Ok(())).await?.is_empty())
}

/// How many webhooks there are.
pub(crate) async fn count(db: &D1Database) -> Result<u64, Error> {
    let counted = rows(db, "SELECT count(*) FROM webhooks", &[], Row::number).await?;
    Ok(counted.first().copied().unwrap_or(0))
}

/// Takes a webhook off its account's count; one that is not there is no error.
pub(crate) async fn release(db: &D1Database, id: WebhookId) -> Result<(), Error> {
    let id = id.to_hex();
    let statement = "DELETE FROM webhooks WHERE id = ?1";
    rows(db, statement, &[D1Type::Text(&id)], |_| Ok(())).await?;
    Ok(())
}
