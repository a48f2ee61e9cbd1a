//! Three-way merge of trees, by the rules of git's `ort` strategy with exact renames only.
//!
//! Both sides are compared with the base, so subtrees with equal ids are skipped without being
//! loaded. A conflict is data: which paths, what each side has, and why they do not go together.
//! The merged tree holds the best that can be done at such a path (a marked text, the version that
//! was not deleted, both files side by side), for whoever wants to put it before a person.

pub mod bases;
mod place;
mod renames;
mod resolve;
pub mod text;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::diff::{self, Change};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::object::{Kind, Snapshot};
use crate::store::ObjectReader;
use crate::tree::{deeper, Entry, EntryKind, Tree};
use text::Labels;

/// Several bases are merged into one; past so many such merges the rest is left out. That is
/// sound, only with more conflicts, and bounds what a tangled history costs.
const VIRTUAL_MERGES_MAX: usize = 64;
const MARKER_LEN: usize = 7;

const BASE: usize = 0;
const OURS: usize = 1;
const THEIRS: usize = 2;

/// Why a path could not be merged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Both changed the same lines, or the target of a link or submodule.
    Content,
    /// Both changed content that is no text.
    Binary,
    /// Both changed content that is too large to be compared.
    TooLarge,
    /// One is executable, the other is not.
    Mode,
    /// Both added the path.
    AddAdd,
    /// One changed what the other deleted.
    ModifyDelete,
    /// The sides are of different types: file, symbolic link, submodule.
    Type,
    /// A file stands where the other side needs a directory.
    DirectoryFile,
    /// One renamed what the other deleted.
    RenameDelete,
    /// Both renamed the same file, to different paths.
    RenameRename,
}

impl Reason {
    pub const ALL: [Reason; 10] = [
        Reason::Content,
        Reason::Binary,
        Reason::TooLarge,
        Reason::Mode,
        Reason::AddAdd,
        Reason::ModifyDelete,
        Reason::Type,
        Reason::DirectoryFile,
        Reason::RenameDelete,
        Reason::RenameRename,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Reason::Content => "content",
            Reason::Binary => "binary",
            Reason::TooLarge => "too-large",
            Reason::Mode => "mode",
            Reason::AddAdd => "add/add",
            Reason::ModifyDelete => "modify/delete",
            Reason::Type => "type",
            Reason::DirectoryFile => "directory/file",
            Reason::RenameDelete => "rename/delete",
            Reason::RenameRename => "rename/rename",
        }
    }
}

/// What one of the three trees has, and where: a rename leads away from the conflict's path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Version {
    pub path: Vec<u8>,
    pub entry: Entry,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Conflict {
    pub reason: Reason,
    /// Where the merged tree has what could be made of it.
    pub path: Vec<u8>,
    pub base: Option<Version>,
    pub ours: Option<Version>,
    pub theirs: Option<Version>,
    /// Whether that is a text with marked sections.
    pub is_marked: bool,
}

impl Conflict {
    fn new(reason: Reason, path: &[u8], versions: [Option<Version>; 3]) -> Conflict {
        let [base, ours, theirs] = versions;
        Conflict { reason, path: path.to_vec(), base, ours, theirs, is_marked: false }
    }
}

/// The merge of two trees; clean if there are no conflicts.
#[derive(Clone, Debug)]
pub struct Merge {
    pub tree: Tree,
    pub conflicts: Vec<Conflict>,
}

/// What the three trees have at a path that not all of them agree on.
#[derive(Clone, Debug, Default)]
struct Slot {
    versions: [Option<Version>; 3],
    changed: [bool; 3],
    /// It was renamed on one side and deleted on the other.
    is_rename_delete: bool,
}

type Slots = BTreeMap<Vec<u8>, Slot>;

/// Content by id: stored, or made by this merge.
struct Contents<'r> {
    reader: &'r dyn ObjectReader,
    made: RefCell<HashMap<Id, Arc<[u8]>>>,
}

