//! The commit path: hash what changed, encode it, append one frame, publish in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::git_model;
use super::Engine;
use crate::cache::Cache;
use crate::error::{BranchMoved, Error, Result};
use crate::id::{Id, IdSet};
use crate::journal::frame::{FrameBuilder, Operation, RefChange};
use crate::journal::{Append, Position};
use crate::metrics::Counter;
use crate::object::{Kind, Snapshot};
use crate::store::record::{self, Base, Chunk, Form};
use crate::store::{chunk, Object, ObjectReader};
use crate::tree::node::{self, Keep, Replaced, Sink};
use crate::tree::Tree;
use crate::vst::Vst;

/// A frame that grows past this is appended without its operation, and a new one begun: bulk
/// commits stay in bounded memory, and objects that no ref reaches are harmless.
const FRAME_BYTES_MAX: usize = 256 << 10;
/// Frames up to this size are commits of a few edits: there compression costs more than it saves,
/// and the L2 store compresses later. Above, it saves writing.
const RAW_FRAME_BYTES_MAX: usize = 64 << 10;
/// Larger content belongs into files.
const SNAPSHOT_BYTES_MAX: usize = 1 << 20;
/// Blobs below this are stored whole: a splice needs 40 bytes itself.
const SPLICE_BYTES_MIN: usize = 128;

/// What a commit is told.
#[derive(Clone, Debug, Default)]
pub struct CommitOptions {
    pub message: Vec<u8>,
    pub author: Vec<u8>,
    /// Microseconds since 1970-01-01 UTC; now if `None`.
    pub time_us: Option<i64>,
    pub metadata: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Make a snapshot even if nothing has changed.
    pub allow_empty: bool,
    /// Who and what, for the operation log.
    pub actor: Vec<u8>,
    pub command: Vec<u8>,
}

/// What a commit did.
#[derive(Clone, Debug)]
pub struct Committed {
    pub id: Id,
    pub snapshot: Snapshot,
    /// False if nothing had changed: then `id` is the base.
    pub is_new: bool,
    pub new_objects: u64,
    pub new_bytes: u64,
    pub journal_bytes: u64,
    pub elapsed_ns: u64,
}

/// How an append ended.
pub(super) enum Appended {
    /// The frame begins here.
    At(Position),
    /// A ref had another value; the objects are kept, and nothing moved.
    Moved(Vec<u8>, Option<Id>),
}

/// Collects what a commit writes. Also used by worktree commits for blobs read from disk.
pub struct Writer<'e> {
    engine: &'e Engine,
    frame: FrameBuilder,
    /// Objects of frames that were appended early are in the journal; those of this frame not yet.
    in_frame: IdSet,
    pub new_objects: u64,
    pub new_bytes: u64,
    pub journal_bytes: u64,
    git_object_bytes: u64,
}

