//! The sorted records of an index file's base block, used where they lie in the file's bytes.

use crate::platform::Content;
use crate::worktree::index::record::{Known, Record};

/// Invariant: `offsets` are the starts of valid records in `bytes`, in strictly rising path order.
#[derive(Default)]
pub struct Base {
    bytes: Content,
    offsets: Vec<usize>,
    /// Positions of doubtful entries, rising.
    doubtful: Vec<usize>,
    /// Bytes of the base block; what follows in `bytes` is the log.
    len: usize,
}

impl Base {
    /// Takes over the bytes of an index file whose first `len` bytes are a checked base block, with
    /// records from `from` on. None if its records are not as they should be.
    pub fn new(bytes: Content, from: usize, len: usize) -> Option<Base> {
        let mut offsets = Vec::with_capacity(len / 96);
        let mut doubtful = Vec::new();
        let mut rest = bytes.get(from..len)?;
        let mut previous: Option<&[u8]> = None;
        while !rest.is_empty() {
            let offset = len - rest.len();
            let (record, tail) = Record::split_first(rest)?;
            if record.is_removal() || previous.is_some_and(|path| path >= record.path) {
                return None;
            }
            if record.is_doubtful() {
                doubtful.push(offsets.len());
            }
            offsets.push(offset);
            previous = Some(record.path);
            rest = tail;
        }
        Some(Base { bytes, offsets, doubtful, len })
    }

    /// Bytes of the base block.
    pub fn block_len(&self) -> usize {
        self.len
    }

    pub fn entry_count(&self) -> usize {
        self.offsets.len()
    }

    pub fn get(&self, path: &[u8]) -> Option<Known> {
        let (found, known) = self.at(self.lower_bound(path))?;
        (found == path).then_some(known)
    }

    /// The position of the first entry whose path is not less.
    pub fn lower_bound(&self, path: &[u8]) -> usize {
        self.offsets
            .partition_point(|offset| self.record(*offset).is_some_and(|record| record.path < path))
    }

    fn record(&self, offset: usize) -> Option<Record<'_>> {
        Record::split_first(&self.bytes[offset..self.len]).map(|(record, _)| record)
    }

    /// The paths of doubtful entries.
    pub fn doubtful(&self) -> impl Iterator<Item = &[u8]> {
        self.doubtful.iter().filter_map(|position| self.at(*position)).map(|(path, _)| path)
    }

    /// The entry at a position; none behind the last.
    pub fn at(&self, position: usize) -> Option<(&[u8], Known)> {
        let record = self.record(*self.offsets.get(position)?)?;
        Some((record.path, record.known()?))
    }
}
