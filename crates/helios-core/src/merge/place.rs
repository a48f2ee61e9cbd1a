//! Building the merged tree: ours, with what theirs changed put in its place.

use std::collections::BTreeSet;

use super::{Conflict, Merger, Reason, Slots, Version, OURS, THEIRS};
use crate::diff::Change;
use crate::error::Result;
use crate::store::ObjectReader;
use crate::tree::entry::split_first;
use crate::tree::{directory, Entry, EntryKind, Kid, Node, Tree};

/// A file of the merged tree that ours does not have so.
struct Placed {
    path: Vec<u8>,
    entry: Entry,
    /// Whose file is at this path, ours if both have one.
    side: usize,
}

/// The directory that a path is in.
fn above(path: &[u8]) -> Option<&[u8]> {
    path.iter().rposition(|byte| *byte == b'/').map(|at| &path[..at])
}

/// The length of the part of `path` at which a file is where it needs a directory.
fn blocked_at(tree: &Tree, path: &[u8], reader: &dyn ObjectReader) -> Result<Option<usize>> {
    let mut node: &Node = tree.root();
    let mut from = 0;
    while let (name, Some(_)) = split_first(&path[from..]) {
        let Some((leaf, item)) = directory::find(node, name, reader)? else {
            return Ok(None);
        };
        from += name.len();
        if leaf.entry(item)?.kind != EntryKind::Directory {
            return Ok(Some(from));
        }
        node = leaf.child(item, reader)?;
        from += 1;
    }
    Ok(None)
}

fn is_directory(entry: &Option<Entry>) -> bool {
    entry.is_some_and(|entry| entry.kind == EntryKind::Directory)
}

impl Merger<'_, '_> {
    pub(super) fn place(
        &mut self,
        ours: &Tree,
        theirs: &Tree,
        changes: &[Vec<Change>; 2],
        slots: Slots,
    ) -> Result<Tree> {
        let mut tree = ours.clone();
        let mut placed = Vec::new();
        let mut removed = Vec::new();
        let mut beside = Vec::new();
        for (path, slot) in slots {
            let resolved = self.resolve(&slot)?;
            let stands = |side: usize| slot.versions[side].as_ref().is_some_and(|v| v.path == path);
            let side = if stands(THEIRS) && !stands(OURS) { THEIRS } else { OURS };
            if let Some(reason) = resolved.conflict {
                let made = resolved.entry.and_then(|entry| self.contents.made(&entry.id));
                let is_marked =
                    matches!(reason, Reason::Content | Reason::AddAdd) && made.is_some();
                let conflict = Conflict::new(reason, &path, slot.versions);
                self.conflicts.push(Conflict { is_marked, ..conflict });
            }
            if let Some(entry) = resolved.beside {
                beside.push(Placed { path: path.clone(), entry, side: THEIRS });
            }
            match resolved.entry {
                Some(entry) => placed.push(Placed { path, entry, side }),
                None => removed.push(path),
            }
        }
        // A rename empties its old path without leaving a slot there.
        let here = |change: &&Change| change.new.is_none() && !is_directory(&change.old);
        let all: BTreeSet<&[u8]> = placed.iter().map(|placed| &placed.path[..]).collect();
        let gone = changes[1].iter().filter(here).map(|change| change.path.clone());
        removed.extend(gone.filter(|path| !all.contains(&path[..])));
        self.remove(&mut tree, theirs, &removed, &changes[1])?;
        for Placed { path, entry, side } in placed {
            self.put(&mut tree, path, entry, side)?;
        }
        for Placed { path, entry, side } in beside {
            let path = self.free_path(&tree, &path, side)?;
            self.set(&mut tree, &path, &entry)?;
        }
        // Directories that theirs has made, and that hold no file.
        for change in &changes[1] {
            let is_new = |entry: &Entry| entry.kind == EntryKind::Directory && entry.size == 0;
            if change.new.as_ref().is_some_and(is_new) {
                self.make_directory(&mut tree, &change.path)?;
            }
        }
        Ok(tree)
    }

    fn set(&self, tree: &mut Tree, path: &[u8], entry: &Entry) -> Result<()> {
        let kid = match self.contents.made(&entry.id) {
            Some(bytes) => Kid::Pending { bytes, replaces: None, depth: 0 },
            None => Kid::clean(),
        };
        tree.set(path, entry, kid, self.contents.reader).map(drop)
    }

