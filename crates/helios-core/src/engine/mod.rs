//! The engine: journal, cache, L2 and metrics of one repository, wired together.

mod capture;
pub mod commit;
pub mod epoch;
pub mod gc;
mod git_model;
pub mod materialize;
pub mod merge;
pub mod objects;
mod populate;
pub mod progress;
pub mod refs;
pub mod salvage;
pub mod verify;
pub mod worktree;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::cache::Cache;
use crate::diff::{self, Change};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::journal::frame::FrameBuilder;
use crate::journal::{Durability, Journal};
use crate::metrics::{Counter, Metrics};
use crate::object::{Kind, Snapshot};
use crate::platform;
use crate::store::{Object, ObjectReader, RecordSource};
use crate::tree::Tree;
use crate::vst::Vst;
use progress::Progress;

/// The version of a repository's layout. A newer one is refused, older ones stay readable.
pub const FORMAT: u64 = 3;
const FORMAT_FILE: &str = "format";

pub struct Engine {
    directory: Option<PathBuf>,
    journal: Journal,
    cache: Cache,
    metrics: Arc<Metrics>,
    store: Option<Arc<dyn RecordSource>>,
    /// The journal's generation when L2 was last looked at.
    store_generation: AtomicU64,
    progress: Progress,
    epoch: RwLock<epoch::Epoch>,
    /// A frame buffer between two commits.
    spare_frame: Mutex<Option<FrameBuilder>>,
}

impl Engine {
    /// Makes the files of an empty repository in `directory`, which may exist and be empty.
    pub fn init(directory: &Path) -> Result<()> {
        Journal::init(&directory.join("journal"))?;
        // Written last: a directory without it is no repository.
        let path = directory.join(FORMAT_FILE);
        let fail = |error| Error::io(&path, error);
        std::fs::write(&path, format!("helios {FORMAT}\n")).map_err(fail)?;
        std::fs::File::open(&path).and_then(|file| file.sync_all()).map_err(fail)?;
        platform::sync_directory(directory).map_err(fail)
    }

    /// Opens a repository; `store` is its L2. A repository that cannot be written is opened for
    /// reading.
    pub fn open(
        directory: &Path,
        durability: Durability,
        cache_bytes_max: usize,
        store: Option<Arc<dyn RecordSource>>,
    ) -> Result<Engine> {
        check_format(directory)?;
        if durability == Durability::Memory {
            let reason = "durability `memory` is for repositories in memory".to_owned();
            return Err(Error::Refused(reason));
        }
        let journal = Journal::open(&directory.join("journal"), durability)?;
        let metrics = match journal.is_writable() {
            true => Metrics::open(&directory.join("metrics"))?,
            false => Metrics::in_memory(),
        };
        let directory = Some(directory.to_path_buf());
        let engine = Engine::wire(directory, journal, metrics, cache_bytes_max, store);
        engine.begin_in_epoch()?;
        Ok(engine)
    }

    /// A repository that ends with the process.
    pub fn in_memory(cache_bytes_max: usize, store: Option<Arc<dyn RecordSource>>) -> Engine {
        Engine::wire(None, Journal::in_memory(), Metrics::in_memory(), cache_bytes_max, store)
    }

    fn wire(
        directory: Option<PathBuf>,
        journal: Journal,
        metrics: Metrics,
        cache_bytes_max: usize,
        store: Option<Arc<dyn RecordSource>>,
    ) -> Engine {
        let metrics = Arc::new(metrics);
        let cache = Cache::new(cache_bytes_max, Arc::clone(&metrics));
        let store_generation = AtomicU64::new(journal.generation());
        Engine {
            directory,
            journal,
            cache,
            metrics,
            store,
            store_generation,
            progress: Progress::default(),
            epoch: RwLock::default(),
            spare_frame: Mutex::new(None),
        }
    }

    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// How far a long operation has got.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The counters, with the gauges of this process brought up to date.
    pub fn metrics(&self) -> &Metrics {
        let (bytes, items) = self.cache.size();
        if items > 0 {
            self.metrics.set(Counter::CacheBytes, bytes as u64);
            self.metrics.set(Counter::CacheItems, items as u64);
        }
        &self.metrics
    }

