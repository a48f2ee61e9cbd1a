//! Gc: what is live, and what is deleted. docs/design/008 says why it is safe beside writers.
//!
//! The caller, which holds the L2 store open for writing, drives it: `look` at all of L2, `keep`
//! the roots, `mark`, `sort` all of L2 into what is live and what is dead, `publish`, delete.

pub mod dead;
pub mod live;
pub mod retention;

use std::path::PathBuf;
use std::sync::Arc;

use super::progress::Phase;
use super::Engine;
use crate::error::{Error, Result};
use crate::id::{Id, IdMap, IdSet};
use crate::journal::frame::Operation;
use crate::journal::Position;
use crate::object::{Kind, Snapshot};
use crate::store::record::{self, Base, Form, Record};
use crate::store::ObjectReader;
use crate::tree::node::Node;
use crate::worktree::Index;
use dead::Dead;
pub use dead::Doomed;
use live::LiveSet;
use retention::Retention;

/// Nodes of a tree that are read at once.
const BATCH: usize = 256;
/// Raw records from this size on are compressed when they are met.
const PACK_BYTES_MIN: usize = 512;
/// What a record takes on disk beside its bytes: its key, and its share of indexes.
const RECORD_OVERHEAD: u64 = 44;
/// Each fails if something is appended within some microseconds.
const ATTEMPTS_MAX: usize = 100_000;

/// What a gc has found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    pub objects: u64,
    pub record_bytes: u64,
    pub snapshots: u64,
    pub dead_objects: u64,
    pub dead_bytes: u64,
    pub dead_snapshots: u64,
    /// Live objects that were stored anew.
    pub rewritten: u64,
}

type EachRecord<'b> = dyn FnMut(&mut Collection, Id, &[u8]) -> Result<()> + 'b;

struct Kept {
    time_us: i64,
    /// Whether a quota may not drop it.
    is_protected: bool,
    /// Whether all of its history is kept too: 1 if so, 2 if a quota may not drop that either.
    followed: u8,
}

pub struct Collection {
    engine: Arc<Engine>,
    live: LiveSet,
    /// Whether there may be objects that are derived: below one of those nothing is looked at,
    /// because who keeps what it is derived from keeps all that it leads to.
    derives: bool,
    /// Chunks of chunked blobs.
    chunked: IdMap<Vec<Id>>,
    young: Vec<Id>,
    kept: IdMap<Kept>,
    /// Of live snapshots.
    parents: IdSet,
    /// Snapshots that an earlier gc has dropped although they are parents of kept ones.
    dropped: IdMap<Id>,
    /// Parents that were looked at; the rest of them are live.
    ends: IdMap<Id>,
    /// Up to where the journal's objects are roots.
    position: Position,
    dead: Option<Dead>,
    dead_path: Option<PathBuf>,
    /// Dead objects that turned out to be live, to be looked at.
    spared: Vec<Id>,
    found: Found,
}

impl Collection {
    /// A gc that knows at most `memory_bytes` of live ids at once, and sets the others down in
    /// `scratch`; without it, in memory after all. For `publish` that is the repository's `gc/`.
    pub fn new(
        engine: Arc<Engine>,
        memory_bytes: usize,
        scratch: Option<PathBuf>,
    ) -> Result<Collection> {
        engine.notice_epoch()?;
        if let Some(directory) = &scratch {
            std::fs::create_dir_all(directory).map_err(|error| Error::io(directory, error))?;
            for entry in std::fs::read_dir(directory).map_err(|e| Error::io(directory, e))? {
                let path = entry.map_err(|error| Error::io(directory, error))?.path();
                // Left behind by one that was killed.
                if path.extension().is_some_and(|extension| extension == "tmp") {
                    std::fs::remove_file(&path).map_err(|error| Error::io(&path, error))?;
                }
            }
        }
        let dropped = engine.all_dropped()?;
        let derives = engine.derives()?;
        let dead_path = scratch.as_ref().map(|directory| directory.join("dead.tmp"));
        Ok(Collection {
            engine,
            live: LiveSet::new(memory_bytes, scratch),
            derives,
            chunked: IdMap::default(),
            young: Vec::new(),
            kept: IdMap::default(),
            parents: IdSet::default(),
            dropped,
            ends: IdMap::default(),
            position: (0, 0),
            dead: None,
            dead_path,
            spared: Vec::new(),
            found: Found::default(),
        })
    }

