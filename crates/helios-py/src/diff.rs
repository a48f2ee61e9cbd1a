//! Differences of two trees.

use std::path::PathBuf;
use std::sync::Arc;

use helios_core::diff::{self, take_renames};
use helios_core::engine;
use helios_core::error::Error;
use helios_core::platform::{path_from_bytes, read_link};
use helios_core::store::ObjectReader;
use helios_core::tree::{Entry, EntryKind};
use helios_core::vst;
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::convert::path_to_python;
use crate::engine::Shared;
use crate::errors::Failure;

/// One side of a change.
#[derive(Clone, Copy)]
struct Side(Option<Entry>);

impl Side {
    fn id(self) -> Option<String> {
        self.0.filter(|entry| entry.kind != EntryKind::Directory).map(|entry| entry.id.to_hex())
    }

    fn size(self) -> Option<u64> {
        self.0.filter(|entry| entry.kind != EntryKind::Directory).map(|entry| entry.size)
    }

    fn kind(self) -> Option<&'static str> {
        self.0.map(|entry| entry.kind.name())
    }
}

/// A path that was added, changed or deleted.
#[pyclass(frozen, module = "helios")]
pub struct Change {
    path: Vec<u8>,
    old: Side,
    new: Side,
}

#[pymethods]
impl Change {
    #[getter]
    fn path<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        path_to_python(py, &self.path)
    }

    #[getter]
    fn path_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.path)
    }

    #[getter]
    fn old_id(&self) -> Option<String> {
        self.old.id()
    }

    #[getter]
    fn new_id(&self) -> Option<String> {
        self.new.id()
    }

    /// Bytes, `None` where there is no content.
    #[getter]
    fn old_size(&self) -> Option<u64> {
        self.old.size()
    }

    #[getter]
    fn new_size(&self) -> Option<u64> {
        self.new.size()
    }

    /// `file`, `executable`, `symlink`, `directory` or `submodule`.
    #[getter]
    fn old_kind(&self) -> Option<&'static str> {
        self.old.kind()
    }

    #[getter]
    fn new_kind(&self) -> Option<&'static str> {
        self.new.kind()
    }

    fn __repr__(&self) -> String {
        let path = String::from_utf8_lossy(&self.path);
        let sizes = (self.old.size(), self.new.size());
        format!("Change({path:?}, {:?} -> {:?} bytes)", sizes.0, sizes.1)
    }
}

/// A file that moved with its content unchanged.
#[pyclass(frozen, module = "helios")]
pub struct Rename {
    from: Vec<u8>,
    to: Vec<u8>,
    entry: Entry,
}

#[pymethods]
impl Rename {
    #[getter]
    fn old_path<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        path_to_python(py, &self.from)
    }

    #[getter]
    fn path<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        path_to_python(py, &self.to)
    }

    #[getter]
    fn id(&self) -> String {
        self.entry.id.to_hex()
    }

    #[getter]
    fn size(&self) -> u64 {
        self.entry.size
    }

    fn __repr__(&self) -> String {
        let (from, to) = (String::from_utf8_lossy(&self.from), String::from_utf8_lossy(&self.to));
        format!("Rename({from:?} -> {to:?})")
    }
}

/// Where the content of a diff's new side is.
enum NewSide {
    Stored,
    Disk(PathBuf),
    /// In a VST that may not be committed; this is a fork of it.
    Vst(Box<Mutex<vst::Vst>>),
}

/// What differs between two trees. A directory is listed only where it holds no file.
#[pyclass(frozen, module = "helios")]
pub struct Diff {
    engine: Arc<engine::Engine>,
    new_side: NewSide,
    added: Py<PyList>,
    changed: Py<PyList>,
    deleted: Py<PyList>,
    renamed: Py<PyList>,
}

impl Diff {
    pub fn new(
        py: Python<'_>,
        engine: Arc<engine::Engine>,
        changes: Vec<diff::Change>,
    ) -> PyResult<Diff> {
        Diff::build(py, engine, changes, NewSide::Stored)
    }

    /// A diff whose new side is what is on disk under `root`.
    pub fn of_worktree(
        py: Python<'_>,
        shared: &Shared,
        changes: Vec<diff::Change>,
        root: PathBuf,
    ) -> PyResult<Diff> {
        Diff::build(py, Arc::clone(&shared.engine), changes, NewSide::Disk(root))
    }