impl<'e> Writer<'e> {
    pub fn new(engine: &'e Engine) -> Writer<'e> {
        let mut frame = engine.spare_frame.lock().take().unwrap_or_default();
        // Before anything is taken for granted.
        frame.epoch = engine.epoch();
        Writer {
            engine,
            frame,
            in_frame: IdSet::default(),
            new_objects: 0,
            new_bytes: 0,
            journal_bytes: 0,
            git_object_bytes: 0,
        }
    }

    /// Whether the object is known to be stored, and to stay: the journal of an epoch does. L2 is
    /// not asked: maintenance drops what it has already. Nor is L1, which may hold what gc deletes.
    pub fn knows(&self, id: &Id) -> bool {
        self.depth_of(id).is_some()
    }

    pub(super) fn epoch(&self) -> u64 {
        self.frame.epoch
    }

    /// What is written builds upon something of an older epoch.
    pub(super) fn lower_epoch(&mut self, epoch: u64) {
        self.frame.epoch = self.frame.epoch.min(epoch);
    }

    /// Stores an object that is in memory without a base.
    pub(super) fn put_whole(&mut self, id: Id, kind: Kind, bytes: &[u8]) -> Result<()> {
        self.put(id, kind, bytes.len(), |out| record::put_compressed(out, kind, bytes))
    }

    /// The length of the chain that stores a known object. Of one in this very frame it is not
    /// known yet, so nothing is spliced from it. What is there but cannot be read is not known: it
    /// is written anew.
    fn depth_of(&self, id: &Id) -> Option<u8> {
        if self.in_frame.contains(id) {
            return Some(record::DEPTH_MAX);
        }
        let engine = self.engine;
        engine.journal.contains(id).then(|| engine.nearby(id).map(|object| object.depth)).flatten()
    }

    /// Adds an object's record, written by `put`, which gives the form that it chose.
    pub fn put<T>(
        &mut self,
        id: Id,
        kind: Kind,
        raw_len: usize,
        put: impl FnOnce(&mut Vec<u8>) -> T,
    ) -> Result<T> {
        let result = self.frame.object(id, put);
        self.in_frame.insert(id);
        self.new_objects += 1;
        self.new_bytes += raw_len as u64;
        if kind == Kind::Blob {
            self.git_object_bytes += git_model::blob_bytes(raw_len as u64);
        }
        if self.frame.len() > FRAME_BYTES_MAX {
            self.flush()?;
        }
        Ok(result)
    }

    pub(super) fn is_bulk(&self) -> bool {
        self.frame.len() > RAW_FRAME_BYTES_MAX || self.journal_bytes > 0
    }

    /// Stores a blob that is in memory; the depth of its stored form.
    pub fn put_blob(&mut self, id: Id, bytes: &[u8], replaces: Option<Id>) -> Result<u8> {
        if let Some(depth) = self.depth_of(&id) {
            return Ok(depth);
        }
        if bytes.len() > chunk::CHUNKED_BYTES_MIN {
            let mut chunks = Vec::new();
            for piece in chunk::split(bytes) {
                chunks.push(self.put_chunk(piece)?);
            }
            return self.put_chunked(id, &chunks).map(|()| 0);
        }
        let base = replaces.filter(|_| bytes.len() >= SPLICE_BYTES_MIN);
        let base = base.and_then(|id| self.engine.nearby(&id).map(|object| (id, object)));
        let bulk = self.is_bulk();
        self.put(id, Kind::Blob, bytes.len(), |out| {
            let base = base.as_ref().map(|(id, object)| Base {
                id: *id,
                depth: object.depth,
                bytes: &object.bytes,
            });
            put_best(out, Kind::Blob, bytes, base, bulk)
        })
    }

    pub fn put_chunk(&mut self, piece: &[u8]) -> Result<Chunk> {
        let id = Id::of_blob(piece);
        if !self.knows(&id) {
            self.put(id, Kind::Blob, piece.len(), |out| {
                record::put_compressed(out, Kind::Blob, piece);
            })?;
        }
        Ok(Chunk { id, len: piece.len() as u64 })
    }

    /// Stores a large blob by its chunks.
    pub fn put_chunked(&mut self, id: Id, chunks: &[Chunk]) -> Result<()> {
        if self.knows(&id) {
            return Ok(());
        }
        self.put(id, Kind::Blob, 0, |out| record::put_chunks(out, chunks))
    }

    /// Stores a snapshot of a tree.
    fn put_snapshot(
        &mut self,
        tree: Id,
        parents: Vec<Id>,
        options: &CommitOptions,
    ) -> Result<(Id, Snapshot)> {
        let snapshot = Snapshot {
            tree,
            parents,
            time_us: options.time_us.unwrap_or_else(now_us),
            author: options.author.clone(),
            message: options.message.clone(),
            metadata: options.metadata.clone(),
        };
        let mut bytes = Vec::with_capacity(256);
        snapshot.encode(&mut bytes);
        if bytes.len() > SNAPSHOT_BYTES_MAX {
            return Err(Error::Refused(format!(
                "message, author and metadata take {} bytes; a snapshot may have {}",
                bytes.len(),
                SNAPSHOT_BYTES_MAX
            )));
        }
        let id = Id::of_snapshot(&bytes);
        self.put(id, Kind::Snapshot, bytes.len(), |out| {
            record::put_raw(out, Kind::Snapshot, &bytes);
        })?;
        Ok((id, snapshot))
    }

    /// Appends what there is, without an operation. It is on disk only when the frame of the
    /// commit is.
    pub fn flush(&mut self) -> Result<()> {
        if self.frame.is_empty() {
            return Ok(());
        }
        if self.engine.journal.append(&mut self.frame)? == Append::Outdated {
            return Err(Error::Outdated);
        }
        self.engine.count_forms(&self.frame);
        self.journal_bytes += self.frame.len() as u64;
        self.engine.metrics.add(Counter::JournalBytes, self.frame.len() as u64);
        let epoch = self.frame.epoch;
        self.frame.clear();
        self.frame.epoch = epoch;
        self.in_frame.clear();
        Ok(())
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        // The buffer is reused, because fresh pages cost more than the commit that fills them.
        if self.frame.len() <= RAW_FRAME_BYTES_MAX {
            let mut frame = std::mem::take(&mut self.frame);
            frame.clear();
            *self.engine.spare_frame.lock() = Some(frame);
        }
    }
}

/// A splice of the base if that pays, else the whole object.
pub fn put_best(
    out: &mut Vec<u8>,
    kind: Kind,
    bytes: &[u8],
    base: Option<Base<'_>>,
    compress: bool,
) -> u8 {
    if let Some(depth) = base.and_then(|base| record::put_splice(out, kind, &base, bytes)) {
        return depth;
    }
    match compress {
        true => record::put_compressed(out, kind, bytes),
        false => record::put_raw(out, kind, bytes),
    }
    0
}

impl Sink for Writer<'_> {
    fn directory(&mut self, entries: u64) {
        self.git_object_bytes += git_model::tree_bytes(entries);
    }

