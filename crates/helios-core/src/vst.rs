//! The virtual state tree: an in-memory working set over a snapshot.
//!
//! Reads and writes touch only the nodes on their path. `fork` shares everything and costs the
//! same for any size of tree. The engine commits a VST; until then nothing leaves memory.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::id::Id;
use crate::store::ObjectReader;
use crate::tree::entry::show;
use crate::tree::{check_path, directory, Entry, EntryKind, Kid, Tree};

#[derive(Clone, Debug, Default)]
pub struct Vst {
    pub(crate) tree: Tree,
    /// The snapshot that the VST started from or last became.
    pub(crate) base: Option<Id>,
    /// That snapshot's tree.
    pub(crate) base_tree: Option<Id>,
    /// The branch that commits move.
    pub(crate) branch: Option<Vec<u8>>,
    /// Parents of the next snapshot beside the base: what was merged.
    pub(crate) more_parents: Vec<Id>,
    /// Whether the first commit makes the branch.
    pub(crate) is_new_branch: bool,
    /// New paths since the last commit, and their lengths: for the model of git's index.
    pub(crate) paths_added: u64,
    pub(crate) path_bytes_added: u64,
    /// Content written since the last commit, in bytes.
    pub(crate) pending_bytes: u64,
    /// The epoch of gc in which all that the tree refers to was there.
    pub(crate) epoch: u64,
    /// Gc has dropped the base: its id is all that is left of it.
    pub(crate) base_is_dropped: bool,
}

/// A child of a directory, as `list` gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub name: Vec<u8>,
    pub entry: Entry,
}

impl Vst {
    pub fn new(tree: Tree, base: Option<(Id, Id)>, branch: Option<Vec<u8>>) -> Vst {
        let (base, base_tree) = base.unzip();
        Vst { tree, base, base_tree, branch, ..Vst::default() }
    }

    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    pub fn base(&self) -> Option<Id> {
        self.base
    }

    pub fn branch(&self) -> Option<&[u8]> {
        self.branch.as_deref()
    }

    /// Whether it is over nothing and nothing was written.
    pub fn is_void(&self) -> bool {
        self.base.is_none() && !self.is_new_branch && self.tree.root().count() == 0
    }

    pub fn pending_bytes(&self) -> u64 {
        self.pending_bytes
    }

    /// Whether anything may have changed since the last commit.
    pub fn is_dirty(&self) -> bool {
        self.tree.id().is_none() && (self.base.is_some() || !self.tree.root().is_empty())
            || self.tree.id().is_some() && self.tree.id() != self.base_tree
            || !self.more_parents.is_empty()
    }

    /// A second VST with the same content, on its own branch or none. Constant time.
    pub fn fork(&self, branch: Option<Vec<u8>>) -> Vst {
        Vst { branch, ..self.clone() }
    }

    /// The same content as the first commit of a branch that does not exist yet. The snapshot it
    /// came from becomes a parent all the same.
    pub fn on_new_branch(self) -> Vst {
        Vst { is_new_branch: true, ..self }
    }

    /// What the branch must point at for a commit to move it.
    pub(crate) fn expected(&self) -> Option<Id> {
        match self.is_new_branch {
            true => None,
            false => self.base,
        }
    }

    /// Whether a commit makes a snapshot even of unchanged content.
    pub(crate) fn must_commit(&self) -> bool {
        self.is_new_branch || self.base_is_dropped || !self.more_parents.is_empty()
    }

    /// Takes another tree as content; the base stays.
    pub fn replace_tree(&mut self, tree: Tree) {
        self.tree = tree;
        self.pending_bytes = 0;
    }

    fn require(&self, path: &[u8], reader: &dyn ObjectReader) -> Result<Entry> {
        check_path(path)?;
        let found = self.tree.find(path, reader)?;
        found.map(|found| found.entry).ok_or_else(|| Error::PathNotFound { path: show(path) })
    }

    /// The content of a file, or the target of a symlink.
    pub fn read(&self, path: &[u8], reader: &dyn ObjectReader) -> Result<Arc<[u8]>> {
        let Some(found) = self.tree.find(path, reader)? else {
            check_path(path)?;
            return Err(Error::PathNotFound { path: show(path) });
        };
        match found.pending {
            Some(bytes) => Ok(Arc::clone(bytes)),
            None if found.entry.kind.has_content() => {
                reader.object(&found.entry.id).map(|object| object.bytes)
            }
            None => Err(Error::IsADirectory { path: show(path) }),
        }
    }

    /// The entry at `path`, if there is one. A changed directory's id is `Id::UNSEALED`.
    pub fn entry(&self, path: &[u8], reader: &dyn ObjectReader) -> Result<Option<Entry>> {
        check_path(path)?;
        let Some(found) = self.tree.find(path, reader)? else {
            return Ok(None);
        };
        let mut entry = found.entry;
        if let Some(bytes) = found.pending {
            entry.id = Id::of_blob(bytes);
        }
        Ok(Some(entry))
    }

