//! Worktrees: status, commit and restore of a directory, without the GIL.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use helios_core::engine::commit::CommitOptions;
use helios_core::engine::progress::Phase;
use helios_core::engine::worktree::Worktree as Core;
use helios_core::worktree::ignored::ignores_directory;
use helios_core::worktree::{watch, Index, Reports, ScanOptions, Warning};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert::{parse_id, path_to_python, Content, Text};
use crate::detached;
use crate::diff::Diff;
use crate::engine::Shared;
use crate::errors::Failure;
use crate::snapshot::Snapshot;

/// A path and the reason why it was passed over.
pub type Warned<'py> = (Bound<'py, PyAny>, String);
/// Paths written, paths deleted, warnings, id of the tree that is on disk then.
type Restored<'py> =
    (Vec<Bound<'py, PyAny>>, Vec<Bound<'py, PyAny>>, Vec<Warned<'py>>, Option<String>);

pub fn warnings_to_python<'py>(
    py: Python<'py>,
    warnings: Vec<Warning>,
) -> PyResult<Vec<Warned<'py>>> {
    warnings
        .into_iter()
        .map(|warning| Ok((path_to_python(py, &warning.path)?, warning.reason)))
        .collect()
}

#[pyclass(frozen, module = "helios._core")]
pub struct Worktree {
    shared: Arc<Shared>,
    name: Option<String>,
    root: PathBuf,
    directory: PathBuf,
    options: ScanOptions,
    /// Whom to ask what has changed.
    reports: Mutex<Reports>,
    /// The index as it was left.
    kept: Mutex<Option<Index>>,
    /// See `unwatched`.
    unwatched: AtomicUsize,
}

impl Worktree {
    pub fn new(
        shared: Arc<Shared>,
        name: Option<String>,
        root: PathBuf,
        directory: PathBuf,
        options: ScanOptions,
    ) -> Worktree {
        let reports = Mutex::new(Reports::Socket(directory.join("watch")));
        let (kept, unwatched) = (Mutex::default(), AtomicUsize::new(0));
        Worktree { shared, name, root, directory, options, reports, kept, unwatched }
    }

    /// Runs `body` under the worktree's lock and without the GIL.
    fn run<T: Send>(
        &self,
        py: Python<'_>,
        body: impl FnOnce(&mut Core<'_>) -> helios_core::error::Result<T> + Send,
    ) -> PyResult<T> {
        let engine = &*self.shared.engine;
        let result = py.detach(|| -> Result<T, Failure> {
            let options = self.options.clone();
            let kept = self.kept.lock().take();
            let mut worktree = Core::open(engine, &self.root, &self.directory, options, kept)?;
            worktree.reports = Some(self.reports.lock().clone());
            let done = body(&mut worktree)?;
            self.unwatched.fetch_max(worktree.unwatched(), Ordering::Relaxed);
            *self.kept.lock() = Some(worktree.into_index());
            Ok(done)
        });
        engine.progress().begin(Phase::Idle, 0);
        Ok(result?)
    }
}

fn paths_to_python<'py>(py: Python<'py>, paths: Vec<Vec<u8>>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    paths.iter().map(|path| path_to_python(py, path)).collect()
}

