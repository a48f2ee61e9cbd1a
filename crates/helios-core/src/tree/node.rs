//! One node of a directory's search tree.
//!
//! A node is kept as its canonical bytes and the offsets of its items, so that loading is one pass,
//! an edit patches a range, and the splice against the stored version is a comparison of bytes.
//! Layouts (docs/FORMAT.md):
//! - leaf: level 0, then entries: kind, name, id, size;
//! - inner node: level 1 and up, then references: first name below, id, entries, files.

pub mod frontier;

use std::sync::{Arc, OnceLock};

use super::deeper;
use super::entry::{is_valid_name, Entry, EntryKind};
use crate::error::{Error, Result};
use crate::id::{Id, ID_LEN};
use crate::object::{put_bytes, put_varint, Kind, Reader};
use crate::store::{Object, ObjectReader};

/// Deeper search trees would need more entries than there are names.
const LEVEL_MAX: u8 = 16;

/// The stored version that a changed node or blob replaces.
#[derive(Clone, Debug)]
pub struct Replaced {
    pub id: Id,
    pub depth: u8,
    pub bytes: Arc<[u8]>,
}

#[derive(Clone, Debug)]
enum Content {
    Clean { id: Id, depth: u8, bytes: Arc<[u8]> },
    Dirty { bytes: Vec<u8>, replaced: Option<Replaced>, sealed: Option<(Id, u8)> },
}

impl Content {
    fn bytes(&self) -> &[u8] {
        match self {
            Content::Clean { bytes, .. } => bytes,
            Content::Dirty { bytes, .. } => bytes,
        }
    }
}

/// What hangs below an item.
#[derive(Clone, Debug)]
pub enum Kid {
    /// A node that is stored; loaded at most once and shared by all forks.
    Clean(OnceLock<Arc<Node>>),
    /// A node that has changed since it was stored. The item's id is meaningless.
    Dirty(Arc<Node>),
    /// The content of a file, not stored yet. The item's id is meaningless.
    Pending { bytes: Arc<[u8]>, replaces: Option<Id>, depth: u8 },
}

impl Kid {
    pub fn clean() -> Kid {
        Kid::Clean(OnceLock::new())
    }

    fn is_dirty(&self) -> bool {
        !matches!(self, Kid::Clean(_))
    }
}

/// A reference of an inner node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reference {
    pub id: Id,
    /// Entries of this directory below the reference.
    pub count: u64,
    pub files: u64,
}

#[derive(Clone, Debug)]
pub struct Node {
    content: Content,
    /// Where each item starts, and where the last one ends.
    starts: Vec<u32>,
    /// One per item, or none at all while no item has anything below it.
    kids: Vec<Kid>,
    count: u64,
    files: u64,
}

impl Drop for Node {
    fn drop(&mut self) {
        if !self.kids.is_empty() {
            deeper(|| self.kids.clear());
        }
    }
}

impl Node {
    pub fn empty_leaf() -> Node {
        Node::with_level(0)
    }

    fn with_level(level: u8) -> Node {
        Node {
            content: Content::Dirty { bytes: vec![level], replaced: None, sealed: None },
            starts: vec![1],
            kids: Vec::new(),
            count: 0,
            files: 0,
        }
    }

    /// An inner node over changed children.
    pub fn inner(level: u8, children: impl IntoIterator<Item = Node>) -> Node {
        let mut node = Node::with_level(level);
        for child in children {
            node.insert_child(node.len(), child);
        }
        node
    }

    pub fn load(reader: &dyn ObjectReader, id: &Id) -> Result<Node> {
        let object = reader.object(id)?;
        Node::decode(*id, &object).map_err(|error| error.in_object(id))
    }

