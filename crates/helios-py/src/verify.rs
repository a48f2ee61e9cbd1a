//! Verification and what repair needs of the core, as `helios.repository` drives them.

use std::path::PathBuf;
use std::sync::Arc;

use helios_core::engine::progress::Phase;
use helios_core::engine::salvage;
use helios_core::engine::verify::{reach, Finding, Problem, Verifier};
use helios_core::engine::Engine as Core;
use helios_core::error::Error;
use helios_core::id::{Id, IdSet};
use helios_core::journal::Damage;
use helios_core::worktree::Index;
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::convert::parse_id;
use crate::engine::Engine;
use crate::errors::{from_python, Failure};
use crate::log::OperationLog;

/// Id, problem, place, the other object, whether it can be read all the same, reason.
type Found = (String, &'static str, Option<&'static str>, Option<String>, bool, String);
/// Segment, offset, length.
type Stretch = (u64, u64, u64);
/// Ref, snapshots, the newest of them, path.
type Effect<'py> = (Bound<'py, PyBytes>, u64, String, Option<Bound<'py, PyBytes>>);

/// One pass over a repository. The engine must be one of its own.
#[pyclass(frozen, module = "helios._core")]
pub struct Verification {
    engine: Arc<Core>,
    verifier: Mutex<Verifier>,
}

fn found(finding: Finding) -> Found {
    let id = finding.id.to_hex();
    let reason = finding.reason;
    match finding.problem {
        Problem::Corrupt { place, cause, readable } => {
            let cause = cause.map(|cause| cause.to_hex());
            (id, "corrupt", Some(place.name()), cause, readable, reason)
        }
        Problem::Missing { by } => (id, "missing", None, by.map(|by| by.to_hex()), false, reason),
        Problem::Reference { to } => (id, "reference", None, Some(to.to_hex()), true, reason),
    }
}

fn stretch(damage: &Damage) -> Stretch {
    (damage.segment, damage.offset, damage.len)
}

fn parse_ids(ids: &[String]) -> Result<Vec<Id>, Failure> {
    ids.iter().map(|id| parse_id(id)).collect()
}

/// Gives a record to a Python callable.
fn give(sink: &Py<PyAny>, id: &Id, record: &[u8]) -> Result<(), Error> {
    Python::attach(|py| {
        let arguments = (PyBytes::new(py, id.as_bytes()), PyBytes::new(py, record));
        sink.call1(py, arguments).map(drop).map_err(|error| from_python(py, error))
    })
}

#[pymethods]
impl Verification {
    #[new]
    fn new(engine: &Engine, objects_expected: u64) -> Verification {
        let engine = engine.shared_core();
        let verifier = Mutex::new(Verifier::new(Arc::clone(&engine), objects_expected));
        Verification { engine, verifier }
    }

    /// Verifies the journal; before the records of L2.
    fn journal(&self, py: Python<'_>) -> PyResult<()> {
        Ok(py.detach(|| self.verifier.lock().journal().map_err(Failure::from))?)
    }

