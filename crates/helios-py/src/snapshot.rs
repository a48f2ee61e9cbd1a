//! Snapshots, and what a commit did.

use std::hash::{DefaultHasher, Hash, Hasher};

use helios_core::engine::commit::Committed;
use helios_core::id::Id;
use helios_core::object;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use crate::convert::text_to_python;

/// What one commit wrote, and how long it took.
#[pyclass(frozen, module = "helios", get_all)]
#[derive(Clone)]
pub struct CommitStats {
    new_objects: u64,
    new_bytes: u64,
    journal_bytes: u64,
    elapsed_us: f64,
}

#[pymethods]
impl CommitStats {
    fn __repr__(&self) -> String {
        format!(
            "CommitStats(new_objects={}, new_bytes={}, journal_bytes={}, elapsed_us={:.1})",
            self.new_objects, self.new_bytes, self.journal_bytes, self.elapsed_us
        )
    }
}

#[pyclass(frozen, module = "helios")]
pub struct Snapshot {
    id: Id,
    snapshot: object::Snapshot,
    stats: Option<CommitStats>,
}

impl Snapshot {
    pub fn new(id: Id, snapshot: object::Snapshot) -> Snapshot {
        Snapshot { id, snapshot, stats: None }
    }

    pub fn core_id(&self) -> Id {
        self.id
    }

    pub fn committed(committed: Committed) -> Snapshot {
        let stats = committed.is_new.then_some(CommitStats {
            new_objects: committed.new_objects,
            new_bytes: committed.new_bytes,
            journal_bytes: committed.journal_bytes,
            elapsed_us: committed.elapsed_ns as f64 / 1000.0,
        });
        Snapshot { id: committed.id, snapshot: committed.snapshot, stats }
    }
}

#[pymethods]
impl Snapshot {
    /// The id, 64 hexadecimal digits.
    #[getter]
    fn id(&self) -> String {
        self.id.to_hex()
    }

    #[getter]
    fn tree_id(&self) -> String {
        self.snapshot.tree.to_hex()
    }

    #[getter]
    fn parents(&self) -> Vec<String> {
        self.snapshot.parents.iter().map(Id::to_hex).collect()
    }

    /// Seconds since 1970-01-01 UTC.
    #[getter]
    fn time(&self) -> f64 {
        self.snapshot.time_us as f64 / 1e6
    }

    /// Microseconds since 1970-01-01 UTC.
    #[getter]
    fn time_us(&self) -> i64 {
        self.snapshot.time_us
    }

    #[getter]
    fn author<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        text_to_python(py, &self.snapshot.author)
    }

    #[getter]
    fn message<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        text_to_python(py, &self.snapshot.message)
    }

    /// Metadata, str to bytes.
    #[getter]
    fn metadata<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let metadata = PyDict::new(py);
        for (key, value) in &self.snapshot.metadata {
            metadata.set_item(text_to_python(py, key), PyBytes::new(py, value))?;
        }
        Ok(metadata)
    }

    /// What the commit that gave this object wrote; `None` if it wrote nothing, or if the snapshot
    /// was looked up.
    #[getter]
    fn stats(&self) -> Option<CommitStats> {
        self.stats.clone()
    }

    fn __str__(&self) -> String {
        self.id.to_hex()
    }

    fn __repr__(&self) -> String {
        let message = String::from_utf8_lossy(&self.snapshot.message);
        let subject = message.lines().next().unwrap_or_default();
        format!("Snapshot({}, {subject:?})", &self.id.to_hex()[..12])
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Snapshot>().is_ok_and(|other| other.get().id == self.id)
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.id.hash(&mut hasher);
        hasher.finish()
    }
}