    pub fn found(&self) -> Found {
        self.found
    }

    /// Takes in records of L2: where chunks are, and which snapshots are young, made since.
    pub fn look(&mut self, records: &[(Id, &[u8])], young_since_us: i64) -> Result<()> {
        for (id, bytes) in records {
            let record = Record::parse(bytes).map_err(|error| error.in_object(id))?;
            self.found.objects += 1;
            self.found.record_bytes += bytes.len() as u64;
            if record.form == Form::Chunks {
                self.note_chunks(id, &record)?;
            }
            if record.kind == Kind::Snapshot {
                self.found.snapshots += 1;
                let snapshot = match record.form {
                    Form::Raw => Snapshot::decode(record.payload),
                    _ => self.engine.snapshot(id),
                };
                if snapshot.map_err(|error| error.in_object(id))?.time_us >= young_since_us {
                    self.young.push(*id);
                }
            }
        }
        Ok(())
    }

    /// As `look`, of blobs that are stored whole, and refer to nothing.
    pub fn look_at_large(&mut self, large: &[Doomed]) {
        self.found.objects += large.len() as u64;
        self.found.record_bytes += large.iter().map(|each| each.record_len).sum::<u64>();
    }

    fn note_chunks(&mut self, id: &Id, record: &Record<'_>) -> Result<()> {
        let chunks = record.chunks().map_err(|error| error.in_object(id))?;
        self.chunked.insert(*id, chunks.iter().map(|chunk| chunk.id).collect());
        Ok(())
    }

    /// Keeps a snapshot and of its history what the policy says, or all. A quota may drop
    /// `history`, but not the snapshot itself.
    pub fn keep(
        &mut self,
        head: Id,
        retention: Option<&Retention>,
        protects_history: bool,
    ) -> Result<()> {
        if self.is_closed(&head)? {
            return Ok(());
        }
        let kept = &mut self.kept;
        let follows = match retention {
            Some(_) => 0,
            None => 1 + u8::from(protects_history),
        };
        let (derives, engine) = (self.derives, &self.engine);
        let is_closed = |id: &Id| Ok(derives && engine.closed(&[*id])?.contains(&true));
        retention::walk(engine, head, retention, &self.dropped, &is_closed, &mut |id, time_us| {
            let is_protected = protects_history || id == head;
            let entry =
                kept.entry(id).or_insert(Kept { time_us, is_protected: false, followed: 0 });
            entry.is_protected |= is_protected;
            // What another root keeps may be kept with less of its history, or unprotected.
            let goes_on = retention.is_some() || entry.followed < follows;
            entry.followed = entry.followed.max(follows);
            goes_on
        })
    }

    /// Keeps what the operation log, or youth, protects: as `keep`, if it is there, but history
    /// that is kept already is not followed again.
    pub fn keep_if_there(&mut self, id: Id, retention: Option<&Retention>) -> Result<()> {
        let follows = u8::from(retention.is_none());
        if let Some(entry) = self.kept.get_mut(&id) {
            entry.is_protected = true;
            if entry.followed >= follows {
                return Ok(());
            }
        }
        if self.is_closed(&id)? {
            return Ok(());
        }
        match self.engine.snapshot(&id) {
            Err(Error::ObjectNotFound { .. } | Error::Collected { .. }) => return Ok(()),
            Err(Error::NotASnapshot { .. }) => return Ok(()),
            found => drop(found?),
        }
        let kept = &mut self.kept;
        let (derives, engine) = (self.derives, &self.engine);
        let is_closed = |id: &Id| Ok(derives && engine.closed(&[*id])?.contains(&true));
        retention::walk(engine, id, retention, &self.dropped, &is_closed, &mut |found, time_us| {
            let is_new = !kept.contains_key(&found);
            let entry =
                kept.entry(found).or_insert(Kept { time_us, is_protected: false, followed: 0 });
            entry.is_protected |= found == id;
            let goes_on = is_new || entry.followed < follows;
            entry.followed = entry.followed.max(follows);
            goes_on
        })
    }