#[pymethods]
impl Worktree {
    /// What differs between a snapshot (None: nothing) and the disk, and warnings.
    fn status<'py>(
        &self,
        py: Python<'py>,
        head: Option<&str>,
    ) -> PyResult<(Diff, Vec<Warned<'py>>)> {
        let head = head.map(parse_id).transpose()?;
        let (changes, warnings) = self.run(py, |worktree| worktree.status(head))?;
        let diff = Diff::of_worktree(py, &self.shared, changes, self.root.clone())?;
        Ok((diff, warnings_to_python(py, warnings)?))
    }

    /// The id of the tree that was on disk when it was last committed or restored.
    fn tree(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let tree = self.run(py, |worktree| Ok(worktree.tree()))?;
        Ok(tree.map(|id| id.to_hex()))
    }

    /// Commits the disk to a branch, which must be at `base`, or to none; the snapshot and
    /// warnings. What was `merged` is a further parent. To `scan` is to look at everything, also
    /// where a watch knows what has changed. `notes` are lines about the operation.
    #[pyo3(signature = (
        branch, base, message, *, author, metadata, allow_empty, command, notes = Vec::new(),
        merged = None, scan = false
    ))]
    #[allow(clippy::too_many_arguments)]
    fn commit<'py>(
        &self,
        py: Python<'py>,
        branch: Option<Text>,
        base: Option<&str>,
        message: Text,
        author: Option<Text>,
        metadata: Option<&Bound<'py, PyDict>>,
        allow_empty: bool,
        command: &str,
        notes: Vec<String>,
        merged: Option<&str>,
        scan: bool,
    ) -> PyResult<(Snapshot, Vec<Warned<'py>>)> {
        let base = base.map(parse_id).transpose()?;
        let merged = merged.map(parse_id).transpose()?;
        let branch = branch.as_ref().map(|name| name.0.as_str());
        let mut options = CommitOptions {
            message: message.0.into(),
            author: author.map_or_else(|| self.shared.author.clone(), |name| name.0.into()),
            allow_empty,
            actor: self.shared.actor(self.name.as_deref()),
            command: self.shared.command(command, &notes),
            ..CommitOptions::default()
        };
        if let Some(metadata) = metadata {
            for (key, value) in metadata {
                let value: Content = value.extract()?;
                options.metadata.insert(key.extract::<Text>()?.0.into(), value.0.to_vec());
            }
        }
        let (committed, warnings) = self.run(py, |worktree| {
            if scan {
                worktree.doubt();
            }
            worktree.commit(branch, base, merged, &options)
        })?;
        self.shared.after_commit();
        Ok((Snapshot::committed(committed), warnings_to_python(py, warnings)?))
    }

    /// Brings the disk, which must just have been committed, to a snapshot.
    #[pyo3(signature = (snapshot, paths, *, dry_run))]
    fn restore<'py>(
        &self,
        py: Python<'py>,
        snapshot: &str,
        paths: Option<Vec<Vec<u8>>>,
        dry_run: bool,
    ) -> PyResult<Restored<'py>> {
        let target = parse_id(snapshot)?;
        let restored = self.run(py, |worktree| match dry_run {
            true => worktree.restore_plan(&target, paths.as_deref()),
            false => worktree.restore(&target, paths.as_deref()),
        })?;
        Ok((
            paths_to_python(py, restored.written)?,
            paths_to_python(py, restored.deleted)?,
            warnings_to_python(py, restored.warnings)?,
            restored.tree.map(|id| id.to_hex()),
        ))
    }

    /// Fills this worktree, which is new and empty, with a snapshot, and with ignored files of the
    /// main worktree: files, bytes, files of shared content, ignored files, warnings.
    fn populate<'py>(
        &self,
        py: Python<'py>,
        snapshot: &str,
        main: PathBuf,
        main_directory: PathBuf,
    ) -> PyResult<(u64, u64, u64, u64, Vec<Warned<'py>>)> {
        let snapshot = parse_id(snapshot)?;
        let (index, carried) = (main_directory.join("index"), self.directory.join("carried"));
        let done =
            self.run(py, |worktree| worktree.populate(&snapshot, &main, &index, &carried))?;
        let written = done.materialized;
        let warnings = warnings_to_python(py, written.warnings)?;
        Ok((written.files, written.bytes, done.shared, done.carried, warnings))
    }

    /// Ignored files that would be lost with the directory, and cannot be made again.
    fn leftovers<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let carried = self.directory.join("carried");
        paths_to_python(py, self.run(py, |worktree| worktree.leftovers(&carried))?)
    }

    /// Whether a directory, which need not be there, is ignored.
    fn ignores(&self, py: Python<'_>, path: Vec<u8>) -> bool {
        py.detach(|| ignores_directory(&self.root, &self.options, &path))
    }

    /// How many entries were looked at, since this was last asked, only because nobody watches.
    fn unwatched(&self) -> usize {
        self.unwatched.swap(0, Ordering::Relaxed)
    }

    /// Reports what may change in the directory, to this and to who asks. Raises `StorageError`
    /// where that cannot be had.
    fn watcher(&self) -> PyResult<Watcher> {
        let watcher = watch::Watcher::new(&self.root, &self.directory, false);
        let watcher = watcher.map_err(Failure::from)?;
        *self.reports.lock() = watcher.reports();
        Ok(Watcher(watcher))
    }

    /// Has all directories of the last commit watched; whether one was not, so that something may
    /// have gone unnoticed. `changed` says whether the commit found a difference.
    fn cover(&self, py: Python<'_>, watcher: &Watcher, changed: bool) -> PyResult<bool> {
        self.run(py, |worktree| {
            let directories = worktree.directories();
            let mut state = watcher.0.state().lock();
            state.cover(&directories, |path| worktree.knows(path), changed)
        })
    }
}