    pub fn decode(id: Id, object: &Object) -> Result<Node> {
        if object.kind != Kind::Tree {
            return Err(Error::malformed(format!("it is a {}, not a tree", object.kind.name())));
        }
        let bytes = &object.bytes;
        let mut reader = Reader::new(bytes);
        let level = reader.u8()?;
        if level > LEVEL_MAX {
            return Err(Error::malformed(format!("tree node of level {level}")));
        }
        let mut starts = Vec::with_capacity(bytes.len() / 40 + 2);
        let mut has_nodes = level > 0;
        let (mut count, mut files) = (0u64, 0u64);
        let mut previous: &[u8] = b"";
        while !reader.is_empty() {
            starts.push(reader.position() as u32);
            let kind = match level {
                0 => Some(EntryKind::from_byte(reader.u8()?)?),
                _ => None,
            };
            let name = reader.bytes()?;
            if !is_valid_name(name) {
                return Err(Error::malformed(format!("invalid entry name {name:?}")));
            }
            if name <= previous {
                return Err(Error::malformed("entries are not sorted"));
            }
            previous = name;
            reader.take(ID_LEN)?;
            let size = reader.varint()?;
            let (more_entries, more_files) = match kind {
                Some(EntryKind::Directory) => (1, size),
                Some(_) => (1, 1),
                None => (size, reader.varint()?),
            };
            has_nodes |= kind == Some(EntryKind::Directory);
            let overflow = || Error::malformed("entry counts overflow");
            count = count.checked_add(more_entries).ok_or_else(overflow)?;
            files = files.checked_add(more_files).ok_or_else(overflow)?;
        }
        if level > 0 && starts.is_empty() {
            return Err(Error::malformed("inner tree node without children"));
        }
        let len = starts.len();
        starts.push(bytes.len() as u32);
        let kids = if has_nodes { (0..len).map(|_| Kid::clean()).collect() } else { Vec::new() };
        let content = Content::Clean { id, depth: object.depth, bytes: Arc::clone(bytes) };
        Ok(Node { content, starts, kids, count, files })
    }

    pub fn bytes(&self) -> &[u8] {
        self.content.bytes()
    }

    pub fn level(&self) -> u8 {
        self.bytes()[0]
    }

    pub fn is_leaf(&self) -> bool {
        self.level() == 0
    }

    /// Items in this node.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries of this directory in and below this node.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Files in and below this node, in all directories.
    pub fn files(&self) -> u64 {
        self.files
    }

    /// The id, if the node is stored as it stands.
    pub fn id(&self) -> Option<Id> {
        match &self.content {
            Content::Clean { id, .. } => Some(*id),
            Content::Dirty { .. } => None,
        }
    }

