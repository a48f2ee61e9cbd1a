//! Merges: what could be brought together, and what could not.

use std::sync::Arc;

use helios_core::engine::commit::now_us;
use helios_core::engine::refs;
use helios_core::id::Id;
use helios_core::journal::frame::{Operation, RefChange};
use helios_core::merge::text::Labels;
use helios_core::merge::{self, Outcome, Version};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::convert::{path_to_python, Text};
use crate::engine::Shared;
use crate::errors::Failure;
use crate::snapshot::Snapshot;
use crate::vst::Vst;

const PATHS_TOLD_MAX: usize = 3;

/// What one of the three trees has at a path that conflicts.
#[pyclass(frozen, module = "helios")]
pub struct ConflictSide(Version);

#[pymethods]
impl ConflictSide {
    /// Where it is there: another path than the conflict's if it was renamed.
    #[getter]
    fn path<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        path_to_python(py, &self.0.path)
    }

    #[getter]
    fn path_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.path)
    }

    #[getter]
    fn kind(&self) -> &'static str {
        self.0.entry.kind.name()
    }

    #[getter]
    fn id(&self) -> String {
        self.0.entry.id.to_hex()
    }

    /// Bytes.
    #[getter]
    fn size(&self) -> u64 {
        self.0.entry.size
    }

    fn __repr__(&self) -> String {
        let path = String::from_utf8_lossy(&self.0.path);
        format!("ConflictSide({path:?}, {}, {} bytes)", self.kind(), self.size())
    }
}

/// A path on which two sides do not go together.
#[pyclass(frozen, module = "helios")]
pub struct PathConflict(merge::Conflict);

impl PathConflict {
    fn side(version: &Option<Version>) -> Option<ConflictSide> {
        version.clone().map(ConflictSide)
    }
}

#[pymethods]
impl PathConflict {
    /// Where the merged tree has what could be made of it.
    #[getter]
    fn path<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        path_to_python(py, &self.0.path)
    }

    #[getter]
    fn path_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.path)
    }

    /// `content`, `binary`, `too-large`, `mode`, `add/add`, `modify/delete`, `type`,
    /// `directory/file`, `rename/delete` or `rename/rename`.
    #[getter]
    fn reason(&self) -> &'static str {
        self.0.reason.name()
    }

    #[getter]
    fn base(&self) -> Option<ConflictSide> {
        PathConflict::side(&self.0.base)
    }

    #[getter]
    fn ours(&self) -> Option<ConflictSide> {
        PathConflict::side(&self.0.ours)
    }

    #[getter]
    fn theirs(&self) -> Option<ConflictSide> {
        PathConflict::side(&self.0.theirs)
    }

    fn __repr__(&self) -> String {
        format!("PathConflict({:?}, {})", String::from_utf8_lossy(&self.0.path), self.reason())
    }
}

/// The merge of two snapshots, computed; nothing is stored until it is committed.
#[pyclass(frozen, module = "helios")]
pub struct Merge {
    shared: Arc<Shared>,
    /// The epoch of gc in which it began to be computed.
    epoch: u64,
    ours: Id,
    theirs: Id,
    /// The branch that a commit moves.
    branch: Option<Vec<u8>>,
    /// Whether theirs becomes a parent.
    records_theirs: bool,
    outcome: Outcome,
}

impl Merge {
    pub fn of_snapshots(
        py: Python<'_>,
        shared: Arc<Shared>,
        (ours, theirs): (Id, Id),
        branch: Option<&str>,
        labels: Labels<'_>,
    ) -> PyResult<Merge> {
        let branch = branch.map(refs::branch_ref).transpose().map_err(Failure::from)?;
        let engine = &shared.engine;
        let epoch = engine.epoch();
        let outcome = py.detach(|| engine.merge(&ours, &theirs, labels).map_err(Failure::from))?;
        Ok(Merge { shared, epoch, ours, theirs, branch, records_theirs: true, outcome })
    }

    pub fn of_trees(
        py: Python<'_>,
        shared: Arc<Shared>,
        (base, ours, theirs): (Option<Id>, Id, Id),
        labels: Labels<'_>,
    ) -> PyResult<Merge> {
        let engine = &shared.engine;
        let epoch = engine.epoch();
        let merge = py.detach(|| {
            engine.merge_trees(base.as_ref(), &ours, &theirs, labels).map_err(Failure::from)
        })?;
        let outcome = Outcome::Merged(merge);
        Ok(Merge { shared, epoch, ours, theirs, branch: None, records_theirs: false, outcome })
    }

    fn found(&self) -> &[merge::Conflict] {
        match &self.outcome {
            Outcome::Merged(merge) => &merge.conflicts,
            _ => &[],
        }
    }
}

#[pymethods]
impl Merge {
    /// The id of the snapshot that is merged into.
    #[getter]
    fn ours(&self) -> String {
        self.ours.to_hex()
    }

    /// The id of the snapshot that is merged.
    #[getter]
    fn theirs(&self) -> String {
        self.theirs.to_hex()
    }

