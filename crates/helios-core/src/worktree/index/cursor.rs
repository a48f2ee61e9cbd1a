//! A place among the entries of an index, which moves on in path order and can jump ahead.

use std::collections::btree_map::Range;
use std::iter::Peekable;
use std::ops::Bound;

use crate::worktree::index::base::Position;
use crate::worktree::index::{Index, Known};

/// Iterates over base and changes as one.
pub struct Cursor<'i> {
    index: &'i Index,
    /// Of the next entry of the base.
    base: Position,
    changes: Peekable<Range<'i, Vec<u8>, Option<Known>>>,
}

impl<'i> Cursor<'i> {
    pub(super) fn new(index: &'i Index, path: &[u8]) -> Cursor<'i> {
        let from = (Bound::Included(path), Bound::Unbounded);
        Cursor {
            index,
            base: index.base.lower_bound(path),
            changes: index.changes.range::<[u8], _>(from).peekable(),
        }
    }

    /// Goes to the first entry whose path is not less.
    pub fn seek(&mut self, path: &[u8]) {
        *self = Cursor::new(self.index, path);
    }
}

impl<'i> Iterator for Cursor<'i> {
    type Item = (&'i [u8], Known);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let entry = self.index.base.at(&mut self.base);
            match (&entry, self.changes.peek()) {
                (None, None) => return None,
                (Some((path, _)), Some((changed, _))) if *path == &changed[..] => self.base.step(),
                (Some((path, _)), Some((changed, _))) if *path > &changed[..] => {}
                (None, Some(_)) => {}
                _ => {
                    self.base.step();
                    return entry;
                }
            }
            if let Some((path, Some(known))) = self.changes.next() {
                return Some((path, *known));
            }
        }
    }
}