    fn blob(&mut self, id: Id, bytes: &Arc<[u8]>, replaces: Option<Id>) -> Result<u8> {
        self.put_blob(id, bytes, replaces)
    }

    fn node(&mut self, id: Id, bytes: &[u8], replaced: Option<&Replaced>) -> Result<u8> {
        // A node that came back to an earlier state is known; asking costs less than writing it.
        if let Some(depth) = self.depth_of(&id) {
            return Ok(depth);
        }
        let bulk = self.is_bulk();
        self.put(id, Kind::Tree, bytes.len(), |out| {
            let base = replaced.map(|replaced| Base {
                id: replaced.id,
                depth: replaced.depth,
                bytes: &replaced.bytes,
            });
            put_best(out, Kind::Tree, bytes, base, bulk)
        })
    }
}

/// What was stored stays in L1, in place of what it replaces.
struct Kept<'c> {
    cache: &'c Cache,
    is_bulk: bool,
}

impl Keep for Kept<'_> {
    fn keep(&mut self, id: Id, object: Object, replaced: Option<Id>) {
        if let Some(replaced) = replaced.filter(|replaced| *replaced != id) {
            self.cache.retire(&replaced);
        }
        match self.is_bulk {
            true => self.cache.offer(id, object),
            false => self.cache.insert(id, object),
        }
    }
}

impl Engine {
    /// Makes the VST a snapshot and moves its branch there, if it has one. The branch must still
    /// be where the VST began; otherwise the snapshot is kept and the error names it.
    pub fn commit(&self, vst: &mut Vst, options: &CommitOptions) -> Result<Committed> {
        loop {
            match self.commit_with(Writer::new(self), vst, options) {
                Err(Error::Outdated) => self.bring_up_to_date(vst)?,
                done => return done,
            }
        }
    }

    /// As `commit`, with blobs that are in the writer already. Fails with `Outdated`, and without
    /// a change, if gc has begun to delete since the VST or the writer was made.
    pub fn commit_with(
        &self,
        mut writer: Writer<'_>,
        vst: &mut Vst,
        options: &CommitOptions,
    ) -> Result<Committed> {
        let start = Instant::now();
        writer.lower_epoch(vst.epoch);
        writer.directory(vst.tree.root().count());
        let tree = node::seal(vst.tree.root_mut(), &mut writer)?;
        let must_be_new = options.allow_empty || vst.must_commit();
        if let (Some(base), true, false) = (vst.base, vst.base_tree == Some(tree), must_be_new) {
            // Nothing is appended that would tell, and gc may have dropped the base.
            if self.journal.epoch()? != vst.epoch {
                return Err(Error::Outdated);
            }
            writer.flush()?;
            // Who made the base may have failed to put it on disk, or not have meant to.
            self.journal.sync(self.journal.end())?;
            self.settle(vst, writer.is_bulk());
            return Ok(Committed {
                id: base,
                snapshot: self.snapshot(&base)?,
                is_new: false,
                new_objects: 0,
                new_bytes: 0,
                journal_bytes: 0,
                elapsed_ns: start.elapsed().as_nanos() as u64,
            });
        }
        let parents = vst.base.iter().chain(&vst.more_parents).copied().collect();
        let (id, snapshot) = writer.put_snapshot(tree, parents, options)?;
        if let Some(branch) = &vst.branch {
            let change = RefChange { name: branch.clone(), old: vst.expected(), new: Some(id) };
            writer.frame.operation(Operation {
                time_us: snapshot.time_us,
                actor: options.actor.clone(),
                command: options.command.clone(),
                changes: vec![change],
            });
        }
        let journal_bytes = writer.journal_bytes + writer.frame.len() as u64;
        let (appended, position) = self.append(&mut writer.frame)?;
        self.count_forms(&writer.frame);
        self.settle(vst, writer.is_bulk());
        let synced = self.journal.sync(position);
        if let Appended::Moved(name, actual) = appended {
            synced?;
            self.metrics.add(Counter::Conflicts, 1);
            return Err(Error::BranchMoved(Box::new(BranchMoved {
                branch: super::refs::branch_of(&name),
                expected: vst.expected(),
                actual,
                yours: Some(id),
            })));
        }
        let elapsed_ns = start.elapsed().as_nanos() as u64;
        self.count_commit(vst, &writer, elapsed_ns);
        vst.base = Some(id);
        vst.base_tree = Some(tree);
        vst.is_new_branch = false;
        vst.base_is_dropped = false;
        vst.more_parents.clear();
        (vst.paths_added, vst.path_bytes_added, vst.pending_bytes) = (0, 0, 0);
        // The branch has moved, so the VST goes on from there all the same.
        synced.map_err(|error| error.after_commit(id))?;
        Ok(Committed {
            id,
            snapshot,
            is_new: true,
            new_objects: writer.new_objects,
            new_bytes: writer.new_bytes,
            journal_bytes,
            elapsed_ns,
        })
    }

