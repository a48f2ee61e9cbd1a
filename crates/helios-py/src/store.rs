//! An L2 store that is written in Python, behind the core's interface.

use std::cell::RefCell;
use std::sync::Arc;

use helios_core::error::{Error, Result};
use helios_core::id::Id;
use helios_core::store::pack::Location;
use helios_core::store::{EachLarge, RecordSource};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyList, PyTuple};

use crate::convert::id_from_store;
use crate::errors::from_python;
use crate::packs::Packs;

/// What a thread keeps for the next record that it reads: memory that is new is cleared first.
const BUFFER_BYTES_MAX: usize = 4 << 20;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

pub struct PythonStore {
    store: Py<PyAny>,
}

impl PythonStore {
    pub fn new(store: Py<PyAny>) -> PythonStore {
        PythonStore { store }
    }

    fn call<T>(&self, body: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>) -> Result<T> {
        Python::attach(|py| body(self.store.bind(py)).map_err(|error| from_python(py, error)))
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
        let answers = self.call(|store| {
            let found = store.call_method1(method, (keys(store.py(), ids)?,))?;
            found.try_iter()?.map(|value| extract(&value?)).collect::<PyResult<Vec<_>>>()
        })?;
        check_len(method, ids, &answers).map(|()| answers)
    }
}

fn keys<'py>(py: Python<'py>, ids: &[Id]) -> PyResult<Bound<'py, PyList>> {
    PyList::new(py, ids.iter().map(|id| PyBytes::new(py, id.as_bytes())))
}

fn check_len<T>(method: &str, ids: &[Id], answers: &[T]) -> Result<()> {
    match answers.len() == ids.len() {
        true => Ok(()),
        false => Err(Error::Store(format!("the store's `{method}` gave another number"))),
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
        let (packs, found) = self.call(|store| {
            let located = store.call_method1("located", (keys(store.py(), ids)?,))?;
            let (packs, found): (Option<Bound<'_, Packs>>, Vec<Option<PyBackedBytes>>) =
                located.extract()?;
            Ok((packs.map(|packs| Arc::clone(&packs.get().packs)), found))
        })?;
        check_len("located", ids, &found)?;
        let mut buffer = BUFFER.take();
        for (at, found) in found.iter().enumerate() {
            let location = found.as_deref().and_then(Location::decode);
            match packs.as_ref().zip(location) {
                Some((packs, location)) => each(at, Some(packs.read(&location, &mut buffer)?)),
                None => each(at, found.as_deref()),
            }
        }
        buffer.truncate(BUFFER_BYTES_MAX);
        buffer.shrink_to(BUFFER_BYTES_MAX);
        BUFFER.set(buffer);
        Ok(())
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