impl<'r> Contents<'r> {
    fn new(reader: &'r dyn ObjectReader) -> Contents<'r> {
        Contents { reader, made: RefCell::default() }
    }

    fn made(&self, id: &Id) -> Option<Arc<[u8]>> {
        self.made.borrow().get(id).cloned()
    }

    fn read(&self, entry: &Entry) -> Result<Arc<[u8]>> {
        match self.made(&entry.id) {
            Some(bytes) => Ok(bytes),
            None => self.reader.object(&entry.id).map(|object| object.bytes),
        }
    }

    /// Keeps merged content; the entry for it.
    fn make(&self, kind: EntryKind, bytes: Vec<u8>) -> Entry {
        let entry = Entry { kind, id: Id::of_blob(&bytes), size: bytes.len() as u64 };
        self.made.borrow_mut().insert(entry.id, Arc::from(bytes));
        entry
    }
}

/// One merge of trees in progress.
struct Merger<'m, 'r> {
    contents: &'m Contents<'r>,
    labels: Labels<'m>,
    /// 0, or how deep in making a base of several.
    depth: usize,
    conflicts: Vec<Conflict>,
    /// Files that could not stay at their paths, and where they are.
    moved: HashMap<Vec<u8>, Vec<u8>>,
}

/// Merges the changes from `base` to `ours` and from `base` to `theirs`, whose content is stored.
pub fn trees(
    base: &Tree,
    ours: &Tree,
    theirs: &Tree,
    reader: &dyn ObjectReader,
    labels: Labels<'_>,
) -> Result<Merge> {
    merge_trees(base, ours, theirs, &Contents::new(reader), labels, 0)
}

fn merge_trees(
    base: &Tree,
    ours: &Tree,
    theirs: &Tree,
    contents: &Contents<'_>,
    labels: Labels<'_>,
    depth: usize,
) -> Result<Merge> {
    let same = |a: &Tree, b: &Tree| a.id().is_some() && a.id() == b.id();
    if same(ours, theirs) || same(base, theirs) {
        return Ok(Merge { tree: ours.clone(), conflicts: Vec::new() });
    }
    if same(base, ours) {
        return Ok(Merge { tree: theirs.clone(), conflicts: Vec::new() });
    }
    let changes =
        [diff::trees(base, ours, contents.reader)?, diff::trees(base, theirs, contents.reader)?];
    let (conflicts, moved) = Default::default();
    let mut merger = Merger { contents, labels, depth, conflicts, moved };
    let mut slots = slots_of(&changes);
    merger.follow_renames(&mut slots)?;
    let tree = merger.place(ours, theirs, &changes, slots)?;
    let Merger { mut conflicts, moved, .. } = merger;
    for conflict in &mut conflicts {
        if let Some(path) = moved.get(&conflict.path) {
            conflict.path.clone_from(path);
        }
    }
    conflicts.sort_by(|a, b| (&a.path, a.reason).cmp(&(&b.path, b.reason)));
    Ok(Merge { tree, conflicts })
}

fn is_file(entry: &Entry) -> bool {
    entry.kind != EntryKind::Directory
}

/// The files that at least one side has changed. A side that has not changed one has the base's.
fn slots_of(changes: &[Vec<Change>; 2]) -> Slots {
    let mut slots = Slots::new();
    for (side, changes) in [OURS, THEIRS].into_iter().zip(changes) {
        for change in changes {
            let version = |entry: &Option<Entry>| {
                let entry = entry.filter(is_file)?;
                Some(Version { path: change.path.clone(), entry })
            };
            let (old, new) = (version(&change.old), version(&change.new));
            if old.is_some() || new.is_some() {
                let slot = slots.entry(change.path.clone()).or_default();
                slot.versions[BASE] = old;
                slot.versions[side] = new;
                slot.changed[side] = true;
            }
        }
    }
    for slot in slots.values_mut() {
        for side in [OURS, THEIRS] {
            if !slot.changed[side] {
                slot.versions[side] = slot.versions[BASE].clone();
            }
        }
    }
    slots
}

/// How two snapshots go together.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Ours has all of theirs.
    UpToDate,
    /// Theirs has all of ours.
    FastForward,
    Merged(Merge),
}

/// Merges two snapshots, by their common ancestors: several are merged into one first.
pub fn snapshots(
    ours: &Id,
    theirs: &Id,
    reader: &dyn ObjectReader,
    labels: Labels<'_>,
) -> Result<Outcome> {
    let bases = bases::of(&[*ours], &[*theirs], reader)?;
    if bases.contains(theirs) {
        return Ok(Outcome::UpToDate);
    }
    if bases.contains(ours) {
        return Ok(Outcome::FastForward);
    }
    let contents = Contents::new(reader);
    let mut left = VIRTUAL_MERGES_MAX;
    let base = virtual_base(&bases, &contents, 1, &mut left)?;
    let (ours, theirs) = (tree_of(ours, reader)?, tree_of(theirs, reader)?);
    merge_trees(&base, &ours, &theirs, &contents, labels, 0).map(Outcome::Merged)
}

fn tree_of(id: &Id, reader: &dyn ObjectReader) -> Result<Tree> {
    Tree::load(reader, &snapshot(id, reader)?.tree)
}

fn snapshot(id: &Id, reader: &dyn ObjectReader) -> Result<Snapshot> {
    let object = reader.object(id)?;
    if object.kind != Kind::Snapshot {
        return Err(Error::NotASnapshot { id: *id, found: object.kind.name() });
    }
    Snapshot::decode(&object.bytes).map_err(|error| error.in_object(id))
}

/// The tree of a merge base, or of several made into one, as git's recursive merge does. What
/// conflicts in it has no side to prefer, so the base's own version or a marked text stands there.
fn virtual_base(
    bases: &[Id],
    contents: &Contents<'_>,
    depth: usize,
    left: &mut usize,
) -> Result<Tree> {
    let reader = contents.reader;
    let Some((first, rest)) = bases.split_first() else {
        return Ok(Tree::default());
    };
    let mut tree = tree_of(first, reader)?;
    let mut within = vec![*first];
    let labels = Labels { ours: "one base", theirs: "another base" };
    for next in rest {
        if *left == 0 {
            break;
        }
        *left -= 1;
        let below = bases::of(&within, &[*next], reader)?;
        let base = deeper(|| virtual_base(&below, contents, depth + 1, left))?;
        tree = merge_trees(&base, &tree, &tree_of(next, reader)?, contents, labels, depth)?.tree;
        within.push(*next);
    }
    Ok(tree)
}

#[cfg(test)]
mod tests;
