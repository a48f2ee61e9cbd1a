//! An L2 store that is written in Python, behind the core's interface.

use helios_core::error::{Error, Result};
use helios_core::id::Id;
use helios_core::store::{EachLarge, RecordSource, LARGE_AT_ONCE};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyList, PyTuple};

use crate::convert::id_from_store;
use crate::errors::from_python;

pub struct PythonStore {
    store: Py<PyAny>,
}

impl PythonStore {
    pub fn new(store: Py<PyAny>) -> PythonStore {
        PythonStore { store }
    }

    fn call<T>(&self, body: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>) -> Result<T> {
        Python::attach(|py| body(self.store.bind(py)).map_err(|error| from_python(py, &error)))
    }
}

impl PythonStore {
    /// Asks the store for something of each object.
    fn ask<T>(
        &self,
        method: &str,
        ids: &[Id],
        extract: impl Fn(&Bound<'_, PyAny>) -> PyResult<T>,
    ) -> Result<Vec<T>> {
        Python::attach(|py| self.ask_attached(py, method, ids, extract))
    }

    fn ask_attached<T>(
        &self,
        py: Python<'_>,
        method: &str,
        ids: &[Id],
        extract: impl Fn(&Bound<'_, PyAny>) -> PyResult<T>,
    ) -> Result<Vec<T>> {
        let ask = || {
            let keys = PyList::new(py, ids.iter().map(|id| PyBytes::new(py, id.as_bytes())))?;
            let found = self.store.bind(py).call_method1(method, (keys,))?;
            found.try_iter()?.map(|value| extract(&value?)).collect::<PyResult<Vec<_>>>()
        };
        let answers = ask().map_err(|error| from_python(py, &error))?;
        match answers.len() == ids.len() {
            true => Ok(answers),
            false => Err(Error::Store(format!("the store's `{method}` gave another number"))),
        }
    }
}

fn optional_bytes(value: &Bound<'_, PyAny>) -> PyResult<Option<Vec<u8>>> {
    match value.is_none() {
        true => Ok(None),
        false => Ok(Some(value.cast::<PyBytes>()?.as_bytes().to_vec())),
    }
}

impl RecordSource for PythonStore {
    fn records(&self, ids: &[Id]) -> Result<Vec<Option<Vec<u8>>>> {
        self.ask("records", ids, optional_bytes)
    }

    fn stored(&self, ids: &[Id]) -> Result<Vec<Option<Vec<u8>>>> {
        self.ask("stored", ids, optional_bytes)
    }

    fn each_large(&self, ids: &[Id], each: EachLarge<'_>) -> Result<()> {
        // Attached once for all: a thread that Python does not know gets a state of its own each
        // time, with memory that is mapped and unmapped.
        Python::attach(|py| {
            for (nth, window) in ids.chunks(LARGE_AT_ONCE).enumerate() {
                let found: Vec<Option<PyBackedBytes>> =
                    self.ask_attached(py, "large", window, |value| Ok(value.extract()?))?;
                py.detach(|| {
                    for (at, record) in found.iter().enumerate() {
                        each(nth * LARGE_AT_ONCE + at, record.as_deref());
                    }
                });
                // Dropped with the GIL, so that the memory is used again at once.
            }
            Ok(())
        })
    }

    fn derives(&self) -> Result<bool> {
        self.call(|store| store.call_method0("derives")?.extract())
    }

    fn closed(&self, ids: &[Id]) -> Result<Vec<bool>> {
        self.ask("closed", ids, |value| value.extract())
    }

    fn reference(&self, name: &[u8]) -> Result<Option<Id>> {
        let value = self.call(|store| {
            let name = PyBytes::new(store.py(), name);
            optional_bytes(&store.call_method1("reference", (name,))?)
        })?;
        value.map(|bytes| id_from_store(&bytes)).transpose()
    }

    fn references(&self, prefix: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Id)>> {
        let found = self.call(|store| {
            let prefix = PyBytes::new(store.py(), prefix);
            let mut found = Vec::new();
            let pairs = store.call_method1("references", (prefix,))?.try_iter()?;
            for pair in pairs.take(limit) {
                let pair = pair?;
                let pair = pair.cast::<PyTuple>()?;
                let name = pair.get_item(0)?.cast::<PyBytes>()?.as_bytes().to_vec();
                found.push((name, pair.get_item(1)?.cast::<PyBytes>()?.as_bytes().to_vec()));
            }
            Ok(found)
        })?;
        found.into_iter().map(|(name, id)| Ok((name, id_from_store(&id)?))).collect()
    }

    fn refresh(&self) -> Result<()> {
        self.call(|store| store.call_method0("refresh").map(drop))
    }
}