    /// Keeps the snapshots that are young.
    pub fn keep_young(&mut self, retention: Option<&Retention>) -> Result<()> {
        for id in std::mem::take(&mut self.young) {
            self.keep_if_there(id, retention)?;
        }
        Ok(())
    }

    /// Keeps a tree that a worktree's index describes, if it is there.
    pub fn keep_tree(&mut self, id: Id) -> Result<()> {
        if self.engine.is_dead(&id)? {
            return Ok(());
        }
        match self.engine.object(&id) {
            Err(Error::ObjectNotFound { .. }) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => self.mark_tree(id),
        }
    }

    /// Marks all that is kept; with a quota, in bytes on disk, unprotected snapshots only as far
    /// as they are estimated to fit, newest first.
    pub fn mark(&mut self, quota: Option<u64>) -> Result<()> {
        let mut order: Vec<(bool, i64, Id)> = std::mem::take(&mut self.kept)
            .into_iter()
            .map(|(id, kept)| (kept.is_protected, kept.time_us, id))
            .collect();
        order.sort_unstable_by(|left, right| right.cmp(left));
        if quota.is_some() {
            self.live.begin_to_measure();
        }
        let engine = Arc::clone(&self.engine);
        engine.progress().begin(Phase::Marking, order.len() as u64);
        for (is_protected, _, id) in order {
            if let (Some(quota), false) = (quota, is_protected) {
                if self.live_bytes()? > quota {
                    break;
                }
            }
            self.mark_snapshot(id)?;
            engine.progress().step(1);
        }
        let chunked = std::mem::take(&mut self.chunked);
        for (id, chunks) in &chunked {
            if self.live.contains(id)? {
                self.mark_blobs(chunks)?;
            }
        }
        self.chunked = chunked;
        Ok(())
    }

    fn live_bytes(&mut self) -> Result<u64> {
        let engine = &self.engine;
        self.live.measure(&mut |ids| {
            let records = engine.records_in_l2(ids)?;
            let sizes = records.iter().flatten().map(|record| record.len() as u64);
            Ok(sizes.map(|size| size + RECORD_OVERHEAD).sum())
        })
    }

    fn mark_one(&mut self, id: Id) -> Result<bool> {
        if !self.live.insert(id)? {
            return Ok(false);
        }
        if let Some(dead) = &mut self.dead {
            if dead.spare(&id)? {
                self.spared.push(id);
            }
        }
        Ok(true)
    }

    fn is_closed(&self, id: &Id) -> Result<bool> {
        Ok(self.derives && self.engine.closed(std::slice::from_ref(id))?.contains(&true))
    }

    /// Which of these objects are to be looked into: those that are not closed.
    fn open_ones(&self, ids: Vec<Id>) -> Result<Vec<Id>> {
        if !self.derives {
            return Ok(ids);
        }
        let closed = self.engine.closed(&ids)?;
        Ok(ids.into_iter().zip(closed).filter(|(_, closed)| !closed).map(|(id, _)| id).collect())
    }

    fn mark_blobs(&mut self, ids: &[Id]) -> Result<()> {
        ids.iter().try_for_each(|id| self.mark_one(*id).map(drop))
    }

    fn mark_snapshot(&mut self, id: Id) -> Result<()> {
        if !self.mark_one(id)? || self.is_closed(&id)? {
            return Ok(());
        }
        let snapshot = self.engine.stored_snapshot(&id)?;
        self.parents.extend(&snapshot.parents);
        self.mark_tree(snapshot.tree)
    }

    fn mark_tree(&mut self, root: Id) -> Result<()> {
        let engine = Arc::clone(&self.engine);
        let mut waiting = Vec::new();
        if self.mark_one(root)? && !self.is_closed(&root)? {
            waiting.push(root);
        }
        while !waiting.is_empty() {
            let batch = waiting.split_off(waiting.len().saturating_sub(BATCH));
            let mut below = Vec::new();
            for (id, object) in batch.iter().zip(engine.objects(&batch)?) {
                let node = Node::decode(*id, &object).map_err(|error| error.in_object(id))?;
                for link in node.links()? {
                    if self.mark_one(link.id)? && link.kind == Kind::Tree {
                        below.push(link.id);
                    }
                }
            }
            waiting.extend(self.open_ones(below)?);
        }
        Ok(())
    }

