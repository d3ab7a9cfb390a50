//! The archive (R2): packs by their names. Without the binding there is none, and everything stays in the database.

use std::cell::RefCell;
use std::rc::Rc;
use streamchain_edge_core::archive::PackRow;
use streamchain_protocol::archive::{MAX_TAIL_BYTES, PackIndex};
use worker::{Bucket, Data, Env, Error, Object, Range};

/// The name of the binding.
const BINDING: &str = "ARCHIVE";

/// Indexes of packs that an instance keeps: readers go through a pack page by page. At most 8 MB, usually some 100 KB.
const MAX_KEPT_INDEXES: usize = 8;

thread_local! {
    /// By the objects' names; an object never changes.
    static INDEXES: RefCell<Vec<(String, Rc<PackIndex>)>> = const { RefCell::new(Vec::new()) };
}

/// The archive of this deployment.
pub(crate) struct Archive(Bucket);

impl Archive {
    /// The archive, if the deployment has one.
    pub(crate) fn of(env: &Env) -> Option<Self> {
        env.bucket(BINDING).ok().map(Self)
    }

    /// Puts an object. It is there, whole, when this returns.
    pub(crate) async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), Error> {
        let length = bytes.len() as u64;
        let put = self.0.put(key, Data::Bytes(bytes)).execute().await?;
        match put.is_some_and(|put| put.size() == length) {
            true => Ok(()),
            false => Err(Error::RustError(format!(
                "the archive did not take all {length} bytes of {key}"
            ))),
        }
    }

    /// Deletes an object, if it is there.
    pub(crate) async fn delete(&self, key: &str) -> Result<(), Error> {
        self.0.delete(key).await
    }

    /// Bytes of an object; `None` when there is no such object.
    pub(crate) async fn range(&self, key: &str, offset: u64, length: u64) -> Result<Option<Vec<u8>>, Error> {
        let range = Range::OffsetWithLength { offset, length };
        bytes_of(self.0.get(key).range(range).execute().await?).await
    }

    /// All bytes of an object; `None` when there is no such object.
    pub(crate) async fn whole(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        bytes_of(self.0.get(key).execute().await?).await
    }

    /// A pack's index; `None` when there is no such object.
    pub(crate) async fn index(&self, row: &PackRow) -> Result<Option<Rc<PackIndex>>, Error> {
        let key = row.key();
        if let Some(kept) = kept_index(&key) {
            return Ok(Some(kept));
        }
        let wrong = |reason: &dyn std::fmt::Display| Error::RustError(format!("the pack {key}: {reason}"));
        if row.tail > MAX_TAIL_BYTES as u64 || row.tail > row.bytes {
            return Err(wrong(&"its row has an index of impossible length"));
        }
        let Some(tail) = self.range(&key, row.bytes - row.tail, row.tail).await? else {
            return Ok(None);
        };
        let (index, digest) = PackIndex::decode(row.stream, &tail).map_err(|error| wrong(&error))?;
        if digest != row.digest || index.first != row.first || index.end() != row.end {
            return Err(wrong(&"it is not the one that its row is about"));
        }
        let index = Rc::new(index);
        INDEXES.with_borrow_mut(|kept| {
            if kept.len() == MAX_KEPT_INDEXES {
                kept.remove(0);
            }
            kept.push((key.clone(), index.clone()));
        });
        Ok(Some(index))
    }
}

async fn bytes_of(object: Option<Object>) -> Result<Option<Vec<u8>>, Error> {
    match object.as_ref().and_then(Object::body) {
        Some(body) => body.bytes().await.map(Some),
        None => Ok(None),
    }
}

/// A kept index, which is then the one that was used last.
fn kept_index(key: &str) -> Option<Rc<PackIndex>> {
    INDEXES.with_borrow_mut(|kept| {
        let place = kept.iter().position(|(name, _)| name == key)?;
        let found = kept.remove(place);
        let index = found.1.clone();
        kept.push(found);
        Some(index)
    })
}
