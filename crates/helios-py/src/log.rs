//! The operation log as `helios.repository.operation_log` verifies it.

use helios_core::engine::verify::log;
use helios_core::id::Id;
use helios_core::journal::Position;
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::sync::MutexExt;
use pyo3::types::PyBytes;

use crate::engine::Engine;
use crate::errors::Failure;

/// An operation: segment, offset, id.
type Entry = (u64, u64, String);
/// Kind, the operation, the one before it, reason, refs, values: what was left, and what is found.
type Flaw<'py> = (
    &'static str,
    Entry,
    Option<Entry>,
    Option<String>,
    Vec<Bound<'py, PyBytes>>,
    (Option<String>, Option<String>),
);

fn entry(entry: log::Entry) -> Entry {
    (entry.position.0, entry.position.1, format!("{:016x}", entry.number))
}

fn flaw<'py>(py: Python<'py>, flaw: log::Flaw) -> Flaw<'py> {
    let hex = |id: Option<Id>| id.map(|id| id.to_hex());
    let names = |names: &[Vec<u8>]| names.iter().map(|name| PyBytes::new(py, name)).collect();
    match flaw {
        log::Flaw::Undecodable { position, reason } => {
            let at = (position.0, position.1, String::new());
            ("undecodable", at, None, Some(reason), Vec::new(), (None, None))
        }
        log::Flaw::Misplaced { entry: at, reason, references } => {
            let reason = Some(reason.to_owned());
            ("misplaced", entry(at), None, reason, names(&references), (None, None))
        }
        log::Flaw::Gap { reference, before, left, after, found, is_explained } => {
            let kind = if is_explained { "lost" } else { "gap" };
            let values = (hex(left), hex(found));
            (kind, entry(after), Some(entry(before)), None, names(&[reference]), values)
        }
        log::Flaw::Astray { reference, last, left, is } => {
            ("astray", entry(last), None, None, names(&[reference]), (hex(left), hex(is)))
        }
    }
}

/// One reading of the operation log, from its newest operation to its oldest.
#[pyclass(frozen, module = "helios._core")]
pub struct OperationLog {
    pub log: Mutex<log::Log>,
}

#[pymethods]
impl OperationLog {
    /// Reads the journal's operations; the engine must not be used for anything else meanwhile.
    #[new]
    fn new(py: Python<'_>, engine: &Engine, undoable_since_us: i64) -> PyResult<OperationLog> {
        let engine = engine.shared_core();
        let read = || log::Log::read(engine, undoable_since_us).map_err(Failure::from);
        Ok(OperationLog { log: Mutex::new(py.detach(read)?) })
    }

    /// Takes in operations of L2, newest first.
    fn stored(&self, py: Python<'_>, page: Vec<(Position, PyBackedBytes)>) -> PyResult<()> {
        let taken = py.detach(|| {
            let mut log = self.log.lock();
            page.iter().try_for_each(|(position, bytes)| log.stored(*position, bytes))
        });
        Ok(taken.map_err(Failure::from)?)
    }

    /// Compares the refs with the log; what is wrong with both.
    fn finish<'py>(&self, py: Python<'py>) -> PyResult<Vec<Flaw<'py>>> {
        let found = self.log.lock_py_attached(py).finish().map_err(Failure::from)?;
        Ok(found.into_iter().map(|found| flaw(py, found)).collect())
    }
}
