//! What the frames of both directions have in common.

use streamchain_protocol::Address;
use streamchain_protocol::limits::MAX_LISTED_AUTHORS;
use streamchain_protocol::wire::Presence;
use streamchain_protocol::wire::cbor::{CborError, Reader, Writer};

/// Returns how many items a frame has, and the first of them.
pub(super) fn head(r: &mut Reader<'_>) -> Result<(u64, u64), CborError> {
    let items = r.array("frame")?;
    need(items, 1)?;
    Ok((items, r.uint("kind")?))
}

pub(super) fn uint_or_null(r: &mut Reader<'_>, field: &'static str) -> Result<Option<u64>, CborError> {
    match r.null(field)? {
        true => Ok(None),
        false => r.uint(field).map(Some),
    }
}

pub(super) fn need(given: u64, items: u64) -> Result<(), CborError> {
    match given < items {
        true => Err(too_many("frame", given)),
        false => Ok(()),
    }
}

/// Passes over the items of a later version; nothing may come behind them.
pub(super) fn end(r: &mut Reader<'_>, items: u64) -> Result<(), CborError> {
    (0..items).try_for_each(|_| r.skip("item"))?;
    match r.is_at_end() {
        true => Ok(()),
        false => Err(out_of_shape("frame")),
    }
}

pub(super) fn out_of_shape(field: &'static str) -> CborError {
    let reason = "out of shape";
    CborError::Item { field, reason }
}

pub(super) fn too_many(field: &'static str, given: u64) -> CborError {
    let expected = "another length";
    CborError::Length {
        field,
        given,
        expected,
    }
}

/// Writes who is at a stream, as a frame of this kind.
pub(super) fn write_presence(kind: u64, presence: &Presence, w: &mut Writer<'_>) {
    w.array(4).uint(kind);
    w.uint(presence.readers).uint(presence.publishers);
    w.array(presence.authors.len() as u64);
    for author in &presence.authors {
        w.bytes(author.as_slice());
    }
}

/// Reads the items of such a frame behind its kind. Memory is taken for no more authors than may be listed.
pub(super) fn read_presence(r: &mut Reader<'_>) -> Result<Presence, CborError> {
    let (readers, publishers) = (r.uint("readers")?, r.uint("publishers")?);
    let count = r.array("authors")?;
    if count > MAX_LISTED_AUTHORS as u64 {
        return Err(too_many("authors", count));
    }
    let author = |_| r.fixed::<20>("author").map(Address::from);
    Ok(Presence {
        readers,
        publishers,
        authors: (0..count).map(author).collect::<Result<_, _>>()?,
    })
}
