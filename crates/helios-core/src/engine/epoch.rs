//! Living beside gc: what a writer took for granted is looked at again when gc begins to delete.
//!
//! Gc publishes the dead set and begins an epoch under the journal's lock. What was built in an
//! older epoch is refused there (`Error::Outdated`, which never leaves the engine); then the writer
//! looks at what it builds upon. An invariant of gc makes that cheap: below a live node everything
//! is live. What has died is stored again if it can still be read.

use std::sync::Arc;

use super::commit::{now_us, Writer};
use super::gc::dead::Dead;
use super::Engine;
use crate::error::{Error, Result};
use crate::id::{Id, IdMap, IdSet};
use crate::journal::frame::{FrameBuilder, Operation, RefChange};
use crate::object::Kind;
use crate::store::ObjectReader;
use crate::tree::deeper;
use crate::tree::node::frontier::{self, Link};
use crate::tree::Node;
use crate::vst::Vst;

/// Refs with this prefix name dropped snapshots that others, which are kept, have as parents.
pub const DROPPED_PREFIX: &[u8] = b"dropped/";

pub fn dropped_ref(id: &Id) -> Vec<u8> {
    [DROPPED_PREFIX, id.to_hex().as_bytes()].concat()
}

/// The epoch that a process knows, and what died at its beginning.
#[derive(Default)]
pub struct Epoch {
    number: u64,
    dead: Option<Arc<Dead>>,
}

impl Engine {
    /// The epoch in which whatever this engine reads from now on is there.
    pub fn epoch(&self) -> u64 {
        self.epoch.read().number
    }

    /// A process that starts knows nothing of earlier epochs, so there is nothing to look at again.
    pub(super) fn begin_in_epoch(&self) -> Result<()> {
        let number = self.journal.epoch()?;
        if let (Some(directory), true) = (&self.directory, number > 0) {
            let dead = Dead::open(directory)?.map(Arc::new);
            *self.epoch.write() = Epoch { number, dead };
        }
        Ok(())
    }

    /// Takes in the journal's epoch. Afterwards L2 is looked at anew, and L1 holds nothing older.
    /// No lock is held meanwhile, because L2 may run Python.
    pub(super) fn notice_epoch(&self) -> Result<()> {
        loop {
            let number = self.journal.epoch()?;
            // Before L2 is opened: if the set is gone by now, L2 shows the end of that gc.
            let dead = match &self.directory {
                Some(directory) => Dead::open(directory)?.map(Arc::new),
                None => self.dead(),
            };
            self.journal.forget_moved()?;
            if let Some(store) = &self.store {
                store.refresh()?;
            }
            self.cache.clear();
            if self.journal.epoch()? == number {
                let mut epoch = self.epoch.write();
                // Another thread may have been faster, and seen a later one.
                if number >= epoch.number {
                    *epoch = Epoch { number, dead };
                }
                return Ok(());
            }
        }
    }

    /// In a repository in memory gc says directly what is dead.
    pub(super) fn set_dead(&self, dead: Option<Arc<Dead>>) {
        self.epoch.write().dead = dead;
    }

    pub(super) fn dead(&self) -> Option<Arc<Dead>> {
        self.epoch.read().dead.clone()
    }

    /// Whether gc is deleting the object, or has deleted it. Of what it left alone it says nothing.
    pub fn is_dead(&self, id: &Id) -> Result<bool> {
        let Some(dead) = self.dead() else {
            return Ok(false);
        };
        if !dead.contains(id)? || self.journal.contains(id) {
            return Ok(false);
        }
        let (Some(directory), Some(store)) = (&self.directory, &self.store) else {
            return Ok(true);
        };
        if Dead::path(directory).exists() {
            return Ok(true);
        }
        // That gc is done, so what L2 has now was stored again since.
        store.refresh()?;
        Ok(store.records(&[*id])?.iter().all(Option::is_none))
    }

    /// Which of these objects cannot be built upon: they are dead, or nowhere.
    pub(super) fn gone(&self, ids: &[Id]) -> Result<IdSet> {
        let mut gone = IdSet::default();
        let mut elsewhere = Vec::new();
        for id in ids {
            if self.is_dead(id)? {
                gone.insert(*id);
            } else if !self.journal.contains(id) {
                elsewhere.push(*id);
            }
        }
        if let (Some(store), false) = (&self.store, elsewhere.is_empty()) {
            let found = store.records(&elsewhere)?;
            let missing = elsewhere.iter().zip(found).filter(|(_, record)| record.is_none());
            gone.extend(missing.map(|(id, _)| *id));
        }
        Ok(gone)
    }

    /// The epoch in which all that refs are to name is there; fails if it is gone.
    pub(super) fn vouch_for(&self, changes: &[RefChange]) -> Result<u64> {
        let number = self.epoch();
        if number > 0 {
            let named = changes.iter().filter(|change| !change.name.starts_with(DROPPED_PREFIX));
            let ids: Vec<Id> = named.filter_map(|change| change.new).collect();
            if let Some(id) = self.gone(&ids)?.into_iter().next() {
                return Err(Error::Collected { id });
            }
        }
        Ok(number)
    }