    /// Sorts records of L2, which come in the order of ids, into live and dead. What is given back
    /// is to be stored instead of what is there: records of live objects that must not rest on dead
    /// ones, or that were not compressed yet. `large` are blobs among them that are stored whole,
    /// and compressed if that makes them smaller. With `counts_only` nothing is set down.
    pub fn sort(
        &mut self,
        records: &[(Id, &[u8])],
        large: &[Doomed],
        counts_only: bool,
    ) -> Result<Vec<(Id, Vec<u8>)>> {
        let mut rewritten = Vec::new();
        let mut large = large.iter().peekable();
        for (id, bytes) in records {
            while let Some(each) = large.next_if(|each| each.id < *id) {
                self.sort_large(each, counts_only)?;
            }
            let record = Record::parse(bytes).map_err(|error| error.in_object(id))?;
            if !self.live.contains(id)? {
                self.found.dead_snapshots += u64::from(record.kind == Kind::Snapshot);
                let (form, record_len) = (record.form as u8, bytes.len() as u64);
                self.doom(&Doomed { id: *id, form, record_len }, counts_only)?;
                continue;
            }
            if counts_only {
                continue;
            }
            let anew = match record.form {
                Form::Splice => self.on_live_base(id, &record)?,
                Form::Raw if bytes.len() >= PACK_BYTES_MIN => {
                    let mut out = Vec::new();
                    record::put_packed(&mut out, record.kind, record.payload);
                    Some(out).filter(|out| out.len() < bytes.len())
                }
                _ => None,
            };
            rewritten.extend(anew.map(|anew| (*id, anew)));
        }
        large.try_for_each(|each| self.sort_large(each, counts_only))?;
        self.found.rewritten += rewritten.len() as u64;
        Ok(rewritten)
    }

    fn sort_large(&mut self, each: &Doomed, counts_only: bool) -> Result<()> {
        match self.live.contains(&each.id)? {
            true => Ok(()),
            false => self.doom(each, counts_only),
        }
    }

    fn doom(&mut self, dead: &Doomed, counts_only: bool) -> Result<()> {
        self.found.dead_objects += 1;
        self.found.dead_bytes += dead.record_len;
        match counts_only {
            true => Ok(()),
            false => self.dead_set()?.push(dead),
        }
    }

    /// As `look`, of what is in the journal and not in L2: for a gc that does not move it.
    pub fn look_at_journal(&mut self, young_since_us: i64) -> Result<()> {
        self.each_in_journal(&mut |this, id, bytes| this.look(&[(id, bytes)], young_since_us))
    }

    /// As `sort` with `counts_only`, of what is in the journal and not in L2.
    pub fn sort_journal(&mut self) -> Result<()> {
        self.each_in_journal(&mut |this, id, bytes| this.sort(&[(id, bytes)], &[], true).map(drop))
    }

