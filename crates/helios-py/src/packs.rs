//! Packs, which hold L2's large records, for the store that is written in Python.

use std::path::PathBuf;
use std::sync::Arc;

use helios_core::error::Error;
use helios_core::id::Id;
use helios_core::store::pack::{Location, Packs as Core};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::Failure;

/// Locations are bytes, as RocksDB holds them.
#[pyclass(frozen, module = "helios._core")]
pub struct Packs {
    pub packs: Arc<Core>,
}

fn located(location: &[u8]) -> Result<Location, Failure> {
    let malformed = || Error::Malformed(format!("{} bytes are no location", location.len()));
    Ok(Location::decode(location).ok_or_else(malformed)?)
}

#[pymethods]
impl Packs {
    #[classattr]
    const LOCATION_LEN: usize = Location::LEN;

    #[new]
    fn new(directory: PathBuf) -> Packs {
        Packs { packs: Arc::new(Core::new(&directory)) }
    }

    /// The record that lies there.
    fn read<'py>(&self, py: Python<'py>, location: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let location = located(location)?;
        let mut buffer = Vec::new();
        let record =
            py.detach(|| self.packs.read(&location, &mut buffer).map_err(Failure::from))?;
        Ok(PyBytes::new(py, record))
    }

    /// Whether the blob `id` lies there, whole.
    fn holds(&self, py: Python<'_>, id: &[u8], location: &[u8]) -> PyResult<bool> {
        let id = Id::from_slice(id).map_err(Failure::from)?;
        let location = located(location)?;
        Ok(py.detach(|| self.packs.holds(&id, &location)))
    }

    /// Appends a record, which is on disk after the next `sync`; where it lies.
    fn append<'py>(
        &self,
        py: Python<'py>,
        id: &[u8],
        record: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        let id = Id::from_slice(id).map_err(Failure::from)?;
        let location = py.detach(|| self.packs.append(&id, record).map_err(Failure::from))?;
        Ok(PyBytes::new(py, &location.encode()))
    }

    fn begin(&self, py: Python<'_>) -> PyResult<()> {
        Ok(py.detach(|| self.packs.begin().map_err(Failure::from))?)
    }

    fn sync(&self, py: Python<'_>) -> PyResult<()> {
        Ok(py.detach(|| self.packs.sync().map_err(Failure::from))?)
    }

    /// The number and the length of each pack.
    fn sizes(&self, py: Python<'_>) -> PyResult<Vec<(u64, u64)>> {
        Ok(py.detach(|| self.packs.sizes().map_err(Failure::from))?)
    }

    fn remove(&self, py: Python<'_>, pack: u64) -> PyResult<()> {
        Ok(py.detach(|| self.packs.remove(pack).map_err(Failure::from))?)
    }

    /// The pack of a location, and the bytes that what lies there takes in it.
    #[staticmethod]
    fn room(location: &[u8]) -> PyResult<(u64, u64)> {
        let location = located(location)?;
        Ok((location.pack, location.room()))
    }
}