    /// Verifies records of L2, by id, and takes in which large ones it has, with their lengths;
    /// keys that are no ids come back.
    fn records<'py>(
        &self,
        py: Python<'py>,
        batch: Vec<(PyBackedBytes, PyBackedBytes)>,
        large: Vec<(PyBackedBytes, u8, u64)>,
    ) -> Vec<Bound<'py, PyBytes>> {
        let mut records = Vec::with_capacity(batch.len());
        let mut strange = Vec::new();
        for (key, record) in &batch {
            match Id::from_slice(key) {
                Ok(id) => records.push((id, &record[..])),
                Err(_) => strange.push(PyBytes::new(py, key)),
            }
        }
        let mut named = Vec::with_capacity(large.len());
        for (key, _, len) in &large {
            match Id::from_slice(key) {
                Ok(id) => named.push((id, *len)),
                Err(_) => strange.push(PyBytes::new(py, key)),
            }
        }
        py.detach(|| {
            let mut verifier = self.verifier.lock();
            verifier.records(&records);
            verifier.large(&named);
        });
        strange
    }

    /// Compares all references, and looks again at what is amiss: findings, records, objects,
    /// bytes, damaged stretches of the journal, its torn tail, operations that do not decode, and
    /// whether `synced` is ahead of the journal. What undo may need is to be there as `roots` are.
    #[allow(clippy::type_complexity)]
    fn finish(
        &self,
        py: Python<'_>,
        roots: Vec<String>,
        undoable: &OperationLog,
    ) -> PyResult<(Vec<Found>, u64, u64, u64, Vec<Stretch>, Option<Stretch>, Vec<(u64, u64)>, bool)>
    {
        let roots = parse_ids(&roots)?;
        let done = py.detach(|| {
            let log = undoable.log.lock();
            self.verifier.lock().finish(&roots, log.undoable()).map_err(Failure::from)
        });
        self.engine.progress().begin(Phase::Idle, 0);
        let done = done?;
        Ok((
            done.findings.into_iter().map(found).collect(),
            done.records,
            done.objects,
            done.bytes,
            done.stretches.iter().map(stretch).collect(),
            done.torn.as_ref().map(stretch),
            done.operations,
            done.synced_ahead,
        ))
    }

    /// Refs that name snapshots, and their values.
    fn roots<'py>(&self, py: Python<'py>) -> PyResult<Vec<(Bound<'py, PyBytes>, String)>> {
        let roots = py.detach(|| self.engine.roots().map_err(Failure::from))?;
        Ok(roots.into_iter().map(|(name, id)| (PyBytes::new(py, &name), id.to_hex())).collect())
    }

    /// For each damage, given as the objects that cannot be had because of it, what it affects.
    /// What no root reaches counts for the operations whose undo needs it.
    fn effects<'py>(
        &self,
        py: Python<'py>,
        roots: Vec<(Vec<u8>, String)>,
        undoable: &OperationLog,
        damaged: Vec<Vec<String>>,
    ) -> PyResult<Vec<Vec<Effect<'py>>>> {
        let mut heads = Vec::with_capacity(roots.len());
        for (name, id) in roots {
            heads.push((name, parse_id(&id)?));
        }
        let mut damaged =
            damaged.iter().map(|ids| parse_ids(ids)).collect::<Result<Vec<_>, _>>()?;
        let effects = py.detach(|| {
            let verifier = self.verifier.lock();
            for ids in &mut damaged {
                let files: Vec<Id> =
                    ids.iter().flat_map(|id| verifier.files_of(id)).copied().collect();
                ids.extend(files);
            }
            let log = undoable.log.lock();
            reach::effects(&self.engine, &heads, log.undoable(), &damaged)
        });
        let convert = |effect: reach::Effect| {
            let path = effect.path.map(|path| PyBytes::new(py, &path));
            let name = PyBytes::new(py, &effect.reference);
            (name, effect.snapshots, effect.snapshot.to_hex(), path)
        };
        Ok(effects.into_iter().map(|list| list.into_iter().map(convert).collect()).collect())
    }

    /// Gives an object of this repository to `sink(id, record)`, verified.
    fn copy(&self, py: Python<'_>, id: &str, sink: Py<PyAny>) -> PyResult<()> {
        let id = parse_id(id)?;
        let give = &mut |id: Id, record: Vec<u8>| give(&sink, &id, &record);
        Ok(py.detach(|| self.engine.copy_object(&id, give).map_err(Failure::from))?)
    }

    /// Gives objects of another repository to `sink`, with all that they refer to and that is not
    /// known here.
    fn copy_from(
        &self,
        py: Python<'_>,
        other: &Engine,
        wanted: Vec<String>,
        sink: Py<PyAny>,
    ) -> PyResult<()> {
        let wanted = parse_ids(&wanted)?;
        let other = other.shared_core();
        let give = &mut |id: Id, record: Vec<u8>| give(&sink, &id, &record);
        Ok(py.detach(|| {
            let verifier = self.verifier.lock();
            let known = |id: &Id| verifier.knows(id);
            other.copy_closure(&wanted, &known, give).map_err(Failure::from)
        })?)
    }

    /// Gives the records of wanted objects that lie anywhere in a file to `sink`, verified.
    fn search(
        &self,
        py: Python<'_>,
        path: PathBuf,
        wanted: Vec<String>,
        sink: Py<PyAny>,
    ) -> PyResult<()> {
        let wanted: IdSet = parse_ids(&wanted)?.into_iter().collect();
        let give = &mut |id: Id, record: Vec<u8>| give(&sink, &id, &record);
        Ok(py.detach(|| self.engine.search_file(&path, &wanted, give).map_err(Failure::from))?)
    }

    /// Gives the wanted tree nodes to `sink` that the index of a worktree describes.
    fn copy_nodes(
        &self,
        py: Python<'_>,
        index: PathBuf,
        wanted: Vec<String>,
        sink: Py<PyAny>,
    ) -> PyResult<()> {
        let wanted: IdSet = parse_ids(&wanted)?.into_iter().collect();
        let give = &mut |id: Id, record: Vec<u8>| give(&sink, &id, &record);
        Ok(py.detach(|| self.engine.copy_nodes(&index, &wanted, give).map_err(Failure::from))?)
    }

    /// Gives a file's content to `sink` if it has the id; whether it has.
    #[staticmethod]
    fn copy_file(py: Python<'_>, path: PathBuf, id: &str, sink: Py<PyAny>) -> PyResult<bool> {
        let id = parse_id(id)?;
        let give = &mut |id: Id, record: Vec<u8>| give(&sink, &id, &record);
        Ok(py.detach(|| salvage::copy_file(&path, &id, give).map_err(Failure::from))?)
    }

    /// Paths that the index of a worktree knows for the wanted contents.
    #[staticmethod]
    fn paths_in_index<'py>(
        py: Python<'py>,
        index: PathBuf,
        wanted: Vec<String>,
    ) -> PyResult<Vec<(String, Bound<'py, PyBytes>)>> {
        let wanted: IdSet = parse_ids(&wanted)?.into_iter().collect();
        let index = Index::load(&index).map_err(Failure::from)?;
        let known = index.iter().filter(|(_, known)| wanted.contains(&known.id));
        Ok(known.map(|(path, known)| (known.id.to_hex(), PyBytes::new(py, path))).collect())
    }
}
