//! The table of certificates: who vouches for the keys that sign. A row is inserted and revoked, and never deleted.

use super::{number, rows, unread};
use crate::storage::row::{Row, out_of_shape};
use alloy_primitives::{Address, Bytes, hex};
use streamchain_edge_core::certificates::{KeptCertificate, MAX_AUTHOR_KEYS};
use streamchain_protocol::limits::CERTIFICATE_LIFE_S;
use streamchain_protocol::signed::{Certificate, PublicKey};
use streamchain_protocol::time::UnixSec;
use worker::{D1Database, D1Type, Error};

/// Most certificates of one author and key that are looked at for one time: the newest that had begun then.
const MAX_CANDIDATES: u64 = 64;

/// Authors of one statement at most: D1 binds 100 values in a statement.
const AUTHORS_AT_ONCE: usize = 90;

fn read(row: &mut Row, author: Address, key: PublicKey) -> Result<KeptCertificate, Error> {
    let (kind, account) = (row.text()?, row.parsed::<Address>()?);
    let (message, signature) = (row.text()?, row.text()?);
    let chain_id = row.maybe_number()?;
    let issued = UnixSec(row.number()?);
    let expires = row.maybe_number()?.map(UnixSec);
    let revoked = row.maybe_number()?.map(UnixSec);
    let certificate = match kind.as_str() {
        "wallet" => Certificate::Wallet {
            message,
            signature: signature
                .parse::<Bytes>()
                .map_err(|_| out_of_shape("a signature"))?,
            issued,
            expires: expires.ok_or_else(|| out_of_shape("the end of a wallet's certificate"))?,
            revoked,
        },
        "service" => Certificate::Service {
            account,
            issued,
            expires,
            revoked,
        },
        _ => return Err(out_of_shape("the kind of a certificate")),
    };
    Ok(KeptCertificate {
        author,
        key,
        chain_id,
        certificate,
    })
}

/// What is kept for an author and a key that had begun at a time, or else the newest: at most 64, the newest first.
pub(crate) async fn of_key(
    db: &D1Database,
    author: Address,
    key: PublicKey,
    at: UnixSec,
) -> Result<Vec<KeptCertificate>, Error> {
    let query =
        "SELECT kind, account, message, signature, chain_id, issued, expires, revoked FROM certificates
                 WHERE author = ?1 AND key = ?2 ORDER BY issued > ?3, issued DESC LIMIT ?4";
    let (author_text, key_text) = (hex::encode_prefixed(author), key.to_string());
    let values = [
        D1Type::Text(&author_text),
        D1Type::Text(&key_text),
        number(at.0),
        number(MAX_CANDIDATES),
    ];
    rows(db, query, &values, |row| read(row, author, key)).await
}

/// Keeps a certificate, unless the author has had its share of them lately: returns whether it is kept. One that is kept
/// already stays as it is.
pub(crate) async fn put(db: &D1Database, kept: &KeptCertificate, now: UnixSec) -> Result<bool, Error> {
    let statement = "INSERT INTO certificates
        (author, key, kind, account, message, signature, chain_id, issued, expires, added)
        SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10
        WHERE (SELECT count(*) FROM certificates WHERE author = ?1 AND added > ?11) < ?12
        ON CONFLICT (author, key, issued) DO UPDATE SET added = added RETURNING id";
    let (kind, account, message, signature, issued, expires) = match &kept.certificate {
        // Nobody vouches for an author that is its key.
        Certificate::Own {} => return Ok(true),
        Certificate::Wallet {
            message,
            signature,
            issued,
            expires,
            ..
        } => (
            "wallet",
            kept.author,
            message.as_str(),
            signature.to_string(),
            *issued,
            Some(*expires),
        ),
        Certificate::Service {
            account,
            issued,
            expires,
            ..
        } => ("service", *account, "", "0x".to_owned(), *issued, *expires),
    };
    let maybe = |value: Option<u64>| value.map_or(D1Type::Null, number);
    let (author, key, account) = (
        hex::encode_prefixed(kept.author),
        kept.key.to_string(),
        hex::encode_prefixed(account),
    );
    let values = [
        D1Type::Text(&author),
        D1Type::Text(&key),
        D1Type::Text(kind),
        D1Type::Text(&account),
        D1Type::Text(message),
        D1Type::Text(&signature),
        maybe(kept.chain_id),
        number(issued.0),
        maybe(expires.map(|expires| expires.0)),
        number(now.0),
        number(now.0.saturating_sub(CERTIFICATE_LIFE_S)),
        number(MAX_AUTHOR_KEYS as u64),
    ];
    Ok(!unread(db, statement, &values).await?.is_empty())
}

/// Ends the certificates of these authors: those that are over stay as they are.
pub(crate) async fn revoke(db: &D1Database, authors: &[Address], now: UnixSec) -> Result<(), Error> {
    for authors in authors.chunks(AUTHORS_AT_ONCE) {
        let marks = vec!["?"; authors.len()].join(", ");
        let texts: Vec<String> = authors.iter().map(hex::encode_prefixed).collect();
        // Numbered as they stand: the time first, then the authors.
        let statement = format!(
            "UPDATE certificates SET revoked = ?1
             WHERE revoked IS NULL AND (expires IS NULL OR expires > ?1) AND author IN ({marks})"
        );
        let now = std::iter::once(number(now.0));
        let values: Vec<D1Type<'_>> = now.chain(texts.iter().map(|text| D1Type::Text(text))).collect();
        unread(db, &statement, &values).await?;
    }
    Ok(())
}

/// Ends the certificates of an author for all keys but one.
pub(crate) async fn revoke_others(
    db: &D1Database,
    author: Address,
    key: PublicKey,
    now: UnixSec,
) -> Result<(), Error> {
    let statement = "UPDATE certificates SET revoked = ?1
                     WHERE revoked IS NULL AND (expires IS NULL OR expires > ?1) AND author = ?2 AND key <> ?3";
    let (author, key) = (hex::encode_prefixed(author), key.to_string());
    let values = [number(now.0), D1Type::Text(&author), D1Type::Text(&key)];
    unread(db, statement, &values).await.map(drop)
}
