//! Stored forms and the interfaces through which objects are read.

pub mod chunk;
pub mod pack;
pub mod record;

use std::sync::Arc;

use crate::error::Result;
use crate::id::Id;
use crate::object::Kind;

/// A decoded object: its canonical bytes, and how long the chain of splices is that stores it.
#[derive(Clone, Debug)]
pub struct Object {
    pub kind: Kind,
    pub depth: u8,
    pub bytes: Arc<[u8]>,
}

/// Reads objects by id. Implemented by the engine over L1, journal and L2.
pub trait ObjectReader: Sync {
    /// The object, verified against its id. Fails with `ObjectNotFound` if nobody has it.
    fn object(&self, id: &Id) -> Result<Object>;

    /// The object if it is cheap to have: in memory or in the journal. Used for splice bases.
    fn nearby(&self, id: &Id) -> Option<Object>;

    /// Of a parent that gc has dropped: where history goes on, which is the parent itself if it
    /// ends there. `None` if gc has not dropped it.
    fn dropped(&self, _id: &Id) -> Result<Option<Id>> {
        Ok(None)
    }
}

/// Takes what a store has of the large record at a place.
pub type EachLarge<'e> = &'e mut (dyn FnMut(usize, Option<&[u8]>) + Send);

/// Large records that are in memory at once for each thread: 1 MiB if they are chunks of average
/// length.
pub const LARGE_AT_ONCE: usize = 4;

/// The L2 store as the core sees it: stored records by id, batched. Callers hold no lock of the
/// core while they call it, because an implementation may run Python.
pub trait RecordSource: Send + Sync {
    /// One answer per id, in order; `None` where the store does not have it.
    fn records(&self, ids: &[Id]) -> Result<Vec<Option<Vec<u8>>>>;

    /// As `records`, but what the store itself has: nothing that is derived from something else.
    fn stored(&self, ids: &[Id]) -> Result<Vec<Option<Vec<u8>>>> {
        self.records(ids)
    }

    /// Gives `each` what the store itself has of large records, by their places in `ids`, in order.
    /// If it fails, `each` may have seen the first ones.
    fn each_large(&self, ids: &[Id], each: EachLarge<'_>) -> Result<()> {
        for (nth, window) in ids.chunks(LARGE_AT_ONCE).enumerate() {
            for (at, record) in self.stored(window)?.iter().enumerate() {
                each(nth * LARGE_AT_ONCE + at, record.as_deref());
            }
        }
        Ok(())
    }

    /// Whether there may be anything that is derived.
    fn derives(&self) -> Result<bool> {
        Ok(false)
    }

    /// Whether each object is derived, with all that it leads to: somebody else keeps it.
    fn closed(&self, ids: &[Id]) -> Result<Vec<bool>> {
        Ok(vec![false; ids.len()])
    }

    /// The value of a ref that has left the journal.
    fn reference(&self, name: &[u8]) -> Result<Option<Id>>;

    /// Refs that have left the journal, by prefix: the first `limit` by name.
    fn references(&self, prefix: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Id)>>;

    /// Looks again at what is on disk: maintenance has moved something since.
    fn refresh(&self) -> Result<()>;
}
