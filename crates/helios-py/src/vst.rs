//! The virtual state tree, as Python uses it: a mapping of paths to content, with commits.

use std::sync::Arc;

use helios_core::engine::commit::CommitOptions;
use helios_core::engine::merge::Rebased;
use helios_core::engine::Engine;
use helios_core::error::Error;
use helios_core::id::Id;
use helios_core::tree::{check_path, Entry as CoreEntry, EntryKind};
use helios_core::vst;
use parking_lot::Mutex;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::convert::{path_to_python, Content, Text, TreePath};
use crate::diff::Diff;
use crate::engine::Shared;
use crate::entry::Entry;
use crate::errors::Failure;
use crate::merge;
use crate::snapshot::Snapshot;
use crate::HEAVY_BYTES;

/// A working set over a snapshot. Threads may share it; calls are atomic.
#[pyclass(frozen, module = "helios", name = "VST")]
pub struct Vst {
    shared: Arc<Shared>,
    vst: Mutex<vst::Vst>,
}

impl Vst {
    pub fn new(shared: Arc<Shared>, vst: vst::Vst) -> Vst {
        Vst { shared, vst: Mutex::new(vst) }
    }

    fn with<T>(
        &self,
        py: Python<'_>,
        body: impl FnOnce(&mut vst::Vst, &Engine) -> Result<T, Error>,
    ) -> PyResult<T> {
        let mut vst = self.vst.lock_py_attached(py);
        Ok(body(&mut vst, &self.shared.engine).map_err(Failure::from)?)
    }
}

fn kind_of(executable: bool, symlink: bool) -> PyResult<EntryKind> {
    match (executable, symlink) {
        (false, false) => Ok(EntryKind::File),
        (true, false) => Ok(EntryKind::Executable),
        (false, true) => Ok(EntryKind::Symlink),
        (true, true) => Err(PyValueError::new_err("a symlink cannot be executable")),
    }
}

