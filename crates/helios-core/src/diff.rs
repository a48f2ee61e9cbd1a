//! The difference of two trees. Subtrees with equal ids are skipped, so it costs what differs.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::id::Id;
use crate::store::ObjectReader;
use crate::tree::{self, deeper, Entry, EntryKind, Node, Tree};

const UNIFIED_TIME_MAX: Duration = Duration::from_secs(2);

/// One path that differs. A directory appears only where it itself comes or goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub path: Vec<u8>,
    pub old: Option<Entry>,
    pub new: Option<Entry>,
}

/// A file that went away here and came back there with the same content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    pub from: Vec<u8>,
    pub to: Vec<u8>,
    pub entry: Entry,
}

/// All changes from `old` to `new`, in path order within each directory.
pub fn trees(old: &Tree, new: &Tree, reader: &dyn ObjectReader) -> Result<Vec<Change>> {
    let mut diff = Diff { reader, path: Vec::new(), changes: Vec::new() };
    diff.directories(old.root(), new.root())?;
    Ok(diff.changes)
}

/// Takes pairs of deleted and added files of equal id (and not empty) out of `changes`.
pub fn take_renames(changes: &mut Vec<Change>) -> Vec<Rename> {
    let movable = |entry: &Entry| entry.kind.has_content() && entry.size > 0;
    let mut deleted: HashMap<(Id, EntryKind), Vec<usize>> = HashMap::new();
    for (at, change) in changes.iter().enumerate().rev() {
        if let (Some(old), None) = (&change.old, &change.new) {
            if movable(old) {
                deleted.entry((old.id, old.kind)).or_default().push(at);
            }
        }
    }
    let mut renames = Vec::new();
    let mut taken = vec![false; changes.len()];
    for (at, change) in changes.iter().enumerate() {
        let (None, Some(entry)) = (&change.old, &change.new) else {
            continue;
        };
        let source = deleted.get_mut(&(entry.id, entry.kind)).and_then(Vec::pop);
        if let Some(source) = source {
            taken[at] = true;
            taken[source] = true;
            let from = changes[source].path.clone();
            renames.push(Rename { from, to: change.path.clone(), entry: *entry });
        }
    }
    let mut taken = taken.into_iter();
    changes.retain(|_| !taken.next().unwrap_or(false));
    renames
}

/// A position in a directory's search tree: on a reference or on an entry.
struct Cursor {
    stack: Vec<(Arc<Node>, usize)>,
}

impl Cursor {
    fn new(root: &Arc<Node>) -> Cursor {
        let mut cursor = Cursor { stack: vec![(Arc::clone(root), 0)] };
        cursor.settle();
        cursor
    }

    /// Leaves nodes that are used up.
    fn settle(&mut self) {
        while self.stack.last().is_some_and(|(node, item)| *item >= node.len()) {
            self.stack.pop();
            if let Some((_, item)) = self.stack.last_mut() {
                *item += 1;
            }
        }
    }

    fn advance(&mut self) {
        if let Some((_, item)) = self.stack.last_mut() {
            *item += 1;
        }
        self.settle();
    }

    fn descend(&mut self, reader: &dyn ObjectReader) -> Result<()> {
        if let Some((node, item)) = self.stack.last() {
            let child = node.visit(*item, reader)?;
            self.stack.push((child, 0));
            self.settle();
        }
        Ok(())
    }

    fn head(&self) -> Option<(Arc<Node>, usize)> {
        self.stack.last().cloned()
    }
}

struct Diff<'r> {
    reader: &'r dyn ObjectReader,
    path: Vec<u8>,
    changes: Vec<Change>,
}

