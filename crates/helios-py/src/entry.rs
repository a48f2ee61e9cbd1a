//! What a directory of a tree holds, as Python sees it.

use helios_core::id::Id;
use helios_core::tree;
use pyo3::prelude::*;

use crate::convert::path_to_python;

/// A file, symlink, directory or submodule of a tree.
#[pyclass(frozen, module = "helios")]
pub struct Entry {
    path: Py<PyAny>,
    entry: tree::Entry,
}

impl Entry {
    pub fn new(py: Python<'_>, path: &[u8], entry: &tree::Entry) -> PyResult<Entry> {
        let entry = tree::Entry { kind: entry.kind, id: entry.id, size: entry.size };
        Ok(Entry { path: path_to_python(py, path)?.unbind(), entry })
    }
}

#[pymethods]
impl Entry {
    #[getter]
    fn path(&self, py: Python<'_>) -> Py<PyAny> {
        self.path.clone_ref(py)
    }

    /// `file`, `executable`, `symlink`, `directory` or `submodule`.
    #[getter]
    fn kind(&self) -> &'static str {
        self.entry.kind.name()
    }

    /// The id of the content; `None` of a directory with changes that are not committed.
    #[getter]
    fn id(&self) -> Option<String> {
        (self.entry.id != Id::UNSEALED).then(|| self.entry.id.to_hex())
    }

    /// Bytes of the content; of a directory, the number of files below it.
    #[getter]
    fn size(&self) -> u64 {
        self.entry.size
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let path = self.path.bind(py).repr()?;
        Ok(format!("Entry({path}, {}, size={})", self.entry.kind.name(), self.entry.size))
    }
}