    fn reader(&self, item: usize) -> Reader<'_> {
        let (from, to) = (self.starts[item] as usize, self.starts[item + 1] as usize);
        Reader::new(&self.bytes()[from..to])
    }

    /// Whether an item and one of another node are the same, with all that is below them.
    pub fn is_same_item(&self, item: usize, other: &Node, other_item: usize) -> bool {
        let bytes =
            |node: &Node, item: usize| node.starts[item] as usize..node.starts[item + 1] as usize;
        self.level() == other.level()
            && self.bytes()[bytes(self, item)] == other.bytes()[bytes(other, other_item)]
            && self.kid_is_stored(item)
            && other.kid_is_stored(other_item)
    }

    /// The name of an entry, or the first name below a reference. The item's bytes were checked
    /// when the node was decoded, or written by `put_*` here.
    pub fn name(&self, item: usize) -> &[u8] {
        let bytes = self.bytes();
        let at = self.starts[item] as usize + usize::from(bytes[0] == 0);
        let short = bytes[at];
        if short < 0x80 {
            return &bytes[at + 1..at + 1 + usize::from(short)];
        }
        Reader::new(&bytes[at..]).bytes().unwrap_or_default()
    }

    pub fn first_name(&self) -> &[u8] {
        if self.is_empty() {
            return b"";
        }
        self.name(0)
    }

    pub fn find(&self, name: &[u8]) -> std::result::Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = (low + high) / 2;
            match self.name(middle).cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// The reference below which `name` belongs.
    pub fn route(&self, name: &[u8]) -> usize {
        match self.find(name) {
            Ok(item) => item,
            Err(item) => item.saturating_sub(1),
        }
    }

    /// An entry of a leaf. The id of a changed directory or file is `Id::UNSEALED`.
    pub fn entry(&self, item: usize) -> Result<Entry> {
        let mut reader = self.reader(item);
        let kind = EntryKind::from_byte(reader.u8()?)?;
        reader.bytes()?;
        Ok(Entry { kind, id: reader.id()?, size: reader.varint()? })
    }

    pub fn reference(&self, item: usize) -> Result<Reference> {
        let mut reader = self.reader(item);
        reader.bytes()?;
        Ok(Reference { id: reader.id()?, count: reader.varint()?, files: reader.varint()? })
    }

    fn item_id(&self, item: usize) -> Result<Id> {
        match self.is_leaf() {
            true => self.entry(item).map(|entry| entry.id),
            false => self.reference(item).map(|reference| reference.id),
        }
    }

    /// Content of a file that is not stored yet.
    pub fn pending(&self, item: usize) -> Option<&Arc<[u8]>> {
        match self.kids.get(item) {
            Some(Kid::Pending { bytes, .. }) => Some(bytes),
            _ => None,
        }
    }

    /// Whether the item's id names what is below it.
    pub fn kid_is_stored(&self, item: usize) -> bool {
        self.kids.get(item).is_none_or(|kid| !kid.is_dirty())
    }

    /// The node below an item; loaded if need be, and kept for the next time.
    pub fn child(&self, item: usize, reader: &dyn ObjectReader) -> Result<&Node> {
        match self.kids.get(item) {
            Some(Kid::Dirty(node)) => Ok(node),
            Some(Kid::Clean(cell)) => match cell.get() {
                Some(node) => Ok(node),
                None => {
                    let node = Arc::new(Node::load(reader, &self.item_id(item)?)?);
                    Ok(cell.get_or_init(|| node))
                }
            },
            _ => Err(Error::malformed("no node below a file")),
        }
    }

    /// The node below an item, for one pass over much: what is not loaded is not kept.
    pub fn visit(&self, item: usize, reader: &dyn ObjectReader) -> Result<Arc<Node>> {
        match self.kids.get(item) {
            Some(Kid::Dirty(node)) => Ok(Arc::clone(node)),
            Some(Kid::Clean(cell)) if cell.get().is_some() => {
                cell.get().cloned().ok_or_else(|| Error::malformed("a node vanished"))
            }
            _ => Node::load(reader, &self.item_id(item)?).map(Arc::new),
        }
    }

    /// The node below an item, to be changed: from now on it counts as changed.
    pub fn child_mut(&mut self, item: usize, reader: &dyn ObjectReader) -> Result<&mut Node> {
        if matches!(self.kids.get(item), Some(Kid::Clean(_))) {
            self.child(item, reader)?;
            self.make_dirty();
            let kid = std::mem::replace(&mut self.kids[item], Kid::clean());
            if let Kid::Clean(cell) = kid {
                if let Some(node) = cell.into_inner() {
                    self.kids[item] = Kid::Dirty(node);
                }
            }
        }
        match self.kids.get_mut(item) {
            Some(Kid::Dirty(node)) => {
                // Copies the node only if a fork still shares it.
                let node = Arc::make_mut(node);
                node.make_dirty();
                Ok(node)
            }
            _ => Err(Error::malformed("no node below a file")),
        }
    }

    /// The changed node below an item, shared as it is held here.
    pub fn dirty_child(&mut self, item: usize) -> Result<&mut Arc<Node>> {
        match self.kids.get_mut(item) {
            Some(Kid::Dirty(node)) => Ok(node),
            _ => Err(Error::malformed("no changed node below the entry")),
        }
    }

    fn make_dirty(&mut self) -> &mut Vec<u8> {
        if let Content::Clean { id, depth, bytes } = &self.content {
            let replaced = Replaced { id: *id, depth: *depth, bytes: Arc::clone(bytes) };
            let copy = bytes.to_vec();
            self.content = Content::Dirty { bytes: copy, replaced: Some(replaced), sealed: None };
        }
        match &mut self.content {
            Content::Dirty { bytes, sealed, .. } => {
                *sealed = None;
                bytes
            }
            Content::Clean { .. } => unreachable!("made dirty above"),
        }
    }

    /// Replaces the bytes of items `from..to` by `new`, which holds items that start at `starts`
    /// (offsets within `new`).
    fn splice(&mut self, from: usize, to: usize, new: &[u8], starts: &[u32]) {
        let (begin, end) = (self.starts[from], self.starts[to]);
        self.make_dirty().splice(begin as usize..end as usize, new.iter().copied());
        if to - from == starts.len() && (end - begin) as usize == new.len() && starts.len() <= 1 {
            return;
        }
        let shift = new.len() as i64 - i64::from(end - begin);
        for start in &mut self.starts[to..] {
            *start = (i64::from(*start) + shift) as u32;
        }
        self.starts.splice(from..to, starts.iter().map(|start| begin + start));
    }

    /// Puts what hangs below an item; the list of kids exists only where something may hang.
    fn put_kid(&mut self, item: usize, kind: EntryKind, kid: Kid, inserted: bool) {
        if self.kids.is_empty() {
            if kind != EntryKind::Directory && !kid.is_dirty() {
                return;
            }
            self.kids.resize_with(self.len() - usize::from(inserted), Kid::clean);
        }
        match inserted {
            true => self.kids.insert(item, kid),
            false => self.kids[item] = kid,
        }
    }

    /// Sets an entry of a leaf where `find` said it is or belongs. Pending content remembers the
    /// stored blob that it replaces.
    pub fn put_entry(
        &mut self,
        place: std::result::Result<usize, usize>,
        name: &[u8],
        entry: &Entry,
        mut kid: Kid,
    ) -> Result<()> {
        let mut item = Vec::with_capacity(name.len() + ID_LEN + 12);
        item.push(entry.kind as u8);
        put_bytes(&mut item, name);
        item.extend_from_slice(entry.id.as_bytes());
        put_varint(&mut item, entry.size);
        match place {
            Ok(at) => {
                let old = self.entry(at)?;
                if let Kid::Pending { replaces, .. } = &mut kid {
                    *replaces = match self.kids.get(at) {
                        Some(Kid::Pending { replaces, .. }) => *replaces,
                        _ => old.kind.has_content().then_some(old.id),
                    };
                }
                self.files -= old.files();
                self.splice(at, at + 1, &item, &[0]);
                self.put_kid(at, entry.kind, kid, false);
            }
            Err(at) => {
                self.count += 1;
                self.splice(at, at, &item, &[0]);
                self.put_kid(at, entry.kind, kid, true);
            }
        }
        self.files += entry.files();
        Ok(())
    }

    /// What hangs below an item, shared, to be put somewhere else.
    pub fn kid(&self, item: usize) -> Kid {
        self.kids.get(item).cloned().unwrap_or_else(Kid::clean)
    }

    /// Removes an item; what it counted for is taken off.
    pub fn remove(&mut self, item: usize) -> Result<()> {
        let (count, files) = match self.is_leaf() {
            true => (1, self.entry(item)?.files()),
            false => {
                let reference = self.reference(item)?;
                (reference.count, reference.files)
            }
        };
        self.splice(item, item + 1, &[], &[]);
        if !self.kids.is_empty() {
            self.kids.remove(item);
        }
        self.count -= count;
        self.files -= files;
        Ok(())
    }

    /// Inserts a reference to a changed child.
    pub fn insert_child(&mut self, at: usize, child: Node) {
        let item = reference_bytes(&child);
        self.count += child.count;
        self.files += child.files;
        self.splice(at, at, &item, &[0]);
        self.kids.insert(at, Kid::Dirty(Arc::new(child)));
    }

    /// Takes a child out, loaded, together with its reference.
    pub fn take_child(&mut self, item: usize, reader: &dyn ObjectReader) -> Result<Node> {
        self.child_mut(item, reader)?;
        let kid = std::mem::replace(&mut self.kids[item], Kid::clean());
        self.remove(item)?;
        match kid {
            Kid::Dirty(node) => Ok(Arc::unwrap_or_clone(node)),
            _ => Err(Error::malformed("no node below a file")),
        }
    }

    /// Brings the reference (or a directory's entry) up to date after its child has changed.
    pub fn refresh(&mut self, item: usize) -> Result<()> {
        let Some(Kid::Dirty(child)) = self.kids.get(item) else {
            return Ok(());
        };
        let (child_count, child_files) = (child.count, child.files);
        if self.is_leaf() {
            let mut entry = self.entry(item)?;
            if entry.size != child_files {
                self.files = self.files - entry.size + child_files;
                entry.size = child_files;
                let mut bytes = Vec::new();
                bytes.push(entry.kind as u8);
                put_bytes(&mut bytes, self.name(item));
                bytes.extend_from_slice(entry.id.as_bytes());
                put_varint(&mut bytes, entry.size);
                self.splice(item, item + 1, &bytes, &[0]);
            }
            return Ok(());
        }
        let reference = self.reference(item)?;
        let same = reference.count == child_count && reference.files == child_files;
        if !same || self.name(item) != child.first_name() {
            let bytes = reference_bytes(child);
            self.count = self.count - reference.count + child_count;
            self.files = self.files - reference.files + child_files;
            self.splice(item, item + 1, &bytes, &[0]);
        }
        Ok(())
    }

    /// Cuts the node in two; the second half begins with `item`.
    pub fn split_off(&mut self, item: usize) -> Result<Node> {
        let mut right = Node::with_level(self.level());
        let begin = self.starts[item];
        let bytes = self.bytes()[begin as usize..].to_vec();
        let starts: Vec<u32> =
            self.starts[item..self.len()].iter().map(|start| start - begin).collect();
        right.splice(0, 0, &bytes, &starts);
        if !self.kids.is_empty() {
            right.kids = self.kids.split_off(item);
        }
        let len = self.len();
        self.splice(item, len, &[], &[]);
        for item in 0..right.len() {
            let (count, files) = right.weight(item)?;
            right.count += count;
            right.files += files;
        }
        self.count -= right.count;
        self.files -= right.files;
        Ok(right)
    }

    fn weight(&self, item: usize) -> Result<(u64, u64)> {
        match self.is_leaf() {
            true => Ok((1, self.entry(item)?.files())),
            false => self.reference(item).map(|reference| (reference.count, reference.files)),
        }
    }

    /// Appends all items of `right`, whose names are greater.
    pub fn append(&mut self, mut right: Node) {
        let len = self.len();
        let bytes = right.bytes()[1..].to_vec();
        let starts: Vec<u32> = right.starts[..right.len()].iter().map(|start| start - 1).collect();
        self.splice(len, len, &bytes, &starts);
        if !self.kids.is_empty() || !right.kids.is_empty() {
            self.kids.resize_with(len, Kid::clean);
            self.kids.append(&mut right.kids);
            self.kids.resize_with(self.starts.len() - 1, Kid::clean);
        }
        self.count += right.count;
        self.files += right.files;
    }

    fn patch_id(&mut self, item: usize, id: &Id) {
        let start = self.starts[item] as usize;
        let name_len = self.name(item).len();
        let level_zero = usize::from(self.is_leaf());
        let prefix = crate::object::varint_len(name_len as u64) + level_zero;
        let at = start + prefix + name_len;
        if let Content::Dirty { bytes, .. } = &mut self.content {
            bytes[at..at + ID_LEN].copy_from_slice(id.as_bytes());
        }
    }
}