impl Diff<'_> {
    fn directories(&mut self, old: &Arc<Node>, new: &Arc<Node>) -> Result<()> {
        if Arc::ptr_eq(old, new) || old.id().is_some() && old.id() == new.id() {
            return Ok(());
        }
        let (mut a, mut b) = (Cursor::new(old), Cursor::new(new));
        loop {
            // Equal subtrees and entries are compared as they are stored, and passed over.
            while let (Some((x, i)), Some((y, j))) = (a.stack.last(), b.stack.last()) {
                if !x.is_same_item(*i, y, *j) {
                    break;
                }
                a.advance();
                b.advance();
            }
            let (old, new) = match (a.head(), b.head()) {
                (None, None) => return Ok(()),
                (old, new) => (old, new),
            };
            let old_level = old.as_ref().map_or(0, |(node, _)| node.level());
            let new_level = new.as_ref().map_or(0, |(node, _)| node.level());
            if old_level > 0 || new_level > 0 {
                if old_level >= new_level {
                    a.descend(self.reader)?;
                }
                if new_level >= old_level {
                    b.descend(self.reader)?;
                }
                continue;
            }
            let order = match (&old, &new) {
                (Some((x, i)), Some((y, j))) => x.name(*i).cmp(y.name(*j)),
                (Some(_), None) => Ordering::Less,
                _ => Ordering::Greater,
            };
            if order.is_le() {
                a.advance();
            }
            if order.is_ge() {
                b.advance();
            }
            self.entries(old.filter(|_| order.is_le()), new.filter(|_| order.is_ge()))?;
        }
    }

    fn entries(
        &mut self,
        old: Option<(Arc<Node>, usize)>,
        new: Option<(Arc<Node>, usize)>,
    ) -> Result<()> {
        let len = self.path.len();
        if let Some((node, item)) = old.as_ref().or(new.as_ref()) {
            if len > 0 {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(node.name(*item));
        }
        let old_entry = old.as_ref().map(entry_of).transpose()?;
        let new_entry = new.as_ref().map(entry_of).transpose()?;
        let is_directory =
            |entry: &Option<Entry>| entry.is_some_and(|e| e.kind == EntryKind::Directory);
        match (&old, &new) {
            (Some((x, i)), Some((y, j)))
                if is_directory(&old_entry) && is_directory(&new_entry) =>
            {
                let stored = x.kid_is_stored(*i) && y.kid_is_stored(*j);
                if !stored || old_entry.map(|e| e.id) != new_entry.map(|e| e.id) {
                    let (x, y) = (x.visit(*i, self.reader)?, y.visit(*j, self.reader)?);
                    deeper(|| self.directories(&x, &y))?;
                }
            }
            _ if old_entry == new_entry => {}
            _ if is_directory(&old_entry) || is_directory(&new_entry) => {
                if let (Some(place), Some(entry)) = (&old, old_entry) {
                    self.one_sided(place, entry, true)?;
                }
                if let (Some(place), Some(entry)) = (&new, new_entry) {
                    self.one_sided(place, entry, false)?;
                }
            }
            _ => {
                let path = self.path.clone();
                self.changes.push(Change { path, old: old_entry, new: new_entry });
            }
        }
        self.path.truncate(len);
        Ok(())
    }

    /// An entry that is on one side only, with everything below it.
    fn one_sided(&mut self, place: &(Arc<Node>, usize), entry: Entry, gone: bool) -> Result<()> {
        let Diff { reader, path, changes } = self;
        let mut push = |path: &[u8], entry: Entry| {
            let (old, new) = if gone { (Some(entry), None) } else { (None, Some(entry)) };
            changes.push(Change { path: path.to_vec(), old, new });
        };
        push(path, entry);
        if entry.kind == EntryKind::Directory {
            let node = place.0.visit(place.1, *reader)?;
            tree::walk(&node, path, *reader, &mut |path, entry, pending| {
                let id = pending.map_or(entry.id, |bytes| Id::of_blob(bytes));
                push(path, Entry { id, ..*entry });
                Ok(())
            })?;
        }
        Ok(())
    }
}

fn entry_of(place: &(Arc<Node>, usize)) -> Result<Entry> {
    let entry = place.0.entry(place.1)?;
    Ok(match place.0.pending(place.1) {
        Some(bytes) => Entry { id: Id::of_blob(bytes), ..entry },
        None => entry,
    })
}

/// A unified diff of two texts, three lines of context; `None` if either is binary.
pub fn unified(old: &[u8], new: &[u8], old_name: &str, new_name: &str) -> Option<Vec<u8>> {
    let is_binary = |bytes: &[u8]| bytes.iter().take(8000).any(|byte| *byte == 0);
    if is_binary(old) || is_binary(new) {
        return None;
    }
    // Past the deadline the diff is coarser, not wrong.
    let diff = similar::TextDiff::configure().timeout(UNIFIED_TIME_MAX).diff_lines(old, new);
    let mut out = format!("--- {old_name}\n+++ {new_name}\n").into_bytes();
    for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
        // Each hunk writes bytes as they are; writing to memory cannot fail.
        let _ = hunk.to_writer(&mut out);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unified_diffs_hold_bytes_as_they_are() {
        let text = unified(b"a\n\xff\n", b"a\n\xfe\n", "a/x", "b/x").unwrap();
        assert_eq!(text, b"--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n a\n-\xff\n+\xfe\n");
        assert_eq!(unified(b"a\0", b"b", "a", "b"), None);
    }

    #[test]
    fn renames_pair_equal_content_once() {
        let entry = |byte: u8| Entry { kind: EntryKind::File, id: Id::of_blob(&[byte]), size: 1 };
        let deleted =
            |path: &str, byte| Change { path: path.into(), old: Some(entry(byte)), new: None };
        let added =
            |path: &str, byte| Change { path: path.into(), old: None, new: Some(entry(byte)) };
        let mut changes = vec![deleted("a", 1), added("b", 1), added("c", 1), deleted("d", 2)];
        let renames = take_renames(&mut changes);
        assert_eq!(renames.len(), 1);
        assert_eq!((&renames[0].from[..], &renames[0].to[..]), (&b"a"[..], &b"b"[..]));
        assert_eq!(changes, vec![added("c", 1), deleted("d", 2)]);
    }
}