    /// A snapshot's own object. One that gc is deleting is gone, although it could still be read:
    /// nothing may be built upon it.
    pub fn snapshot(&self, id: &Id) -> Result<Snapshot> {
        match self.is_dead(id)? {
            true => Err(Error::Collected { id: *id }),
            false => self.stored_snapshot(id),
        }
    }

    /// A snapshot's own object, whatever gc has in mind with it.
    fn stored_snapshot(&self, id: &Id) -> Result<Snapshot> {
        let object = self.object(id)?;
        if object.kind != Kind::Snapshot {
            return Err(Error::NotASnapshot { id: *id, found: object.kind.name() });
        }
        Snapshot::decode(&object.bytes).map_err(|error| error.in_object(id))
    }

    /// Many snapshots' own objects, read side by side.
    pub fn snapshots(&self, ids: &[Id]) -> Result<Vec<Snapshot>> {
        let objects = self.objects(ids)?;
        let decode = |(id, object): (&Id, Object)| match object.kind {
            Kind::Snapshot => Snapshot::decode(&object.bytes).map_err(|error| error.in_object(id)),
            kind => Err(Error::NotASnapshot { id: *id, found: kind.name() }),
        };
        ids.iter().zip(objects).map(decode).collect()
    }

    /// The tree of a snapshot.
    pub fn tree(&self, snapshot: &Id) -> Result<Tree> {
        Tree::load(self, &self.snapshot(snapshot)?.tree)
    }

    /// A VST over a branch's snapshot; over nothing if the branch is unborn.
    pub fn vst_of_branch(&self, name: &str) -> Result<Vst> {
        let reference = refs::branch_ref(name)?;
        let base = self.reference(&reference)?;
        self.vst(base, Some(reference))
    }

    /// A VST over a snapshot, or over nothing; commits move `branch` if it has one.
    pub fn vst(&self, snapshot: Option<Id>, branch: Option<Vec<u8>>) -> Result<Vst> {
        // Before anything is read.
        let epoch = self.epoch();
        let Some(id) = snapshot else {
            return Ok(Vst { epoch, ..Vst::new(Tree::default(), None, branch) });
        };
        let tree_id = self.snapshot(&id)?.tree;
        let tree = Tree::load(self, &tree_id)?;
        Ok(Vst { epoch, ..Vst::new(tree, Some((id, tree_id)), branch) })
    }

    /// Says that the repository is of this Helios' version from now on. Must come before anything
    /// that an older one would misread, such as large records in L2.
    pub fn raise_format(&self) -> Result<()> {
        self.directory().map_or(Ok(()), raise_format)
    }

    /// What differs between two trees.
    pub fn diff(&self, old: &Tree, new: &Tree) -> Result<Vec<Change>> {
        diff::trees(old, new, self)
    }
}

/// Says that the repository is of this version from now on; older ones than Helios itself are not
/// to read what is about to be written.
fn raise_format(directory: &Path) -> Result<()> {
    let path = directory.join(FORMAT_FILE);
    let fail = |error| Error::io(&path, error);
    let text = format!("helios {FORMAT}\n");
    if std::fs::read_to_string(&path).map_err(fail)? == text {
        return Ok(());
    }
    let temporary = directory.join("format.tmp");
    std::fs::write(&temporary, text).map_err(fail)?;
    std::fs::File::open(&temporary).and_then(|file| file.sync_all()).map_err(fail)?;
    std::fs::rename(&temporary, &path).map_err(fail)?;
    platform::sync_directory(directory).map_err(fail)
}

fn check_format(directory: &Path) -> Result<()> {
    let path = directory.join(FORMAT_FILE);
    let text = std::fs::read_to_string(&path).map_err(|error| Error::io(&path, error))?;
    let version = text.strip_prefix("helios ").and_then(|rest| rest.trim_end().parse().ok());
    match version {
        Some(1..=FORMAT) => Ok(()),
        Some(newer) if newer > FORMAT => {
            Err(Error::FormatTooNew(path.display().to_string(), newer, FORMAT))
        }
        _ => Err(Error::Malformed(format!("{} holds no format version", path.display()))),
    }
}

#[cfg(test)]
mod tests;