    /// Removes files, and directories that this leaves empty unless one side has them empty.
    fn remove(
        &self,
        tree: &mut Tree,
        theirs: &Tree,
        files: &[Vec<u8>],
        changes: &[Change],
    ) -> Result<()> {
        let reader = self.contents.reader;
        let gone = changes.iter().filter(|change| change.new.is_none());
        let deleted = gone.filter(|change| is_directory(&change.old));
        let deleted: BTreeSet<&[u8]> = deleted.map(|change| &change.path[..]).collect();
        let mut emptied = deleted.clone();
        for path in files {
            let found = tree.find(path, reader)?;
            if found.is_some_and(|found| found.directory.is_none()) {
                tree.remove(path, false, reader)?;
                emptied.extend(above(path));
            }
        }
        // What lies deeper comes later in order of paths.
        while let Some(path) = emptied.pop_last() {
            let is_empty = |tree: &Tree| -> Result<bool> {
                let found = tree.find(path, reader)?;
                Ok(found.and_then(|found| found.directory).is_some_and(|node| node.is_empty()))
            };
            if is_empty(tree)? && (deleted.contains(path) || !is_empty(theirs)?) {
                tree.remove(path, false, reader)?;
                emptied.extend(above(path));
            }
        }
        Ok(())
    }

    /// Puts a file at its path, or beside it where a directory is in the way.
    fn put(&mut self, tree: &mut Tree, path: Vec<u8>, entry: Entry, side: usize) -> Result<()> {
        let reader = self.contents.reader;
        self.clear_way(tree, &path)?;
        let found = tree.find(&path, reader)?;
        if found.is_some_and(|found| found.directory.is_some()) {
            return self.put_beside(tree, &path, entry, side);
        }
        self.set(tree, &path, &entry)
    }

    /// A file that stands where a directory is needed moves beside it.
    fn clear_way(&mut self, tree: &mut Tree, path: &[u8]) -> Result<()> {
        let reader = self.contents.reader;
        let Some(len) = blocked_at(tree, path, reader)? else {
            return Ok(());
        };
        let Some((entry, _)) = tree.remove(&path[..len], false, reader)? else {
            return Ok(());
        };
        // Where theirs needs a directory, only ours can have a file.
        let (directory, kid) = directory::new_directory();
        tree.set(&path[..len], &directory, kid, reader)?;
        self.put_beside(tree, &path[..len], entry, OURS)
    }

    fn put_beside(
        &mut self,
        tree: &mut Tree,
        path: &[u8],
        entry: Entry,
        side: usize,
    ) -> Result<()> {
        let beside = self.free_path(tree, path, side)?;
        let mut versions = [None, None, None];
        versions[side] = Some(Version { path: path.to_vec(), entry });
        self.conflicts.push(Conflict::new(Reason::DirectoryFile, &beside, versions));
        self.moved.insert(path.to_vec(), beside.clone());
        self.set(tree, &beside, &entry)
    }

    /// A path for what cannot stand at its own: `path~side`, as git has it.
    fn free_path(&self, tree: &Tree, path: &[u8], side: usize) -> Result<Vec<u8>> {
        let label = if side == THEIRS { self.labels.theirs } else { self.labels.ours };
        let label: Vec<u8> =
            label.bytes().map(|byte| if matches!(byte, b'/' | 0) { b'_' } else { byte }).collect();
        let first = [path, b"~", &label[..]].concat();
        let mut free = first.clone();
        let mut number = 0;
        while tree.find(&free, self.contents.reader)?.is_some() {
            free = [&first[..], format!("_{number}").as_bytes()].concat();
            number += 1;
        }
        Ok(free)
    }

    fn make_directory(&mut self, tree: &mut Tree, path: &[u8]) -> Result<()> {
        let reader = self.contents.reader;
        self.clear_way(tree, path)?;
        match tree.find(path, reader)? {
            Some(found) if found.directory.is_some() => Ok(()),
            Some(_) => {
                // As if something were to be put below it.
                self.clear_way(tree, &[path, b"/"].concat())
            }
            None => {
                let (entry, kid) = directory::new_directory();
                tree.set(path, &entry, kid, reader).map(drop)
            }
        }
    }
}