    /// Makes a snapshot of a tree that is stored already; no branch moves there.
    pub fn store_snapshot(
        &self,
        tree: Id,
        parents: Vec<Id>,
        options: &CommitOptions,
    ) -> Result<Id> {
        loop {
            let mut writer = Writer::new(self);
            Tree::load(self, &tree)?;
            let (id, _) = writer.put_snapshot(tree, parents.clone(), options)?;
            match writer.flush() {
                Err(Error::Outdated) => self.notice_epoch()?,
                done => return done.map(|()| id),
            }
        }
    }

    /// Appends, looking refs up in L2 as needed: how it ended, and what to sync. Objects of an
    /// older epoch are refused as `Outdated`; of a frame without any, the values of its operation
    /// are looked at again.
    pub(super) fn append(&self, frame: &mut FrameBuilder) -> Result<(Appended, Position)> {
        loop {
            if !frame.has_objects() {
                frame.epoch = self.vouch_for(frame.changes())?;
            }
            let outcome = self.journal.append(frame)?;
            if !matches!(outcome, Append::Unknown | Append::Outdated) {
                self.metrics.add(Counter::JournalBytes, frame.len() as u64);
            }
            match outcome {
                Append::Outdated if frame.has_objects() => return Err(Error::Outdated),
                Append::Outdated => self.notice_epoch()?,
                Append::Done(position) => {
                    let (segment, end) = position;
                    let begin = (segment, end - frame.len() as u64);
                    return Ok((Appended::At(begin), position));
                }
                Append::Moved(name, actual, position) => {
                    return Ok((Appended::Moved(name, actual), position));
                }
                Append::Unknown => {
                    for name in frame.ref_names() {
                        self.reference(&name)?;
                    }
                }
            }
        }
    }

    pub(super) fn settle(&self, vst: &mut Vst, is_bulk: bool) {
        node::settle(vst.tree.root_mut(), &mut Kept { cache: &self.cache, is_bulk });
    }

    pub(super) fn count_forms(&self, frame: &FrameBuilder) {
        let mut counts = [0u64; Form::ALL.len()];
        for (_, record) in frame.records() {
            counts[usize::from(record[1])] += 1;
        }
        let counters = [
            Counter::RawRecords,
            Counter::ZstdRecords,
            Counter::SpliceRecords,
            Counter::ChunkRecords,
        ];
        for (counter, count) in counters.into_iter().zip(counts) {
            if count > 0 {
                self.metrics.add(counter, count);
            }
        }
    }

    fn count_commit(&self, vst: &Vst, writer: &Writer<'_>, elapsed_ns: u64) {
        let metrics = &self.metrics;
        if vst.paths_added > 0 {
            metrics.add(Counter::PathsAdded, vst.paths_added);
            metrics.add(Counter::PathBytesAdded, vst.path_bytes_added);
        }
        let path_bytes = metrics.get(Counter::PathBytesAdded);
        let path_len = path_bytes / metrics.get(Counter::PathsAdded).max(1);
        let git = writer.git_object_bytes + git_model::commit_bytes(vst.tree.files(), path_len);
        metrics.add(Counter::Commits, 1);
        metrics.add(Counter::NewObjects, writer.new_objects);
        metrics.add(Counter::NewBytes, writer.new_bytes);
        metrics.add(Counter::GitBytes, git);
        metrics.record_commit_ns(elapsed_ns);
    }
}

pub fn now_us() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(age) => age.as_micros() as i64,
        Err(before) => -(before.duration().as_micros() as i64),
    }
}
