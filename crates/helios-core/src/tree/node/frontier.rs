//! What a working set in memory takes for granted of the store: the frontier of its changed nodes.
//!
//! Below a stored node everything is stored, so it is enough to look at the first stored objects
//! that are met on the way down from the root, and at what changed objects may be spliced from.

use std::sync::Arc;

use super::super::deeper;
use super::{Content, Kid, Node};
use crate::error::Result;
use crate::id::{Id, IdSet};
use crate::object::Kind;
use crate::tree::EntryKind;

/// An object that a node refers to; the node itself where memory has it.
pub struct Link {
    pub id: Id,
    pub kind: Kind,
    pub loaded: Option<Arc<Node>>,
}

impl Node {
    /// The stored objects that the node refers to. Changed children are left out.
    pub fn links(&self) -> Result<Vec<Link>> {
        let mut links = Vec::with_capacity(self.len());
        for item in 0..self.len() {
            let kind = match self.is_leaf() {
                false => Kind::Tree,
                true => match self.entry(item)?.kind {
                    EntryKind::Directory => Kind::Tree,
                    kind if kind.has_content() => Kind::Blob,
                    _ => continue,
                },
            };
            let loaded = match self.kids.get(item) {
                None => None,
                Some(Kid::Clean(cell)) => cell.get().cloned(),
                Some(_) => continue,
            };
            links.push(Link { id: self.item_id(item)?, kind, loaded });
        }
        Ok(links)
    }
}

/// The first stored objects on the way down from `root`: itself, if nothing has changed.
pub fn frontier(root: &Arc<Node>) -> Result<Vec<Link>> {
    let mut found = Vec::new();
    match root.id() {
        Some(id) => found.push(Link { id, kind: Kind::Tree, loaded: Some(Arc::clone(root)) }),
        None => below(root, &mut found)?,
    }
    Ok(found)
}

fn below(node: &Node, found: &mut Vec<Link>) -> Result<()> {
    found.extend(node.links()?);
    for kid in &node.kids {
        if let Kid::Dirty(child) = kid {
            deeper(|| below(child, found))?;
        }
    }
    Ok(())
}

/// What changed objects replace, and could be spliced from.
pub fn replaced(root: &Arc<Node>) -> Vec<Id> {
    let mut found = Vec::new();
    each_replaced(root, &mut found);
    found
}

fn each_replaced(node: &Node, found: &mut Vec<Id>) {
    let Content::Dirty { replaced, .. } = &node.content else {
        return;
    };
    found.extend(replaced.iter().map(|replaced| replaced.id));
    for kid in &node.kids {
        match kid {
            Kid::Dirty(child) => deeper(|| each_replaced(child, found)),
            Kid::Pending { replaces, .. } => found.extend(*replaces),
            Kid::Clean(_) => {}
        }
    }
}

/// Forgets what changed objects replace where that is `gone`: they are stored anew as a whole.
pub fn forget_replaced(root: &mut Arc<Node>, gone: &IdSet) {
    if root.id().is_some() {
        return;
    }
    let node = Arc::make_mut(root);
    if let Content::Dirty { replaced, .. } = &mut node.content {
        if replaced.as_ref().is_some_and(|replaced| gone.contains(&replaced.id)) {
            *replaced = None;
        }
    }
    for kid in &mut node.kids {
        match kid {
            Kid::Dirty(child) => deeper(|| forget_replaced(child, gone)),
            Kid::Pending { replaces, .. } => {
                *replaces = replaces.filter(|id| !gone.contains(id));
            }
            Kid::Clean(_) => {}
        }
    }
}
