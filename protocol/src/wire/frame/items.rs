//! What the frames of both directions have in common: an array whose first item says its kind.

use crate::util::cbor::{CborError, Reader};

/// Returns how many items a frame has, and the first of them.
pub(super) fn read_head(reader: &mut Reader<'_>) -> Result<(u64, u64), CborError> {
    let items = reader.array("frame")?;
    if items == 0 {
        return Err(CborError::Length {
            field: "frame",
            given: 0,
            expected: "at least 1",
        });
    }
    Ok((items, reader.uint("kind")?))
}

/// Frames may grow more items at their end in later versions: fewer is an error, more is not.
pub(super) fn need(given: u64, items: u64, field: &'static str) -> Result<(), CborError> {
    if given < items {
        return Err(CborError::Length {
            field,
            given,
            expected: "all items of this kind",
        });
    }
    Ok(())
}

/// Passes over the next `items` items.
pub(super) fn skip(reader: &mut Reader<'_>, items: u64) -> Result<(), CborError> {
    (0..items).try_for_each(|_| reader.skip("item"))
}