    /// `up-to-date`, `fast-forward`, `merged` or `conflicts`.
    #[getter]
    fn outcome(&self) -> &'static str {
        match &self.outcome {
            Outcome::UpToDate => "up-to-date",
            Outcome::FastForward => "fast-forward",
            Outcome::Merged(merge) if merge.conflicts.is_empty() => "merged",
            Outcome::Merged(_) => "conflicts",
        }
    }

    #[getter]
    fn conflicts(&self) -> Vec<PathConflict> {
        self.found().iter().cloned().map(PathConflict).collect()
    }

    /// The result as a VST over ours. Its commit moves ours, if that was given as a branch, and
    /// has both parents. Where the sides conflict it holds what could be made of it: in a text
    /// what ours has, or with `markers` both versions in marked sections.
    #[pyo3(signature = (*, markers = false))]
    fn vst(&self, py: Python<'_>, markers: bool) -> PyResult<Vst> {
        let engine = &self.shared.engine;
        let (branch, theirs) = (self.branch.clone(), self.theirs);
        let vst = py.detach(|| match &self.outcome {
            Outcome::Merged(merge) => {
                let parents = self.records_theirs.then_some(theirs).into_iter().collect();
                engine.vst_of_merge(merge, self.epoch, self.ours, branch, parents, markers)
            }
            Outcome::UpToDate => engine.vst(Some(self.ours), branch),
            Outcome::FastForward => engine.vst(Some(theirs), branch),
        });
        Ok(Vst::new(Arc::clone(&self.shared), vst.map_err(Failure::from)?))
    }

    /// Makes the result a snapshot with both parents, and moves ours there if it was given as a
    /// branch. Where ours has all of theirs, or theirs all of ours, that snapshot is given back.
    #[pyo3(signature = (
        message = Text::default(), *, author = None, metadata = None, time_us = None
    ))]
    fn commit(
        &self,
        py: Python<'_>,
        message: Text,
        author: Option<Text>,
        metadata: Option<&Bound<'_, PyDict>>,
        time_us: Option<i64>,
    ) -> PyResult<Snapshot> {
        let engine = &self.shared.engine;
        let found = match &self.outcome {
            Outcome::Merged(merge) if merge.conflicts.is_empty() => {
                let vst = self.vst(py, false)?;
                return vst.commit(py, message, author, metadata, false, time_us, "fail");
            }
            Outcome::Merged(merge) => {
                return Err(conflict_error(py, "they do not merge", &merge.conflicts, None)?);
            }
            Outcome::UpToDate => self.ours,
            Outcome::FastForward => {
                if let Some(branch) = &self.branch {
                    let (old, new) = (Some(self.ours), Some(self.theirs));
                    let operation = Operation {
                        time_us: now_us(),
                        actor: self.shared.actor(None),
                        command: b"merge".to_vec(),
                        changes: vec![RefChange { name: branch.clone(), old, new }],
                    };
                    py.detach(|| engine.operate(operation)).map_err(Failure::from)?;
                }
                self.theirs
            }
        };
        Ok(Snapshot::new(found, engine.snapshot(&found).map_err(Failure::from)?))
    }

    fn __repr__(&self) -> String {
        let (ours, theirs) = (self.ours.to_hex(), self.theirs.to_hex());
        format!("Merge({}, {}, {})", &ours[..12], &theirs[..12], self.outcome())
    }
}

/// The exception for conflicts; `snapshot` is what was kept of the caller's.
pub fn conflict_error(
    py: Python<'_>,
    what: &str,
    conflicts: &[merge::Conflict],
    snapshot: Option<Id>,
) -> PyResult<PyErr> {
    let mut paths: Vec<&[u8]> = conflicts.iter().map(|conflict| &conflict.path[..]).collect();
    paths.dedup();
    let shown: Vec<String> = paths
        .iter()
        .take(PATHS_TOLD_MAX)
        .map(|path| String::from_utf8_lossy(path).into_owned())
        .collect();
    let more = paths.len().saturating_sub(PATHS_TOLD_MAX);
    let mut message = format!("{what}: conflicts in {}", shown.join(", "));
    if more > 0 {
        message.push_str(&format!(" and {more} more"));
    }
    if let Some(id) = snapshot {
        message.push_str(&format!("; your snapshot {id} is kept, merge it by hand"));
    }
    let details = PyDict::new(py);
    let paths: Vec<Bound<'_, PyAny>> =
        paths.iter().map(|path| path_to_python(py, path)).collect::<PyResult<_>>()?;
    details.set_item("paths", paths)?;
    details.set_item("snapshot", snapshot.map(|id| id.to_hex()))?;
    let class = py.import("helios.errors")?.getattr("MergeConflict")?;
    Ok(PyErr::from_value(class.call((message,), Some(&details))?))
}

/// Whether a commit follows its branch.
pub fn follows(on_conflict: &str) -> PyResult<bool> {
    match on_conflict {
        "fail" => Ok(false),
        "retry" => Ok(true),
        other => {
            Err(PyValueError::new_err(format!("on_conflict is 'fail' or 'retry', not {other:?}")))
        }
    }
}
