//! Pages of rows that the database holds of one stream.

use crate::auth::principal as auth;
use crate::problem::{Kind, Problem};
use crate::request::Call;
use crate::storage::d1 as store;
use streamchain_protocol::auth::Right;
use streamchain_protocol::ids::{StreamId, StreamRef};
use worker::D1Database;

/// Rows that the database holds of one stream, for whom may read it: a page at a time. The right to read is checked once
/// the page is read, so that it has nothing that came after the right to it was gone.
pub(super) struct StreamRows {
    /// Where they are.
    pub db: D1Database,
    /// Whose they are.
    pub stream: StreamId,
    /// Most rows of the page that is asked for.
    pub limit: usize,
}

impl StreamRows {
    /// Reads a page, and lets it go out unless the request is by somebody whom the stream is not for.
    pub(super) async fn page<T>(
        call: &Call,
        stream: &StreamRef,
        read: impl AsyncFnOnce(&Self) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let page = read(&Self::of(call, stream).await?).await?;
        auth::need(call, stream, Right::Read).await?;
        Ok(page)
    }

    /// Refuses a stream that is not there.
    async fn of(call: &Call, stream: &StreamRef) -> Result<Self, Problem> {
        let limit = call.page_rows()?;
        let db = call.env.d1("DB")?;
        let Some(found) = store::streams::find(&db, call.short(stream)).await? else {
            auth::need(call, stream, Right::Read).await?;
            let absent = "there is no such stream, or nothing of it is stored yet";
            return Err(Problem::new(Kind::NoSuchStream, absent));
        };
        let stream = found.id;
        Ok(Self { db, stream, limit })
    }

    /// The row behind which there may be more: the last of a full page.
    pub(super) fn last<'a, T>(&self, page: &'a [T]) -> Option<&'a T> {
        page.last().filter(|_| page.len() == self.limit)
    }
}
