//! Pages of rows that the database holds of one stream.

use crate::auth::principal as auth;
use crate::problem::{Kind, Problem};
use crate::request::Call;
use crate::storage::d1 as store;
use streamchain_protocol::auth::Right;
use streamchain_protocol::ids::{StreamId, StreamRef};
use worker::D1Database;

/// Rows that the database holds of one stream, for whom may read it: a page at a time.
pub(super) struct StreamRows {
    /// Where they are.
    pub db: D1Database,
    /// Whose they are.
    pub stream: StreamId,
    /// Most rows of the page that is asked for.
    pub limit: usize,
}

impl StreamRows {
    /// Refuses whom the stream is not for, and a stream that is not there.
    pub(super) async fn of(call: &Call, stream: &StreamRef) -> Result<Self, Problem> {
        auth::need(call, stream, Right::Read).await?;
        let limit = call.page_rows()?;
        let db = call.env.d1("DB")?;
        let found = store::streams::find(&db, call.short(stream)).await?;
        let absent = "there is no such stream, or nothing of it is stored yet";
        let stream = found.ok_or_else(|| Problem::new(Kind::NoSuchStream, absent))?.id;
        Ok(Self { db, stream, limit })
    }

    /// The row behind which there may be more: the last of a full page.
    pub(super) fn last<'a, T>(&self, page: &'a [T]) -> Option<&'a T> {
        page.last().filter(|_| page.len() == self.limit)
    }
}
