//! The table of certificates: who vouches for the keys that sign. A row is inserted and revoked, and never deleted.

use super::{number, rows, unread};
use crate::storage::row::{Row, out_of_shape};
use alloy_primitives::{Address, Bytes, hex};
use streamchain_edge_core::certificates::{KeptCertificate, MAX_AUTHOR_KEYS, revoked_at};
use streamchain_protocol::limits::CERTIFICATE_LIFE_S;
use streamchain_protocol::signed::{Certificate, PublicKey};
use streamchain_protocol::time::UnixSec;
use worker::{D1Database, D1Type, Error};

/// Certificates of one author and key that are read at once: as many as an author gets in 30 days.
const PAGE: usize = MAX_AUTHOR_KEYS;

/// Most pages for one time: beyond it an author would have to sign in as often as it may for two and a half years, each time
/// with an end that lies years ahead.
const MAX_PAGES: usize = 32;

/// How much later than a message's time its certificate may have been kept and still be looked at first, seconds: clocks differ.
const ADDED_SLACK_S: u64 = 60;

const COLUMNS: &str = "kind, account, message, signature, chain_id, issued, expires, revoked";

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

/// Certificates of an author and a key that cover a time: one of them is `enough`, if any is; where none is, the newest 64; where
/// none covers the time, the one that began last before it, or else the newest. What was kept by that time comes first, so that
/// nothing which an author does later hides what a message of then was signed under.
pub(crate) async fn of_key(
    db: &D1Database,
    author: Address,
    key: PublicKey,
    at: UnixSec,
    enough: impl Fn(&KeptCertificate) -> bool,
) -> Result<Vec<KeptCertificate>, Error> {
    let query = format!(
        "SELECT {COLUMNS} FROM certificates WHERE author = ?1 AND key = ?2
         AND issued <= ?3 AND (expires IS NULL OR expires >= ?3) AND (revoked IS NULL OR revoked >= ?3)
         ORDER BY added > ?4, issued DESC LIMIT ?5 OFFSET ?6"
    );
    let (author_text, key_text) = (hex::encode_prefixed(author), key.to_string());
    let mut newest = None;
    for page in 0..MAX_PAGES {
        let values = [
            D1Type::Text(&author_text),
            D1Type::Text(&key_text),
            number(at.0),
            number(at.plus_s(ADDED_SLACK_S).0),
            number(PAGE as u64),
            number((page * PAGE) as u64),
        ];
        let found = rows(db, &query, &values, |row| read(row, author, key)).await?;
        if found.iter().any(&enough) {
            return Ok(found);
        }
        let is_last = found.len() < PAGE;
        newest.get_or_insert(found);
        if is_last {
            break;
        }
    }
    match newest {
        Some(newest) if !newest.is_empty() => Ok(newest),
        _ => outside(db, author, key, at).await,
    }
}

/// The certificate that began last before a time, or else the newest.
async fn outside(
    db: &D1Database,
    author: Address,
    key: PublicKey,
    at: UnixSec,
) -> Result<Vec<KeptCertificate>, Error> {
    let query = format!(
        "SELECT {COLUMNS} FROM certificates WHERE author = ?1 AND key = ?2
         ORDER BY issued > ?3, issued DESC LIMIT 1"
    );
    let (author_text, key_text) = (hex::encode_prefixed(author), key.to_string());
    let values = [D1Type::Text(&author_text), D1Type::Text(&key_text), number(at.0)];
    rows(db, &query, &values, |row| read(row, author, key)).await
}

/// What became of a certificate that was to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is kept, and not revoked.
    Kept,
    /// The author has had its share of them lately.
    Full,
    /// Another one of this author and key began in the same second, or this one was revoked since.
    Conflict,
}

/// Keeps a certificate, unless the author has had its share of them lately. One that is kept already stays as it is.
pub(crate) async fn put(db: &D1Database, kept: &KeptCertificate, now: UnixSec) -> Result<Put, Error> {
    let statement = format!(
        "INSERT INTO certificates
        (author, key, kind, account, message, signature, chain_id, issued, expires, added)
        SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10
        WHERE (SELECT count(*) FROM certificates WHERE author = ?1 AND added > ?11) < ?12
        ON CONFLICT (author, key, issued) DO UPDATE SET added = added RETURNING {COLUMNS}"
    );
    let (kind, account, message, signature, issued, expires) = match &kept.certificate {
        // Nobody vouches for an author that is its key.
        Certificate::Own {} => return Ok(Put::Kept),
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
    let found = rows(db, &statement, &values, |row| read(row, kept.author, kept.key)).await?;
    Ok(match found.first() {
        None => Put::Full,
        Some(found) if found == kept => Put::Kept,
        Some(_) => Put::Conflict,
    })
}

/// Ends the certificates of these authors, as of [`revoked_at`]: those that are over stay as they are.
pub(crate) async fn revoke(db: &D1Database, authors: &[Address], now: UnixSec) -> Result<(), Error> {
    for authors in authors.chunks(AUTHORS_AT_ONCE) {
        let marks = vec!["?"; authors.len()].join(", ");
        let texts: Vec<String> = authors.iter().map(hex::encode_prefixed).collect();
        // Numbered as they stand: the times first, then the authors.
        let statement = format!(
            "UPDATE certificates SET revoked = ?1
             WHERE revoked IS NULL AND (expires IS NULL OR expires > ?2) AND author IN ({marks})"
        );
        let times = [number(revoked_at(now).0), number(now.0)];
        let texts = texts.iter().map(|text| D1Type::Text(text));
        let values: Vec<D1Type<'_>> = times.into_iter().chain(texts).collect();
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
                     WHERE revoked IS NULL AND (expires IS NULL OR expires > ?2) AND author = ?3 AND key <> ?4";
    let (author, key) = (hex::encode_prefixed(author), key.to_string());
    let values = [
        number(revoked_at(now).0),
        number(now.0),
        D1Type::Text(&author),
        D1Type::Text(&key),
    ];
    unread(db, statement, &values).await.map(drop)
}
