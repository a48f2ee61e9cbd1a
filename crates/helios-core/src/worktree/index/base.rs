//! The sorted records of an index file's base block, used where they lie in the file's bytes.

use crate::worktree::index::block::HEADER_LEN;
use crate::worktree::index::record::{Known, Record};

/// Invariant: `offsets` are the starts of valid records in `bytes`, in strictly rising path order.
#[derive(Default)]
pub struct Base {
    bytes: Vec<u8>,
    offsets: Vec<usize>,
    /// Bytes of the base block; what follows in `bytes` is the log.
    len: usize,
}

impl Base {
    /// Takes over the bytes of an index file whose first `len` bytes are a checked base block. None
    /// if its records are not as they should be.
    pub fn new(bytes: Vec<u8>, len: usize) -> Option<Base> {
        let mut offsets = Vec::with_capacity(len / 96);
        let mut rest = &bytes[HEADER_LEN..len];
        let mut previous: Option<&[u8]> = None;
        while !rest.is_empty() {
            let offset = len - rest.len();
            let (record, tail) = Record::split_first(rest)?;
            if record.is_removal() || previous.is_some_and(|path| path >= record.path) {
                return None;
            }
            offsets.push(offset);
            previous = Some(record.path);
            rest = tail;
        }
        Some(Base { bytes, offsets, len })
    }

    /// Bytes of the base block.
    pub fn block_len(&self) -> usize {
        self.len
    }

    pub fn entry_count(&self) -> usize {
        self.offsets.len()
    }

    pub fn get(&self, path: &[u8]) -> Option<Known> {
        let position = self
            .offsets
            .binary_search_by(|offset| self.record(*offset).map_or(&[][..], |r| r.path).cmp(path))
            .ok()?;
        self.record(self.offsets[position])?.known()
    }

    fn record(&self, offset: usize) -> Option<Record<'_>> {
        Record::split_first(&self.bytes[offset..self.len]).map(|(record, _)| record)
    }

    /// The entries in path order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Known)> + '_ {
        self.offsets.iter().filter_map(|offset| {
            let record = self.record(*offset)?;
            Some((record.path, record.known()?))
        })
    }
}
