//! Gc, as `helios.repository.gc` drives it. What reads trees does so without the GIL.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use helios_core::engine;
use helios_core::engine::gc::{self, retention::Retention};
use helios_core::error::Error;
use helios_core::id::Id;
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::PyBytes;

use crate::convert::id_from_store;
use crate::errors::Failure;

/// An id and a record, or another id.
type Stored<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>);
/// What may be, or is, to be deleted: id, stored form, length of the record.
type Doomed<'py> = (Bound<'py, PyBytes>, u8, u64);

/// One gc in progress.
#[pyclass(frozen, module = "helios._core")]
pub struct Collection {
    core: Mutex<engine::gc::Collection>,
}

/// What is kept of a branch's history: see `Retention` of the core. `None` keeps all of it.
type Rules = Option<(u64, Option<i64>, u64, u64)>;

fn retention(rules: Rules) -> Option<Retention> {
    rules.map(|(last, since_us, hourly, daily)| Retention { last, since_us, hourly, daily })
}

fn ids(ids: &[Vec<u8>]) -> Result<Vec<Id>, Error> {
    ids.iter().map(|id| id_from_store(id)).collect()
}

impl Collection {
    pub fn begin(
        py: Python<'_>,
        engine: &Arc<engine::Engine>,
        memory_bytes: usize,
        scratch: Option<PathBuf>,
    ) -> PyResult<Collection> {
        let engine = Arc::clone(engine);
        let core = py.detach(|| {
            engine::gc::Collection::new(engine, memory_bytes, scratch).map_err(Failure::from)
        })?;
        Ok(Collection { core: Mutex::new(core) })
    }

    fn with<T: Send>(
        &self,
        py: Python<'_>,
        body: impl FnOnce(&mut engine::gc::Collection) -> Result<T, Error> + Send,
    ) -> PyResult<T> {
        Ok(py.detach(|| body(&mut self.core.lock()).map_err(Failure::from))?)
    }
}

fn borrowed<'a>(records: &'a [Stored<'_>]) -> Result<Vec<(Id, &'a [u8])>, Error> {
    let pairs = records.iter();
    pairs.map(|(id, record)| Ok((id_from_store(id.as_bytes())?, record.as_bytes()))).collect()
}

fn unread(large: &[Doomed<'_>]) -> Result<Vec<gc::Doomed>, Error> {
    let each = large.iter().map(|(id, form, record_len)| {
        let id = id_from_store(id.as_bytes())?;
        Ok(gc::Doomed { id, form: *form, record_len: *record_len })
    });
    each.collect()
}

#[pymethods]
impl Collection {
    /// Takes in records of L2, and those that are large.
    fn look(
        &self,
        py: Python<'_>,
        records: Vec<Stored<'_>>,
        large: Vec<Doomed<'_>>,
        young_since_us: i64,
    ) -> PyResult<()> {
        let records = borrowed(&records).map_err(Failure::from)?;
        let large = unread(&large).map_err(Failure::from)?;
        let mut core = self.core.lock_py_attached(py);
        core.look_at_large(&large);
        Ok(core.look(&records, young_since_us).map_err(Failure::from)?)
    }

    /// Keeps the snapshots that refs name, and of their history what the rules say.
    fn keep(
        &self,
        py: Python<'_>,
        heads: Vec<Vec<u8>>,
        rules: Rules,
        protects_history: bool,
    ) -> PyResult<()> {
        let rules = retention(rules);
        self.with(py, |core| {
            let mut heads = ids(&heads)?.into_iter();
            heads.try_for_each(|head| core.keep(head, rules.as_ref(), protects_history))
        })
    }

    /// Keeps snapshots that may be gone already.
    fn keep_if_there(&self, py: Python<'_>, found: Vec<Vec<u8>>, rules: Rules) -> PyResult<()> {
        let rules = retention(rules);
        self.with(py, |core| {
            let mut found = ids(&found)?.into_iter();
            found.try_for_each(|id| core.keep_if_there(id, rules.as_ref()))
        })
    }

    /// Keeps the snapshots that are young.
    fn keep_young(&self, py: Python<'_>, rules: Rules) -> PyResult<()> {
        let rules = retention(rules);
        self.with(py, |core| core.keep_young(rules.as_ref()))
    }

    /// Keeps a tree that is there.
    fn keep_tree(&self, py: Python<'_>, tree: Vec<u8>) -> PyResult<()> {
        self.with(py, |core| core.keep_tree(id_from_store(&tree)?))
    }

    /// Marks all that is kept; what a quota may drop only as far as it fits.
    fn mark(&self, py: Python<'_>, quota: Option<u64>) -> PyResult<()> {
        self.with(py, |core| core.mark(quota))
    }

    /// Takes in what is in the journal and not in L2.
    fn look_at_journal(&self, py: Python<'_>, young_since_us: i64) -> PyResult<()> {
        self.with(py, |core| core.look_at_journal(young_since_us))
    }

    /// Counts what is dead in the journal and not in L2.
    fn sort_journal(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, engine::gc::Collection::sort_journal)
    }

    /// Sorts records of L2, and those that are large; what is to be stored instead of some of them.
    fn sort<'py>(
        &self,
        py: Python<'py>,
        records: Vec<Stored<'py>>,
        large: Vec<Doomed<'py>>,
        counts_only: bool,
    ) -> PyResult<Vec<Stored<'py>>> {
        let records = borrowed(&records).map_err(Failure::from)?;
        let large = unread(&large).map_err(Failure::from)?;
        let anew = self.with(py, |core| core.sort(&records, &large, counts_only))?;
        let anew = anew.into_iter();
        Ok(anew
            .map(|(id, record)| (PyBytes::new(py, id.as_bytes()), PyBytes::new(py, &record)))
            .collect())
    }

    /// Tells all processes what will be deleted; false if there is nothing.
    fn publish(&self, py: Python<'_>, indexes: Vec<PathBuf>) -> PyResult<bool> {
        self.with(py, |core| core.publish(&indexes))
    }

    /// Parents of kept snapshots that are dropped, ascending, and where history goes on.
    fn ends<'py>(&self, py: Python<'py>) -> Vec<Stored<'py>> {
        let ends = self.core.lock_py_attached(py).ends();
        let both = |(id, next): &(Id, Id)| {
            (PyBytes::new(py, id.as_bytes()), PyBytes::new(py, next.as_bytes()))
        };
        ends.iter().map(both).collect()
    }

    /// What to delete, from an entry of the dead set on, and where to go on.
    fn doomed<'py>(
        &self,
        py: Python<'py>,
        start: u64,
        limit: u64,
    ) -> PyResult<Option<(Vec<Doomed<'py>>, u64)>> {
        let page = self.with(py, |core| core.doomed(start, limit))?;
        Ok(page.map(|(page, next)| {
            let page = page.iter();
            let entries = page.map(|doomed| {
                (PyBytes::new(py, doomed.id.as_bytes()), doomed.form, doomed.record_len)
            });
            (entries.collect(), next)
        }))
    }

    /// All that was dead is deleted for good.
    fn finish(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, engine::gc::Collection::finish)
    }

    /// What was found so far, by name.
    fn found(&self, py: Python<'_>) -> BTreeMap<&'static str, u64> {
        let found = self.core.lock_py_attached(py).found();
        BTreeMap::from([
            ("objects", found.objects),
            ("record_bytes", found.record_bytes),
            ("snapshots", found.snapshots),
            ("dead_objects", found.dead_objects),
            ("dead_bytes", found.dead_bytes),
            ("dead_snapshots", found.dead_snapshots),
            ("rewritten", found.rewritten),
        ])
    }
}
