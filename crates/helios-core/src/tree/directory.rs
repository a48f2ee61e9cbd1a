//! The search tree of one directory.
//!
//! Its shape depends on the names alone, never on the order of edits: a directory of up to
//! `LEAF_ENTRIES_MAX` entries is one leaf; a larger one is cut before every name whose hash begins
//! a node. A name of boundary level `k` begins a node on each level below `k`; the root is on the
//! lowest level that holds everything in one node. Equal content therefore has equal ids, and an
//! edit rewrites one node per level.

use std::sync::Arc;

use super::entry::{Entry, EntryKind};
use super::node::{Kid, Node};
use crate::error::{Error, Result};
use crate::store::ObjectReader;

/// A directory of up to this many entries is one node. At 40 to 60 bytes an entry that is 5 to
/// 8 KiB, which BLAKE3 hashes at least as fast as two nodes of half the size.
pub const LEAF_ENTRIES_MAX: u64 = 128;
/// One name in 2^5 begins a node on the level above.
const FANOUT_LOG2: u32 = 5;

/// On how many levels a name begins a node.
pub fn boundary_level(name: &[u8]) -> u32 {
    let hash = blake3::hash(name);
    let mut word = [0; 8];
    word.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(word).trailing_zeros() / FANOUT_LOG2
}

fn begins(name: &[u8], level: u8) -> bool {
    boundary_level(name) > u32::from(level)
}

/// Finds an entry: the leaf that holds it, and where.
pub fn find<'n>(
    mut node: &'n Node,
    name: &[u8],
    reader: &dyn ObjectReader,
) -> Result<Option<(&'n Node, usize)>> {
    while !node.is_leaf() {
        node = node.child(node.route(name), reader)?;
    }
    Ok(node.find(name).ok().map(|item| (node, item)))
}

/// Calls `visit` for each entry in order of names. Nodes that are not loaded are not kept.
pub fn each(
    node: &Arc<Node>,
    reader: &dyn ObjectReader,
    visit: &mut dyn FnMut(&Arc<Node>, usize) -> Result<()>,
) -> Result<()> {
    for item in 0..node.len() {
        match node.is_leaf() {
            true => visit(node, item)?,
            false => each(&node.visit(item, reader)?, reader, visit)?,
        }
    }
    Ok(())
}

/// Sets an entry, new or not.
pub fn set(
    root: &mut Arc<Node>,
    name: &[u8],
    entry: &Entry,
    kid: Kid,
    reader: &dyn ObjectReader,
) -> Result<()> {
    let node = Arc::make_mut(root);
    if node.is_leaf() {
        node.put_entry(node.find(name), name, entry, kid)?;
        if node.count() > LEAF_ENTRIES_MAX {
            let leaf = std::mem::replace(node, Node::empty_leaf());
            *node = grow(vec![leaf])?;
        }
        return Ok(());
    }
    if let Some(right) = set_below(node, name, entry, kid, reader)? {
        let left = std::mem::replace(node, Node::empty_leaf());
        *node = above(left, right);
    }
    Ok(())
}

/// The root over two halves. The name that holds them apart may do so on further levels.
fn above(mut left: Node, mut right: Node) -> Node {
    let mut level = left.level() + 1;
    while begins(right.first_name(), level) {
        left = Node::inner(level, [left]);
        right = Node::inner(level, [right]);
        level += 1;
    }
    Node::inner(level, [left, right])
}

/// Sets an entry in a subtree; the right half if the subtree had to be cut.
fn set_below(
    node: &mut Node,
    name: &[u8],
    entry: &Entry,
    kid: Kid,
    reader: &dyn ObjectReader,
) -> Result<Option<Node>> {
    if node.is_leaf() {
        let place = node.find(name);
        node.put_entry(place, name, entry, kid)?;
        // A new first name makes the old first name an inner one, where its boundary counts.
        let cut = match place {
            Ok(_) => None,
            Err(0) => Some(1),
            Err(item) => Some(item),
        };
        return match cut.filter(|item| *item < node.len() && begins(node.name(*item), 0)) {
            Some(item) => node.split_off(item).map(Some),
            None => Ok(None),
        };
    }
    let item = node.route(name);
    let right = set_below(node.child_mut(item, reader)?, name, entry, kid, reader)?;
    node.refresh(item)?;
    let Some(right) = right else {
        return Ok(None);
    };
    let cut = begins(right.first_name(), node.level());
    node.insert_child(item + 1, right);
    match cut {
        true => node.split_off(item + 1).map(Some),
        false => Ok(None),
    }
}