    pub fn write(
        &mut self,
        path: &[u8],
        bytes: Arc<[u8]>,
        kind: EntryKind,
        reader: &dyn ObjectReader,
    ) -> Result<()> {
        let entry = Entry { kind, id: Id::UNSEALED, size: bytes.len() as u64 };
        self.pending_bytes += entry.size;
        self.set(path, &entry, Kid::Pending { bytes, replaces: None, depth: 0 }, reader)
    }

    /// Sets a file whose blob is stored already.
    pub fn set_stored(
        &mut self,
        path: &[u8],
        entry: &Entry,
        reader: &dyn ObjectReader,
    ) -> Result<()> {
        self.set(path, entry, Kid::clean(), reader)
    }

    fn set(
        &mut self,
        path: &[u8],
        entry: &Entry,
        kid: Kid,
        reader: &dyn ObjectReader,
    ) -> Result<()> {
        check_path(path)?;
        if entry.kind != EntryKind::Directory {
            let found = self.tree.find(path, reader)?;
            if found.is_some_and(|found| found.directory.is_some()) {
                return Err(Error::IsADirectory { path: show(path) });
            }
        }
        if self.tree.set(path, entry, kid, reader)? {
            self.paths_added += 1;
            self.path_bytes_added += path.len() as u64;
        }
        Ok(())
    }

    /// Makes a directory and those above it; nothing happens if it is there.
    pub fn create_directory(&mut self, path: &[u8], reader: &dyn ObjectReader) -> Result<()> {
        check_path(path)?;
        match self.tree.find(path, reader)? {
            Some(found) if found.directory.is_some() => Ok(()),
            Some(_) => Err(Error::NotADirectory { path: show(path) }),
            None => {
                let (entry, kid) = directory::new_directory();
                self.tree.set(path, &entry, kid, reader).map(drop)
            }
        }
    }

    /// Removes a file, or a directory and all below it. Directories that this leaves empty go too.
    pub fn delete(&mut self, path: &[u8], reader: &dyn ObjectReader) -> Result<()> {
        check_path(path)?;
        match self.tree.remove(path, true, reader)? {
            Some(_) => Ok(()),
            None => Err(Error::PathNotFound { path: show(path) }),
        }
    }

    /// As `delete`, for callers that know which directories exist; true if something was there.
    pub fn delete_exact(&mut self, path: &[u8], reader: &dyn ObjectReader) -> Result<bool> {
        check_path(path)?;
        self.tree.remove(path, false, reader).map(|removed| removed.is_some())
    }

    /// Moves a file or directory; a file at the new path is replaced, a directory is not.
    pub fn rename(&mut self, from: &[u8], to: &[u8], reader: &dyn ObjectReader) -> Result<()> {
        let entry = self.require(from, reader)?;
        check_path(to)?;
        if from == to {
            return Ok(());
        }
        if to.starts_with(from) && to.get(from.len()) == Some(&b'/') {
            let reason = "a directory cannot be moved below itself";
            return Err(Error::InvalidPath { path: show(to), reason });
        }
        if let Some(found) = self.tree.find(to, reader)? {
            if found.directory.is_some() {
                return Err(Error::IsADirectory { path: show(to) });
            }
            if entry.kind == EntryKind::Directory {
                return Err(Error::NotADirectory { path: show(to) });
            }
        }
        // A failure after the removal would lose the entry, so the edit is made on a fork.
        let mut tree = self.tree.clone();
        if let Some((entry, kid)) = tree.remove(from, true, reader)? {
            tree.set(to, &entry, kid, reader)?;
        }
        self.tree = tree;
        self.paths_added += 1;
        self.path_bytes_added += to.len() as u64;
        Ok(())
    }

    /// The children of a directory ("" is the root), in order of names.
    pub fn list(&self, path: &[u8], reader: &dyn ObjectReader) -> Result<Vec<Listed>> {
        let root = Arc::clone(self.tree.root());
        let node = if path.is_empty() {
            root
        } else {
            check_path(path)?;
            let Some(found) = self.tree.find(path, reader)? else {
                return Err(Error::PathNotFound { path: show(path) });
            };
            match found.directory {
                Some(node) => Arc::new(node.clone()),
                None => return Err(Error::NotADirectory { path: show(path) }),
            }
        };
        let mut listed = Vec::with_capacity(node.count() as usize);
        directory::each(&node, reader, &mut |leaf, item| {
            listed.push(Listed { name: leaf.name(item).to_vec(), entry: leaf.entry(item)? });
            Ok(())
        })?;
        Ok(listed)
    }
}