    /// A diff whose new side is what a VST held.
    pub fn of_vst(
        py: Python<'_>,
        shared: &Shared,
        changes: Vec<diff::Change>,
        fork: vst::Vst,
    ) -> PyResult<Diff> {
        let fork = NewSide::Vst(Box::new(Mutex::new(fork)));
        Diff::build(py, Arc::clone(&shared.engine), changes, fork)
    }

    fn build(
        py: Python<'_>,
        engine: Arc<engine::Engine>,
        mut changes: Vec<diff::Change>,
        new_side: NewSide,
    ) -> PyResult<Diff> {
        changes.retain(|change| !is_directory_with_files(change));
        let renames = take_renames(&mut changes);
        let lists = [PyList::empty(py), PyList::empty(py), PyList::empty(py)];
        for change in changes {
            let list = match (&change.old, &change.new) {
                (None, _) => 0,
                (Some(_), Some(_)) => 1,
                (Some(_), None) => 2,
            };
            let (old, new) = (Side(change.old), Side(change.new));
            lists[list].append(Py::new(py, Change { path: change.path, old, new })?)?;
        }
        let renamed = PyList::empty(py);
        for diff::Rename { from, to, entry } in renames {
            renamed.append(Py::new(py, Rename { from, to, entry })?)?;
        }
        let [added, changed, deleted] = lists.map(Bound::unbind);
        Ok(Diff { engine, new_side, added, changed, deleted, renamed: renamed.unbind() })
    }
}

fn is_directory_with_files(change: &diff::Change) -> bool {
    let entry = change.old.as_ref().or(change.new.as_ref());
    entry.is_some_and(|entry| entry.kind == EntryKind::Directory && entry.size > 0)
}

#[pymethods]
impl Diff {
    #[getter]
    fn added(&self, py: Python<'_>) -> Py<PyList> {
        self.added.clone_ref(py)
    }

    #[getter]
    fn changed(&self, py: Python<'_>) -> Py<PyList> {
        self.changed.clone_ref(py)
    }

    #[getter]
    fn deleted(&self, py: Python<'_>) -> Py<PyList> {
        self.deleted.clone_ref(py)
    }

    #[getter]
    fn renamed(&self, py: Python<'_>) -> Py<PyList> {
        self.renamed.clone_ref(py)
    }

    /// The unified diff of one change, as bytes; `None` if either side is binary. The new side of a
    /// worktree's change is read from disk.
    fn text<'py>(
        &self,
        py: Python<'py>,
        change: &Bound<'py, Change>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let change = change.get();
        let content = |side: Side| -> Result<Arc<[u8]>, Failure> {
            match side.0.filter(|entry| entry.kind.has_content()) {
                Some(entry) => Ok(self.engine.object(&entry.id)?.bytes),
                None => Ok(Arc::from(&b""[..])),
            }
        };
        let path = String::from_utf8_lossy(&change.path).into_owned();
        let name = |side: Side, prefix: &str| match side.0 {
            Some(_) => format!("{prefix}/{path}"),
            None => "/dev/null".to_owned(),
        };
        let (old_name, new_name) = (name(change.old, "a"), name(change.new, "b"));
        let text = py.detach(|| -> Result<_, Failure> {
            let old = content(change.old)?;
            let new = match (&self.new_side, change.new.0) {
                (NewSide::Disk(root), Some(entry)) if entry.kind.has_content() => {
                    let place = root.join(path_from_bytes(&change.path));
                    let read = match entry.kind {
                        EntryKind::Symlink => read_link(&place),
                        _ => std::fs::read(&place),
                    };
                    read.map_err(|error| Error::io(&place, error))?.into()
                }
                (NewSide::Vst(fork), Some(entry)) if entry.kind.has_content() => {
                    fork.lock().read(&change.path, &*self.engine)?
                }
                _ => content(change.new)?,
            };
            Ok(diff::unified(&old, &new, &old_name, &new_name))
        })?;
        Ok(text.map(|text| PyBytes::new(py, &text)))
    }

    fn __bool__(&self, py: Python<'_>) -> bool {
        self.__len__(py) > 0
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        let lists = [&self.added, &self.changed, &self.deleted, &self.renamed];
        lists.iter().map(|list| list.bind(py).len()).sum()
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let count = |list: &Py<PyList>| list.bind(py).len();
        format!(
            "Diff(added={}, changed={}, deleted={}, renamed={})",
            count(&self.added),
            count(&self.changed),
            count(&self.deleted),
            count(&self.renamed)
        )
    }
}