fn reference_bytes(child: &Node) -> Vec<u8> {
    let name = child.first_name();
    let mut bytes = Vec::with_capacity(name.len() + ID_LEN + 12);
    put_bytes(&mut bytes, name);
    bytes.extend_from_slice(child.id().unwrap_or(Id::UNSEALED).as_bytes());
    put_varint(&mut bytes, child.count);
    put_varint(&mut bytes, child.files);
    bytes
}

/// Takes what sealing finds changed, children before parents; returns the depth of the stored form.
pub trait Sink {
    /// A changed directory of so many entries.
    fn directory(&mut self, entries: u64);
    fn blob(&mut self, id: Id, bytes: &Arc<[u8]>, replaces: Option<Id>) -> Result<u8>;
    fn node(&mut self, id: Id, bytes: &[u8], replaced: Option<&Replaced>) -> Result<u8>;
}

/// Gives every changed node and file below `node` its id and hands it to the sink. The nodes stay
/// marked as changed until `settle`, so a failure loses nothing.
pub fn seal(node: &mut Arc<Node>, sink: &mut dyn Sink) -> Result<Id> {
    if let Content::Clean { id, .. } = &node.content {
        return Ok(*id);
    }
    let node = Arc::make_mut(node);
    for item in 0..node.kids.len() {
        let id = match &mut node.kids[item] {
            Kid::Dirty(child) => {
                if node.content.bytes()[0] == 0 {
                    sink.directory(child.count);
                }
                deeper(|| seal(child, sink))?
            }
            Kid::Pending { bytes, replaces, depth } => {
                let id = Id::of_blob(bytes);
                *depth = sink.blob(id, bytes, *replaces)?;
                id
            }
            Kid::Clean(_) => continue,
        };
        node.patch_id(item, &id);
    }
    match &mut node.content {
        Content::Clean { id, .. } => Ok(*id),
        Content::Dirty { bytes, replaced, sealed } => {
            let id = Id::of_tree_node(bytes);
            let unchanged = replaced.as_ref().filter(|replaced| replaced.id == id);
            let depth = match unchanged {
                Some(replaced) => replaced.depth,
                None => sink.node(id, bytes, replaced.as_ref())?,
            };
            *sealed = Some((id, depth));
            Ok(id)
        }
    }
}

