//! What damage affects: which refs, snapshots and paths reach it.
//!
//! Each snapshot and each tree node is visited once, however many refs reach it: a snapshot counts
//! for the first ref that does. What of a tree is damaged is kept for damaged trees alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::Engine;
use crate::error::Result;
use crate::id::{Id, IdMap, IdSet};
use crate::tree::entry::EntryKind;
use crate::tree::node::Node;

/// How one ref is affected by one damaged object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effect {
    pub reference: Vec<u8>,
    /// Snapshots that hold it, first counted for this ref; 0 if all count for others.
    pub snapshots: u64,
    /// The newest of them.
    pub snapshot: Id,
    /// Where in its tree; `None` if it is the snapshot itself, or its tree's root.
    pub path: Option<Vec<u8>>,
}

type Taint = Option<Arc<BTreeSet<u32>>>;

struct Reach<'e> {
    engine: &'e Engine,
    /// Which damage each object stands for: itself, and what it is stored with the help of.
    damaged: IdMap<Vec<u32>>,
    tainted: IdMap<Arc<BTreeSet<u32>>>,
    clean: IdSet,
    effects: BTreeMap<u32, Vec<Effect>>,
}

/// The effects of each damage. `damaged` lists, for each, the objects that cannot be had because of
/// it; `roots` are refs and their snapshots. What only `undoable` reaches, snapshots of operations,
/// counts for these.
pub fn effects(
    engine: &Engine,
    roots: &[(Vec<u8>, Id)],
    undoable: &[(u64, Id)],
    damaged: &[Vec<Id>],
) -> Vec<Vec<Effect>> {
    let mut by_id: IdMap<Vec<u32>> = IdMap::default();
    for (number, ids) in damaged.iter().enumerate() {
        for id in ids {
            by_id.entry(*id).or_default().push(number as u32);
        }
    }
    let mut reach = Reach {
        engine,
        damaged: by_id,
        tainted: IdMap::default(),
        clean: IdSet::default(),
        effects: BTreeMap::new(),
    };
    let mut visited = IdSet::default();
    for (name, head) in roots {
        let mut waiting = Vec::new();
        reach.visit(name, head, visited.insert(*head), &mut waiting);
        reach.walk(name, waiting, &mut visited);
    }
    for (operation, snapshot) in undoable {
        if !visited.contains(snapshot) {
            let name = format!("operations/{operation:016x}");
            reach.walk(name.as_bytes(), vec![*snapshot], &mut visited);
        }
    }
    (0..damaged.len() as u32).map(|n| reach.effects.remove(&n).unwrap_or_default()).collect()
}

impl Reach<'_> {
    fn walk(&mut self, name: &[u8], mut waiting: Vec<Id>, visited: &mut IdSet) {
        while let Some(id) = waiting.pop() {
            if visited.insert(id) {
                self.visit(name, &id, true, &mut waiting);
            }
        }
    }

    fn visit(&mut self, name: &[u8], id: &Id, is_new: bool, waiting: &mut Vec<Id>) {
        for number in self.damaged.get(id).cloned().unwrap_or_default() {
            self.add(number, name, id, is_new, |_| None);
        }
        let Ok(snapshot) = self.engine.snapshot(id) else {
            return;
        };
        if let Some(taint) = self.taint(&snapshot.tree) {
            for number in taint.iter() {
                let tree = snapshot.tree;
                self.add(*number, name, id, is_new, |reach| reach.path_to(*number, &tree));
            }
        }
        if is_new {
            // The first parent is on top: a branch's own line first.
            waiting.extend(snapshot.parents.iter().rev());
        }
    }

    fn add(
        &mut self,
        number: u32,
        name: &[u8],
        snapshot: &Id,
        is_new: bool,
        path: impl FnOnce(&Self) -> Option<Vec<u8>>,
    ) {
        // What one name reaches is walked at once, so it comes last.
        let known = self.effects.entry(number).or_default().last_mut();
        match known.filter(|effect| effect.reference == name) {
            Some(effect) => effect.snapshots += u64::from(is_new),
            None => {
                let path = path(self);
                self.effects.entry(number).or_default().push(Effect {
                    reference: name.to_vec(),
                    snapshots: u64::from(is_new),
                    snapshot: *snapshot,
                    path,
                });
            }
        }
    }

    /// What of the damage is at or below a tree node.
    fn taint(&mut self, id: &Id) -> Taint {
        if self.clean.contains(id) {
            return None;
        }
        if let Some(known) = self.tainted.get(id) {
            return Some(Arc::clone(known));
        }
        let mut found: BTreeSet<u32> =
            self.damaged.get(id).into_iter().flatten().copied().collect();
        for (child, is_node) in self.children(id).unwrap_or_default() {
            match is_node {
                true => {
                    let below = crate::tree::deeper(|| self.taint(&child));
                    found.extend(below.iter().flat_map(|taint| taint.iter()));
                }
                false => found.extend(self.damaged.get(&child).into_iter().flatten()),
            }
        }
        if found.is_empty() {
            self.clean.insert(*id);
            return None;
        }
        let found = Arc::new(found);
        self.tainted.insert(*id, Arc::clone(&found));
        Some(found)
    }

    fn children(&self, id: &Id) -> Result<Vec<(Id, bool)>> {
        let node = Node::load(self.engine, id)?;
        let mut children = Vec::with_capacity(node.len());
        for item in 0..node.len() {
            if !node.is_leaf() {
                children.push((node.reference(item)?.id, true));
                continue;
            }
            let entry = node.entry(item)?;
            if entry.kind != EntryKind::Submodule {
                children.push((entry.id, entry.kind == EntryKind::Directory));
            }
        }
        Ok(children)
    }

    /// The first path below a tree at which the damage is.
    fn path_to(&self, number: u32, tree: &Id) -> Option<Vec<u8>> {
        let mut path = Vec::new();
        let mut at = *tree;
        loop {
            if self.is_damaged(number, &at) {
                return (!path.is_empty()).then_some(path);
            }
            let node = Node::load(self.engine, &at).ok()?;
            let next = (0..node.len()).find_map(|item| {
                if !node.is_leaf() {
                    let below = node.reference(item).ok()?.id;
                    return self.holds(number, &below).then_some((below, true, item));
                }
                let entry = node.entry(item).ok()?;
                let found = match entry.kind {
                    EntryKind::Submodule => false,
                    EntryKind::Directory => self.holds(number, &entry.id),
                    _ => self.is_damaged(number, &entry.id),
                };
                found.then_some((entry.id, false, item))
            })?;
            let (below, is_inner, item) = next;
            if !is_inner {
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(node.name(item));
            }
            at = below;
        }
    }

    fn is_damaged(&self, number: u32, id: &Id) -> bool {
        self.damaged.get(id).is_some_and(|numbers| numbers.contains(&number))
    }

    fn holds(&self, number: u32, id: &Id) -> bool {
        self.tainted.get(id).is_some_and(|taint| taint.contains(&number))
    }
}