    /// Brings a VST of an older epoch into that of now.
    pub(super) fn bring_up_to_date(&self, vst: &mut Vst) -> Result<()> {
        loop {
            self.notice_epoch()?;
            let number = self.epoch();
            let links = frontier::frontier(vst.tree.root())?;
            let mut ids: Vec<Id> = links.iter().map(|link| link.id).collect();
            ids.extend(frontier::replaced(vst.tree.root()));
            ids.extend(vst.base);
            let gone = self.gone(&ids)?;
            frontier::forget_replaced(vst.tree.root_mut(), &gone);
            let mut writer = Writer::new(self);
            let stored = links
                .iter()
                .filter(|link| gone.contains(&link.id))
                .try_for_each(|link| self.store_again(link, &mut writer))
                .and_then(|()| writer.flush());
            match stored {
                Ok(()) => {}
                Err(Error::Outdated) => continue,
                Err(Error::ObjectNotFound { id }) => {
                    return Err(Error::Collected { id: vst.base.unwrap_or(id) });
                }
                Err(error) => return Err(error),
            }
            vst.base_is_dropped = false;
            if let Some(base) = vst.base.filter(|base| gone.contains(base)) {
                self.end_history_at(&base)?;
                vst.base_is_dropped = true;
            }
            vst.epoch = number;
            return Ok(());
        }
    }

    /// Stores a dead object again, with all below it that is dead.
    fn store_again(&self, link: &Link, writer: &mut Writer<'_>) -> Result<()> {
        if writer.knows(&link.id) {
            return Ok(());
        }
        if link.kind == Kind::Blob {
            let object = self.object(&link.id).map_err(|error| unreadable(error, &link.id))?;
            return writer.put_blob(link.id, &object.bytes, None).map(drop);
        }
        let node = match &link.loaded {
            Some(node) => Arc::clone(node),
            None => {
                let node = Node::load(self, &link.id);
                Arc::new(node.map_err(|error| unreadable(error, &link.id))?)
            }
        };
        let below = node.links()?;
        let ids: Vec<Id> = below.iter().map(|link| link.id).collect();
        let gone = self.gone(&ids)?;
        for link in below.iter().filter(|link| gone.contains(&link.id)) {
            deeper(|| self.store_again(link, writer))?;
        }
        writer.put_whole(link.id, Kind::Tree, node.bytes())
    }

    /// Marks a dropped snapshot that gets a child nevertheless as the end of history.
    fn end_history_at(&self, id: &Id) -> Result<()> {
        let name = dropped_ref(id);
        if self.reference(&name)?.is_some() {
            return Ok(());
        }
        let mut frame = FrameBuilder::default();
        frame.operation(Operation {
            time_us: now_us(),
            actor: Vec::new(),
            command: b"commit on a dropped snapshot".to_vec(),
            changes: vec![RefChange { name, old: None, new: Some(*id) }],
        });
        // If it had moved, somebody else has marked it.
        self.append(&mut frame).map(drop)
    }

    /// Dropped snapshots that kept ones have as parents, and what `dropped` says of each.
    pub(super) fn all_dropped(&self) -> Result<IdMap<Id>> {
        let marks = self.references(DROPPED_PREFIX, usize::MAX)?.into_iter();
        let parse = |(digits, next): (Vec<u8>, Id)| {
            Ok((Id::from_hex(&String::from_utf8_lossy(&digits))?, next))
        };
        marks.map(parse).collect()
    }

    /// Of a parent that gc has dropped: its nearest ancestor that is kept, or itself if history
    /// ends there. `None` if gc has not dropped it.
    pub fn dropped(&self, id: &Id) -> Result<Option<Id>> {
        let name = dropped_ref(id);
        self.journal.refresh()?;
        if let Some(Some(next)) = self.journal.reference(&name) {
            return Ok(Some(next));
        }
        // Gc marks it in L2 without the journal, so what is remembered of L2 does not count.
        let Some(store) = &self.store else {
            return Ok(None);
        };
        store.refresh()?;
        match store.reference(&name)? {
            None if self.is_dead(id)? => match self.nearest_kept(*id) {
                // By now gc deletes, so it has marked it.
                Err(Error::ObjectNotFound { .. }) => store.refresh().and(store.reference(&name)),
                found => found.map(Some),
            },
            found => Ok(found),
        }
    }

    /// Of a dead snapshot that gc has not marked yet, and therefore not deleted either: as
    /// `dropped`. Where gc was killed this lasts until the next one.
    fn nearest_kept(&self, dead: Id) -> Result<Id> {
        let mut at = dead;
        loop {
            match self.stored_snapshot(&at)?.parents.first() {
                None => return Ok(dead),
                Some(parent) if self.is_dead(parent)? => at = *parent,
                Some(parent) => return Ok(self.dropped(parent)?.unwrap_or(*parent)),
            }
        }
    }
}

/// Half of a dead object's records may be deleted already.
fn unreadable(error: Error, id: &Id) -> Error {
    match error {
        Error::CorruptObject { .. } => Error::ObjectNotFound { id: *id },
        other => other,
    }
}