/// Cuts a leaf at its boundaries and builds the levels above.
fn grow(leaves: Vec<Node>) -> Result<Node> {
    let mut nodes = Vec::new();
    for mut leaf in leaves {
        let mut tail = Vec::new();
        for item in (1..leaf.len()).rev() {
            if begins(leaf.name(item), 0) {
                tail.push(leaf.split_off(item)?);
            }
        }
        nodes.push(leaf);
        nodes.extend(tail.into_iter().rev());
    }
    let mut level = 0;
    while nodes.len() > 1 {
        level += 1;
        let mut groups: Vec<Vec<Node>> = Vec::new();
        for node in nodes {
            match groups.last_mut() {
                Some(group) if !begins(node.first_name(), level) => group.push(node),
                _ => groups.push(vec![node]),
            }
        }
        nodes = groups.into_iter().map(|group| Node::inner(level, group)).collect();
    }
    Ok(nodes.pop().unwrap_or_else(Node::empty_leaf))
}

/// Removes an entry that is there.
pub fn remove(root: &mut Arc<Node>, name: &[u8], reader: &dyn ObjectReader) -> Result<()> {
    remove_below(Arc::make_mut(root), name, reader)?;
    while !root.is_leaf() && root.len() == 1 {
        let child = Arc::make_mut(root).take_child(0, reader)?;
        *root = Arc::new(child);
    }
    if root.is_leaf() || root.count() > LEAF_ENTRIES_MAX {
        return Ok(());
    }
    let mut leaf = Node::empty_leaf();
    let inner = std::mem::replace(root, Arc::new(Node::empty_leaf()));
    flatten(Arc::unwrap_or_clone(inner), &mut leaf, reader)?;
    *root = Arc::new(leaf);
    Ok(())
}

fn flatten(mut node: Node, leaf: &mut Node, reader: &dyn ObjectReader) -> Result<()> {
    if node.is_leaf() {
        leaf.append(node);
        return Ok(());
    }
    while !node.is_empty() {
        flatten(node.take_child(0, reader)?, leaf, reader)?;
    }
    Ok(())
}

fn remove_below(node: &mut Node, name: &[u8], reader: &dyn ObjectReader) -> Result<()> {
    if node.is_leaf() {
        return match node.find(name) {
            Ok(item) => node.remove(item),
            Err(_) => Err(Error::malformed("the entry to remove is gone")),
        };
    }
    let item = node.route(name);
    let begins_with_name = node.name(item) == name;
    let child = node.child_mut(item, reader)?;
    remove_below(child, name, reader)?;
    if child.is_empty() {
        // The child must first agree with its reference, because `remove` takes off its counts.
        node.refresh(item)?;
        return node.remove(item);
    }
    let level = node.level();
    node.refresh(item)?;
    // The name that held this child apart from its left neighbour is gone.
    if item > 0 && begins_with_name && !begins(node.name(item), level - 1) {
        let right = node.take_child(item, reader)?;
        join(node.child_mut(item - 1, reader)?, right, reader)?;
        node.refresh(item - 1)?;
    }
    Ok(())
}

/// Joins two neighbours of one level, and their children along the seam.
fn join(left: &mut Node, mut right: Node, reader: &dyn ObjectReader) -> Result<()> {
    let level = left.level();
    if level > 0 && !begins(right.first_name(), level - 1) {
        let seam = right.take_child(0, reader)?;
        let last = left.len() - 1;
        join(left.child_mut(last, reader)?, seam, reader)?;
        left.refresh(last)?;
    }
    left.append(right);
    Ok(())
}

/// Lets `edit` change the directory below the entry `name`, which must be a directory.
pub fn edit_subdirectory<T>(
    node: &mut Node,
    name: &[u8],
    reader: &dyn ObjectReader,
    edit: &mut dyn FnMut(&mut Arc<Node>) -> Result<T>,
) -> Result<T> {
    let item = match node.is_leaf() {
        true => node.find(name).map_err(|_| Error::malformed("the directory is gone"))?,
        false => node.route(name),
    };
    let result = match node.is_leaf() {
        false => edit_subdirectory(node.child_mut(item, reader)?, name, reader, edit)?,
        true => {
            node.child_mut(item, reader)?;
            edit(node.dirty_child(item)?)?
        }
    };
    node.refresh(item)?;
    Ok(result)
}

/// An entry for a directory that is about to get its content.
pub fn new_directory() -> (Entry, Kid) {
    let entry = Entry { kind: EntryKind::Directory, id: crate::id::Id::UNSEALED, size: 0 };
    (entry, Kid::Dirty(Arc::new(Node::empty_leaf())))
}
