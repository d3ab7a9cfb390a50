//! The table of those who may read private streams of others: what the list of matches shows them. Who may do what is decided by
//! the stream's object; a row here is written once that has changed.

use super::unread;
use alloy_primitives::{Address, hex};
use streamchain_protocol::ids::ShortId;
use worker::{D1Database, D1Type, Error};

/// Notes whether an account is a member that may read a stream.
pub(crate) async fn put(
    db: &D1Database,
    account: Address,
    stream: ShortId,
    may_read: bool,
) -> Result<(), Error> {
    let (account, stream) = (hex::encode_prefixed(account), stream.to_string());
    let statement = match may_read {
        true => "INSERT INTO readers (account, stream) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        false => "DELETE FROM readers WHERE account = ?1 AND stream = ?2",
    };
    let values = [D1Type::Text(&account), D1Type::Text(&stream)];
    unread(db, statement, &values).await.map(drop)
}