/// Reports of the system that something in a worktree may have changed.
#[pyclass(frozen, module = "helios._core")]
pub struct Watcher(watch::Watcher);

#[pymethods]
impl Watcher {
    /// Becomes readable when there is something to take.
    fn fileno(&self) -> i32 {
        self.0.descriptor()
    }

    /// Whether something that may matter was reported since this was last asked.
    fn take(&self, py: Python<'_>) -> bool {
        py.detach(|| self.0.take())
    }
}

/// Knows what changes in a worktree, and tells who asks.
#[pyclass(frozen, module = "helios._core")]
pub struct Monitor(watch::Monitor);

#[pymethods]
impl Monitor {
    /// Raises `StorageError` where the system reports nothing, or not so much.
    #[new]
    fn new(
        py: Python<'_>,
        root: PathBuf,
        directory: PathBuf,
        excludes_file: Option<PathBuf>,
        main: Option<PathBuf>,
    ) -> PyResult<Monitor> {
        let options = ScanOptions { excludes_file, main, threads: 0 };
        let monitor = py.detach(|| watch::Monitor::new(&root, &directory, options));
        Ok(Monitor(monitor.map_err(Failure::from)?))
    }

    /// Scans everything; whether there is anything to say of this directory at all.
    fn look(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(py.detach(|| self.0.look()).map_err(Failure::from)?)
    }

    /// Whether nobody can be answered before the next look.
    fn is_at_a_loss(&self) -> bool {
        self.0.is_at_a_loss()
    }

    /// How often somebody has asked.
    fn questions(&self) -> u64 {
        self.0.watcher().state().lock().questions()
    }

    /// Whether somebody has asked it to make way.
    fn is_unwanted(&self) -> bool {
        self.0.watcher().is_unwanted()
    }

    /// Becomes readable when there is something to take, or it is to make way.
    fn fileno(&self) -> i32 {
        self.0.watcher().descriptor()
    }

    /// Whether something that may matter was reported since this was last asked.
    fn take(&self, py: Python<'_>) -> bool {
        py.detach(|| self.0.watcher().take())
    }
}

/// Asks the monitor that listens in a directory to make way; whether it will, and None if nobody
/// listens.
#[pyfunction]
pub fn ask_to_leave(py: Python<'_>, directory: PathBuf) -> Option<bool> {
    py.detach(|| watch::ask_to_leave(&directory))
}

/// Starts a program that goes on when this process ends, and reads and shows nothing. Whether it
/// could be started.
#[pyfunction]
pub fn start(py: Python<'_>, command: Vec<OsString>) -> bool {
    py.detach(|| detached::command(&command).is_some_and(detached::start))
}