    fn each_in_journal(&mut self, body: &mut EachRecord<'_>) -> Result<()> {
        let engine = Arc::clone(&self.engine);
        engine.journal().refresh()?;
        let mut position = (0, 0);
        let mut seen = IdSet::default();
        while let Some((frames, next)) = engine.journal().frames_from(position)? {
            position = next;
            for frame in &frames {
                let ids: Vec<Id> = frame.objects.iter().map(|(id, _)| *id).collect();
                let stored = engine.records_in_l2(&ids)?;
                for ((id, bytes), stored) in frame.objects.iter().zip(stored) {
                    if stored.is_none() && seen.insert(*id) {
                        body(self, *id, bytes)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn dead_set(&mut self) -> Result<&mut Dead> {
        if self.dead.is_none() {
            self.dead = Some(Dead::create(self.dead_path.as_deref())?);
        }
        self.dead.as_mut().ok_or_else(|| Error::malformed("no dead set"))
    }

    /// A record of a spliced object that rests on nothing dead; `None` if it does so already.
    fn on_live_base(&self, id: &Id, spliced: &Record<'_>) -> Result<Option<Vec<u8>>> {
        let engine = &self.engine;
        let mut base = spliced.splice().map_err(|error| error.in_object(id))?.base;
        if self.live.contains(&base)? || self.is_closed(&base)? {
            return Ok(None);
        }
        // The nearest base of its bases that is live: all rewritten splices point the same way, so
        // they cannot form a cycle.
        let mut found = None;
        for _ in 0..record::DEPTH_MAX {
            if self.live.contains(&base)? {
                found = Some(base);
                break;
            }
            let Some(bytes) = engine.record_in_l2(&base)? else {
                break;
            };
            let record = Record::parse(&bytes).map_err(|error| error.in_object(&base))?;
            if record.form != Form::Splice {
                break;
            }
            base = record.splice().map_err(|error| error.in_object(&base))?.base;
        }
        let object = engine.object(id)?;
        let mut out = Vec::new();
        if let Some(base) = found {
            let other = engine.object(&base)?;
            let base = Base { id: base, depth: other.depth, bytes: &other.bytes };
            if record::put_splice(&mut out, object.kind, &base, &object.bytes).is_some() {
                return Ok(Some(out));
            }
        }
        record::put_packed(&mut out, object.kind, &object.bytes);
        Ok(Some(out))
    }

    /// Publishes the dead set and begins an epoch; false, and nothing is done, if nothing is dead.
    ///
    /// What was appended since the gc began is live, and so is what the indexes of worktrees
    /// describe now. It is marked without the journal's lock, because that reads L2; under the lock
    /// is only seen whether anything came since. If so, the marking goes on.
    pub fn publish(&mut self, indexes: &[PathBuf]) -> Result<bool> {
        let engine = Arc::clone(&self.engine);
        if self.found.dead_objects == 0 {
            return Ok(false);
        }
        self.dead_set()?.flush()?;
        if let Some(directory) = engine.directory() {
            super::raise_format(directory)?;
        }
        for _ in 0..ATTEMPTS_MAX {
            self.mark_appended()?;
            for tree in indexed(indexes) {
                self.keep_tree(tree)?;
            }
            self.find_ends()?;
            let begun = engine.journal().begin_epoch(|number| {
                let is_marked = engine.journal().frames_from(self.position)?.is_none();
                for tree in indexed(indexes) {
                    if !self.live.contains(&tree)? && self.dead_set()?.contains(&tree)? {
                        return Ok(false);
                    }
                }
                if is_marked {
                    self.dead_set()?.seal(number)?;
                    if let (Some(from), Some(directory)) = (&self.dead_path, engine.directory()) {
                        let to = Dead::path(directory);
                        std::fs::rename(from, &to).map_err(|error| Error::io(&to, error))?;
                    }
                }
                Ok(is_marked)
            })?;
            if begun {
                if engine.directory().is_none() {
                    engine.set_dead(self.dead.take().map(Arc::new));
                }
                engine.notice_epoch()?;
                return Ok(true);
            }
        }
        let reason = "commits leave gc no time to publish what it will delete; try again later";
        Err(Error::Busy(reason.to_owned()))
    }

    /// Marks what is in the journal and was not there before.
    fn mark_appended(&mut self) -> Result<()> {
        let engine = Arc::clone(&self.engine);
        engine.journal().refresh()?;
        while let Some((frames, next)) = engine.journal().frames_from(self.position)? {
            self.position = next;
            for frame in frames {
                for (id, bytes) in &frame.objects {
                    let record = Record::parse(bytes).map_err(|error| error.in_object(id))?;
                    self.mark_any(*id, record.kind)?;
                    self.mark_what_a_record_needs(id, &record)?;
                }
                if let Some(bytes) = frame.operation {
                    self.mark_operation(&Operation::decode(&bytes)?)?;
                }
            }
        }
        // What was taken for dead was not looked at for what it rests on.
        while let Some(id) = self.spared.pop() {
            if let Some(bytes) = engine.record_in_l2(&id)? {
                let record = Record::parse(&bytes).map_err(|error| error.in_object(&id))?;
                self.mark_what_a_record_needs(&id, &record)?;
            }
        }
        Ok(())
    }

    fn mark_any(&mut self, id: Id, kind: Kind) -> Result<()> {
        match kind {
            Kind::Blob => self.mark_one(id).map(drop),
            Kind::Tree => self.mark_tree(id),
            Kind::Snapshot => self.mark_snapshot(id),
        }
    }

    /// A base is kept with all below it: nothing live may lead to something dead.
    fn mark_what_a_record_needs(&mut self, id: &Id, record: &Record<'_>) -> Result<()> {
        match record.form {
            Form::Splice => {
                let base = record.splice().map_err(|error| error.in_object(id))?.base;
                self.mark_any(base, record.kind)
            }
            Form::Chunks => {
                let chunks = record.chunks().map_err(|error| error.in_object(id))?;
                let ids: Vec<Id> = chunks.iter().map(|chunk| chunk.id).collect();
                self.mark_blobs(&ids)
            }
            Form::Raw | Form::Zstd => Ok(()),
        }
    }

    fn mark_operation(&mut self, operation: &Operation) -> Result<()> {
        for id in operation.snapshots() {
            match self.engine.stored_snapshot(&id) {
                Ok(_) => self.mark_snapshot(id)?,
                Err(Error::ObjectNotFound { .. } | Error::NotASnapshot { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Where history ends from now on. A parent that is neither stored nor known to be dropped is
    /// damage, which gc must not make look like its own work.
    fn find_ends(&mut self) -> Result<()> {
        for id in std::mem::take(&mut self.parents) {
            if self.ends.contains_key(&id) || self.live.contains(&id)? || self.is_closed(&id)? {
                continue;
            }
            let is_doomed = match &self.dead {
                Some(dead) => dead.contains(&id)?,
                None => false,
            };
            if !is_doomed && !self.dropped.contains_key(&id) {
                return Err(Error::ObjectNotFound { id });
            }
            let next = self.nearest_kept(id)?;
            self.ends.insert(id, next);
        }
        Ok(())
    }

    /// The nearest kept ancestor of a dropped snapshot, by first parents; itself if there is none.
    fn nearest_kept(&self, dropped: Id) -> Result<Id> {
        let mut at = dropped;
        loop {
            let next = match self.dropped.get(&at) {
                Some(next) if *next == at => return Ok(dropped),
                Some(next) => *next,
                None => match self.engine.stored_snapshot(&at) {
                    Ok(snapshot) => match snapshot.parents.first() {
                        Some(parent) => *parent,
                        None => return Ok(dropped),
                    },
                    // A gc that was killed has deleted it already.
                    Err(Error::ObjectNotFound { .. }) => return Ok(dropped),
                    Err(error) => return Err(error),
                },
            };
            if self.live.contains(&next)? || self.is_closed(&next)? {
                return Ok(next);
            }
            at = next;
        }
    }

    /// The dropped parents of live snapshots, and where history goes on behind each: the parent
    /// itself if it ends.
    pub fn ends(&self) -> Vec<(Id, Id)> {
        let mut ends: Vec<(Id, Id)> = self.ends.iter().map(|(id, next)| (*id, *next)).collect();
        ends.sort_unstable();
        ends
    }

    /// What is to be deleted, from an entry of the dead set on, and the entry to go on with.
    pub fn doomed(&self, from: u64, limit: u64) -> Result<Option<(Vec<Doomed>, u64)>> {
        match (&self.dead, self.engine.dead()) {
            (Some(dead), _) => dead.page(from, limit),
            (None, Some(dead)) => dead.page(from, limit),
            (None, None) => Ok(None),
        }
    }

    /// The store has deleted, for good, what was dead.
    pub fn finish(&mut self) -> Result<()> {
        self.dead = None;
        match self.engine.directory().map(Dead::path) {
            Some(path) => match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io(&path, error));
                }
                _ => {}
            },
            None => self.engine.set_dead(None),
        }
        self.engine.notice_epoch()
    }
}

/// The trees that indexes of worktrees describe. One that cannot be read is started over anyway.
pub fn indexed(paths: &[PathBuf]) -> Vec<Id> {
    paths.iter().filter_map(|path| Index::load(path).ok()?.tree).collect()
}

impl Drop for Collection {
    fn drop(&mut self) {
        // A set that was not published; what cannot be removed is removed by the next gc.
        if let Some(path) = &self.dead_path {
            let _ = std::fs::remove_file(path);
        }
    }
}