#[pymethods]
impl Vst {
    /// The content of a file, or the target of a symlink.
    fn read<'py>(&self, py: Python<'py>, path: TreePath) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.with(py, |vst, engine| vst.read(&path.0, engine))?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Sets the content of a file, and makes the directories above it.
    #[pyo3(signature = (path, content, *, executable = false, symlink = false))]
    fn write(
        &self,
        py: Python<'_>,
        path: TreePath,
        content: Content,
        executable: bool,
        symlink: bool,
    ) -> PyResult<()> {
        let kind = kind_of(executable, symlink)?;
        self.with(py, |vst, engine| vst.write(&path.0, content.0, kind, engine))
    }

    /// Removes a file, or a directory with all below it.
    fn delete(&self, py: Python<'_>, path: TreePath) -> PyResult<()> {
        self.with(py, |vst, engine| vst.delete(&path.0, engine))
    }

    /// Moves a file or a directory.
    fn rename(&self, py: Python<'_>, old: TreePath, new: TreePath) -> PyResult<()> {
        self.with(py, |vst, engine| vst.rename(&old.0, &new.0, engine))
    }

    /// Makes an empty directory, and those above it.
    fn mkdir(&self, py: Python<'_>, path: TreePath) -> PyResult<()> {
        self.with(py, |vst, engine| vst.create_directory(&path.0, engine))
    }

    fn exists(&self, py: Python<'_>, path: TreePath) -> PyResult<bool> {
        self.with(py, |vst, engine| Ok(vst.entry(&path.0, engine)?.is_some()))
    }

    /// `file`, `executable`, `symlink`, `directory`, `submodule`, or `None` if nothing is there.
    fn kind(&self, py: Python<'_>, path: TreePath) -> PyResult<Option<&'static str>> {
        let entry = self.with(py, |vst, engine| vst.entry(&path.0, engine))?;
        Ok(entry.map(|entry| entry.kind.name()))
    }

    /// The names in a directory; the root by default.
    #[pyo3(signature = (path = TreePath(Vec::new())))]
    fn list<'py>(&self, py: Python<'py>, path: TreePath) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let listed = self.with(py, |vst, engine| vst.list(&path.0, engine))?;
        listed.iter().map(|child| path_to_python(py, &child.name)).collect()
    }

    /// What is at a path.
    fn entry(&self, py: Python<'_>, path: TreePath) -> PyResult<Entry> {
        let found = self.with(py, |vst, engine| vst.entry(&path.0, engine))?;
        let missing = || Error::PathNotFound { path: String::from_utf8_lossy(&path.0).into() };
        Entry::new(py, &path.0, &found.ok_or_else(missing).map_err(Failure::from)?)
    }

    /// What is in a directory, in order; the root by default. With `recursive` also all below it.
    #[pyo3(signature = (path = TreePath(Vec::new()), *, recursive = false))]
    fn entries(&self, py: Python<'_>, path: TreePath, recursive: bool) -> PyResult<Vec<Entry>> {
        let listed = self.with(py, |vst, engine| {
            let mut listed = Vec::new();
            if recursive {
                let pending_id = |bytes: &Arc<[u8]>| Id::of_blob(bytes);
                vst.tree().walk(&path.0, engine, &mut |path, entry, pending| {
                    let id = pending.map_or(entry.id, pending_id);
                    listed.push((path.to_vec(), CoreEntry { id, ..*entry }));
                    Ok(())
                })?;
                return Ok(listed);
            }
            let mut above = path.0.clone();
            if !above.is_empty() {
                above.push(b'/');
            }
            for child in vst.list(&path.0, engine)? {
                listed.push(([above.as_slice(), &child.name].concat(), child.entry));
            }
            Ok(listed)
        })?;
        listed.into_iter().map(|(path, entry)| Entry::new(py, &path, &entry)).collect()
    }

    /// All paths of files below a directory, in order; the root by default.
    #[pyo3(signature = (path = TreePath(Vec::new())))]
    fn walk<'py>(&self, py: Python<'py>, path: TreePath) -> PyResult<Bound<'py, PyList>> {
        let paths = self.with(py, |vst, engine| {
            let mut paths = Vec::new();
            vst.tree().walk(&path.0, engine, &mut |path, entry, _| {
                if entry.kind != EntryKind::Directory {
                    paths.push(path.to_vec());
                }
                Ok(())
            })?;
            Ok(paths)
        })?;
        let list = PyList::empty(py);
        for path in paths {
            list.append(path_to_python(py, &path)?)?;
        }
        Ok(list)
    }

    /// A VST with the same content that goes its own way, in constant time. Its commits move
    /// `branch`, which must not exist yet, or no branch.
    #[pyo3(signature = (branch = None))]
    fn fork(&self, py: Python<'_>, branch: Option<&str>) -> PyResult<Vst> {
        let reference = branch.map(|name| self.shared.new_branch(py, name)).transpose()?;
        let mut fork = self.vst.lock_py_attached(py).fork(reference.clone());
        if reference.is_some() {
            fork = fork.on_new_branch();
        }
        Ok(Vst::new(Arc::clone(&self.shared), fork))
    }

    /// Makes what was written a snapshot and moves the branch there. Without a change the last
    /// snapshot is given back, unless `allow_empty`. With `on_conflict="retry"` a branch that has
    /// moved is followed: what was written is merged into what is there now.
    #[pyo3(signature = (
        message = Text::default(), *, author = None, metadata = None, allow_empty = false,
        time_us = None, on_conflict = "fail"
    ))]
    #[allow(clippy::too_many_arguments)]
    pub fn commit(
        &self,
        py: Python<'_>,
        message: Text,
        author: Option<Text>,
        metadata: Option<&Bound<'_, PyDict>>,
        allow_empty: bool,
        time_us: Option<i64>,
        on_conflict: &str,
    ) -> PyResult<Snapshot> {
        let follows = merge::follows(on_conflict)?;
        let mut options = CommitOptions {
            message: message.0.into(),
            author: author.map_or_else(|| self.shared.author.clone(), |name| name.0.into()),
            time_us,
            allow_empty,
            actor: self.shared.actor(None),
            command: self.shared.command("commit", &[]),
            ..CommitOptions::default()
        };
        if let Some(metadata) = metadata {
            for (key, value) in metadata {
                let value: Content = value.extract()?;
                options.metadata.insert(key.extract::<Text>()?.0.into(), value.0.to_vec());
            }
        }
        let engine = &self.shared.engine;
        if follows {
            let rebased = py.detach(|| {
                engine.commit_rebased(&mut self.vst.lock(), &options).map_err(Failure::from)
            })?;
            self.shared.after_commit();
            return match rebased {
                Rebased::Committed(committed) => Ok(Snapshot::committed(committed)),
                Rebased::Conflicts { head, yours, conflicts } => {
                    let what = format!("the branch has moved to {head}, which does not merge");
                    Err(merge::conflict_error(py, &what, &conflicts, Some(yours))?)
                }
            };
        }
        let mut vst = self.vst.lock_py_attached(py);
        let heavy = vst.pending_bytes() > HEAVY_BYTES || self.shared.waits_for_disk();
        let committed = match heavy {
            false => engine.commit(&mut vst, &options).map_err(Failure::from)?,
            true => {
                drop(vst);
                py.detach(|| engine.commit(&mut self.vst.lock(), &options).map_err(Failure::from))?
            }
        };
        self.shared.after_commit();
        Ok(Snapshot::committed(committed))
    }

    /// Takes the content of another snapshot; the next commit makes it the branch's.
    fn restore(&self, py: Python<'_>, snapshot: &Bound<'_, PyAny>) -> PyResult<()> {
        let id = self.shared.resolve(py, snapshot)?;
        self.with(py, |vst, engine| {
            let tree = engine.tree(&id)?;
            vst.replace_tree(tree);
            Ok(())
        })
    }

    /// What differs from a snapshot; from the one the VST is based on by default.
    #[pyo3(signature = (snapshot = None))]
    fn diff(&self, py: Python<'_>, snapshot: Option<&Bound<'_, PyAny>>) -> PyResult<Diff> {
        let given = snapshot.map(|snapshot| self.shared.resolve(py, snapshot)).transpose()?;
        let (changes, fork) = self.with(py, |vst, engine| {
            let old = match given.or(vst.base()) {
                Some(id) => engine.tree(&id)?,
                None => helios_core::tree::Tree::default(),
            };
            Ok((engine.diff(&old, vst.tree())?, vst.fork(None)))
        })?;
        Diff::of_vst(py, &self.shared, changes, fork)
    }

    /// The branch that commits move.
    #[getter]
    fn branch(&self, py: Python<'_>) -> Option<String> {
        let vst = self.vst.lock_py_attached(py);
        vst.branch().map(helios_core::engine::refs::branch_of)
    }

    /// The id of the snapshot that the VST is based on.
    #[getter]
    fn base(&self, py: Python<'_>) -> Option<String> {
        self.vst.lock_py_attached(py).base().map(|id| id.to_hex())
    }

    /// Whether anything may have changed since the last commit.
    #[getter]
    fn dirty(&self, py: Python<'_>) -> bool {
        self.vst.lock_py_attached(py).is_dirty()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, path: TreePath) -> PyResult<Bound<'py, PyBytes>> {
        self.read(py, path)
    }

    fn __setitem__(&self, py: Python<'_>, path: TreePath, content: Content) -> PyResult<()> {
        self.write(py, path, content, false, false)
    }

    fn __delitem__(&self, py: Python<'_>, path: TreePath) -> PyResult<()> {
        self.delete(py, path)
    }

    fn __contains__(&self, py: Python<'_>, path: TreePath) -> PyResult<bool> {
        // What cannot be a path is not in the tree either.
        Ok(check_path(&path.0).is_ok() && self.exists(py, path)?)
    }

    /// The content of a file, or `default` if there is none.
    #[pyo3(signature = (path, default = None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        path: TreePath,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let is_file = |entry: helios_core::tree::Entry| entry.kind.has_content();
        let found =
            self.with(py, |vst, engine| Ok(vst.entry(&path.0, engine)?.is_some_and(is_file)))?;
        match found {
            true => Ok(Some(self.read(py, path)?.into_any())),
            false => Ok(default),
        }
    }

    /// All paths of files, as `walk` gives them.
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.walk(py, TreePath(Vec::new()))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.walk(py, TreePath(Vec::new()))?.try_iter()?.into_any())
    }

    /// The number of files.
    fn __len__(&self, py: Python<'_>) -> usize {
        self.vst.lock_py_attached(py).tree().files() as usize
    }

    /// A VST is true even without a file.
    fn __bool__(&self) -> bool {
        true
    }

    fn __enter__(slf: Py<Vst>) -> Py<Vst> {
        slf
    }

    /// Commits on success; on an exception what was written since the last commit is dropped.
    fn __exit__(
        &self,
        py: Python<'_>,
        exception: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        if exception.is_none() {
            // Nothing was written to a branch that does not exist: there is nothing to make it of.
            if !self.vst.lock_py_attached(py).is_void() {
                self.commit(py, Text::default(), None, None, false, None, "fail")?;
            }
            return Ok(false);
        }
        self.with(py, |vst, engine| {
            let tree = match vst.base() {
                Some(id) => engine.tree(&id)?,
                None => helios_core::tree::Tree::default(),
            };
            vst.replace_tree(tree);
            Ok(())
        })?;
        Ok(false)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let vst = self.vst.lock_py_attached(py);
        let branch = vst.branch().map(helios_core::engine::refs::branch_of);
        let base = vst.base().map(|id| id.to_hex()[..12].to_owned());
        format!(
            "VST(branch={}, base={}, files={}, dirty={})",
            branch.as_deref().unwrap_or("None"),
            base.as_deref().unwrap_or("None"),
            vst.tree().files(),
            if vst.is_dirty() { "True" } else { "False" }
        )
    }
}
