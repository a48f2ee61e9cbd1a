//! Directory trees: Merkle nodes with history-independent splitting.
//!
//! In memory a tree is a persistent structure of shared nodes that are loaded by id when they are
//! first needed. An edit copies what a fork still shares on the path to it, and nothing else.

pub mod directory;
pub mod entry;
pub mod node;

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::id::Id;
use crate::store::ObjectReader;
pub use entry::{check_path, Entry, EntryKind};
pub use node::{Kid, Node};

/// Runs one level of a recursion over directories. Paths come from outside and may be thousands of
/// directories deep, so a level that finds the stack nearly used up goes on in a new piece of it.
pub(crate) fn deeper<T>(level: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(64 << 10, 1 << 20, level)
}

/// A whole tree, by its root directory. Cloning shares everything.
#[derive(Clone, Debug)]
pub struct Tree {
    root: Arc<Node>,
}

/// Where a path leads.
pub struct Found<'t> {
    pub entry: Entry,
    /// The content, if it is not stored yet.
    pub pending: Option<&'t Arc<[u8]>>,
    /// The root node, of a directory.
    pub directory: Option<&'t Node>,
}

/// One step of a walk: the whole path, the entry, and its content if it is not stored yet.
pub type Visit<'v> = dyn FnMut(&[u8], &Entry, Option<&Arc<[u8]>>) -> Result<()> + 'v;

impl Default for Tree {
    fn default() -> Tree {
        Tree { root: Arc::new(Node::empty_leaf()) }
    }
}

impl Tree {
    pub fn load(reader: &dyn ObjectReader, id: &Id) -> Result<Tree> {
        Ok(Tree { root: Arc::new(Node::load(reader, id)?) })
    }

    pub fn root(&self) -> &Arc<Node> {
        &self.root
    }

    pub fn root_mut(&mut self) -> &mut Arc<Node> {
        &mut self.root
    }

    /// The tree's id, unless something has changed since it was stored.
    pub fn id(&self) -> Option<Id> {
        self.root.id()
    }

    pub fn files(&self) -> u64 {
        self.root.files()
    }

    /// What is at `path`; `None` if there is nothing, or if a file is in the way.
    pub fn find<'t>(&'t self, path: &[u8], reader: &dyn ObjectReader) -> Result<Option<Found<'t>>> {
        let mut node: &Node = &self.root;
        let mut path = path;
        loop {
            let (name, rest) = entry::split_first(path);
            let Some((leaf, item)) = directory::find(node, name, reader)? else {
                return Ok(None);
            };
            let mut found =
                Found { entry: leaf.entry(item)?, pending: leaf.pending(item), directory: None };
            if found.entry.kind == EntryKind::Directory {
                node = leaf.child(item, reader)?;
                found.directory = Some(node);
            }
            match rest {
                None => return Ok(Some(found)),
                Some(_) if found.directory.is_none() => return Ok(None),
                Some(rest) => path = rest,
            }
        }
    }

    /// Sets the entry at `path`, and makes the directories above it. True if the path is new.
    pub fn set(
        &mut self,
        path: &[u8],
        entry: &Entry,
        kid: Kid,
        reader: &dyn ObjectReader,
    ) -> Result<bool> {
        set_below(&mut self.root, path, 0, entry, &mut Some(kid), reader)
    }

    /// Removes what is at `path`, a directory with all below it, and gives it back. Directories
    /// that become empty by it go too if `prune` is set.
    pub fn remove(
        &mut self,
        path: &[u8],
        prune: bool,
        reader: &dyn ObjectReader,
    ) -> Result<Option<(Entry, Kid)>> {
        match self.find(path, reader)? {
            None => Ok(None),
            Some(_) => remove_below(&mut self.root, path, prune, reader).map(Some),
        }
    }

    /// Visits everything below the directory `prefix` ("" is the root) in path order, directories
    /// before what they hold.
    pub fn walk(
        &self,
        prefix: &[u8],
        reader: &dyn ObjectReader,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        if prefix.is_empty() {
            return walk(&self.root, &mut Vec::new(), reader, visit);
        }
        let found = self.find(prefix, reader)?;
        let found = found.ok_or_else(|| Error::PathNotFound { path: entry::show(prefix) })?;
        let Some(node) = found.directory else {
            return Err(Error::NotADirectory { path: entry::show(prefix) });
        };
        let mut path = prefix.to_vec();
        walk(&Arc::new(node.clone()), &mut path, reader, visit)
    }
}

/// Visits everything below a directory; `path` is the directory's, and is restored.
pub fn walk(
    directory: &Arc<Node>,
    path: &mut Vec<u8>,
    reader: &dyn ObjectReader,
    visit: &mut Visit<'_>,
) -> Result<()> {
    directory::each(directory, reader, &mut |leaf, item| {
        let len = path.len();
        if len > 0 {
            path.push(b'/');
        }
        path.extend_from_slice(leaf.name(item));
        let entry = leaf.entry(item)?;
        visit(path, &entry, leaf.pending(item))?;
        if entry.kind == EntryKind::Directory {
            deeper(|| walk(&leaf.visit(item, reader)?, path, reader, visit))?;
        }
        path.truncate(len);
        Ok(())
    })
}

fn set_below(
    node: &mut Arc<Node>,
    path: &[u8],
    from: usize,
    entry: &Entry,
    kid: &mut Option<Kid>,
    reader: &dyn ObjectReader,
) -> Result<bool> {
    let (name, rest) = entry::split_first(&path[from..]);
    let found = match directory::find(node, name, reader)? {
        Some((leaf, item)) => Some(leaf.entry(item)?.kind),
        None => None,
    };
    if rest.is_none() {
        let kid = kid.take().unwrap_or_else(Kid::clean);
        directory::set(node, name, entry, kid, reader)?;
        return Ok(found.is_none());
    }
    let below = from + name.len() + 1;
    match found {
        Some(EntryKind::Directory) => {
            let mut edit = |child: &mut Arc<Node>| {
                deeper(|| set_below(child, path, below, entry, kid, reader))
            };
            directory::edit_subdirectory(Arc::make_mut(node), name, reader, &mut edit)
        }
        Some(_) => Err(Error::NotADirectory { path: entry::show(&path[..below - 1]) }),
        None => {
            let mut child = Arc::new(Node::empty_leaf());
            deeper(|| set_below(&mut child, path, below, entry, kid, reader))?;
            let size = child.files();
            let entry = Entry { kind: EntryKind::Directory, id: Id::UNSEALED, size };
            directory::set(node, name, &entry, Kid::Dirty(child), reader)?;
            Ok(true)
        }
    }
}

fn remove_below(
    node: &mut Arc<Node>,
    path: &[u8],
    prune: bool,
    reader: &dyn ObjectReader,
) -> Result<(Entry, Kid)> {
    let gone = || Error::malformed("the entry to remove is gone");
    let (name, rest) = entry::split_first(path);
    let Some(rest) = rest else {
        let (leaf, item) = directory::find(node, name, reader)?.ok_or_else(gone)?;
        let removed = (leaf.entry(item)?, leaf.kid(item));
        directory::remove(node, name, reader)?;
        return Ok(removed);
    };
    let mut edit = |child: &mut Arc<Node>| {
        let removed = deeper(|| remove_below(child, rest, prune, reader))?;
        Ok((removed, child.is_empty()))
    };
    let (removed, empty) =
        directory::edit_subdirectory(Arc::make_mut(node), name, reader, &mut edit)?;
    if empty && prune {
        directory::remove(node, name, reader)?;
    }
    Ok(removed)
}

#[cfg(test)]
mod tests;