/// Takes what `settle` finds stored now.
pub trait Keep {
    /// A stored object, and the one that it replaces.
    fn keep(&mut self, id: Id, object: Object, replaced: Option<Id>);
}

/// Marks everything that `seal` handed out as stored.
pub fn settle(node: &mut Arc<Node>, keep: &mut dyn Keep) {
    if node.id().is_some() {
        return;
    }
    let node = Arc::make_mut(node);
    for item in 0..node.kids.len() {
        if !node.kids[item].is_dirty() {
            continue;
        }
        let kid = std::mem::replace(&mut node.kids[item], Kid::clean());
        match kid {
            Kid::Dirty(mut child) => {
                deeper(|| settle(&mut child, keep));
                node.kids[item] = Kid::Clean(OnceLock::from(child));
            }
            Kid::Pending { bytes, depth, replaces } => {
                if let Ok(id) = node.item_id(item) {
                    keep.keep(id, Object { kind: Kind::Blob, depth, bytes }, replaces);
                }
            }
            Kid::Clean(_) => {}
        }
    }
    if let Content::Dirty { bytes, replaced, sealed: Some((id, depth)) } = &node.content {
        let (id, depth) = (*id, *depth);
        let replaced = replaced.as_ref().map(|replaced| replaced.id);
        let bytes: Arc<[u8]> = Arc::from(&bytes[..]);
        keep.keep(id, Object { kind: Kind::Tree, depth, bytes: Arc::clone(&bytes) }, replaced);
        node.content = Content::Clean { id, depth, bytes };
    }
}
